// What operators ask of the engine: list, show, suspend, resume, terminate, replay.
#include <fmt/format.h>

#include "bpel/engine_state.hpp"

namespace nuraghe::bpel {
namespace {

using runtime::HeaderRow;
using runtime::InstanceState;

// Nobody waits longer for a list of children.
constexpr std::size_t kLookedAtForChildren = 100'000;
// "wf-" and nine letters of five bits: the time but for its last three bits.
constexpr std::size_t kTimeOfId = 12;
// How long after its sender ended a message may still come.
constexpr Duration kLateDelivery = std::chrono::hours(1);

std::string state_name(const HeaderRow& header) {
  switch (header.state) {
    case InstanceState::kRunning:
      return header.suspended ? "suspended" : "running";
    case InstanceState::kCompleted:
      return "completed";
    case InstanceState::kFaulted:
      return "faulted";
    case InstanceState::kTerminated:
      return "terminated";
  }
  return "unknown";
}

InstanceSummary summary_of(const HeaderRow& header) {
  return {header.id,      header.process, header.program, header.vo,        state_name(header),
          header.started, header.ended,   header.fault,   header.created_in};
}

std::string state_of(const runtime::Frame& frame) {
  switch (frame.state) {
    case runtime::FrameState::kLinks:
      return "waiting for links";
    case runtime::FrameState::kWaiting:
      return "waiting";
    default:
      return "running";
  }
}

void add_activities(const runtime::Program& program, const runtime::Path& path, const runtime::RegionRow& row,
                    std::vector<ActivityState>& activities) {
  for (const auto& frame : row.frames) {
    if (frame.node == kNone) continue;
    const auto& node = program.node(frame.node);
    ActivityState activity;
    activity.node = frame.node;
    activity.kind = node_kind_name(node.kind);
    activity.name = node.name;
    activity.path = program.definition->path_of(frame.node);
    activity.region = runtime::path_text(path);
    activity.state = state_of(frame);
    activity.file = program.definition->file();
    activity.line = node.where.line;
    activities.push_back(std::move(activity));
  }
}

// All rows of a table whose keys begin with the prefix.
template <class Visit>
Status each_row(store::Transaction& transaction, store::Table table, const std::string& prefix, Visit visit) {
  std::string after;
  for (;;) {
    TRY_ASSIGN(const auto rows, transaction.scan(table, prefix, after));
    if (rows.empty()) return {};
    after = rows.back().key;
    for (const auto& row : rows) TRY(visit(row));
  }
}

std::uint64_t number_at(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char c : bytes) number = (number << 8) | static_cast<unsigned char>(c);
  return number;
}

Status add_variable(const runtime::Program& program, const std::map<runtime::Path, runtime::RegionRow>& regions,
                    const std::string& key, const std::string& value, std::vector<VariableState>& variables) {
  if (key.size() < 5) return corrupt("a variable's key is too short");
  const runtime::Path path = key.substr(0, key.size() - 5);
  const auto slot = static_cast<std::uint32_t>(number_at(std::string_view(key).substr(key.size() - 4)));
  const auto region = regions.find(path);
  if (region == regions.end()) return {};
  const auto& scope = program.definition->scope(region->second.scope);
  VariableState variable;
  variable.scope = scope.name.empty() ? program.definition->path_of(scope.index) : scope.name;
  variable.region = runtime::path_text(path);
  const bool partner = slot >= 0x80000000U;
  const auto index = slot & 0x7fffffffU;
  if (index >= (partner ? scope.partner_links.size() : scope.variables.size())) return {};
  variable.name = partner ? scope.partner_links[index].name : scope.variables[index].name;
  TRY_ASSIGN(const auto row, decode_record<runtime::ValueRow>(value));
  for (const auto& part : row.parts) {
    variable.part = part.name;
    variable.text = part.xml;
    variables.push_back(variable);
  }
  return {};
}

bool visible(const HeaderRow& header, const std::optional<std::string>& vo) { return !vo || header.vo == *vo; }

}  // namespace

