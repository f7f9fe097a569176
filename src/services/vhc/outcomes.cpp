// The second half of the controller's operations: what a job's outcome changes, and who is answered.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "contracts/vhf.hpp"
#include "services/vhc/vhc.hpp"

namespace nuraghe::services::vhc {
namespace {

constexpr Bytes kLastConsoleBytes = {2048};
constexpr Duration kLatestRetry =
    std::chrono::minutes(10);  // of ending sessions in a guest whose agent does not answer

std::string_view event_kind(std::string_view verb) {
  if (verb == "create") return "host.created";
  if (verb == "pause") return "host.paused";
  if (verb == "resume") return "host.resumed";
  if (verb == "freeze") return "host.frozen";
  if (verb == "thaw") return "host.thawed";
  return "host.changed";
}

std::string what_was_done(const Order& order, const HostRow& row, const std::string& physical_host) {
  const auto& name = row.host.name;
  if (order.verb == "create") return fmt::format("{} started on {}", name, physical_host);
  // Its processors stand still until all hosts of its cluster are back.
  const std::string moved = order.verb == "thaw" && order.ssh_port != row.host.ssh_port
                                ? fmt::format("; its ssh has moved to port {}", row.host.ssh_port)
                                : "";
  if (order.verb == "thaw" && order.paused)
    return fmt::format("memory of {} restored on {}{}", name, physical_host, moved);
  return fmt::format("{} {} on {}{}", name, api::to_string(row.host.state), physical_host, moved);
}

}  // namespace

Status Controller::on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) {
  TRY_ASSIGN(const auto order, decode_record<Order>(job.payload));
  Result<Outcome> outcome = [&]() -> Result<Outcome> {
    if (!result) return result.error();
    return decode_record<Outcome>(*result);
  }();
  if (order.verb == "adopt") return adopted(turn, order, outcome);
  if (order.verb == "link" || order.verb == "unlink") return network_ended(turn, order, outcome);
  if (order.verb == "boot" || order.verb == "join") return boot_ended(turn, order, outcome);
  if (order.verb == "destroy") return destroy_ended(turn, order, outcome);
  if (order.verb == "end-logins") return logins_ended(turn, order, outcome);
  return operation_ended(turn, order, outcome);
}

Status Controller::operation_ended(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome) {
  TRY_ASSIGN(auto found, hosts_.find(turn.transaction(), order.id));
  if (!found) return fail(turn, order.request, not_found(fmt::format("virtual host {} is gone", order.name)));
  auto& row = *found;
  const Duration took = turn.now() - row.operation_started;
  row.host.operation.clear();
  row.operation_request.clear();
  row.host.since = turn.now();
  for (const auto& waiting : row.abort_requests) TRY(answer(turn, waiting, api::AbortHostResponse{}));
  row.abort_requests.clear();
  const bool is_to_be_destroyed = !row.destroy_requests.empty();
  if (outcome) {
    if (order.verb == "create") TRY(created(turn, row, *outcome));
    if (order.verb == "pause") row.host.state = HostState::kPaused;
    if (order.verb == "resume") row.host.state = HostState::kRunning;
    if (order.verb == "freeze") row.host.state = HostState::kFrozen;
    if (order.verb == "import") imported(row, order, *outcome);
    if (order.verb == "thaw") {
      row.host.state = order.paused ? HostState::kPaused : HostState::kRunning;
      row.host.ssh_port = outcome->ssh_port;
    }
    if (row.host.stopped) {
      row.host.stopped = false;
      row.host.condition.clear();
    }
    TRY(put(turn, row));
    // Where frozen states go is told by who has them fetched.
    if (order.verb != "export" && order.verb != "import")
      TRY(report(turn, row, std::string(event_kind(order.verb)), "info", what_was_done(order, row, options_.name),
                 took));
    TRY(answer_operation(turn, order, *outcome, row));
    if (is_to_be_destroyed) return start_destroy(turn, std::move(row));
    if (!row.stop_reason.empty()) TRY(host_stopped(turn, row.host.id, row.stop_reason));
    return order.verb == "create" ? start_boot(turn, row) : Status();
  }
  return operation_failed(turn, order, std::move(row), outcome.error(), took);
}

