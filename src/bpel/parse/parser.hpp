// Parser: from the text of a process to its definition, names resolved and expressions compiled on the way.
//
// One pass in document order. `frames_` holds what is visible: the scopes around, and the fault variables of the
// catches around. A finding never stops the pass, so that all are reported at once; the definition is given out only
// when there is none.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpel/definition.hpp"
#include "bpel/expression/compile.hpp"

namespace nuraghe::bpel {

class Parser : private NameScope {
 public:
  using ParsedFiles = std::map<std::string, xml::DocumentPtr>;
  // `parsed`: XML of the package's files, shared by the parsers of its processes.
  Parser(std::shared_ptr<const Package> package, ParsedFiles& parsed, const std::string& path)
      : shared_package_(std::move(package)), package_(*shared_package_), parsed_(parsed), path_(path) {}
  ParsedProcess run();

 private:
  struct Frame {
    Scope* scope = nullptr;  // a scope's declarations, or
    VariableRef hidden;      // a catch's fault variable
  };
  // How an expression may be missing or must be there.
  using OptionalExpression = std::optional<Expression>;

  // ---- parser.cpp: findings, attributes, the process ----
  void report(xml::Node where, std::string rule, std::string sentence);
  void warn(xml::Node where, std::string rule, std::string sentence);
  std::string attribute(xml::Node node, std::string_view name) const { return node.attribute_or(name, ""); }
  xml::QName qname(xml::Node node, std::string_view attribute_name);
  bool yes_no(xml::Node node, std::string_view name, bool fallback);
  std::vector<xml::Node> children(xml::Node node, std::string_view local) const;
  xml::Node child(xml::Node node, std::string_view local) const { return node.child(kBpelNamespace, local); }
  void check_language(xml::Node node, std::string_view attribute_name);
  void read_extensions(xml::Node process);
  void read_imports(xml::Node process);
  std::vector<std::string> imported_files(xml::Node import);
  void check_imported_namespace(xml::Node import, const std::string& file);
  void take_wsdl_findings(std::vector<xml::Finding> findings);
  void read_process(xml::Node process);
  bool room_for_more(xml::Node node);
  template <class T>
  T* make(xml::Node node, NodeIndex parent);

  // ---- names ----
  std::pair<VariableRef, const Variable*> find_variable(std::string_view name) const override;
  LinkIndex find_incoming_link(std::string_view name) const override;
  std::pair<VariableRef, const Variable*> variable_named(xml::Node node, std::string_view name);
  PartnerLinkRef find_partner_link(std::string_view name) const;
  CorrelationSetRef find_correlation_set(std::string_view name) const;
  MessageExchangeRef find_message_exchange(std::string_view name) const;
  // The expression in `element`; a null element, or one that does not compile, gives none.
  OptionalExpression expression(xml::Node element, ExpressionUse use = ExpressionUse::kValue);
  Expression required_expression(xml::Node element);

  // ---- declarations.cpp ----
  void read_declarations(xml::Node node, Scope& scope);
  void read_variable(xml::Node node, Scope& scope);
  void resolve_variable_type(xml::Node node, Variable& variable);
  std::optional<wsdl::TypeClass> known_type(xml::Node node, const xml::QName& type);
  void check_element(xml::Node node, const xml::QName& element);
  void read_partner_link(xml::Node node, Scope& scope);
  const wsdl::PortType* role_port_type(xml::Node node, const wsdl::PartnerLinkType& type, const std::string& role);
  void read_correlation_set(xml::Node node, Scope& scope);
  void read_message_exchange(xml::Node node, Scope& scope);
  VariableRef add_variable(Scope& scope, Variable variable);
  void check_idempotent(xml::Node variable, const Variable& declared);
  void refuse_second_variable(xml::Node node, const Scope& scope, const Variable& variable);

  // ---- messaging.cpp ----
  Endpoint read_endpoint(xml::Node node, bool my_role);
  MessageBinding read_incoming(xml::Node node, const wsdl::Message* message, std::string_view attribute_name,
                               const char* exclusive_rule, const char* type_rule);
  MessageBinding read_outgoing(xml::Node node, const wsdl::Message* message, std::string_view attribute_name,
                               const char* exclusive_rule, const char* type_rule);
  MessageBinding bind_variable(xml::Node node, const wsdl::Message* message, const std::string& name, const char* rule);
  std::vector<PartBinding> bind_parts(xml::Node node, const wsdl::Message* message, std::string_view item,
                                      std::string_view variable_attribute, const char* rule);
  std::vector<Correlation> read_correlations(xml::Node node, const Endpoint& endpoint, bool of_invoke, bool of_reply);
  void check_aliases(xml::Node node, const Correlation& correlation, const wsdl::Message* message);
  MessageExchangeRef read_exchange(xml::Node node);
  MessageEvent read_message_event(xml::Node node, const char* exclusive_rule, const char* type_rule);
  const Activity* read_receive(xml::Node node, NodeIndex parent);
  const Activity* read_reply(xml::Node node, NodeIndex parent);
  const Activity* read_invoke(xml::Node node, NodeIndex parent);
  const Activity* read_plain_invoke(xml::Node node, NodeIndex parent, bool with_links);
  const Activity* read_pick(xml::Node node, NodeIndex parent);
  const OnAlarm* read_on_alarm(xml::Node node, NodeIndex parent);

