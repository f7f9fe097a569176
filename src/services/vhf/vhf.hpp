// Virtual Host Factory: the service half (what it answers from its own database). Its workflows stand in
// workflows/vhf/. Threading: as exchange::Actor.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "model/lifecycle.hpp"
#include "services/tenant/quotas.hpp"
#include "services/tenant/shut_out.hpp"
#include "services/tenant/usage.hpp"
#include "services/vhf/book.hpp"

namespace nuraghe::services::vhf {

struct FactoryOptions {
  placement::Weights weights;  // of the policy `optimise`
  PastLimits past;             // what is remembered of single hosts that are gone; its age: of physical hosts too
  // Told of every controller in the registry when the factory starts (as they were seen), or registers one; with an
  // empty address: that it was forgotten. Within the turn: should that be undone, the next renewal tells what is so.
  // Must not block. `by_certificate`: it is reached as a member of the site or not at all.
  std::function<void(const std::string& name, const std::string& address, bool by_certificate)> on_controller;
  // Whether a controller has a certificate that counts; empty: none has. Thread safe, does not block.
  std::function<bool(const std::string& name)> is_member;
  // kConflict when a controller cannot have this name, beside whose path services' stand; empty: it can have any.
  std::function<Status(const std::string& name)> check_name;
  // The bases of this process ("https://10.0.0.1:8470"), where no controller is that joined the site.
  std::vector<std::string> own_bases;
  // Called in the turn in which a physical host is forgotten: whoever keeps something about it by its name forgets it.
  // Must not block.
  std::function<Status(store::Transaction& tx, const std::string& name)> on_removed;
  // The address of the site's certificate authority, which withdraws what a forgotten host has; empty: there is none.
  std::string authority;
};

exchange::Event host_event(const HostRow& row, std::string kind, std::string text);
// What a physical host offers, in the words of placement, that can go on with frozen states of this format.
std::string frozen_word(const std::string& format);
inline bool is_stored(const HostRow& row) { return row.host.state == HostState::kFrozen && !row.state.digest.empty(); }

// Timers of this prefix, with a physical host's name behind it, ask whether it renewed.
inline constexpr std::string_view kPresenceTimer = "presence/";

class Factory final : public api::Skeleton {
 public:
  explicit Factory(FactoryOptions options = {}) : Skeleton("vhf"), options_(std::move(options)) {}
  std::string_view name() const override { return "vhf"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override;
  // Ends the registration of those whose certificates do not count any more. In a turn of this actor.
  Status end_revoked(exchange::Turn& turn) const;
  // Where the controller of a physical host is reached; kNotFound when none has registered under that name.
  Result<std::string> controller_address(exchange::Turn& turn, const std::string& physical_host) const;

 protected:
  Status register_physical_host(exchange::Turn& turn, const exchange::Message& request,
                                const api::RegisterPhysicalHostRequest& input) override;
  Status renew_physical_host(exchange::Turn& turn, const exchange::Message& request,
                             const api::RenewPhysicalHostRequest& input) override;
  Status report(exchange::Turn& turn, const exchange::Message& request, const api::ReportRequest& input) override;
  Status list_physical_hosts(exchange::Turn& turn, const exchange::Message& request,
                             const api::ListPhysicalHostsRequest& input) override;
  Status get_physical_host(exchange::Turn& turn, const exchange::Message& request,
                           const api::GetPhysicalHostRequest& input) override;
  Status forget_physical_host(exchange::Turn& turn, const exchange::Message& request,
                              const api::ForgetPhysicalHostRequest& input) override;
  Status reserve(exchange::Turn& turn, const exchange::Message& request, const api::ReserveRequest& input) override;
  Status reserve_host(exchange::Turn& turn, const exchange::Message& request,
                      const api::ReserveHostRequest& input) override;
  Status release(exchange::Turn& turn, const exchange::Message& request, const api::ReleaseRequest& input) override;
  Status begin_host(exchange::Turn& turn, const exchange::Message& request,
                    const api::BeginHostRequest& input) override;
  Status record_host(exchange::Turn& turn, const exchange::Message& request,
                     const api::RecordHostRequest& input) override;
  Status end_host(exchange::Turn& turn, const exchange::Message& request, const api::EndHostRequest& input) override;
  Status get_controller(exchange::Turn& turn, const exchange::Message& request,
                        const api::GetControllerRequest& input) override;
  Status get_segments(exchange::Turn& turn, const exchange::Message& request,
                      const api::GetSegmentsRequest& input) override;
  Status list_virtual_hosts(exchange::Turn& turn, const exchange::Message& request,
                            const api::ListVirtualHostsRequest& input) override;
  Status get_virtual_host(exchange::Turn& turn, const exchange::Message& request,
                          const api::GetVirtualHostRequest& input) override;

 private:
  bool alive(const PhysicalRow& row, TimePoint now) const;
  TimePoint alive_until(const PhysicalRow& row) const;
  // What it answers of a physical host.
  api::PhysicalHost seen(const PhysicalRow& row, TimePoint now) const;
  // ---- who renews (presence.cpp) ----
  // Whether a controller may have the name, and be at the address, that it says.
  Status check_registration(const exchange::Message& request, const api::RegisterPhysicalHostRequest& input) const;
  Status check_address(exchange::Turn& turn, const exchange::Message& request,
                       const api::RegisterPhysicalHostRequest& input) const;
  Status watch_presence(exchange::Turn& turn) const;
  Status check_presence(exchange::Turn& turn, std::string_view name) const;
  bool is_revoked(const PhysicalRow& row) const;
  // Its controller was heard of now, and stays for three such intervals; `row` is not written yet.
  Status note_present(exchange::Turn& turn, PhysicalRow& row, Duration interval) const;
  // Physical hosts without virtual ones that did not renew for long.
  Status forget_physical_hosts(exchange::Turn& turn) const;
  Status remove_physical(exchange::Turn& turn, const std::string& name) const;
  // ---- what VOs hold and use (accounting.cpp) ----
  // Writes a host's row, with what follows from it for the holding and the usage of its VO.
  Status put(exchange::Turn& turn, const HostRow& row) const;
  // Removes it, likewise.
  Status remove(exchange::Turn& turn, HostRow row) const;
  // kExhausted when the VO's quota does not allow this, too.
  Status check_quota(exchange::Turn& turn, const std::string& vo, const std::vector<api::NodeRequest>& nodes) const;
  // Of an operation on a host of the VO that holds more from its begin on.
  Status check_quota(exchange::Turn& turn, const HostRow& row, model::HostOperation operation) const;
  // Books the hosts that were added for a cluster, or the single one.
  Status book_new(exchange::Turn& turn, const std::string& vo, const std::vector<api::NodeRequest>& nodes) const;
  // Makes holdings and usage what the rows of the hosts say: those of an older Nuraghe have none.
  Status correct_accounts(exchange::Turn& turn) const;

  // Whose sessions in these hosts of a physical host, but those that it does not know, are to be ended.
  Result<std::vector<api::ShutOut>> shut_out_of(exchange::Turn& turn, const std::vector<contracts::vhc::Host>& hosts,
                                                const std::vector<std::string>& unknown) const;

  // Its physical host is gone for good: it holds nothing any more, and can only be destroyed.
  Status lose(exchange::Turn& turn, HostRow row) const;
  // Chooses places for the nodes among the physical hosts that are alive.
  // `besides`: what each of the nodes asks, too.
  Result<placement::Decision> choose(exchange::Turn& turn, const api::Demand& demand, StateRow& state,
                                     const std::set<std::string>& besides = {}) const;
  // ---- frozen hosts that another physical host takes over (moving.cpp) ----
  // Books what a frozen host needs to be thawed: where it is or, when it cannot be thawed there and the repository has
  // its state, elsewhere.
  Status choose_place(exchange::Turn& turn, HostRow& row, api::BeginHostResponse& response) const;
  Status move_elsewhere(exchange::Turn& turn, HostRow& row, api::BeginHostResponse& response) const;
  // A thaw failed: it holds what a frozen host holds.
  Status stay_frozen(exchange::Turn& turn, HostRow& row) const;
  Status note_stored(exchange::Turn& turn, HostRow& row, const api::EndHostRequest& input) const;
  Status note_thawed(exchange::Turn& turn, HostRow& row, const api::EndHostRequest& input) const;
  // Its physical host is gone for good, and it goes on from the repository.
  Status leave(exchange::Turn& turn, HostRow row) const;
  // Whether a frozen host has nothing left but its state in the repository, as far as can be seen now.
  Result<bool> has_left(exchange::Turn& turn, const HostRow& row) const;
  // A host of the caller's VO by id, or by name when it is a single one; kNotFound otherwise.
  Result<HostRow> visible_host(exchange::Turn& turn, const std::string& vo, const std::string& id_or_name);
  Status compare_with_reported(exchange::Turn& turn, const api::RegisterPhysicalHostRequest& input,
                               std::vector<std::string>& unknown);

  FactoryOptions options_;
  Book book_;
  tenant::Quotas quotas_;
  tenant::Ledger ledger_;
  tenant::UsageBook usage_;
  tenant::ShutOut shut_out_;
  TimePoint started_;
};

}  // namespace nuraghe::services::vhf
