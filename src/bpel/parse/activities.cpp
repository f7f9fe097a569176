// Activities that carry no messages, and what all activities share.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bpel/parse/grammar.hpp"
#include "bpel/parse/parser.hpp"

namespace nuraghe::bpel {

namespace {

constexpr double kMaxCounter = 4294967295.0;  // of xsd:unsignedInt

// Gives a member its old value back at the end of a block.
template <class T>
class Restore {
 public:
  explicit Restore(T& value) : value_(value), old_(value) {}
  ~Restore() { value_ = old_; }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

 private:
  T& value_;
  T old_;
};

}  // namespace

const Activity* Parser::read_activity(xml::Node node, NodeIndex parent) {
  if (!room_for_more(node)) return nullptr;
  const Restore<bool> suppress(suppress_join_failure_);
  const std::string_view local = node.local_name();
  const auto simple = [&](auto* activity) {
    read_standard(node, *activity);
    return activity;
  };
  if (local == "receive") return read_receive(node, parent);
  if (local == "reply") return read_reply(node, parent);
  if (local == "invoke") return read_invoke(node, parent);
  if (local == "assign") return read_assign(node, parent);
  if (local == "throw") return read_throw(node, parent);
  if (local == "rethrow") return read_rethrow(node, parent);
  if (local == "wait") return read_wait(node, parent);
  if (local == "empty") return simple(make<Empty>(node, parent));
  if (local == "exit") return simple(make<Exit>(node, parent));
  if (local == "validate") return read_validate(node, parent);
  if (local == "compensate") return read_compensate(node, parent);
  if (local == "compensateScope") return read_compensate_scope(node, parent);
  if (local == "extensionActivity") return read_extension_activity(node, parent);
  if (local == "if") return read_if(node, parent);
  if (local == "while") return read_loop<While>(node, parent);
  if (local == "repeatUntil") return read_loop<RepeatUntil>(node, parent);
  if (local == "forEach") return read_for_each(node, parent);
  if (local == "flow") return read_flow(node, parent);
  if (local == "pick") return read_pick(node, parent);
  if (local == "scope") return read_scope(node, parent, nullptr, false);
  Sequence* const sequence = simple(make<Sequence>(node, parent));
  sequence->activities = read_inner_activities(node, sequence->index);
  return sequence;
}

const Activity* Parser::read_inner_activity(xml::Node node, NodeIndex parent) {
  for (const xml::Node element : node.children()) {
    if (element.namespace_uri() == kBpelNamespace && is_activity_name(element.local_name()))
      return read_activity(element, parent);
  }
  return nullptr;  // check_shape reported it
}

std::vector<const Activity*> Parser::read_inner_activities(xml::Node node, NodeIndex parent) {
  std::vector<const Activity*> activities;
  for (const xml::Node element : node.children()) {
    if (element.namespace_uri() != kBpelNamespace || !is_activity_name(element.local_name())) continue;
    const Activity* const activity = read_activity(element, parent);
    if (activity != nullptr) activities.push_back(activity);
  }
  return activities;
}

void Parser::read_standard(xml::Node node, Activity& activity, bool with_links) {
  suppress_join_failure_ = yes_no(node, "suppressJoinFailure", suppress_join_failure_);
  activity.suppress_join_failure = suppress_join_failure_;
  if (!with_links) return;
  read_targets(node, activity);
  read_sources(node, activity);
}

LinkIndex Parser::find_link(xml::Node node) {
  const std::string name = attribute(node, "linkName");
  for (auto flow = flows_.rbegin(); flow != flows_.rend(); ++flow) {
    const auto found = flow->find(name);
    if (found != flow->end()) return found->second;
  }
  report(node, "SA00065", fmt::format("no <flow> around declares a link '{}'", name));
  return kNone;
}

void Parser::read_targets(xml::Node node, Activity& activity) {
  const xml::Node targets = child(node, "targets");
  if (!targets) return;
  for (const xml::Node target : children(targets, "target")) {
    const LinkIndex index = find_link(target);
    if (index == kNone) continue;
    Link& link = definition_->links_[index];
    if (link.target == activity.index) {
      report(target, "SA00069", fmt::format("the activity is twice the target of the link '{}'", link.name));
      continue;
    }
    if (link.target != kNone) {
      report(target, "SA00066", fmt::format("the link '{}' has two targets", link.name));
      continue;
    }
    link.target = activity.index;
    activity.targets.push_back(index);
  }
  const Restore<const Activity*> linked(linked_);
  linked_ = &activity;
  activity.join_condition = expression(child(targets, "joinCondition"), ExpressionUse::kJoinCondition);
}

void Parser::read_sources(xml::Node node, Activity& activity) {
  const xml::Node sources = child(node, "sources");
  if (!sources) return;
  for (const xml::Node source : children(sources, "source")) {
    const LinkIndex index = find_link(source);
    if (index == kNone) continue;
    Link& link = definition_->links_[index];
    if (link.source == activity.index) {
      report(source, "SA00068", fmt::format("the activity is twice the source of the link '{}'", link.name));
      continue;
    }
    if (link.source != kNone) {
      report(source, "SA00066", fmt::format("the link '{}' has two sources", link.name));
      continue;
    }
    link.source = activity.index;
    activity.sources.push_back({index, expression(child(source, "transitionCondition"))});
  }
}

const Activity* Parser::read_throw(xml::Node node, NodeIndex parent) {
  Throw* const made = make<Throw>(node, parent);
  read_standard(node, *made);
  made->fault_name = qname(node, "faultName");
  if (const auto name = node.attribute("faultVariable"))
    std::tie(made->variable, made->declaration) = variable_named(node, *name);
  if (made->declaration != nullptr && made->declaration->kind == VariableKind::kType)
    report(node, "", fmt::format("the fault variable '{}' must be a message or an element", made->declaration->name));
  return made;
}

const Activity* Parser::read_rethrow(xml::Node node, NodeIndex parent) {
  Rethrow* const made = make<Rethrow>(node, parent);
  read_standard(node, *made);
  if (!in_catch_) report(node, "SA00006", "a <rethrow> may stand only in a <catch> or <catchAll>");
  return made;
}

const Activity* Parser::read_wait(xml::Node node, NodeIndex parent) {
  Wait* const made = make<Wait>(node, parent);
  read_standard(node, *made);
  made->for_duration = expression(child(node, "for"));
  made->until = expression(child(node, "until"));
  return made;
}

const Activity* Parser::read_validate(xml::Node node, NodeIndex parent) {
  Validate* const made = make<Validate>(node, parent);
  read_standard(node, *made);
  const std::string names = attribute(node, "variables");
  std::size_t at = names.find_first_not_of(" \t\r\n");
  while (at != std::string::npos) {
    const std::size_t end = std::min(names.find_first_of(" \t\r\n", at), names.size());
    const auto [ref, variable] = variable_named(node, names.substr(at, end - at));
    if (variable != nullptr) {
      made->variables.push_back(ref);
      made->declarations.push_back(variable);
    }
    at = names.find_first_not_of(" \t\r\n", end);
  }
  return made;
}

const Activity* Parser::read_compensate(xml::Node node, NodeIndex parent) {
  Compensate* const made = make<Compensate>(node, parent);
  read_standard(node, *made);
  if (handler_scope_ == nullptr) {
    report(node, "SA00008", "a <compensate> may stand only in a fault, compensation or termination handler");
  } else {
    made->scope_to_compensate = handler_scope_->index;
  }
  return made;
}

const Activity* Parser::read_compensate_scope(xml::Node node, NodeIndex parent) {
  CompensateScope* const made = make<CompensateScope>(node, parent);
  read_standard(node, *made);
  if (handler_scope_ == nullptr) {
    report(node, "SA00007", "a <compensateScope> may stand only in a fault, compensation or termination handler");
  } else {
    pending_targets_.push_back({made, handler_scope_, attribute(node, "target")});
  }
  return made;
}

const Activity* Parser::read_extension_activity(xml::Node node, NodeIndex parent) {
  Extension* const made = make<Extension>(node, parent);
  const auto elements = node.children();
  if (elements.size() != 1 || elements.front().namespace_uri() == kBpelNamespace) {
    report(node, "", "an <extensionActivity> holds one element of another namespace");
    return made;
  }
  made->element = elements.front().name();
  read_standard(elements.front(), *made);
  return made;
}

const Activity* Parser::read_if(xml::Node node, NodeIndex parent) {
  If* const made = make<If>(node, parent);
  read_standard(node, *made);
  made->branches.push_back({required_expression(child(node, "condition")), read_inner_activity(node, made->index)});
  for (const xml::Node branch : children(node, "elseif")) {
    made->branches.push_back(
        {required_expression(child(branch, "condition")), read_inner_activity(branch, made->index)});
  }
  if (const xml::Node branch = child(node, "else"))
    made->branches.push_back({std::nullopt, read_inner_activity(branch, made->index)});
  return made;
}

template <class Loop>
const Activity* Parser::read_loop(xml::Node node, NodeIndex parent) {
  Loop* const made = make<Loop>(node, parent);
  read_standard(node, *made);
  made->condition = required_expression(child(node, "condition"));
  made->body = read_inner_activity(node, made->index);
  return made;
}

const Activity* Parser::read_for_each(xml::Node node, NodeIndex parent) {
  ForEach* const made = make<ForEach>(node, parent);
  read_standard(node, *made);
  made->parallel = yes_no(node, "parallel", false);
  made->start = required_expression(child(node, "startCounterValue"));
  made->final = required_expression(child(node, "finalCounterValue"));
  for (const Expression* bound : {&made->start, &made->final}) check_counter(node, *bound, "SA00074");
  read_completion(node, *made);
  Variable counter;
  counter.name = attribute(node, "counterName");
  counter.type = {std::string(wsdl::kSchemaNamespace), "unsignedInt"};
  counter.type_class = wsdl::TypeClass::kNumber;
  counter.implicit = true;
  counter.where = node.position();
  if (counter.name.find('.') != std::string::npos)
    report(node, "SA00024", fmt::format("the counter's name '{}' may not contain a dot", counter.name));
  const xml::Node scope = child(node, "scope");
  if (scope && room_for_more(scope)) {
    made->body = read_scope(scope, made->index, &counter, made->parallel);
    made->counter = {made->body->self, 0};
  }
  return made;
}

void Parser::read_completion(xml::Node node, ForEach& for_each) {
  const xml::Node completion = child(node, "completionCondition");
  const xml::Node branches = completion ? child(completion, "branches") : xml::Node();
  if (!branches) return;
  for_each.completion_branches = expression(branches);
  for_each.successful_branches_only = yes_no(branches, "successfulBranchesOnly", false);
  if (!for_each.completion_branches) return;
  if (!check_counter(branches, *for_each.completion_branches, "SA00075")) return;
  const auto constant = constant_of(*for_each.completion_branches);
  const auto start = for_each.start.xpath == nullptr ? std::nullopt : constant_of(for_each.start);
  const auto last = for_each.final.xpath == nullptr ? std::nullopt : constant_of(for_each.final);
  if (!constant || !start || !last) return;
  const double count = std::max(0.0, xml::to_number(*last) - xml::to_number(*start) + 1);
  if (xml::to_number(*constant) > count) {
    warn(
        branches, "SA00075",
        fmt::format("{} branches are wanted, but only {} run: it will be an invalidBranchCondition", *constant, count));
  }
}

// Constants that are no xsd:unsignedInt: a text that is no number can never be one and is refused; a number that is
// negative, fractional or too large is the process's own matter, an invalidExpressionValue when it is reached (§11.7).
bool Parser::check_counter(xml::Node node, const Expression& bound, const char* rule) {
  const auto constant = bound.xpath == nullptr ? std::nullopt : constant_of(bound);
  if (!constant) return true;
  const double value = xml::to_number(*constant);
  if (std::isnan(value)) {
    report(node, rule, fmt::format("'{}' is no number: it must be an xsd:unsignedInt", *constant));
    return false;
  }
  if (value >= 0 && value <= kMaxCounter && value == std::floor(value)) return true;
  warn(node, rule, fmt::format("{} is no xsd:unsignedInt: it will be an invalidExpressionValue", *constant));
  return false;
}

const Activity* Parser::read_flow(xml::Node node, NodeIndex parent) {
  Flow* const made = make<Flow>(node, parent);
  read_standard(node, *made);
  flows_.emplace_back();
  if (const xml::Node links = child(node, "links")) {
    for (const xml::Node element : children(links, "link")) {
      const auto index = static_cast<LinkIndex>(definition_->links_.size());
      Link link;
      link.name = attribute(element, "name");
      link.flow = made->index;
      link.where = element.position();
      if (!flows_.back().emplace(link.name, index).second) {
        report(element, "SA00064", fmt::format("the flow has two links named '{}'", link.name));
        continue;
      }
      made->links.push_back(index);
      definition_->links_.push_back(std::move(link));
    }
  }
  made->activities = read_inner_activities(node, made->index);
  flows_.pop_back();
  return made;
}

}  // namespace nuraghe::bpel
