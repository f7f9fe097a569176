#include "services/vhc/vhc.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "contracts/vhf.hpp"
#include "env/env.hpp"
#include "model/node.hpp"
#include "services/lifecycle.hpp"

namespace nuraghe::services::vhc {
namespace {

constexpr std::string_view kRenewTimer = "renew";
constexpr std::string_view kSweepTimer = "sweep";
constexpr Duration kSweepInterval = std::chrono::hours(1);
constexpr int kConsoleLimit = 256 * 1024;

// Nothing is at work on the host, and who orders has not been ended meanwhile.
Status check_free(const exchange::Message& request, const HostRow& row, std::string_view verb) {
  if (!request.conversation.empty() && request.conversation == row.ended_work)
    return Error(ErrorCode::kCancelled,
                 fmt::format("{} of virtual host {} was ended before it began", verb, row.host.name));
  if (row.host.operation.empty()) return {};
  return conflict(
      fmt::format("virtual host {}: {} is at work; wait for it or abort it", row.host.name, row.host.operation));
}

}  // namespace

Controller::Controller(ControllerOptions options, Worker& worker)
    : Skeleton("vhc " + options.name), options_(std::move(options)), worker_(worker) {}

Status Controller::open(store::Store& store) {
  TRY(hosts_.open(store, "vhc_host"));
  return networks_.open(store, "vhc_network");
}

Result<std::string> Controller::run_job(const exchange::Job& job, exchange::JobContext& context) {
  TRY_ASSIGN(const auto order, decode_record<Order>(job.payload));
  TRY_ASSIGN(const auto outcome, worker_.run(order, context));
  return encode_record(outcome);
}

Status Controller::on_start(exchange::Turn& turn) {
  TRY(turn.set_timer(kSweepTimer, turn.now() + kSweepInterval));
  return adopt(turn);
}

Status Controller::adopt(exchange::Turn& turn) {
  Order order;
  order.verb = "adopt";
  TRY_ASSIGN(const auto rows, hosts_.scan(turn.transaction(), ""));
  for (const auto& [id, row] : rows) {
    if (!row.is_tombstone()) order.known.push_back(id);
  }
  const auto started = turn.start_job({order.key(), encode_record(order)});
  // The job of the process before is still in its row and runs now.
  if (!started && started.error().code() != ErrorCode::kConflict) return started;
  return {};
}

Status Controller::adopted(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome) {
  if (!outcome) log_error("vhc", "the hypervisor does not list its hosts", {{"error", outcome.error().to_string()}});
  TRY_ASSIGN(const auto rows, hosts_.scan(turn.transaction(), ""));
  for (const auto& [id, row] : rows) {
    if (!outcome || row.is_tombstone() || !row.host.operation.empty() || row.host.state == HostState::kInitial)
      continue;
    const auto found =
        std::find_if(outcome->found.begin(), outcome->found.end(), [&id = id](const auto& f) { return f.id == id; });
    if (found == outcome->found.end()) {
      TRY(host_lost(turn, id, "the hypervisor does not know it any more"));
    } else if (!found->exit_reason.empty()) {
      TRY(host_lost(turn, id, found->exit_reason));
    } else if (!found->pause_reason.empty()) {
      TRY(host_stopped(turn, id, found->pause_reason));
    } else if (!row.host.ready && row.host.condition.empty()) {
      TRY(start_boot(turn, row));
    }
  }
  for (const auto& found : outcome ? outcome->found : std::vector<Outcome::Found>{}) {
    TRY_ASSIGN(const auto row, hosts_.find(turn.transaction(), found.id));
    if (row && !row->is_tombstone()) continue;
    log_warning("vhc", "a virtual host that belongs to nobody is destroyed", {{"host", found.id}});
    HostRow orphan = row.value_or(HostRow{});
    orphan.host.id = found.id;
    orphan.host.name = orphan.host.name.empty() ? found.id : orphan.host.name;
    TRY(start_destroy(turn, std::move(orphan)));
  }
  static_cast<void>(order);
  return register_at_factory(turn);
}

Status Controller::put(exchange::Turn& turn, const HostRow& row) {
  if (usage_) usage_->set(row);
  return hosts_.put(turn.transaction(), row.host.id, row);
}

Result<api::Capacity> Controller::used(exchange::Turn& turn) {
  if (!usage_) {
    TRY_ASSIGN(const auto rows, hosts_.scan(turn.transaction(), ""));
    usage_.emplace();
    for (const auto& [id, row] : rows) usage_->set(row);
  }
  return usage_->sum();
}

Status Controller::register_at_factory(exchange::Turn& turn) {
  TRY(turn.set_timer(kRenewTimer, turn.now() + options_.renewal));
  contracts::vhf::RegisterPhysicalHostRequest input;
  const auto capabilities = worker_.driver().capabilities();
  input.name = options_.name;
  input.site = options_.site;
  input.address = options_.address;
  input.tunnel = worker_.fabric().tunnel_address();
  input.driver = capabilities.name;
  input.accelerator = capabilities.accelerator;
  input.machine = capabilities.machines;
  input.firmware = capabilities.firmwares;
  if (!capabilities.frozen_format.empty()) input.frozen_format = capabilities.frozen_format;
  input.total = options_.capacity;
  input.interval = options_.renewal;
  TRY_ASSIGN(const auto rows, hosts_.scan(turn.transaction(), ""));
  for (const auto& [id, row] : rows) {
    if (!row.is_tombstone()) input.host.push_back(row.host);
  }
  TRY_ASSIGN(const auto networks, networks_.scan(turn.transaction(), ""));
  for (const auto& [key, row] : networks) {
    if (!row.is_destroyed) input.network.push_back(key);
  }
  auto message = contracts::vhf::make_register_physical_host(options_.factory, input);
  message.message_id = env::make_uuid_urn(turn.random());
  message.caller = "vhc:" + options_.name;
  return turn.send(std::move(message), "register", turn.now() + options_.renewal);
}

Status Controller::on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) {
  if (token != "register") return {};
  auto response = contracts::vhf::parse_register_physical_host_response(reply);
  if (!response) {
    log_warning("vhc", "the factory did not take the registration", {{"error", response.error().to_string()}});
    return {};
  }
  if (options_.on_registered) {
    options_.on_registered();
    options_.on_registered = {};
  }
  for (const auto& id : response->unknown) {
    TRY_ASSIGN(auto row, hosts_.find(turn.transaction(), id));
    if (!row || row->is_tombstone() || row->host.operation == "destroy") continue;
    log_warning("vhc", "a virtual host that belongs to nobody is destroyed", {{"host", id}});
    TRY(start_destroy(turn, std::move(*row)));
  }
  factory_time_ = response->now.value_or(turn.now());
  shut_out_ = std::move(response->shut_out);
  TRY(end_logins(turn));
  // Those of hosts that are still to be destroyed: at the next renewal.
  return response->unknown.empty() ? leave_networks(turn, response->unknown_network) : Status();
}

