// Rules on links (§11.6.1, §12.5.2): SA00066, SA00067, SA00070, SA00071, SA00072, SA00082.
//
// Control order is seen as a graph over two events per node, its start and its end: a structured activity starts before
// and ends after what is in it, a sequence orders its members, a link leads from its source's end to its target's
// start. A cycle means that something would have to precede itself.
#include <fmt/format.h>

#include <map>
#include <set>

#include "bpel/analysis/analysis.hpp"

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

  using Vertex = std::uint32_t;
  static Vertex start_of(NodeIndex node) { return 2 * node; }
  static Vertex end_of(NodeIndex node) { return 2 * node + 1; }

  std::vector<std::vector<Vertex>> order_graph() const {
    std::vector<std::vector<Vertex>> after(definition_.nodes().size() * 2);
    for (const auto& node : definition_.nodes()) {
      after[start_of(node->index)].push_back(end_of(node->index));
      if (node->parent != kNone) {
        after[start_of(node->parent)].push_back(start_of(node->index));
        after[end_of(node->index)].push_back(end_of(node->parent));
      }
      if (node->kind != NodeKind::kSequence) continue;
      const auto& members = as<Sequence>(*node).activities;
      for (std::size_t i = 1; i < members.size(); ++i)
        after[end_of(members[i - 1]->index)].push_back(start_of(members[i]->index));
    }
    for (const Link& link : definition_.links()) after[end_of(link.source)].push_back(start_of(link.target));
    return after;
  }

  // Depth first, without recursion. True when there is a cycle; reports one link of it.
  bool find_cycle() {
    const auto after = order_graph();
    enum class Mark : char { kNew, kOpen, kDone };
    std::vector<Mark> marks(after.size(), Mark::kNew);
    std::vector<std::pair<Vertex, std::size_t>> path{{start_of(0), 0}};
    marks[start_of(0)] = Mark::kOpen;
    while (!path.empty()) {
      auto& [vertex, next] = path.back();
      if (next == after[vertex].size()) {
        marks[vertex] = Mark::kDone;
        path.pop_back();
        continue;
      }
      const Vertex to = after[vertex][next++];
      if (marks[to] == Mark::kOpen) {
        std::vector<Vertex> vertices;
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

  void report_cycle(const std::vector<Vertex>& path, Vertex back_to) {
    std::size_t from = path.size();
    while (from > 0 && path[from - 1] != back_to) --from;
    for (const Link& link : definition_.links()) {
      for (std::size_t i = from == 0 ? 0 : from - 1; i < path.size(); ++i) {
        const Vertex next = i + 1 < path.size() ? path[i + 1] : back_to;
        if (path[i] == end_of(link.source) && next == start_of(link.target)) {
          report("SA00072", link,
                 fmt::format("the link '{}' makes a cycle: its target must end before its source starts", link.name));
          return;
        }
      }
    }
  }

  // The scope immediately inside `outer` that holds the node; kNone when there is none.
  NodeIndex peer_around(NodeIndex node, NodeIndex outer) const {
    NodeIndex peer = kNone;
    for (NodeIndex at = node; at != kNone && at != outer; at = definition_.node(at).parent) {
      if (definition_.node(at).kind == NodeKind::kScope) peer = at;
    }
    return peer;
  }

  // §12.5.2: scopes that stand side by side may not depend on each other both ways, also when no single activity does.
  void check_peers() {
    std::map<NodeIndex, std::map<NodeIndex, const Link*>> depends;  // from → to, by links between peers
    for (const Link& link : definition_.links()) {
      for (NodeIndex at = definition_.node(link.source).parent; at != kNone; at = definition_.node(at).parent) {
        if (definition_.node(at).kind != NodeKind::kScope || !is_inside(link.target, at)) continue;
        const NodeIndex from = peer_around(link.source, at);
        const NodeIndex to = peer_around(link.target, at);
        if (from == kNone || to == kNone || from == to) continue;
        depends[from].emplace(to, &link);
      }
    }
    std::set<NodeIndex> done;
    for (const auto& [peer, next] : depends) {
      std::vector<NodeIndex> open{peer};
      std::set<NodeIndex> reached;
      while (!open.empty()) {
        const NodeIndex at = open.back();
        open.pop_back();
        const auto edges = depends.find(at);
        if (edges == depends.end()) continue;
        for (const auto& [to, link] : edges->second) {
          if (to == peer && !done.contains(at)) {
            report("SA00082", *link,
                   fmt::format("by the link '{}' two scopes depend on each other in both directions", link->name));
            done.insert(peer);
          }
          if (reached.insert(to).second) open.push_back(to);
        }
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
