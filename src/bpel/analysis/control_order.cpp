#include "bpel/analysis/control_order.hpp"

#include <algorithm>

namespace nuraghe::bpel {

namespace {

constexpr std::size_t kMostSteps = 4'000'000;  // of the search for dependents below one scope: time and memory

// The control order below one scope, each peer drawn together to one vertex, the start of it.
class PeerOrder {
 public:
  PeerOrder(const ProcessDefinition& definition, const std::vector<std::vector<OrderVertex>>& after, const Scope& outer)
      : first_(outer.index) {
    const auto& nodes = definition.nodes();
    NodeIndex end = outer.index + 1;
    while (end < nodes.size() && nodes[end]->parent != kNone && nodes[end]->parent >= outer.index) ++end;
    units_.resize(end - first_, kNone);
    for (NodeIndex index = first_ + 1; index < end; ++index) {
      const Node& node = *nodes[index];
      const NodeIndex above = units_[node.parent - first_];
      const bool peer = above == kNone && node.kind == NodeKind::kScope && node.scope == outer.self;
      units_[index - first_] = peer ? index : above;
      if (peer) peers_.push_back(index);
    }
    after_.resize(2 * units_.size());
    for (NodeIndex index = first_; index < end; ++index) {
      for (const OrderVertex from : {start_of(index), end_of(index)}) {
        for (const OrderVertex to : after[from]) {
          if (to / 2 < first_ || to / 2 >= end || place(from) == place(to)) continue;
          after_[place(from)].push_back(place(to));
        }
      }
    }
  }

  const std::vector<NodeIndex>& peers() const { return peers_; }
  NodeIndex unit_of(NodeIndex node) const { return units_[node - first_]; }
  std::size_t size() const { return after_.size(); }

  // The other peers that a path from this one reaches.
  std::set<NodeIndex> reached_from(NodeIndex peer) const {
    std::set<NodeIndex> reached;
    std::vector<char> seen(after_.size(), 0);
    std::vector<OrderVertex> open{place(start_of(peer))};
    seen[open.front()] = 1;
    while (!open.empty()) {
      const OrderVertex at = open.back();
      open.pop_back();
      for (const OrderVertex to : after_[at]) {
        if (seen[to] != 0) continue;
        seen[to] = 1;
        open.push_back(to);
        const NodeIndex node = first_ + to / 2;
        if (unit_of(node) == node) reached.insert(node);
      }
    }
    return reached;
  }

  // Vertices that lie on cycles with each other get the same number. Depth first, without recursion (Tarjan).
  std::vector<std::uint32_t> components() const {
    std::vector<std::uint32_t> component(after_.size(), 0), low(after_.size(), 0), number(after_.size(), 0);
    std::vector<OrderVertex> stack;
    std::vector<std::pair<OrderVertex, std::size_t>> path;
    std::uint32_t next = 0, count = 0;
    for (OrderVertex root = 0; root < after_.size(); ++root) {
      if (number[root] != 0) continue;
      path.emplace_back(root, 0);
      while (!path.empty()) {
        const auto [vertex, step] = path.back();
        if (step == 0) number[vertex] = low[vertex] = ++next, stack.push_back(vertex);
        if (step < after_[vertex].size()) {
          const OrderVertex to = after_[vertex][path.back().second++];
          if (number[to] == 0) {
            path.emplace_back(to, 0);
          } else if (component[to] == 0) {
            low[vertex] = std::min(low[vertex], number[to]);
          }
          continue;
        }
        path.pop_back();
        if (!path.empty()) low[path.back().first] = std::min(low[path.back().first], low[vertex]);
        if (low[vertex] != number[vertex]) continue;
        ++count;
        while (component[vertex] == 0) component[stack.back()] = count, stack.pop_back();
      }
    }
    return component;
  }
  OrderVertex vertex_of(NodeIndex peer) const { return place(start_of(peer)); }

 private:
  OrderVertex place(OrderVertex vertex) const {
    const NodeIndex unit = units_[vertex / 2 - first_];
    return (unit == kNone ? vertex : start_of(unit)) - start_of(first_);
  }

  NodeIndex first_;
  std::vector<NodeIndex> units_;  // by node: the peer that it is or is in, or kNone
  std::vector<NodeIndex> peers_;
  std::vector<std::vector<OrderVertex>> after_;
};

// The scopes around the flows that declare links: a link's ends have their places there.
std::set<ScopeIndex> scopes_with_links(const ProcessDefinition& definition) {
  std::set<ScopeIndex> scopes;
  for (const Link& link : definition.links()) scopes.insert(definition.node(link.flow).scope);
  return scopes;
}

}  // namespace

std::vector<std::vector<OrderVertex>> control_order(const ProcessDefinition& definition) {
  std::vector<std::vector<OrderVertex>> after(definition.nodes().size() * 2);
  for (const auto& node : definition.nodes()) {
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
  for (const Link& link : definition.links()) {
    if (link.source != kNone && link.target != kNone) after[end_of(link.source)].push_back(start_of(link.target));
  }
  return after;
}

std::vector<std::pair<NodeIndex, NodeIndex>> mutual_peers(const ProcessDefinition& definition) {
  std::vector<std::pair<NodeIndex, NodeIndex>> mutual;
  if (definition.links().empty()) return mutual;
  const auto after = control_order(definition);
  for (const ScopeIndex outer : scopes_with_links(definition)) {
    const PeerOrder order(definition, after, definition.scope(outer));
    if (order.peers().size() < 2) continue;
    const auto components = order.components();
    std::map<std::uint32_t, NodeIndex> first;
    for (const NodeIndex peer : order.peers()) {
      const auto [other, fresh] = first.emplace(components[order.vertex_of(peer)], peer);
      if (fresh) continue;
      mutual.emplace_back(other->second, peer);
      break;
    }
  }
  return mutual;
}

std::map<NodeIndex, std::set<NodeIndex>> overlapping_dependents(const ProcessDefinition& definition) {
  std::map<NodeIndex, std::set<NodeIndex>> dependents;
  if (definition.links().empty()) return dependents;
  const auto after = control_order(definition);
  std::map<ScopeIndex, std::vector<const Link*>> links;
  for (const Link& link : definition.links()) links[definition.node(link.flow).scope].push_back(&link);
  for (const auto& [outer, inside] : links) {
    const PeerOrder order(definition, after, definition.scope(outer));
    std::set<NodeIndex> left;  // peers that a link leads out of
    for (const Link* link : inside) {
      const NodeIndex from = order.unit_of(link->source);
      if (from != kNone && from != order.unit_of(link->target)) left.insert(from);
    }
    if (left.size() * order.size() > kMostSteps) continue;
    for (const NodeIndex peer : left) {
      auto reached = order.reached_from(peer);
      if (!reached.empty()) dependents.emplace(peer, std::move(reached));
    }
  }
  return dependents;
}

}  // namespace nuraghe::bpel