Status Controller::on_timer(exchange::Turn& turn, std::string_view key) {
  if (key == kRenewTimer) return register_at_factory(turn);
  if (key != kSweepTimer) return {};
  TRY(turn.set_timer(kSweepTimer, turn.now() + kSweepInterval));
  TRY_ASSIGN(const auto rows, hosts_.scan(turn.transaction(), ""));
  for (const auto& [id, row] : rows) {
    if (row.is_tombstone() && turn.now() - row.host.since > options_.tombstone_retention)
      TRY(hosts_.erase(turn.transaction(), id));
  }
  return forget_networks(turn);
}

Status Controller::report(exchange::Turn& turn, const HostRow& row, std::string kind, std::string severity,
                          std::string text, std::optional<Duration> took) {
  contracts::vhf::ReportRequest input;
  input.physical_host = options_.name;
  input.kind = std::move(kind);
  input.severity = std::move(severity);
  input.text = std::move(text);
  if (took) input.seconds = static_cast<double>(took->count()) / 1e6;
  input.host = row.host;
  auto message = contracts::vhf::make_report(options_.factory, input);
  message.message_id = env::make_uuid_urn(turn.random());
  message.one_way = true;
  message.vo = row.host.vo;
  message.caller = "vhc:" + options_.name;
  return turn.send(std::move(message), "report", turn.now() + std::chrono::minutes(10));
}

