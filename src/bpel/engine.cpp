#include "bpel/engine.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "bpel/engine_state.hpp"

namespace nuraghe::bpel {
namespace {

constexpr std::string_view kContinue = "continue/";
constexpr std::string_view kPrune = "prune";
constexpr std::string_view kEnd = "end/";
constexpr std::string_view kExit = "exit/";
constexpr std::size_t kPruneBatch = 200;

}  // namespace

using runtime::HeaderRow;
using runtime::InstanceState;

// ---- instances in memory ----

Result<Engine::Implementation::Live*> Engine::Implementation::load(exchange::Turn& turn, const std::string& id) {
  const auto found = cache.find(id);
  if (found != cache.end()) {
    recent.splice(recent.begin(), recent, found->second.place);
    return &found->second;
  }
  TRY_ASSIGN(const auto row, turn.transaction().get(tables.instance, id));
  if (!row) return nullptr;
  auto instance = std::make_unique<runtime::Instance>();
  TRY_ASSIGN(instance->header, decode_record<HeaderRow>(*row));
  if (instance->header.state != InstanceState::kRunning) return nullptr;
  Live live;
  live.program = registry.program(instance->header.program);
  if (!live.program) {
    return internal(fmt::format("instance {} runs {}, which is not deployed", id, instance->header.program));
  }
  live.instance = std::move(instance);
  recent.push_front(id);
  live.place = recent.begin();
  return &cache.emplace(id, std::move(live)).first->second;
}

void Engine::Implementation::forget(const std::string& id) {
  const auto found = cache.find(id);
  if (found == cache.end()) return;
  cached_bytes -= std::min(cached_bytes, found->second.instance->bytes);
  recent.erase(found->second.place);
  cache.erase(found);
}

void Engine::Implementation::trim() {
  while (cached_bytes > static_cast<std::size_t>(options.cache.count) && cache.size() > 1) {
    const std::string oldest = recent.back();
    forget(oldest);
  }
}

// ---- steps ----

Status Engine::Implementation::step(exchange::Turn& turn, Live& live, const journal::StepEvent& event) {
  auto& instance = *live.instance;
  const std::string id = instance.header.id;
  const std::size_t before = instance.bytes;
  runtime::Machine machine({tables, *live.program, instance, turn, options.limits, options.own_base, options.observer});
  auto status = journal::apply_event(machine, id, event);
  const std::int64_t sequence = instance.header.next_history++;
  machine.flush();
  if (status && machine.error()) status = *machine.error();
  if (!status) {
    forget(id);
    return std::move(status).error().with("running instance " + id);
  }
  cached_bytes += instance.bytes;
  cached_bytes -= std::min(cached_bytes, before);
  if (options.history_retention.count() > 0) {
    TRY(turn.transaction().insert(tables.history, id + runtime::big_endian(static_cast<std::uint64_t>(sequence)),
                                  journal::encode_history(turn.now(), event, machine.digest())));
  }
  TRY(end_children(turn, instance, machine.abandoned()));
  if (machine.answered_creator() && !instance.header.created_in.empty()) {
    live.answered_creator = true;
    TRY(turn.transaction().erase(tables.child, child_key(instance.header.created_in, instance.header.created_by)));
  }
  if (machine.ended()) {
    const auto header = instance.header;
    forget(id);
    return finish(turn, header);
  }
  if (machine.has_tasks()) TRY(turn.set_timer(std::string(kContinue) + id, turn.now()));
  trim();
  return {};
}

Status Engine::Implementation::dispatch(exchange::Turn& turn, const std::string& id, const journal::StepEvent& event) {
  TRY_ASSIGN(Live * live, load(turn, id));
  if (live == nullptr) return {};
  if (live->instance->header.suspended && event.kind != journal::EventKind::kTerminate) return hold(turn, *live, event);
  return step(turn, *live, event);
}

Status Engine::Implementation::hold(exchange::Turn& turn, Live& live, const journal::StepEvent& event) {
  if (event.kind == journal::EventKind::kContinue) return {};  // resume goes on by itself
  auto& header = live.instance->header;
  if (header.held >= options.limits.held_events && event.kind != journal::EventKind::kEnd) {
    return exhausted(fmt::format("{} events wait for the suspended instance {} already", header.held, header.id));
  }
  const auto number = static_cast<std::uint64_t>(header.held++);
  TRY(turn.transaction().put(tables.held, header.id + runtime::big_endian(number), encode_record(event)));
  return turn.transaction().put(tables.instance, header.id, encode_record(header));
}

Status Engine::Implementation::create(exchange::Turn& turn, const exchange::Message& request,
                                      const std::shared_ptr<const runtime::Program>& program,
                                      const runtime::Receiver& receiver) {
  journal::StepEvent event;
  event.kind = journal::EventKind::kCreate;
  event.node = receiver.start_node;
  event.alternative = receiver.alternative;
  event.message = exchange::encode_message(request);
  event.decoded = &request;
  const bool is_child = !request.one_way && !request.conversation.empty();
  if (is_child) {
    TRY_ASSIGN(const bool too_late, is_abandoned(turn, request));
    if (too_late)
      return refuse(turn, request, Error(ErrorCode::kCancelled, "the process that asked does not wait any more"));
  }
  const auto id = runtime::instance_id(turn.now(), {request.message_id, program->id});
  TRY_ASSIGN(const auto existing, turn.transaction().get(tables.instance, id));
  if (existing) return conflict("the message " + request.message_id + " was taken before");
  Live live;
  live.program = program;
  live.instance = std::make_unique<runtime::Instance>();
  TRY_ASSIGN(live.instance->header, journal::header_for(event, *program, id, turn.now()));
  TRY(turn.transaction().insert(tables.running, program->id + '\0' + id, ""));
  running->add(id);
  recent.push_front(id);
  live.place = recent.begin();
  auto& placed = cache.emplace(id, std::move(live)).first->second;
  TRY(step(turn, placed, event));
  return is_child ? note_child(turn, id, request) : Status();
}

Status Engine::Implementation::finish(exchange::Turn& turn, const HeaderRow& header) {
  auto& transaction = turn.transaction();
  TRY(transaction.erase(tables.running, header.program + '\0' + header.id));
  running->remove(header.id);
  if (header.held > 0) TRY(transaction.erase_prefix(tables.held, header.id));
  if (!header.created_in.empty()) TRY(transaction.erase(tables.child, child_key(header.created_in, header.created_by)));
  TRY(forget_abandoned(turn, header));
  if (options.history_retention.count() == 0) return transaction.erase(tables.instance, header.id);
  TRY(transaction.insert(tables.ended, runtime::big_endian(static_cast<std::uint64_t>(header.ended.micros)) + header.id,
                         ""));
  ++ended_count;
  if (ended_unsure || ended_count > options.history_limit) return arm_prune(turn, turn.now());
  return arm_prune(turn, header.ended + options.history_retention);
}

// The timer may be set already, and earlier.
Status Engine::Implementation::arm_prune(exchange::Turn& turn, TimePoint due) {
  if (prune_due && *prune_due <= due) return {};
  prune_due = due;
  return turn.set_timer(kPrune, due);
}

Status Engine::Implementation::count_ended(exchange::Turn& turn) {
  ended_count = 0;
  std::string after;
  for (;;) {
    TRY_ASSIGN(const auto rows, turn.transaction().scan(tables.ended, {}, after));
    ended_count += static_cast<std::int64_t>(rows.size());
    if (rows.empty()) break;
    after = rows.back().key;
  }
  ended_unsure = false;
  return {};
}

// Removes what is left of instances that ended long ago, or before too many others.
Status Engine::Implementation::prune(exchange::Turn& turn) {
  auto& transaction = turn.transaction();
  prune_due.reset();
  if (ended_unsure) TRY(count_ended(turn));
  TRY_ASSIGN(const auto rows, transaction.scan(tables.ended, {}, {}, kPruneBatch));
  for (const auto& row : rows) {
    std::uint64_t micros = 0;
    for (const char c : row.key.substr(0, 8)) micros = (micros << 8) | static_cast<unsigned char>(c);
    const TimePoint due = TimePoint{static_cast<std::int64_t>(micros)} + options.history_retention;
    if (due > turn.now() && ended_count <= options.history_limit) return arm_prune(turn, due);
    const auto id = row.key.substr(8);
    TRY(transaction.erase_prefix(tables.history, id));
    TRY(transaction.erase(tables.instance, id));
    TRY(transaction.erase(tables.ended, row.key));
    --ended_count;
  }
  return rows.size() == kPruneBatch ? arm_prune(turn, turn.now()) : Status();
}

Status Engine::Implementation::read_running(exchange::Turn& turn) {
  RunningInstances::Digests found;
  std::string after;
  for (;;) {
    TRY_ASSIGN(const auto rows, turn.transaction().scan(tables.running, {}, after));
    if (rows.empty()) break;
    after = rows.back().key;
    for (const auto& row : rows) {
      const std::string_view key = row.key;
      found.insert(RunningInstances::digest(key.substr(key.find('\0') + 1)));
    }
  }
  running->set(std::move(found));
  running_unsure = false;
  return {};
}

// A turn that deployed may have been undone: then the rows tell what is deployed.
Status Engine::Implementation::reload(exchange::Turn& turn) {
  if (running_unsure) TRY(read_running(turn));
  if (!reload_needed) return {};
  reload_needed = false;
  return registry.reload(turn.transaction(), tables);
}

Result<HeaderRow> Engine::Implementation::header(exchange::Turn& turn, const std::string& id) {
  TRY_ASSIGN(const auto row, turn.transaction().get(tables.instance, id));
  if (!row) return not_found("there is no workflow instance " + id);
  return decode_record<HeaderRow>(*row);
}

// ---- the actor ----

Engine::Engine(EngineOptions options) : implementation_(std::make_unique<Implementation>(std::move(options))) {}
Engine::~Engine() = default;

Deployment Engine::deploy(const std::string& package, Package files) {
  return implementation_->registry.stage(package, std::move(files));
}

void Engine::keep(const std::string& package) { implementation_->registry.keep(package); }

Result<Deployment> Engine::deploy(exchange::Turn& turn, const std::string& package, Package files) {
  implementation_->deployed_while_running = true;
  implementation_->inputs.clear();  // a version whose deployment is undone may come again with other files
  return implementation_->registry.deploy(turn.transaction(), implementation_->tables,
                                          *Registry::prepare(package, std::move(files)));
}

std::shared_ptr<const PreparedPackage> Engine::prepare(const std::string& package, Package files) {
  return Registry::prepare(package, std::move(files));
}

Result<Deployment> Engine::deploy(exchange::Turn& turn, const PreparedPackage& prepared) {
  implementation_->deployed_while_running = true;
  implementation_->inputs.clear();
  return implementation_->registry.deploy(turn.transaction(), implementation_->tables, prepared);
}

Status Engine::undeploy(exchange::Turn& turn, const std::string& package) {
  implementation_->deployed_while_running = true;
  return implementation_->registry.undeploy(turn.transaction(), implementation_->tables, package);
}

Status Engine::open(store::Store& store) {
  TRY_ASSIGN(implementation_->tables, runtime::Tables::open_all(store));
  return {};
}

Status Engine::on_start(exchange::Turn& turn) {
  on_rollback();
  implementation_->inputs.clear();
  TRY(implementation_->registry.start(turn.transaction(), implementation_->tables));
  TRY(implementation_->read_running(turn));
  TRY_ASSIGN(const auto ended, turn.transaction().scan(implementation_->tables.ended, {}, {}, 1));
  if (!ended.empty()) return implementation_->arm_prune(turn, turn.now());
  implementation_->ended_unsure = false;
  return {};
}

Status Engine::on_request(exchange::Turn& turn, const exchange::Message& request) {
  TRY(implementation_->reload(turn));
  return implementation_->route(turn, request);
}

Status Engine::on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) {
  TRY(implementation_->reload(turn));
  const auto target = runtime::parse_token(token);
  if (!target) return internal(fmt::format("an answer came with the token {}", token));
  journal::StepEvent event;
  event.kind = journal::EventKind::kReply;
  event.path = target->path;
  event.frame = target->frame;
  event.message = exchange::encode_message(reply);
  event.decoded = &reply;
  return implementation_->dispatch(turn, target->instance, event);
}

