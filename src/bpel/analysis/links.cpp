// Rules on links (§11.6.1, §12.5.2): SA00066, SA00067, SA00070, SA00071, SA00072, SA00082.
//
// A cycle in the control order means that something would have to precede itself.
#include <fmt/format.h>

#include <set>

#include "bpel/analysis/analysis.hpp"
#include "bpel/analysis/control_order.hpp"

namespace nuraghe::bpel {

namespace {

class LinkCheck {
 public:
  LinkCheck(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics)
      : definition_(definition), diagnostics_(diagnostics) {}

  void run() {
    std::set<std::pair<NodeIndex, NodeIndex>> ends;
    bool whole = true;
    for (const Link& link : definition_.links()) {
      if (link.source == kNone || link.target == kNone) {
        report("SA00066", link,
               fmt::format("the link '{}' lacks {}", link.name,
                           link.source == kNone && link.target == kNone ? "source and target"
                           : link.source == kNone                       ? "a source"
                                                                        : "a target"));
        whole = false;
        continue;
      }
      if (!ends.emplace(link.source, link.target).second)
        report("SA00067", link, fmt::format("another link joins the same two activities as '{}'", link.name));
      check_boundaries(link);
    }
    if (definition_.links().empty() || !whole) return;
    if (!find_cycle()) check_peers();
  }

 private:
  void report(const char* rule, const Link& link, std::string sentence) {
    diagnostics_.push_back({rule, definition_.file(), link.where, std::move(sentence), false});
  }

  bool is_inside(NodeIndex node, NodeIndex ancestor) const {
    for (; node != kNone; node = definition_.node(node).parent) {
      if (node == ancestor) return true;
    }
    return false;
  }

  bool is_repeatable(const Node& node) const {
    switch (node.kind) {
      case NodeKind::kWhile:
      case NodeKind::kRepeatUntil:
      case NodeKind::kForEach:
      case NodeKind::kOnEvent:
      case NodeKind::kCompensationHandler:
        return true;
      case NodeKind::kOnAlarm:
        return definition_.node(node.parent).kind == NodeKind::kScope;
      default:
        return false;
    }
  }

  void check_boundaries(const Link& link) {
    for (const NodeIndex end : {link.source, link.target}) {
      // The end itself may be a loop: the link then leads to the whole of it.
      for (NodeIndex at = definition_.node(end).parent; at != link.flow && at != kNone;
           at = definition_.node(at).parent) {
        const Node& crossed = definition_.node(at);
        if (is_repeatable(crossed)) {
          report("SA00070", link,
                 fmt::format("the link '{}' crosses the border of a <{}>", link.name, node_kind_name(crossed.kind)));
          return;
        }
        const bool handler = crossed.kind == NodeKind::kCatch || crossed.kind == NodeKind::kTerminationHandler;
        if (!handler) continue;
        if (end == link.target) {
          report("SA00071", link,
                 fmt::format("the link '{}' leads into a <{}>; it may only lead out of one", link.name,
                             node_kind_name(crossed.kind)));
        } else if (is_inside(link.target, crossed.parent)) {
          report("SA00071", link,
                 fmt::format("the link '{}' must lead out of the scope whose <{}> it comes from", link.name,
                             node_kind_name(crossed.kind)));
        }
      }
    }
  }

  // Depth first, without recursion. True when there is a cycle; reports one link of it.
  bool find_cycle() {
    const auto after = control_order(definition_);
    enum class Mark : char { kNew, kOpen, kDone };
    std::vector<Mark> marks(after.size(), Mark::kNew);
    std::vector<std::pair<OrderVertex, std::size_t>> path{{start_of(0), 0}};
    marks[start_of(0)] = Mark::kOpen;
    while (!path.empty()) {
      auto& [vertex, next] = path.back();
      if (next == after[vertex].size()) {
        marks[vertex] = Mark::kDone;
        path.pop_back();
        continue;
      }
      const OrderVertex to = after[vertex][next++];
      if (marks[to] == Mark::kOpen) {
        std::vector<OrderVertex> vertices;
        for (const auto& step : path) vertices.push_back(step.first);
        report_cycle(vertices, to);
        return true;
      }
      if (marks[to] == Mark::kDone) continue;
      marks[to] = Mark::kOpen;
      path.emplace_back(to, 0);
    }
    return false;
  }

  void report_cycle(const std::vector<OrderVertex>& path, OrderVertex back_to) {
    std::size_t from = path.size();
    while (from > 0 && path[from - 1] != back_to) --from;
    for (const Link& link : definition_.links()) {
      for (std::size_t i = from == 0 ? 0 : from - 1; i < path.size(); ++i) {
        const OrderVertex next = i + 1 < path.size() ? path[i + 1] : back_to;
        if (path[i] == end_of(link.source) && next == start_of(link.target)) {
          report("SA00072", link,
                 fmt::format("the link '{}' makes a cycle: its target must end before its source starts", link.name));
          return;
        }
      }
    }
  }

  // §12.5.2: scopes that stand side by side may not depend on each other both ways, also when no single activity does.
  void check_peers() {
    for (const auto& [one, other] : mutual_peers(definition_)) {
      for (const Link& link : definition_.links()) {
        const bool leads_out = is_inside(link.source, other) && !is_inside(link.target, other);
        if (!leads_out && !(is_inside(link.source, one) && !is_inside(link.target, one))) continue;
        report("SA00082", link,
               fmt::format("by the link '{}' two scopes depend on each other in both directions", link.name));
        break;
      }
    }
  }

  const ProcessDefinition& definition_;
  std::vector<Diagnostic>& diagnostics_;
};

}  // namespace

void check_links(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics) {
  LinkCheck(definition, diagnostics).run();
}

}  // namespace nuraghe::bpel