Result<HostRow> Controller::visible_host(exchange::Turn& turn, const std::string& vo, const std::string& id) {
  TRY_ASSIGN(auto row, hosts_.find(turn.transaction(), id));
  if (!row || row->is_tombstone() || row->host.vo != vo)
    return not_found(fmt::format("there is no virtual host {} here", id));
  return std::move(*row);
}

Status Controller::check_visible(exchange::Turn& turn, const std::string& vo, const std::string& id) {
  TRY(visible_host(turn, vo, id));
  return {};
}

// ---- operations begin ----

Status Controller::begin(exchange::Turn& turn, HostRow row, std::string_view verb, const std::string& request_id,
                         bool paused) {
  row.host.operation = verb;
  row.operation_request = request_id;
  row.operation_started = turn.now();
  row.abort_requested = false;
  row.stop_reason.clear();
  Order order;
  order.verb = verb;
  order.id = row.host.id;
  order.name = row.host.name;
  order.request = request_id;
  order.fragment = row.fragment;
  order.image = row.image;
  order.seed = row.seed;
  order.ports = row.ports;
  order.paused = paused;
  order.ready = row.ready;
  order.ssh_port = row.host.ssh_port;
  order.booted = row.booted;
  order.is_ready = row.host.ready;
  TRY(put(turn, row));
  return turn.start_job({order.key(), encode_record(order)});
}

Status Controller::create_host(exchange::Turn& turn, const exchange::Message& request,
                               const api::CreateHostRequest& input) {
  TRY_ASSIGN(const auto existing, hosts_.find(turn.transaction(), input.id));
  if (existing) {
    const bool is_done = existing->host.vo == request.vo && existing->host.operation.empty() &&
                         existing->host.state == HostState::kRunning;
    if (!is_done)
      return conflict(fmt::format("virtual host {} is {} here already", input.id,
                                  existing->host.operation.empty() ? std::string(api::to_string(existing->host.state))
                                                                   : "in " + existing->host.operation));
    api::CreateHostResponse response;
    response.reference = existing->host.reference;
    return answer(turn, request.message_id, response);
  }
  if (!input.fragment) return invalid("create_host lacks the node configuration");
  TRY_ASSIGN(const auto node, model::parse_node_fragment(input.fragment->root()));
  HostRow row;
  row.host.id = input.id;
  row.host.name = node.name;
  row.host.vo = request.vo;
  row.host.group = input.group;
  row.host.image = input.image.name;
  row.host.cpus = node.cpus;
  row.host.memory = node.memory;
  row.host.since = turn.now();
  row.host.reference.address = options_.address + "/hosts/" + input.id;
  row.fragment = input.fragment->to_string();
  row.image = input.image;
  row.seed = input.seed;
  row.disk = model::disk_demand(node).count;
  TRY(check_capacity(turn, row.host));
  return begin(turn, std::move(row), "create", request.message_id, false);
}

Status Controller::check_capacity(exchange::Turn& turn, const api::Host& host) {
  TRY_ASSIGN(const auto taken, used(turn));
  if (taken.cpus + host.cpus <= options_.capacity.cpus && taken.memory + host.memory <= options_.capacity.memory)
    return {};
  return exhausted(
      fmt::format("virtual host {} needs {} cpus and {} of memory; physical host {} has {} cpus and {} left", host.name,
                  host.cpus, host.memory.to_string(), options_.name, options_.capacity.cpus - taken.cpus,
                  (options_.capacity.memory - taken.memory).to_string()));
}

Status Controller::export_host(exchange::Turn& turn, const exchange::Message& request,
                               const api::ExportHostRequest& input) {
  TRY_ASSIGN(auto row, visible_host(turn, request.vo, input.id));
  TRY(check_free(request, row, "export"));
  if (row.host.state != HostState::kFrozen)
    return conflict(fmt::format("virtual host {} is {}: export is not possible now", row.host.name,
                                api::to_string(row.host.state)));
  return begin(turn, std::move(row), "export", request.message_id, false);
}