std::vector<DeployedProcess> Engine::processes() const { return implementation_->registry.processes(); }
std::vector<Route> Engine::routes() const { return implementation_->registry.routes(); }
std::size_t Engine::cached_instances() const { return implementation_->cache.size(); }

std::shared_ptr<const ProcessDefinition> Engine::definition(const std::string& program) const {
  const auto found = implementation_->registry.program(program);
  return found ? found->definition : nullptr;
}

std::shared_ptr<const runtime::Program> Engine::deployed_program(const std::string& id) const {
  return implementation_->registry.program(id);
}

Result<std::shared_ptr<const runtime::Program>> Engine::program(exchange::Turn& turn, const std::string& id) const {
  return implementation_->registry.stored_program(turn.transaction(), implementation_->tables, id);
}

Result<std::vector<InstanceSummary>> Engine::list(exchange::Turn& turn, const Filter& filter) {
  std::vector<InstanceSummary> found;
  std::string after = filter.after;
  while (found.size() < filter.limit) {
    TRY_ASSIGN(const auto rows, turn.transaction().scan(implementation_->tables.instance, {}, after));
    if (rows.empty()) break;
    for (const auto& row : rows) {
      after = row.key;
      TRY_ASSIGN(const auto header, decode_record<HeaderRow>(row.value));
      const bool wanted = visible(header, filter.vo) && (filter.process.empty() || filter.process == header.process) &&
                          (!filter.running_only || header.state == InstanceState::kRunning);
      if (wanted) found.push_back(summary_of(header));
      if (found.size() == filter.limit) break;
    }
  }
  return found;
}

// Ids begin with the time: children stand behind those who were made in the same milliseconds as their parent.
Result<std::vector<InstanceSummary>> Engine::children(exchange::Turn& turn, const std::string& id, std::size_t limit) {
  TRY_ASSIGN(const auto parent, implementation_->header(turn, id));
  std::vector<InstanceSummary> found;
  std::string after = id.substr(0, kTimeOfId);
  for (std::size_t looked_at = 0; looked_at < kLookedAtForChildren;) {
    TRY_ASSIGN(const auto rows, turn.transaction().scan(implementation_->tables.instance, {}, after));
    if (rows.empty()) break;
    looked_at += rows.size();
    for (const auto& row : rows) {
      after = row.key;
      TRY_ASSIGN(const auto header, decode_record<HeaderRow>(row.value));
      if (header.created_in == id) found.push_back(summary_of(header));
      const bool behind = parent.ended.micros != 0 && header.started > parent.ended + kLateDelivery;
      if (found.size() == limit || behind) return found;
    }
  }
  return found;
}

Result<InstanceDetails> Engine::show(exchange::Turn& turn, const std::string& id,
                                     const std::optional<std::string>& vo) {
  auto& transaction = turn.transaction();
  const auto& tables = implementation_->tables;
  TRY_ASSIGN(const auto header, implementation_->header(turn, id));
  if (!visible(header, vo)) return not_found("there is no workflow instance " + id);
  InstanceDetails details;
  details.summary = summary_of(header);
  const auto known = this->program(turn, header.program);
  if (!known && known.error().code() != ErrorCode::kNotFound) return known.error();
  if (known) {
    const auto& program = *known;
    std::map<runtime::Path, runtime::RegionRow> regions;
    TRY(each_row(transaction, tables.scope, id, [&](const store::Row& row) -> Status {
      const auto path = row.key.substr(id.size());
      const auto kind = runtime::scope_row_kind(path);
      // A region's row comes before those of its variables.
      if (kind == runtime::ScopeRowKind::kVariable) {
        return add_variable(*program, regions, path, row.value, details.variables);
      }
      if (kind == runtime::ScopeRowKind::kCompleted) return {};
      TRY_ASSIGN(auto region, decode_record<runtime::RegionRow>(row.value));
      add_activities(*program, path, region, details.activities);
      regions.emplace(path, std::move(region));
      return {};
    }));
  }
  TRY(each_row(transaction, tables.history, id, [&](const store::Row& row) -> Status {
    TRY_ASSIGN(const auto history, decode_record<journal::HistoryRow>(row.value));
    HistoryEntry entry;
    entry.sequence = static_cast<std::int64_t>(number_at(std::string_view(row.key).substr(id.size())));
    entry.time = history.now;
    entry.kind = journal::event_kind_name(history.event.kind);
    if (!history.event.message.empty()) {
      TRY_ASSIGN(const auto message, exchange::decode_message(history.event.message));
      entry.operation = message.operation;
    }
    details.history.push_back(std::move(entry));
    return {};
  }));
  return details;
}

