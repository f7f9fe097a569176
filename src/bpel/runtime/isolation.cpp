// Isolated scopes (WS-BPEL 2.0 §12.8): one that begins takes locks on all shared things that it may use, at once, or
// waits in the instance's queue until it can. Nobody waits while holding locks, so there are no deadlocks; nobody
// overtakes a conflicting one that came earlier, so nobody starves. Fault, termination and event handlers run under the
// locks of their scope; a compensation handler takes them anew.
#include "bpel/runtime/isolation.hpp"

#include <utility>

#include "bpel/runtime/isolation_queue.hpp"
#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel::runtime {
namespace {

class Collector {
 public:
  Collector(const ProcessDefinition& definition, const Scope& scope) : definition_(definition), scope_(scope) {}

  void visit(const Node& node) {
    if (is_activity(node.kind)) {
      for (const auto& source : as<Activity>(node).sources) read(source.transition_condition);
    }
    switch (node.kind) {
      case NodeKind::kReceive:
        return event(as<Receive>(node).event);
      case NodeKind::kOnMessage:
        return event(as<OnMessage>(node).event);
      case NodeKind::kOnEvent:
        return event(as<OnEvent>(node).event);
      case NodeKind::kReply:
        binding(as<Reply>(node).from, false);
        return correlations(as<Reply>(node).correlations);
      case NodeKind::kInvoke:
        return invoke(as<Invoke>(node));
      case NodeKind::kAssign:
        for (const auto& copy : as<Assign>(node).copies) from(copy.from), to(copy.to);
        return;
      case NodeKind::kThrow:
        return add('v', as<Throw>(node).variable, false);
      case NodeKind::kValidate:
        for (const auto& variable : as<Validate>(node).variables) add('v', variable, false);
        return;
      case NodeKind::kScope:
        for (const auto& variable : as<Scope>(node).variables) {
          if (variable.initial) from(*variable.initial);
        }
        return;
      default:
        return control(node);
    }
  }

  SharedAccess take() {
    for (const auto& written : access_.writes) access_.reads.erase(written);
    return std::move(access_);
  }

 private:
  void add(char sort, const SlotRef& ref, bool write) {
    if (!ref || definition_.scope(ref.scope).index >= scope_.index) return;  // of its own, or of a scope inside
    (write ? access_.writes : access_.reads).insert({sort, ref});
  }
  void read(const Expression& expression) {
    for (const auto& use : expression.variables) add('v', use.variable, false);
    for (const auto& use : expression.properties) add('v', use.variable, false);
  }
  void read(const std::optional<Expression>& expression) {
    if (expression) read(*expression);
  }
  void binding(const MessageBinding& bound, bool write) {
    add('v', bound.variable, write);
    for (const auto& part : bound.parts) add('v', part.variable, write);
  }
  void correlations(const std::vector<Correlation>& all) {
    for (const auto& correlation : all) add('c', correlation.set, correlation.initiate != Initiate::kNo);
  }
  void event(const MessageEvent& event) {
    binding(event.into, true);
    correlations(event.correlations);
  }
  void invoke(const Invoke& invoke) {
    add('p', invoke.endpoint.partner_link, false);
    binding(invoke.input, false);
    binding(invoke.output, true);
    correlations(invoke.correlations);
  }
  void from(const FromSpec& spec) {
    add('v', spec.variable, false);
    add('p', spec.partner_link, false);
    read(spec.query);
    read(spec.expression);
  }
  void to(const ToSpec& spec) {
    add('v', spec.variable, true);
    add('p', spec.partner_link, true);
    read(spec.query);
    read(spec.expression);
  }
  void control(const Node& node) {
    switch (node.kind) {
      case NodeKind::kWait:
        read(as<Wait>(node).for_duration);
        return read(as<Wait>(node).until);
      case NodeKind::kIf:
        for (const auto& branch : as<If>(node).branches) read(branch.condition);
        return;
      case NodeKind::kWhile:
        return read(as<While>(node).condition);
      case NodeKind::kRepeatUntil:
        return read(as<RepeatUntil>(node).condition);
      case NodeKind::kForEach:
        read(as<ForEach>(node).start);
        read(as<ForEach>(node).final);
        return read(as<ForEach>(node).completion_branches);
      case NodeKind::kOnAlarm:
        read(as<OnAlarm>(node).for_duration);
        read(as<OnAlarm>(node).until);
        return read(as<OnAlarm>(node).repeat_every);
      default:
        return;
    }
  }