// A destroyed host may come back: what this physical host remembers of it is no obstacle, for orders to create come
// from nobody who imports.
Status Controller::import_host(exchange::Turn& turn, const exchange::Message& request,
                               const api::ImportHostRequest& input) {
  const auto& host = input.host;
  TRY_ASSIGN(const auto existing, hosts_.find(turn.transaction(), host.id));
  if (existing && !existing->is_tombstone()) {
    const bool is_done = existing->host.vo == request.vo && existing->host.operation.empty() &&
                         existing->host.state == HostState::kFrozen && existing->imported == host.state.digest;
    if (!is_done)
      return conflict(fmt::format("virtual host {} is {} here already", host.id,
                                  existing->host.operation.empty() ? std::string(api::to_string(existing->host.state))
                                                                   : "in " + existing->host.operation));
    api::ImportHostResponse response;
    response.reference = existing->host.reference;
    return answer(turn, request.message_id, response);
  }
  HostRow row;
  row.host.id = host.id;
  row.host.name = host.name;
  row.host.vo = request.vo;
  row.host.group = host.group;
  row.host.cpus = host.cpus;
  row.host.memory = host.memory;
  row.host.since = turn.now();
  row.host.reference.address = options_.address + "/hosts/" + host.id;
  row.image = host.state;
  row.imported = host.state.digest;
  row.disk = host.disk.count;
  TRY(check_capacity(turn, row.host));
  return begin(turn, std::move(row), "import", request.message_id, false);
}

Status Controller::change_state(exchange::Turn& turn, const exchange::Message& request, const std::string& id,
                                std::string_view verb, bool paused) {
  const auto operation = paused ? model::HostOperation::kThawPaused : model::host_operation_from_name(verb);
  if (!operation) return internal(fmt::format("'{}' is not an operation on a virtual host", verb));
  TRY_ASSIGN(auto row, visible_host(turn, request.vo, id));
  TRY(check_free(request, row, verb));
  const auto start = model::start_of(model_state(row.host.state), *operation);
  if (start == model::Start::kAlready) {
    Order order;
    order.verb = verb;
    order.request = request.message_id;
    return answer_operation(turn, order, {}, row);
  }
  if (start == model::Start::kRefused)
    return conflict(fmt::format("virtual host {} is {}: {} is not possible now", row.host.name,
                                api::to_string(row.host.state), verb));
  return begin(turn, std::move(row), verb, request.message_id, paused);
}

Status Controller::pause_host(exchange::Turn& turn, const exchange::Message& request,
                              const api::PauseHostRequest& input) {
  return change_state(turn, request, input.id, "pause", false);
}
Status Controller::resume_host(exchange::Turn& turn, const exchange::Message& request,
                               const api::ResumeHostRequest& input) {
  return change_state(turn, request, input.id, "resume", false);
}
Status Controller::freeze_host(exchange::Turn& turn, const exchange::Message& request,
                               const api::FreezeHostRequest& input) {
  return change_state(turn, request, input.id, "freeze", false);
}
Status Controller::thaw_host(exchange::Turn& turn, const exchange::Message& request,
                             const api::ThawHostRequest& input) {
  return change_state(turn, request, input.id, "thaw", input.paused);
}

Status Controller::destroy_host(exchange::Turn& turn, const exchange::Message& request,
                                const api::DestroyHostRequest& input) {
  TRY_ASSIGN(auto row, hosts_.find(turn.transaction(), input.id));
  if (row && row->host.vo != request.vo) return not_found(fmt::format("there is no virtual host {} here", input.id));
  if (!row) {
    // The creation may still be on its way: it must find that it comes too late.
    row.emplace();
    row->host.id = input.id;
    row->host.name = input.id;
    row->host.vo = request.vo;
    row->host.state = HostState::kDestroyed;
    row->host.since = turn.now();
    TRY(put(turn, *row));
  }
  if (row->is_tombstone()) return answer(turn, request.message_id, api::DestroyHostResponse{});
  row->destroy_requests.push_back(request.message_id);
  return start_destroy(turn, std::move(*row));
}

