// The factory's frozen hosts: where they are thawed, and what becomes of those whose physical host is gone.
#include <fmt/format.h>

#include "services/vhf/vhf.hpp"

namespace nuraghe::services::vhf {

namespace {

contracts::vhc::FrozenHost frozen_host_of(const HostRow& row) {
  contracts::vhc::FrozenHost frozen;
  frozen.id = row.host.id;
  frozen.name = row.host.name;
  frozen.group = row.host.cluster;
  frozen.cpus = row.host.cpus;
  frozen.memory = row.host.memory;
  frozen.disk = row.host.disk;
  frozen.state = row.state;
  return frozen;
}

}  // namespace

Result<bool> Factory::has_left(exchange::Turn& turn, const HostRow& row) const {
  if (!is_stored(row)) return false;
  TRY_ASSIGN(const auto physical, book_.physical_host(turn.transaction(), row.host.physical_host));
  return !physical || !alive(*physical, turn.now());
}

Status Factory::choose_place(exchange::Turn& turn, HostRow& row, api::BeginHostResponse& response) const {
  TRY_ASSIGN(const bool is_left, has_left(turn, row));
  if (is_left && row.is_uncertain)
    return unavailable(
        fmt::format("physical host {0} was told to thaw virtual host {1}, is not there any more and may be running it: "
                    "it is thawed "
                    "elsewhere when {0} is back, or was switched off for good and forgotten (nuraghe host forget {0})",
                    row.host.physical_host, row.host.name));
  if (!is_left && row.is_uncertain && row.is_absent) {
    // It was to import it, and may have done so: nobody else is asked before it has said.
    TRY(book_.hold(turn.transaction(), row, true, true));
    row.moved_from = row.host.physical_host;
    response.import.push_back(frozen_host_of(row));
    return {};
  }
  const bool is_there = !is_left && !row.is_absent;
  const Status here = is_there ? book_.hold(turn.transaction(), row, true, true)
                               : unavailable(fmt::format("physical host {} {}", row.host.physical_host,
                                                         is_left ? "is not there" : "does not have it any more"));
  row.is_uncertain = true;
  if (here || !is_stored(row)) return here;
  if (is_there && here.error().code() != ErrorCode::kExhausted) return here;
  auto moved = move_elsewhere(turn, row, response);
  if (moved) return {};
  return Error(moved.error().code(),
               fmt::format("{}; elsewhere: {}", here.error().to_string(), moved.error().to_string()));
}

Status Factory::move_elsewhere(exchange::Turn& turn, HostRow& row, api::BeginHostResponse& response) const {
  if (row.request.name.empty())
    return unsupported(
        fmt::format("what virtual host {} asked for is not known any more: it was placed by an older "
                    "version",
                    row.host.name));
  auto& tx = turn.transaction();
  api::Demand demand;
  demand.policy = api::Policy::kSpread;
  demand.node.push_back(row.request);
  demand.node.front().from.reset();  // it is what it became
  TRY_ASSIGN(auto state, book_.state(tx));
  TRY_ASSIGN(const auto decision, choose(turn, demand, state, {frozen_word(row.state_format)}));
  TRY(book_.put_state(tx, state));
  row.moved_from = row.host.physical_host;
  TRY(book_.move_host(tx, row, decision.placements.front().host));
  TRY(book_.hold(tx, row, true, true));
  response.import.push_back(frozen_host_of(row));
  return {};
}

Status Factory::stay_frozen(exchange::Turn& turn, HostRow& row) const {
  auto& tx = turn.transaction();
  // It stays with whom it was given to: that one may have it, and the one before is not asked any more.
  if (!row.moved_from.empty()) row.is_absent = true;
  row.moved_from.clear();
  TRY_ASSIGN(const auto physical, book_.physical_host(tx, row.host.physical_host));
  // One that was forgotten has nothing that could be held.
  return physical ? book_.hold(tx, row, false, true) : Status();
}

Status Factory::note_stored(exchange::Turn& turn, HostRow& row, const api::EndHostRequest& input) const {
  row.state = input.state.empty() ? contracts::vhir::ImageReference() : input.state.front();
  row.host.frozen_state = row.state.digest;
  row.is_absent = false;
  TRY_ASSIGN(const auto physical, book_.physical_host(turn.transaction(), row.host.physical_host));
  row.state_format = physical ? physical->host.frozen_format : "";
  if (!row.state.digest.empty()) {
    auto stored = host_event(row, "host.stored",
                             fmt::format("the frozen state of {} is in the repository: {}", row.host.name,
                                         input.state_size.value_or(Bytes{}).to_string()));
    stored.attributes["digest"] = row.state.digest;
    return turn.publish(std::move(stored));
  }
  if (!input.reason || input.reason->empty()) return {};
  auto event = host_event(row, "host.changed",
                          fmt::format("the frozen state of {} is on physical host {} alone: {}", row.host.name,
                                      row.host.physical_host, *input.reason));
  event.severity = "warning";
  return turn.publish(std::move(event));
}

Status Factory::note_thawed(exchange::Turn& turn, HostRow& row, const api::EndHostRequest& input) const {
  if (input.reference && !input.reference->address.empty()) row.host.reference = *input.reference;
  const bool has_moved = !row.moved_from.empty() && row.moved_from != row.host.physical_host;
  const std::string before = row.moved_from;
  row.moved_from.clear();
  row.is_absent = false;
  row.is_uncertain = false;
  row.state = {};
  row.state_format.clear();
  row.host.frozen_state.clear();
  if (!has_moved) return {};
  auto event =
      host_event(row, "host.moved",
                 fmt::format("{} is on {} now; it was frozen on {}", row.host.name, row.host.physical_host, before));
  event.attributes["from"] = before;
  return turn.publish(std::move(event));
}

Status Factory::leave(exchange::Turn& turn, HostRow row) const {
  TRY(book_.hold(turn.transaction(), row, false, false));
  row.is_absent = true;
  row.is_uncertain = false;
  row.host.since = turn.now();
  return put(turn, row);
}

}  // namespace nuraghe::services::vhf