  const ProcessDefinition& definition_;
  const Scope& scope_;
  SharedAccess access_;
};

}  // namespace

std::map<ScopeIndex, SharedAccess> isolated_accesses(const ProcessDefinition& definition,
                                                     const std::vector<NodeIndex>& subtree_end) {
  std::map<ScopeIndex, SharedAccess> accesses;
  for (const auto* scope : definition.scopes()) {
    if (!scope->isolated) continue;
    Collector collector(definition, *scope);
    for (NodeIndex node = scope->index; node < subtree_end[scope->index]; ++node)
      collector.visit(definition.node(node));
    accesses.emplace(scope->self, collector.take());
  }
  return accesses;
}

IsolationQueue Machine::isolation_queue() {
  auto& header = instance_.header;
  IsolationQueue queue(turn_.transaction(), tables_.isolation, header.id);
  if (!header.isolation.empty()) check(queue.adopt(std::exchange(header.isolation, {})));
  return queue;
}

// True when the region, a scope or a compensation handler, may begin at once; otherwise it begins by continue_isolated.
bool Machine::enter_isolation(Region& region) {
  const auto access = program_.isolated.find(region.row.scope);
  if (access == program_.isolated.end()) return true;
  // A handler that is called from within an isolated scope is part of that one's work.
  const Region* at = region.row.requester_path.empty() ? region.parent : this->region(region.row.requester_path);
  for (; at != nullptr; at = at->parent) {
    if (definition_.scope(at->row.scope).isolated) return true;
  }
  IsolationRow row;
  row.path = region.path;
  const auto names_of = [&](const std::set<SharedThing>& things, std::vector<std::string>& names) {
    for (const auto& [sort, ref] : things) {
      const Region* owner = scope_region(region, ref.scope);
      if (owner != nullptr) names.push_back(owner->path + sort + std::to_string(ref.slot));
    }
  };
  names_of(access->second.reads, row.reads);
  names_of(access->second.writes, row.writes);
  const auto granted = isolation_queue().enter(std::move(row));
  if (!granted) check(granted.error());
  return granted && *granted;
}

bool Machine::waits_for_isolation(const Region& region) {
  if (!program_.isolated.contains(region.row.scope)) return false;
  const auto waits = isolation_queue().waits(region.path);
  if (!waits) check(waits.error());
  return waits && *waits;
}

void Machine::leave_isolation(Region& region) {
  if (program_.isolated.empty() || !program_.isolated.contains(region.row.scope)) return;
  if (region.row.kind == RegionKind::kScope && region.parent != nullptr) show_links(region);
  auto granted = isolation_queue().leave(region.path);
  if (!granted) {
    check(granted.error());
    return;
  }
  for (auto& path : *granted) tasks_.push_back({std::move(path), 0});
}

void Machine::continue_isolated(Region& region) {
  if (region.row.state != RegionState::kRunning || region.row.body_done || !region.frames.empty()) return;
  if (region.row.kind == RegionKind::kScope) {
    const auto& scope = definition_.scope(region.row.scope);
    if (initialise(region, scope)) start_body(region, scope);
    return;
  }
  const Activity* activity = nullptr;
  if (region.row.node != kNone) activity = as<Handler>(program_.node(region.row.node)).activity;
  start_handler(region, activity);
}

// Links that lead out of an isolated scope are not seen before it ends (§12.8).
bool Machine::is_hidden(Region& from, LinkIndex link) const {
  if (program_.isolated.empty()) return false;
  const auto& ends = definition_.link(link);
  for (const Region* at = &from; at != nullptr; at = at->parent) {
    if (at->row.kind != RegionKind::kScope) continue;
    const auto& scope = definition_.scope(at->row.scope);
    if (!scope.isolated) continue;
    const auto is_inside = [&](NodeIndex node) {
      return node > scope.index && node < program_.subtree_end[scope.index];
    };
    return is_inside(ends.source) && !is_inside(ends.target);
  }
  return false;
}

void Machine::show_links(Region& isolated) {
  const auto& scope = definition_.scope(isolated.row.scope);
  for (Region* at = isolated.parent; at != nullptr; at = at->parent) {
    for (auto& state : at->row.links) {
      const NodeIndex source = definition_.link(state.link).source;
      if (state.status < kHiddenStatus || source < scope.index || source >= program_.subtree_end[scope.index]) continue;
      state.status -= kHiddenStatus;
      touch(*at);
      wake_target(*at, state.link);
    }
  }
}

}  // namespace nuraghe::bpel::runtime