Status Controller::operation_failed(exchange::Turn& turn, const Order& order, HostRow row, Error error, Duration took) {
  if (row.abort_requested && error.code() != ErrorCode::kCancelled)
    log_info("vhc", "an aborted operation failed by itself", {{"host", row.host.id}, {"error", error.to_string()}});
  row.abort_requested = false;
  if (order.verb == "create") row.host.condition = error.to_string();
  TRY(put(turn, row));
  const auto console = worker_.driver().console_tail(row.host.id, kLastConsoleBytes);
  TRY(report(turn, row, "host.failed", "error",
             fmt::format("{} of {} on {} failed: {}{}", order.verb, row.host.name, options_.name, error.to_string(),
                         console && !console->empty() ? "\nlast console lines:\n" + xml::printable(*console) : ""),
             took));
  TRY(fail(
      turn, order.request,
      std::move(error).with(fmt::format("{} of virtual host {} on {}", order.verb, row.host.name, options_.name))));
  // What could not be imported is frozen where it was: nobody asks for it here.
  const bool is_over = !row.destroy_requests.empty() || order.verb == "import";
  return is_over ? start_destroy(turn, std::move(row)) : Status();
}

void Controller::imported(HostRow& row, const Order& order, const Outcome& outcome) {
  row.host.state = HostState::kFrozen;
  row.host.ssh_port = outcome.ssh_port;
  row.host.ready = outcome.frozen.ready;
  row.host.image = outcome.frozen.image.name;
  row.fragment = outcome.frozen.fragment;
  row.image = outcome.frozen.image;
  row.image.location = order.image.location;
  row.seed = outcome.frozen.seed;
  row.ports = outcome.ports;
  row.ready = outcome.ready;
  row.booted = outcome.frozen.booted;
}

Status Controller::created(exchange::Turn& turn, HostRow& row, const Outcome& outcome) {
  row.host.state = HostState::kRunning;
  row.host.ssh_port = outcome.ssh_port;
  row.ports = outcome.ports;
  row.ready = outcome.ready;
  row.started = turn.now();
  row.logins_ended = factory_time_;
  // A copy of a frozen host is what that one was, but for where it is.
  const FrozenState& source = outcome.frozen;
  if (source.format.empty()) return {};
  row.fragment = source.fragment;
  row.image = source.image;
  row.host.image = source.image.name;
  row.seed = source.seed;
  return {};
}

Status Controller::answer_operation(exchange::Turn& turn, const Order& order, const Outcome& outcome,
                                    const HostRow& row) {
  if (order.verb == "create") {
    api::CreateHostResponse response;
    response.reference = row.host.reference;
    return answer(turn, order.request, response);
  }
  if (order.verb == "freeze") {
    api::FreezeHostResponse response;
    response.memory_saved = outcome.memory_saved;
    response.device_state = outcome.device_state;
    response.disk_state = outcome.disk_state;
    response.guest_pause = outcome.guest_pause;
    return answer(turn, order.request, response);
  }
  if (order.verb == "export") {
    api::ExportHostResponse response;
    response.state = outcome.state;
    response.size = outcome.state_size;
    return answer(turn, order.request, response);
  }
  if (order.verb == "import") {
    api::ImportHostResponse response;
    response.reference = row.host.reference;
    return answer(turn, order.request, response);
  }
  if (order.verb == "pause") return answer(turn, order.request, api::PauseHostResponse{});
  if (order.verb == "resume") return answer(turn, order.request, api::ResumeHostResponse{});
  return answer(turn, order.request, api::ThawHostResponse{});
}

