// Virtual Host Factory: the service half (what it answers from its own database). Its workflows stand in
// workflows/vhf/. Threading: as exchange::Actor.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "services/vhf/book.hpp"

namespace nuraghe::services::vhf {

struct FactoryOptions {
  placement::Weights weights;  // of the policy `optimise`
  PastLimits past;             // what is remembered of single hosts that are gone; its age: of physical hosts too
  // Told of every controller in the registry when the factory starts, registers or renews one; with an empty address:
  // that it was forgotten. Within the turn: should that be undone, the next renewal tells what is so. Must not block.
  std::function<void(const std::string& name, const std::string& address)> on_controller;
};

class Factory final : public api::Skeleton {
 public:
  explicit Factory(FactoryOptions options = {}) : Skeleton("vhf"), options_(std::move(options)) {}
  std::string_view name() const override { return "vhf"; }
  Status open(store::Store& store) override { return book_.open(store); }
  Status on_start(exchange::Turn& turn) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  // Where the controller of a physical host is reached; kNotFound when none has registered under that name.
  Result<std::string> controller_address(exchange::Turn& turn, const std::string& physical_host) const;

 protected:
  Status register_physical_host(exchange::Turn& turn, const exchange::Message& request,
                                const api::RegisterPhysicalHostRequest& input) override;
  Status report(exchange::Turn& turn, const exchange::Message& request, const api::ReportRequest& input) override;
  Status list_physical_hosts(exchange::Turn& turn, const exchange::Message& request,
                             const api::ListPhysicalHostsRequest& input) override;
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
  // Physical hosts without virtual ones that did not renew for long.
  Status forget_physical_hosts(exchange::Turn& turn) const;
  Status remove_physical(exchange::Turn& turn, const std::string& name) const;
  // Its physical host is gone for good: it holds nothing any more, and can only be destroyed.
  Status lose(exchange::Turn& turn, HostRow row) const;
  // Chooses places for the nodes among the physical hosts that are alive.
  Result<placement::Decision> choose(exchange::Turn& turn, const api::Demand& demand, StateRow& state);
  // A host of the caller's VO by id, or by name when it is a single one; kNotFound otherwise.
  Result<HostRow> visible_host(exchange::Turn& turn, const std::string& vo, const std::string& id_or_name);
  Status compare_with_reported(exchange::Turn& turn, const api::RegisterPhysicalHostRequest& input,
                               std::vector<std::string>& unknown);

  FactoryOptions options_;
  Book book_;
  TimePoint started_;
};

}  // namespace nuraghe::services::vhf