Status Engine::on_timer(exchange::Turn& turn, std::string_view key) {
  TRY(implementation_->reload(turn));
  if (key == kPrune) return implementation_->prune(turn);
  journal::StepEvent event;
  if (key.substr(0, kContinue.size()) == kContinue) {
    event.kind = journal::EventKind::kContinue;
    return implementation_->dispatch(turn, std::string(key.substr(kContinue.size())), event);
  }
  if (key.starts_with(kEnd)) return implementation_->end_child(turn, std::string(key.substr(kEnd.size())), true);
  if (key.starts_with(kExit)) return implementation_->end_child(turn, std::string(key.substr(kExit.size())), false);
  const auto target = runtime::parse_token(key);
  if (!target) return internal(fmt::format("a timer came with the key {}", key));
  event.kind = journal::EventKind::kTimer;
  event.path = target->path;
  event.frame = target->frame;
  event.alternative = target->alternative;
  return implementation_->dispatch(turn, target->instance, event);
}

Status Engine::on_job(exchange::Turn&, const exchange::Job& job, const Result<std::string>&) {
  return internal("the engine has no job " + job.key);
}

Result<std::string> Engine::run_job(const exchange::Job& job, exchange::JobContext&) {
  return internal("the engine has no job " + job.key);
}

void Engine::on_quiet() {
  implementation_->cache.clear();
  implementation_->recent.clear();
  implementation_->cached_bytes = 0;
}

void Engine::on_rollback() {
  on_quiet();
  implementation_->reload_needed = implementation_->deployed_while_running;
  implementation_->running_unsure = true;
  // An undone turn may have set the timer, or ended instances, or removed some: the timer finds out.
  implementation_->prune_due.reset();
  implementation_->ended_unsure = true;
}

}  // namespace nuraghe::bpel