Status Controller::destroy_ended(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome) {
  TRY_ASSIGN(auto found, hosts_.find(turn.transaction(), order.id));
  if (!found) return {};
  auto& row = *found;
  const auto waiting = std::move(row.destroy_requests);
  row.destroy_requests.clear();
  row.host.operation.clear();
  row.host.since = turn.now();
  if (!outcome) {
    row.host.condition = outcome.error().to_string();
    TRY(put(turn, row));
    TRY(report(
        turn, row, "host.failed", "error",
        fmt::format("destruction of {} on {} failed: {}", row.host.name, options_.name, outcome.error().to_string()),
        {}));
    for (const auto& request : waiting) {
      if (!request.empty())
        TRY(fail(
            turn, request,
            outcome.error().with(fmt::format("destruction of virtual host {} on {}", row.host.name, options_.name))));
    }
    return {};
  }
  for (const auto& request : row.ready_requests)
    TRY(fail(turn, request, Error(ErrorCode::kCancelled, fmt::format("virtual host {} was destroyed", row.host.name))));
  HostRow tombstone;
  tombstone.host.id = row.host.id;
  tombstone.host.name = row.host.name;
  tombstone.host.vo = row.host.vo;
  tombstone.host.state = HostState::kDestroyed;
  tombstone.host.since = turn.now();
  TRY(put(turn, tombstone));
  for (const auto& request : waiting) {
    if (!request.empty()) TRY(answer(turn, request, api::DestroyHostResponse{}));
  }
  return {};
}

// ---- readiness ----

Status Controller::start_boot(exchange::Turn& turn, const HostRow& row) {
  Order order;
  order.verb = row.booted ? "join" : "boot";
  order.id = row.host.id;
  order.name = row.host.name;
  order.fragment = row.fragment;
  order.ready = row.ready;
  const auto started = turn.start_job({order.verb + "/" + order.id, encode_record(order)});
  if (!started && started.error().code() != ErrorCode::kConflict) return started;
  return {};
}

Status Controller::boot_ended(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome) {
  TRY_ASSIGN(auto found, hosts_.find(turn.transaction(), order.id));
  if (!found || found->is_tombstone() || found->host.operation == "destroy" || !found->destroy_requests.empty())
    return {};
  auto& row = *found;
  if (!outcome) return not_ready(turn, std::move(row), outcome.error());
  const Duration took = turn.now() - row.started;
  if (order.verb == "boot") {
    row.booted = true;
    TRY(put(turn, row));
    TRY(report(turn, row, "host.booted", "info", fmt::format("{} booted", row.host.name), took));
    return start_boot(turn, row);
  }
  TRY(report(turn, row, "host.joined", "info", fmt::format("{} joined its networks", row.host.name), took));
  return become_ready(turn, std::move(row));
}

Status Controller::become_ready(exchange::Turn& turn, HostRow row) {
  row.host.ready = true;
  api::WaitHostResponse response;
  response.host = row.host;
  for (const auto& request : row.ready_requests) TRY(answer(turn, request, response));
  row.ready_requests.clear();
  return put(turn, row);
}

Status Controller::not_ready(exchange::Turn& turn, HostRow row, const Error& error) {
  row.ready_failure = error.to_string();
  row.host.condition = row.ready_failure;
  const auto console = worker_.driver().console_tail(row.host.id, kLastConsoleBytes);
  TRY(report(turn, row, "host.failed", "error",
             fmt::format("{} on {} did not become ready: {}{}", row.host.name, options_.name, error.to_string(),
                         console && !console->empty() ? "\nlast console lines:\n" + xml::printable(*console) : ""),
             turn.now() - row.started));
  for (const auto& request : row.ready_requests)
    TRY(fail(turn, request,
             error.with(fmt::format("virtual host {} on {} did not become ready", row.host.name, options_.name))));
  row.ready_requests.clear();
  return put(turn, row);
}

// ---- sessions of who may not log in any more ----

