// Rules on scopes and their handlers: SA00003, SA00079, SA00091, SA00092, SA00093.
#include <fmt/format.h>

#include <map>
#include <set>
#include <tuple>

#include "bpel/analysis/analysis.hpp"

namespace nuraghe::bpel {

namespace {

void report(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics, const char* rule,
            const Node& node, std::string sentence) {
  diagnostics.push_back({rule, definition.file(), node.where, std::move(sentence), false});
}

void check_catches(const ProcessDefinition& definition, const Scope& scope, std::vector<Diagnostic>& diagnostics) {
  std::set<std::tuple<xml::QName, xml::QName, xml::QName, bool>> seen;
  for (const Catch* handler : scope.catches) {
    const xml::QName name = handler->fault_name.value_or(xml::QName());
    if (!seen.emplace(name, handler->fault_message_type, handler->fault_element, handler->all).second)
      report(definition, diagnostics, "SA00093", *handler, "the scope has another fault handler for just this");
    // The rule speaks of all standard faults, also of joinFailure, which does not end the process.
    if (scope.exit_on_standard_fault && is_standard_fault(name)) {
      report(definition, diagnostics, "SA00003", *handler,
             fmt::format("with exitOnStandardFault=\"yes\" no <catch> may name the standard fault {}", name.local));
    }
  }
}

void check_handler_root(const ProcessDefinition& definition, const Activity* root,
                        std::vector<Diagnostic>& diagnostics) {
  if (root == nullptr || root->kind != NodeKind::kScope) return;
  if (as<Scope>(*root).compensation_handler == nullptr) return;
  report(definition, diagnostics, "SA00079", *root,
         "the root scope of a fault, compensation or termination handler may not have a compensation handler");
}

void check_isolation(const ProcessDefinition& definition, const Scope& scope, std::vector<Diagnostic>& diagnostics) {
  if (!scope.isolated) return;
  for (NodeIndex at = scope.parent; at != kNone; at = definition.node(at).parent) {
    const Node& outer = definition.node(at);
    if (outer.kind != NodeKind::kScope || !as<Scope>(outer).isolated) continue;
    report(definition, diagnostics, "SA00091", scope, "an isolated scope may not stand inside another one");
    return;
  }
}

// What a handler inside an isolated scope compensates may not be isolated itself: its handler would be an isolated
// scope inside another one (§12.8).
void check_isolated_compensation(const ProcessDefinition& definition, const Node& node,
                                 std::vector<Diagnostic>& diagnostics) {
  bool inside = false;
  for (NodeIndex at = node.parent; at != kNone && !inside; at = definition.node(at).parent) {
    const Node& outer = definition.node(at);
    inside = outer.kind == NodeKind::kScope && as<Scope>(outer).isolated;
  }
  if (!inside) return;
  const bool one = node.kind == NodeKind::kCompensateScope;
  const NodeIndex target = one ? as<CompensateScope>(node).target : as<Compensate>(node).scope_to_compensate;
  for (const Scope* scope : definition.scopes()) {
    if (!scope->isolated || target == kNone) continue;
    const bool meant = one ? scope->index == target
                           : scope->scope == as<Scope>(definition.node(target)).self && scope->index != target &&
                                 definition.fct_handler_of(scope->index, target) == kNone;
    if (!meant) continue;
    report(definition, diagnostics, "SA00091", node,
           "an isolated scope may not compensate another one: that would be an isolated scope inside it");
    return;
  }
}

}  // namespace

void check_scopes(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics) {
  // Immediately enclosed scopes are told apart by name; those inside a handler belong to that handler's work.
  std::map<std::tuple<ScopeIndex, NodeIndex, std::string>, const Scope*> named;
  for (const auto& node : definition.nodes()) {
    if (node->kind == NodeKind::kCompensate || node->kind == NodeKind::kCompensateScope)
      check_isolated_compensation(definition, *node, diagnostics);
  }
  for (const Scope* scope : definition.scopes()) {
    check_catches(definition, *scope, diagnostics);
    check_isolation(definition, *scope, diagnostics);
    for (const Catch* handler : scope->catches) check_handler_root(definition, handler->activity, diagnostics);
    for (const Handler* handler : {scope->compensation_handler, scope->termination_handler}) {
      if (handler != nullptr) check_handler_root(definition, handler->activity, diagnostics);
    }
    if (scope->name.empty() || scope->scope == kNone) continue;
    const Scope& outer = definition.scope(scope->scope);
    const NodeIndex handler = definition.fct_handler_of(scope->index, outer.index);
    if (!named.emplace(std::tuple(outer.self, handler, scope->name), scope).second)
      report(definition, diagnostics, "SA00092", *scope,
             fmt::format("another scope beside this one is named '{}' too", scope->name));
  }
}

}  // namespace nuraghe::bpel
