// SA00060 (§10.4.1): requests of one partner link and operation that may wait for their replies at the same time need
// a messageExchange each. Seen here: two branches of a flow, not ordered by links, that both receive and reply. What
// else there is depends on the messages and is the standard fault conflictingRequest.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "bpel/analysis/analysis.hpp"
#include "bpel/analysis/control_order.hpp"

namespace nuraghe::bpel {

namespace {

constexpr std::size_t kMostBranches = 50;  // that are compared for one operation

using ExchangeKey = std::tuple<PartnerLinkRef, std::string, MessageExchangeRef>;
struct Exchange {
  const Node* request = nullptr;  // receive or onMessage
  const Node* reply = nullptr;
};
using Exchanges = std::map<ExchangeKey, Exchange>;

class ExchangeCheck {
 public:
  ExchangeCheck(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics)
      : definition_(definition), diagnostics_(diagnostics) {}

  void run() {
    for (const auto& node : definition_.nodes()) {
      if (node->kind == NodeKind::kFlow) check_flow(as<Flow>(*node));
    }
  }

 private:
  void check_flow(const Flow& flow) {
    std::map<ExchangeKey, std::vector<Exchange>> all;
    for (const Activity* branch : flow.activities) {
      for (const auto& [key, exchange] : exchanges_of(*branch)) {
        auto& same = all[key];
        if (exchange.request != nullptr && exchange.reply != nullptr && same.size() < kMostBranches)
          same.push_back(exchange);
      }
    }
    for (const auto& [key, same] : all) {
      for (std::size_t i = 1; i < same.size(); ++i) {
        const auto is_ordered = [this, &one = same[i]](const Exchange& other) {
          return precedes(other, one) || precedes(one, other);
        };
        if (std::all_of(same.begin(), same.begin() + static_cast<std::ptrdiff_t>(i), is_ordered)) continue;
        diagnostics_.push_back({"SA00060", definition_.file(), same[i].request->where,
                                fmt::format("another branch of the <flow> may wait for its reply to '{}' at the same "
                                            "time: each needs a messageExchange of its own",
                                            std::get<1>(key)),
                                false});
        break;
      }
    }
  }

  Exchanges exchanges_of(const Activity& branch) const {
    Exchanges found;
    for (NodeIndex index = branch.index; index < definition_.nodes().size(); ++index) {
      const Node& node = definition_.node(index);
      if (index != branch.index && node.parent < branch.index) break;  // behind the branch
      if (node.kind == NodeKind::kReceive) take(found, node, as<Receive>(node).event);
      if (node.kind == NodeKind::kOnMessage) take(found, node, as<OnMessage>(node).event);
      if (node.kind != NodeKind::kReply) continue;
      const auto& reply = as<Reply>(node);
      if (reply.endpoint.operation != nullptr)
        found[{reply.endpoint.partner_link, reply.endpoint.operation->name, reply.exchange}].reply = &node;
    }
    return found;
  }

  static void take(Exchanges& found, const Node& node, const MessageEvent& event) {
    if (event.endpoint.operation == nullptr || !event.endpoint.operation->request_response()) return;
    auto& exchange = found[{event.endpoint.partner_link, event.endpoint.operation->name, event.exchange}];
    if (exchange.request == nullptr) exchange.request = &node;
  }

  // Whether the earlier one's reply is sent before the later one's request is waited for.
  bool precedes(const Exchange& earlier, const Exchange& later) {
    if (definition_.links().empty()) return false;
    if (!order_) order_ = control_order(definition_);
    std::vector<char> seen(order_->size(), 0);
    std::vector<OrderVertex> open{end_of(earlier.reply->index)};
    while (!open.empty()) {
      const OrderVertex at = open.back();
      open.pop_back();
      for (const OrderVertex to : (*order_)[at]) {
        if (to == start_of(later.request->index)) return true;
        if (seen[to] != 0) continue;
        seen[to] = 1;
        open.push_back(to);
      }
    }
    return false;
  }

  const ProcessDefinition& definition_;
  std::vector<Diagnostic>& diagnostics_;
  std::optional<std::vector<std::vector<OrderVertex>>> order_;
};

}  // namespace

void check_message_exchanges(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics) {
  ExchangeCheck(definition, diagnostics).run();
}

}  // namespace nuraghe::bpel
