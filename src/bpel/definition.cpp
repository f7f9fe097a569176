#include "bpel/definition.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nuraghe::bpel {

std::string_view node_kind_name(NodeKind kind) {
  switch (kind) {
    case NodeKind::kReceive:
      return "receive";
    case NodeKind::kReply:
      return "reply";
    case NodeKind::kInvoke:
      return "invoke";
    case NodeKind::kAssign:
      return "assign";
    case NodeKind::kThrow:
      return "throw";
    case NodeKind::kRethrow:
      return "rethrow";
    case NodeKind::kWait:
      return "wait";
    case NodeKind::kEmpty:
      return "empty";
    case NodeKind::kExit:
      return "exit";
    case NodeKind::kValidate:
      return "validate";
    case NodeKind::kCompensate:
      return "compensate";
    case NodeKind::kCompensateScope:
      return "compensateScope";
    case NodeKind::kExtension:
      return "extensionActivity";
    case NodeKind::kSequence:
      return "sequence";
    case NodeKind::kIf:
      return "if";
    case NodeKind::kWhile:
      return "while";
    case NodeKind::kRepeatUntil:
      return "repeatUntil";
    case NodeKind::kForEach:
      return "forEach";
    case NodeKind::kFlow:
      return "flow";
    case NodeKind::kPick:
      return "pick";
    case NodeKind::kScope:
      return "scope";
    case NodeKind::kCatch:
      return "catch";
    case NodeKind::kCompensationHandler:
      return "compensationHandler";
    case NodeKind::kTerminationHandler:
      return "terminationHandler";
    case NodeKind::kOnMessage:
      return "onMessage";
    case NodeKind::kOnAlarm:
      return "onAlarm";
    case NodeKind::kOnEvent:
      return "onEvent";
  }
  return "unknown";
}

std::string Diagnostic::to_string() const {
  std::string text = fmt::format("{}:{}:{}: ", file, where.line, where.column);
  if (!rule.empty()) text += rule + ": ";
  return text + sentence;
}

std::string ProcessDefinition::path_of(NodeIndex index) const {
  std::string path;
  for (NodeIndex at = index; at != kNone; at = nodes_[at]->parent) {
    const Node& step = *nodes_[at];
    if (step.parent == kNone) {
      path.insert(0, "/process");
      continue;
    }
    int number = 1;
    int same = 0;
    for (NodeIndex other = step.parent + 1; other < nodes_.size(); ++other) {
      // A node's descendants follow it without a gap, so its siblings end where a node stands outside its parent.
      if (nodes_[other]->parent < step.parent || nodes_[other]->parent == kNone) break;
      if (nodes_[other]->parent != step.parent || nodes_[other]->kind != step.kind) continue;
      ++same;
      if (other < at) ++number;
    }
    path.insert(0, same > 1 ? fmt::format("/{}[{}]", node_kind_name(step.kind), number)
                            : fmt::format("/{}", node_kind_name(step.kind)));
  }
  return path;
}

NodeIndex ProcessDefinition::fct_handler_of(NodeIndex node, NodeIndex ancestor) const {
  NodeIndex found = kNone;
  for (NodeIndex at = node; at != kNone && at != ancestor; at = nodes_[at]->parent) {
    const NodeKind kind = nodes_[at]->kind;
    if (kind == NodeKind::kCatch || kind == NodeKind::kCompensationHandler || kind == NodeKind::kTerminationHandler)
      found = at;
  }
  return found;
}

}  // namespace nuraghe::bpel