Status Engine::suspend(exchange::Turn& turn, const std::string& id) {
  TRY(implementation_->header(turn, id));
  TRY_ASSIGN(auto* live, implementation_->load(turn, id));
  if (live == nullptr) return conflict(fmt::format("the workflow instance {} has ended", id));
  auto& header = live->instance->header;
  if (header.suspended) return {};
  header.suspended = true;
  return turn.transaction().put(implementation_->tables.instance, id, encode_record(header));
}

Status Engine::resume(exchange::Turn& turn, const std::string& id) {
  auto& transaction = turn.transaction();
  const auto& tables = implementation_->tables;
  TRY(implementation_->header(turn, id));
  TRY_ASSIGN(auto* live, implementation_->load(turn, id));
  if (live == nullptr) return conflict(fmt::format("the workflow instance {} has ended", id));
  if (!live->instance->header.suspended) return {};
  live->instance->header.suspended = false;
  live->instance->header.held = 0;
  TRY(transaction.put(tables.instance, id, encode_record(live->instance->header)));
  if (!live->instance->header.tasks.empty()) TRY(turn.set_timer("continue/" + id, turn.now()));
  std::vector<journal::StepEvent> held;
  TRY(each_row(transaction, tables.held, id, [&](const store::Row& row) -> Status {
    TRY_ASSIGN(auto event, decode_record<journal::StepEvent>(row.value));
    held.push_back(std::move(event));
    return {};
  }));
  if (held.empty()) return {};
  TRY(transaction.erase_prefix(tables.held, id));
  for (const auto& event : held) TRY(implementation_->dispatch(turn, id, event));
  return {};
}

Status Engine::terminate(exchange::Turn& turn, const std::string& id, const std::string& reason) {
  TRY(implementation_->header(turn, id));
  TRY_ASSIGN(auto* live, implementation_->load(turn, id));
  if (live == nullptr) return conflict(fmt::format("the workflow instance {} has ended", id));
  journal::StepEvent event;
  event.kind = journal::EventKind::kTerminate;
  event.text = reason;
  return implementation_->dispatch(turn, id, event);
}

Result<journal::Replay> Engine::replay(exchange::Turn& turn, const std::string& id) {
  TRY_ASSIGN(const auto found, recorded(turn, id));
  if (found.history.empty()) return unsupported("no history is kept of " + id);
  return journal::replay(found.history, id, *found.program, limits(), own_base());
}

Result<Engine::Recorded> Engine::recorded(exchange::Turn& turn, const std::string& id) {
  TRY_ASSIGN(const auto header, implementation_->header(turn, id));
  Recorded found;
  TRY_ASSIGN(found.program, program(turn, header.program));
  TRY(each_row(turn.transaction(), implementation_->tables.history, id, [&](const store::Row& row) -> Status {
    TRY_ASSIGN(auto entry, decode_record<journal::HistoryRow>(row.value));
    found.history.push_back(std::move(entry));
    return {};
  }));
  return found;
}

const runtime::Limits& Engine::limits() const { return implementation_->options.limits; }
const std::string& Engine::own_base() const { return implementation_->options.own_base; }

Result<bool> Engine::lives(exchange::Turn& turn, const std::string& id) {
  TRY_ASSIGN(const auto row, turn.transaction().get(implementation_->tables.instance, id));
  if (!row) return false;
  TRY_ASSIGN(const auto header, decode_record<HeaderRow>(*row));
  return header.state == InstanceState::kRunning;
}

exchange::ConversationProbe Engine::conversation_probe() const {
  return [running = implementation_->running](std::string_view id) { return running->contains(id); };
}

}  // namespace nuraghe::bpel