Status Controller::end_logins(exchange::Turn& turn) {
  if (shut_out_.empty()) return {};
  TRY_ASSIGN(auto rows, hosts_.scan(turn.transaction(), ""));
  std::size_t at_work = 0;
  std::vector<HostRow> due;
  for (auto& [id, row] : rows) {
    if (row.logins_at_work && !row.is_tombstone()) ++at_work;
    const bool is_reachable =
        row.host.state == HostState::kRunning && row.host.operation.empty() && row.ready == "agent" && row.host.ready;
    // The others: at the first renewal when they are.
    if (is_reachable && !row.logins_at_work && turn.now() >= row.logins_retry && row.logins_ended < factory_time_)
      due.push_back(std::move(row));
  }
  std::ranges::stable_sort(due, {}, &HostRow::logins_failures);
  for (auto& row : due) {
    if (at_work >= kMostEnding) break;  // goes on when one of them has ended
    // Until the last certificate is over somebody may come in again: looked at once more then.
    Order order;
    order.verb = "end-logins";
    order.id = row.host.id;
    order.name = row.host.name;
    order.at = factory_time_;
    for (const auto& one : shut_out_) {
      if (one.vo == row.host.vo && one.until > row.logins_ended) order.logins.push_back(one.login);
    }
    if (order.logins.empty()) continue;
    const auto started = turn.start_job({"end-logins/" + row.host.id, encode_record(order)});
    if (!started && started.error().code() != ErrorCode::kConflict) return started;
    row.logins_at_work = true;
    TRY(put(turn, row));
    ++at_work;
  }
  return {};
}

Status Controller::logins_ended(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome) {
  TRY_ASSIGN(auto found, hosts_.find(turn.transaction(), order.id));
  if (found && !found->is_tombstone()) TRY(note_logins_ended(turn, std::move(*found), order.at, outcome));
  return end_logins(turn);
}

Status Controller::note_logins_ended(exchange::Turn& turn, HostRow row, TimePoint at, const Result<Outcome>& outcome) {
  row.logins_at_work = false;
  if (outcome) {
    row.logins_ended = at;
    row.logins_failure.clear();
    row.logins_failures = 0;
    row.logins_retry = {};
    return put(turn, row);
  }
  // An operation may have been in the way: the next renewal tries again.
  if (!row.host.operation.empty() || outcome.error().code() == ErrorCode::kCancelled) {
    row.logins_retry = turn.now() + options_.renewal / 2;
    return put(turn, row);
  }
  const auto doubled = std::min<std::int64_t>(row.logins_failures++, 10);
  row.logins_retry = turn.now() + std::min<Duration>(options_.renewal * (std::int64_t{1} << doubled), kLatestRetry);
  const std::string why = outcome.error().to_string();
  const bool is_told = std::exchange(row.logins_failure, why) == why;
  if (is_told) return put(turn, row);
  TRY(put(turn, row));
  return report(turn, row, "host.failed", "error",
                fmt::format("ssh sessions in {} of people who may not log in any more could not be ended: {}; freezing "
                            "and thawing it ends all of them",
                            row.host.name, why),
                {});
}

Status Controller::host_stopped(exchange::Turn& turn, const std::string& id, const std::string& reason) {
  TRY_ASSIGN(auto row, hosts_.find(turn.transaction(), id));
  if (!row || row->is_tombstone()) return {};
  if (!row->host.operation.empty()) {
    // As in `begin`, what is at work may have been the start of it: looked at when that ends.
    row->stop_reason = reason;
    return put(turn, *row);
  }
  row->stop_reason.clear();
  if (row->host.state != HostState::kRunning) return put(turn, *row);
  row->host.state = HostState::kPaused;
  row->host.stopped = true;
  row->host.since = turn.now();
  row->host.condition = "paused by its hypervisor: " + reason;
  TRY(put(turn, *row));
  return report(turn, *row, "host.stopped", "error",
                fmt::format("{} on {} was paused by its hypervisor: {}; once that is mended, 'nuraghe vh resume {}'",
                            row->host.name, options_.name, reason, id),
                {});
}

Status Controller::host_lost(exchange::Turn& turn, const std::string& id, const std::string& reason) {
  TRY_ASSIGN(auto row, hosts_.find(turn.transaction(), id));
  // While an operation is at work its own outcome tells.
  if (!row || row->is_tombstone() || !row->host.operation.empty()) return {};
  row->host.condition = "lost: " + reason;
  row->host.ready = false;
  TRY(put(turn, *row));
  const auto console = worker_.driver().console_tail(id, kLastConsoleBytes);
  return report(turn, *row, "host.lost", "error",
                fmt::format("{} on {} ended by itself: {}{}", row->host.name, options_.name, reason,
                            console && !console->empty() ? "\nlast console lines:\n" + xml::printable(*console) : ""),
                {});
}

}  // namespace nuraghe::services::vhc