  // ---- assigning.cpp ----
  const Activity* read_assign(xml::Node node, NodeIndex parent);
  Copy read_copy(xml::Node node);
  FromSpec read_from(xml::Node node);
  ToSpec read_to(xml::Node node);
  void refer_to_variable(FromSpec& from);
  void read_variable_from(xml::Node node, FromSpec& from);
  void read_partner_link_from(xml::Node node, FromSpec& from);
  void read_property_from(xml::Node node, FromSpec& from);
  void read_literal(xml::Node node, FromSpec& from);
  void read_variable_to(xml::Node node, ToSpec& to);
  void read_expression_to(xml::Node node, ToSpec& to);
  void check_part(xml::Node node, const Variable& variable, const std::string& part);
  const wsdl::PropertyAlias* find_alias(xml::Node node, const Variable& variable, const xml::QName& property);
  void check_kept_name(xml::Node node, const Copy& copy, bool of_message);
  void check_types(xml::Node node, const Copy& copy);
  bool is_simple(const Variable* declaration, const std::string& part) const;

  // ---- activities.cpp ----
  const Activity* read_activity(xml::Node node, NodeIndex parent);
  const Activity* read_inner_activity(xml::Node node, NodeIndex parent);  // the only activity inside a container
  std::vector<const Activity*> read_inner_activities(xml::Node node, NodeIndex parent);
  void read_standard(xml::Node node, Activity& activity, bool with_links = true);
  void read_targets(xml::Node node, Activity& activity);
  void read_sources(xml::Node node, Activity& activity);
  LinkIndex find_link(xml::Node node);
  const Activity* read_throw(xml::Node node, NodeIndex parent);
  const Activity* read_rethrow(xml::Node node, NodeIndex parent);
  const Activity* read_wait(xml::Node node, NodeIndex parent);
  const Activity* read_validate(xml::Node node, NodeIndex parent);
  const Activity* read_compensate(xml::Node node, NodeIndex parent);
  const Activity* read_compensate_scope(xml::Node node, NodeIndex parent);
  const Activity* read_extension_activity(xml::Node node, NodeIndex parent);
  const Activity* read_if(xml::Node node, NodeIndex parent);
  const Activity* read_for_each(xml::Node node, NodeIndex parent);
  void read_completion(xml::Node node, ForEach& for_each);
  bool check_counter(xml::Node node, const Expression& bound, const char* rule);  // false: it said something
  const Activity* read_flow(xml::Node node, NodeIndex parent);
  template <class Loop>
  const Activity* read_loop(xml::Node node, NodeIndex parent);

  // ---- scopes.cpp ----
  const Scope* read_scope(xml::Node node, NodeIndex parent, Variable* implicit, bool own_default_exchange);
  void begin_scope(xml::Node node, Scope& scope);
  void read_handlers_and_body(xml::Node node, Scope& scope);
  void read_fault_handlers(xml::Node node, Scope& scope);
  void read_catch(xml::Node node, Scope& scope, bool all);
  VariableRef read_catch_variable(xml::Node node, Scope& scope, Catch& handler);
  const Handler* read_handler(xml::Node node, Scope& scope, NodeKind kind);
  void read_event_handlers(xml::Node node, Scope& scope);
  void read_on_event(xml::Node node, Scope& scope);
  void declare_event_variables(xml::Node node, Scope& associated);
  void declare_event_parts(xml::Node from_parts, Scope& associated, const wsdl::Message* message);
  void resolve_compensate_scopes();

  std::shared_ptr<const Package> shared_package_;
  const Package& package_;
  ParsedFiles& parsed_;
  std::string path_;
  std::vector<Diagnostic> diagnostics_;
  std::shared_ptr<ProcessDefinition> definition_;
  std::vector<Frame> frames_;
  std::vector<std::map<std::string, LinkIndex, std::less<>>> flows_;  // links declared around, innermost last
  const Activity* linked_ = nullptr;                                  // whose join condition is being read
  bool suppress_join_failure_ = false;
  ScopeIndex default_exchange_scope_ = 0;
  Scope* handler_scope_ = nullptr;  // whose fault, compensation or termination handler is around
  bool in_catch_ = false;           // some catch is around
  std::vector<std::string> must_understand_;
  struct PendingTarget {
    CompensateScope* activity;
    const Scope* scope;
    std::string name;
  };
  std::vector<PendingTarget> pending_targets_;
  bool too_many_nodes_ = false;
};

template <class T>
T* Parser::make(xml::Node node, NodeIndex parent) {
  auto made = std::make_unique<T>();
  T* const raw = made.get();
  raw->index = static_cast<NodeIndex>(definition_->nodes_.size());
  raw->parent = parent;
  raw->name = attribute(node, "name");
  raw->where = node.position();
  for (auto frame = frames_.rbegin(); frame != frames_.rend() && raw->scope == kNone; ++frame) {
    if (frame->scope != nullptr) raw->scope = frame->scope->self;
  }
  definition_->nodes_.push_back(std::move(made));
  return raw;
}

}  // namespace nuraghe::bpel