Status Controller::start_destroy(exchange::Turn& turn, HostRow row) {
  TRY(turn.cancel_job("boot/" + row.host.id));
  TRY(turn.cancel_job("join/" + row.host.id));
  TRY(turn.cancel_job("end-logins/" + row.host.id));
  if (row.host.operation == "destroy") return put(turn, row);
  if (!row.host.operation.empty()) {
    // What is at work is ended first; its end starts the destruction.
    TRY(turn.cancel_job(row.host.operation + "/" + row.host.id));
    row.abort_requested = true;
    if (row.destroy_requests.empty()) row.destroy_requests.emplace_back();
    return put(turn, row);
  }
  return begin(turn, std::move(row), "destroy", "", false);
}

Status Controller::abort_host(exchange::Turn& turn, const exchange::Message& request,
                              const api::AbortHostRequest& input) {
  TRY_ASSIGN(auto row, visible_host(turn, request.vo, input.id));
  // An order may still be on its way: it must find that it comes too late.
  if (input.work && !input.work->empty()) row.ended_work = *input.work;
  if (row.host.operation.empty() || row.host.operation == "destroy") {
    TRY(put(turn, row));
    return answer(turn, request.message_id, api::AbortHostResponse{});
  }
  TRY(turn.cancel_job(row.host.operation + "/" + row.host.id));
  row.abort_requested = true;
  row.abort_requests.push_back(request.message_id);
  return put(turn, row);
}

Status Controller::wait_host(exchange::Turn& turn, const exchange::Message& request,
                             const api::WaitHostRequest& input) {
  TRY_ASSIGN(auto row, visible_host(turn, request.vo, input.id));
  if (row.host.ready) {
    api::WaitHostResponse response;
    response.host = row.host;
    return answer(turn, request.message_id, response);
  }
  if (!row.ready_failure.empty())
    return unavailable(fmt::format("virtual host {}: {}", row.host.name, row.ready_failure));
  row.ready_requests.push_back(request.message_id);
  return put(turn, row);
}

Status Controller::get_host(exchange::Turn& turn, const exchange::Message& request, const api::GetHostRequest& input) {
  TRY_ASSIGN(auto row, visible_host(turn, request.vo, input.id));
  api::GetHostResponse response;
  const auto condition = worker_.driver().inspect(input.id);
  if (condition) row.host.memory_resident = condition->memory_resident;
  response.host = row.host;
  return answer(turn, request.message_id, response);
}

Status Controller::list_hosts(exchange::Turn& turn, const exchange::Message& request, const api::ListHostsRequest&) {
  TRY_ASSIGN(auto rows, hosts_.scan(turn.transaction(), ""));
  api::ListHostsResponse response;
  for (auto& [id, row] : rows) {
    if (!row.is_tombstone() && row.host.vo == request.vo) response.host.push_back(std::move(row.host));
  }
  return answer(turn, request.message_id, response);
}

Status Controller::read_console(exchange::Turn& turn, const exchange::Message& request,
                                const api::ReadConsoleRequest& input) {
  TRY_ASSIGN(const auto row, visible_host(turn, request.vo, input.id));
  api::ReadConsoleResponse response;
  auto text = worker_.driver().console_tail(input.id, Bytes{std::clamp(input.limit, 0, kConsoleLimit)});
  if (text) response.text = xml::printable(*text);
  response.condition = row.host.condition;
  return answer(turn, request.message_id, response);
}

Status Controller::get_capacity(exchange::Turn& turn, const exchange::Message& request,
                                const api::GetCapacityRequest&) {
  api::GetCapacityResponse response;
  const auto capabilities = worker_.driver().capabilities();
  response.name = options_.name;
  response.driver = capabilities.name;
  response.accelerator = capabilities.accelerator;
  response.accelerator_reason = capabilities.accelerator_reason;
  response.total = options_.capacity;
  TRY_ASSIGN(response.used, used(turn));
  TRY_ASSIGN(const auto rows, hosts_.scan(turn.transaction(), ""));
  response.hosts = static_cast<std::int32_t>(
      std::count_if(rows.begin(), rows.end(), [](const auto& item) { return !item.second.is_tombstone(); }));
  return answer(turn, request.message_id, response);
}

}  // namespace nuraghe::services::vhc
