// How a process is started (§10.4): SA00015, SA00056, SA00057, SA00062.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bpel/analysis/analysis.hpp"

namespace nuraghe::bpel {

namespace {

class StartCheck {
 public:
  StartCheck(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics)
      : definition_(definition), diagnostics_(diagnostics) {}

  void run() {
    if (definition_.start_activities().empty()) {
      report("SA00015", definition_.process(),
             "the process has no <receive> or <pick> with createInstance=\"yes\", so nothing can start it");
      return;
    }
    for (const NodeIndex start : definition_.start_activities()) {
      const Node& node = definition_.node(start);
      if (node.kind == NodeKind::kPick && !as<Pick>(node).alarms.empty())
        report("SA00062", node, "a <pick> that creates instances may hold only <onMessage>");
      check_before(node);
    }
    check_common_correlation();
  }

 private:
  void report(const char* rule, const Node& node, std::string sentence) {
    diagnostics_.push_back({rule, definition_.file(), node.where, std::move(sentence), false});
  }

  static bool is_start(const Node& node) {
    if (node.kind == NodeKind::kReceive) return as<Receive>(node).create_instance;
    return node.kind == NodeKind::kPick && as<Pick>(node).create_instance;
  }

  // Climbs from a start activity: around it only sequence, flow and scope, before it nothing but start activities.
  void check_before(const Node& start) {
    const Node* inner = &start;
    for (NodeIndex at = start.parent; at != kNone; at = definition_.node(at).parent) {
      const Node& outer = definition_.node(at);
      if (outer.kind == NodeKind::kSequence) {
        check_sequence(as<Sequence>(outer), *inner);
      } else if (outer.kind == NodeKind::kFlow) {
        check_flow(as<Flow>(outer), *inner);
      } else if (outer.kind != NodeKind::kScope) {
        report("SA00056", start, fmt::format("a start activity may not stand inside <{}>", node_kind_name(outer.kind)));
        return;
      }
      inner = &outer;
    }
  }

  void check_sequence(const Sequence& sequence, const Node& up_to) {
    for (const Activity* before : sequence.activities) {
      if (before->index == up_to.index) return;
      check_only_starts(*before);
    }
  }

  // Branches beside the start activity begin at the same time, unless a link holds them back.
  void check_flow(const Flow& flow, const Node& inner) {
    for (const Activity* beside : flow.activities) {
      if (beside->index != inner.index && beside->targets.empty()) check_first(*beside);
    }
  }

  void complain(const Node& node) {
    if (!reported_.insert(node.index).second) return;
    report("SA00056", node, fmt::format("<{}> would run before or beside a start activity", node_kind_name(node.kind)));
  }

  void check_only_starts(const Activity& activity) {
    if (is_start(activity)) return;
    if (activity.kind == NodeKind::kSequence) {
      for (const Activity* inner : as<Sequence>(activity).activities) check_only_starts(*inner);
    } else if (activity.kind == NodeKind::kFlow) {
      for (const Activity* inner : as<Flow>(activity).activities) check_only_starts(*inner);
    } else if (activity.kind == NodeKind::kScope) {
      if (as<Scope>(activity).body != nullptr) check_only_starts(*as<Scope>(activity).body);
    } else {
      complain(activity);
    }
  }

  void check_first(const Activity& activity) {
    if (is_start(activity)) return;
    if (activity.kind == NodeKind::kSequence) {
      const auto& inner = as<Sequence>(activity).activities;
      if (!inner.empty() && inner.front()->targets.empty()) check_first(*inner.front());
    } else if (activity.kind == NodeKind::kFlow) {
      for (const Activity* inner : as<Flow>(activity).activities) {
        if (inner->targets.empty()) check_first(*inner);
      }
    } else if (activity.kind == NodeKind::kScope) {
      const Activity* const body = as<Scope>(activity).body;
      if (body != nullptr && body->targets.empty()) check_first(*body);
    } else {
      complain(activity);
    }
  }

  using SetUse = std::pair<CorrelationSetRef, Initiate>;
  static std::vector<SetUse> uses_of(const std::vector<Correlation>& correlations) {
    std::vector<SetUse> uses;
    for (const Correlation& correlation : correlations) uses.emplace_back(correlation.set, correlation.initiate);
    return uses;
  }

  // One list per message that can start the process.
  static std::vector<std::vector<SetUse>> messages_of(const Node& start) {
    if (start.kind == NodeKind::kReceive) return {uses_of(as<Receive>(start).event.correlations)};
    std::vector<std::vector<SetUse>> all;
    for (const OnMessage* message : as<Pick>(start).messages) all.push_back(uses_of(message->event.correlations));
    return all;
  }

  void check_common_correlation() {
    std::vector<std::pair<const Node*, std::vector<SetUse>>> correlated;
    std::set<NodeIndex> activities;
    for (const NodeIndex index : definition_.start_activities()) {
      for (auto& uses : messages_of(definition_.node(index))) {
        if (uses.empty()) continue;
        correlated.emplace_back(&definition_.node(index), std::move(uses));
        activities.insert(index);
      }
    }
    if (activities.size() < 2) return;
    std::set<CorrelationSetRef> common;
    for (const auto& use : correlated.front().second) common.insert(use.first);
    for (const auto& [node, uses] : correlated) {
      std::set<CorrelationSetRef> kept;
      for (const auto& use : uses) {
        if (common.contains(use.first)) kept.insert(use.first);
      }
      common = std::move(kept);
    }
    if (common.empty()) {
      report("SA00057", *correlated.front().first, "several start activities correlate, but share no correlation set");
      return;
    }
    for (const auto& [node, uses] : correlated) {
      for (const auto& [set, initiate] : uses) {
        if (common.contains(set) && initiate != Initiate::kJoin) {
          report("SA00057", *node,
                 fmt::format("the start activities share the correlation set '{}': each must have "
                             "initiate=\"join\"",
                             definition_.correlation_set(set).name));
        }
      }
    }
  }

  const ProcessDefinition& definition_;
  std::vector<Diagnostic>& diagnostics_;
  std::set<NodeIndex> reported_;
};

}  // namespace

void check_start_activities(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics) {
  StartCheck(definition, diagnostics).run();
}

}  // namespace nuraghe::bpel
