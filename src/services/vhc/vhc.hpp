// Virtual Host Controller: creates and controls the virtual hosts of one physical host. Knows nothing of clusters.
//
// Every operation is a job: the request's turn checks it and writes the intent, the job drives the hypervisor
// (vhc/work.hpp), the turn after it records the outcome and answers. A process killed in between starts the job again:
// the driver's verbs are idempotent by host id.
//
// At most one operation is at work on a host; destroy ends it first. A host that the hypervisor has and no row knows is
// destroyed; one that a row has and the hypervisor lost is reported.
// Threading: as exchange::Actor; run_job touches only Worker, which is thread safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "contracts/vhf.hpp"
#include "hypervisor/driver.hpp"
#include "services/vhc/rows.hpp"
#include "services/vhc/usage.hpp"
#include "services/vhc/work.hpp"

namespace nuraghe::services::vhc {

struct ControllerOptions {
  std::string name;  // of the physical host: "vhc-1"
  std::string site;
  std::string address;  // where this controller is reached: "http://127.0.0.1:8470/services/vhc-1"
  std::string factory;  // the VHF's address
  api::Capacity capacity;
  Duration renewal = std::chrono::seconds(10);
  Duration tombstone_retention = std::chrono::hours(48);
  std::function<void()> on_registered;  // called once, on the exchange's thread, when the factory knows this controller
};

class Controller final : public api::Skeleton {
 public:
  // Guests in which ssh sessions are being ended at a time: each takes a lane of jobs for as long as its agent may
  // take.
  static constexpr std::size_t kMostEnding = 8;
  // The worker and what it refers to outlive the controller.
  Controller(ControllerOptions options, Worker& worker);

  std::string_view name() const override { return "vhc"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  Status on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) override;
  Result<std::string> run_job(const exchange::Job& job, exchange::JobContext& context) override;
  void on_rollback() override { usage_.reset(); }

  // kNotFound when the VO has no such host here.
  Status check_visible(exchange::Turn& turn, const std::string& vo, const std::string& id);
  // The hypervisor paused a running host by itself (as host_lost, from the driver's observer).
  Status host_stopped(exchange::Turn& turn, const std::string& id, const std::string& reason);
  // A running host ended by itself (from the driver's observer, through Exchange::post).
  Status host_lost(exchange::Turn& turn, const std::string& id, const std::string& reason);

 protected:
  Status create_host(exchange::Turn& turn, const exchange::Message& request,
                     const api::CreateHostRequest& input) override;
  Status wait_host(exchange::Turn& turn, const exchange::Message& request, const api::WaitHostRequest& input) override;
  Status pause_host(exchange::Turn& turn, const exchange::Message& request,
                    const api::PauseHostRequest& input) override;
  Status resume_host(exchange::Turn& turn, const exchange::Message& request,
                     const api::ResumeHostRequest& input) override;
  Status freeze_host(exchange::Turn& turn, const exchange::Message& request,
                     const api::FreezeHostRequest& input) override;
  Status thaw_host(exchange::Turn& turn, const exchange::Message& request, const api::ThawHostRequest& input) override;
  Status export_host(exchange::Turn& turn, const exchange::Message& request,
                     const api::ExportHostRequest& input) override;
  Status import_host(exchange::Turn& turn, const exchange::Message& request,
                     const api::ImportHostRequest& input) override;
  Status destroy_host(exchange::Turn& turn, const exchange::Message& request,
                      const api::DestroyHostRequest& input) override;
  Status abort_host(exchange::Turn& turn, const exchange::Message& request,
                    const api::AbortHostRequest& input) override;
  Status get_host(exchange::Turn& turn, const exchange::Message& request, const api::GetHostRequest& input) override;
  Status list_hosts(exchange::Turn& turn, const exchange::Message& request,
                    const api::ListHostsRequest& input) override;
  Status read_console(exchange::Turn& turn, const exchange::Message& request,
                      const api::ReadConsoleRequest& input) override;
  Status create_network(exchange::Turn& turn, const exchange::Message& request,
                        const api::CreateNetworkRequest& input) override;
  Status destroy_network(exchange::Turn& turn, const exchange::Message& request,
                         const api::DestroyNetworkRequest& input) override;
  Status get_capacity(exchange::Turn& turn, const exchange::Message& request,
                      const api::GetCapacityRequest& input) override;

 private:
  Result<HostRow> visible_host(exchange::Turn& turn, const std::string& vo, const std::string& id);
  Status put(exchange::Turn& turn, const HostRow& row);
  // What the hosts take of the capacity; summed once, then kept up by put.
  Result<api::Capacity> used(exchange::Turn& turn);
  // Writes the intent of an operation and starts its job; the request is answered when it ended.
  Status begin(exchange::Turn& turn, HostRow row, std::string_view verb, const std::string& request_id, bool paused);
  // pause, resume, freeze, thaw: legal in these states; already in `target`: answered at once.
  Status change_state(exchange::Turn& turn, const exchange::Message& request, const std::string& id,
                      std::string_view verb, bool paused);
  Status start_destroy(exchange::Turn& turn, HostRow row);
  Status start_boot(exchange::Turn& turn, const HostRow& row);
  Status report(exchange::Turn& turn, const HostRow& row, std::string kind, std::string severity, std::string text,
                std::optional<Duration> took);
  Status register_at_factory(exchange::Turn& turn);
  Status adopt(exchange::Turn& turn);

  Status operation_ended(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome);
  Status created(exchange::Turn& turn, HostRow& row, const Outcome& outcome);
  // It is as it was where it was frozen.
  static void imported(HostRow& row, const Order& order, const Outcome& outcome);
  // kExhausted when what is left of this physical host is not enough for it.
  Status check_capacity(exchange::Turn& turn, const api::Host& host);
  // What the operation at work changed, told to who waits for it.
  Status operation_failed(exchange::Turn& turn, const Order& order, HostRow row, Error error, Duration took);
  Status answer_operation(exchange::Turn& turn, const Order& order, const Outcome& outcome, const HostRow& row);
  Status destroy_ended(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome);
  Status boot_ended(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome);
  Status become_ready(exchange::Turn& turn, HostRow row);
  Status not_ready(exchange::Turn& turn, HostRow row, const Error& error);
  Status adopted(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome);
  Status network_ended(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome);
  // Takes this physical host out of networks that are nobody's any more.
  Status leave_networks(exchange::Turn& turn, const std::vector<std::string>& keys);
  Status start_unlink(exchange::Turn& turn, const std::string& key, const NetworkRow& row);
  Status forget_networks(exchange::Turn& turn);

  // Has open ssh sessions of people who were shut out ended in every running guest that may have some: in few at a
  // time, guests whose agents did not answer last and ever later.
  Status end_logins(exchange::Turn& turn);
  Status logins_ended(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome);
  Status note_logins_ended(exchange::Turn& turn, HostRow row, TimePoint at, const Result<Outcome>& outcome);

  ControllerOptions options_;
  Worker& worker_;
  RowTable<HostRow> hosts_;
  RowTable<NetworkRow> networks_;
  TimePoint factory_time_;                         // of its last answer; this machine's clock may be another
  std::vector<contracts::vhf::ShutOut> shut_out_;  // as that said
  std::optional<Usage> usage_;                     // null: to be read from the rows
};

}  // namespace nuraghe::services::vhc
