// ProcessDefinition: an executable WS-BPEL 2.0 process as an immutable tree, parsed once, its names resolved and its
// expressions compiled. Shared by all instances and threads as shared_ptr<const ProcessDefinition>.
//
// Every node (activity, handler, branch) has an index, its number in document order; a process version never
// changes, so stored rows and history name nodes by index. An invoke with inline handlers stands as a scope of the
// same name around the invoke (§10.3); both have an index.
//
// What is declared in a scope is referred to by SlotRef (scope index, slot). At run time a reference is looked up in
// the nearest enclosing instance of that scope. Implicit variables have slots too: of forEach the counter in the child
// scope, of onEvent the message variable in the associated scope, of a catch the fault variable in the scope that the
// handler belongs to (`hidden`: seen only inside the handler).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpel/expression/expression.hpp"
#include "bpel/expression/value.hpp"
#include "soap/wsdl.hpp"
#include "xml/schema.hpp"

namespace nuraghe::bpel {

inline constexpr std::string_view kXPathLanguage = "urn:oasis:names:tc:wsbpel:2.0:sublang:xpath1.0";
inline constexpr std::size_t kMaxNodes = 100'000;
inline constexpr std::size_t kMaxFiles = 256;

enum class NodeKind {
  // Activities.
  kReceive,
  kReply,
  kInvoke,
  kAssign,
  kThrow,
  kRethrow,
  kWait,
  kEmpty,
  kExit,
  kValidate,
  kCompensate,
  kCompensateScope,
  kExtension,
  kSequence,
  kIf,
  kWhile,
  kRepeatUntil,
  kForEach,
  kFlow,
  kPick,
  kScope,
  // Handlers and branches.
  kCatch,
  kCompensationHandler,
  kTerminationHandler,
  kOnMessage,
  kOnAlarm,
  kOnEvent,
};
// "receive", "catch" (catchAll too), "onAlarm", ...: the element's name.
std::string_view node_kind_name(NodeKind kind);
inline bool is_activity(NodeKind kind) { return kind <= NodeKind::kScope; }

struct Node {
  NodeKind kind;
  NodeIndex index = 0;
  NodeIndex parent = kNone;  // the enclosing node; kNone for the process scope
  ScopeIndex scope = kNone;  // the innermost scope around it; for a scope: the scope around it, kNone for the process
  std::string name;          // the name attribute; may be empty
  xml::Position where;       // in ProcessDefinition::file()
  explicit Node(NodeKind node_kind) : kind(node_kind) {}
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
};

struct SourceLink {
  LinkIndex link = kNone;
  std::optional<Expression> transition_condition;  // absent: true
};

struct Activity : Node {
  std::vector<LinkIndex> targets;            // incoming links
  std::optional<Expression> join_condition;  // absent: at least one incoming link is true
  std::vector<SourceLink> sources;           // outgoing links
  bool suppress_join_failure = false;        // resolved through the ancestors
  using Node::Node;
};

struct Link {
  std::string name;
  NodeIndex flow = kNone;
  NodeIndex source = kNone;  // activities
  NodeIndex target = kNone;
  xml::Position where;
};

// ---- what a scope declares ----

enum class VariableKind { kMessage, kElement, kType };

// ---- from and to (§8.4) ----

enum class FromKind { kVariable, kPartnerLink, kProperty, kExpression, kLiteral, kEmpty };
struct FromSpec {
  FromKind kind = FromKind::kEmpty;
  VariableRef variable;  // kVariable, kProperty
  const Variable* declaration = nullptr;
  std::string part;                 // kVariable; empty: none
  bool simple = false;              // kVariable: the whole variable or part is of a simple schema type: a text
  std::optional<Expression> query;  // kVariable
  PartnerLinkRef partner_link;      // kPartnerLink
  bool my_role = false;             // kPartnerLink: endpointReference="myRole"
  xml::QName property;              // kProperty
  const wsdl::PropertyAlias* alias = nullptr;
  std::optional<Expression> expression;  // kExpression
  xml::DocumentPtr literal;              // kLiteral: its root is an element that holds what <literal> holds
  xml::Position where;
};
enum class ToKind { kVariable, kPartnerLink, kProperty, kExpression, kEmpty };
struct ToSpec {
  ToKind kind = ToKind::kEmpty;
  VariableRef variable;  // kVariable, kProperty; kExpression: the variable that the expression begins with
  const Variable* declaration = nullptr;
  std::string part;
  std::optional<Expression> query;
  PartnerLinkRef partner_link;  // always the partner's role
  xml::QName property;
  const wsdl::PropertyAlias* alias = nullptr;
  std::optional<Expression> expression;  // kExpression: an L-value
  bool simple = false;                   // the whole variable or part is of a simple schema type
  bool whole = false;  // no query; kExpression that is just $name or $name.part: the whole variable or part
  xml::Position where;
};

struct Variable {
  std::string name;
  VariableKind kind = VariableKind::kType;
  xml::QName type;                                         // of message, element or schema type
  const wsdl::Message* message = nullptr;                  // kMessage
  wsdl::TypeClass type_class = wsdl::TypeClass::kComplex;  // kType, kElement: of the element's type
  std::optional<FromSpec> initial;                         // inline initialisation
  bool implicit = false;                                   // declared by an onEvent or a forEach
  bool hidden = false;                                     // a catch's fault variable
  xml::Position where;
};

struct PartnerLink {
  std::string name;
  xml::QName type;
  std::string my_role, partner_role;  // empty: none
  const wsdl::PortType* my_port_type = nullptr;
  const wsdl::PortType* partner_port_type = nullptr;
  std::optional<bool> initialize_partner_role;
  xml::Position where;
};

struct CorrelationSet {
  std::string name;
  std::vector<xml::QName> properties;
  xml::Position where;
};

enum class Initiate { kNo, kYes, kJoin };
enum class CorrelationPattern { kUnspecified, kRequest, kResponse, kRequestResponse };
struct Correlation {
  CorrelationSetRef set;
  const CorrelationSet* declaration = nullptr;
  Initiate initiate = Initiate::kNo;
  CorrelationPattern pattern = CorrelationPattern::kUnspecified;  // of invoke on two-way operations; else kUnspecified
  bool on_request() const { return pattern != CorrelationPattern::kResponse; }
  bool on_response() const {
    return pattern == CorrelationPattern::kResponse || pattern == CorrelationPattern::kRequestResponse;
  }
};

// ---- messaging ----

// A part of a message and the variable that it comes from or goes to. An element variable used for a whole message of
// one element part stands here too, so that the runtime knows two forms only: a message variable, or parts.
struct PartBinding {
  std::string part;
  VariableRef variable;
  const Variable* declaration = nullptr;
};
// Where a message comes from or goes to: nothing (kNone variable and no parts), a whole message variable, or parts.
struct MessageBinding {
  VariableRef variable;
  const Variable* declaration = nullptr;
  std::vector<PartBinding> parts;
  bool empty() const { return !variable && parts.empty(); }
};
struct Endpoint {
  PartnerLinkRef partner_link;
  const PartnerLink* link = nullptr;
  const wsdl::PortType* port_type = nullptr;
  const wsdl::Operation* operation = nullptr;
  const wsdl::Message* input = nullptr;  // of the operation; null when it has none
  const wsdl::Message* output = nullptr;
};

// What receive, onMessage and onEvent share.
struct MessageEvent {
  Endpoint endpoint;
  MessageBinding into;
  std::vector<Correlation> correlations;
  // Two-way operations only: which exchange a reply belongs to. Slot 0 of the process, of an onEvent's scope and of a
  // parallel forEach's scope is the default (unnamed) exchange.
  MessageExchangeRef exchange;
};

struct Receive : Activity {
  MessageEvent event;
  bool create_instance = false;
  Receive() : Activity(NodeKind::kReceive) {}
};
struct Reply : Activity {
  Endpoint endpoint;
  MessageBinding from;
  std::vector<Correlation> correlations;
  MessageExchangeRef exchange;
  std::optional<xml::QName> fault_name;                  // absent: a normal answer
  const wsdl::OperationFault* declared_fault = nullptr;  // the operation's fault of that name, else null
  const wsdl::Message* fault_message = nullptr;
  Reply() : Activity(NodeKind::kReply) {}
};
struct Invoke : Activity {
  Endpoint endpoint;
  MessageBinding input;   // of the request
  MessageBinding output;  // of the answer; meaningful only for request-response
  std::vector<Correlation> correlations;
  Invoke() : Activity(NodeKind::kInvoke) {}
};

// ---- assign ----

struct Copy {
  FromSpec from;
  ToSpec to;
  bool keep_source_element_name = false;
  bool ignore_missing_from_data = false;
  xml::Position where;
};
struct Assign : Activity {
  std::vector<Copy> copies;
  bool validate = false;
  Assign() : Activity(NodeKind::kAssign) {}
};

// ---- basic ----

struct Throw : Activity {
  xml::QName fault_name;
  VariableRef variable;  // unset: no data
  const Variable* declaration = nullptr;
  Throw() : Activity(NodeKind::kThrow) {}
};
struct Rethrow : Activity {
  Rethrow() : Activity(NodeKind::kRethrow) {}
};
struct Wait : Activity {
  std::optional<Expression> for_duration, until;  // exactly one
  Wait() : Activity(NodeKind::kWait) {}
};
struct Empty : Activity {
  Empty() : Activity(NodeKind::kEmpty) {}
};
struct Exit : Activity {
  Exit() : Activity(NodeKind::kExit) {}
};
struct Validate : Activity {
  std::vector<VariableRef> variables;
  std::vector<const Variable*> declarations;
  Validate() : Activity(NodeKind::kValidate) {}
};
struct Compensate : Activity {
  NodeIndex scope_to_compensate = kNone;  // the scope whose inner scopes are compensated: that of the handler
  Compensate() : Activity(NodeKind::kCompensate) {}
};
struct CompensateScope : Activity {
  NodeIndex target = kNone;  // a scope immediately enclosed in the handler's scope
  CompensateScope() : Activity(NodeKind::kCompensateScope) {}
};
// An extensionActivity that nobody must understand: it runs as an empty (§10.9).
struct Extension : Activity {
  xml::QName element;
  Extension() : Activity(NodeKind::kExtension) {}
};

// ---- structured ----

struct Sequence : Activity {
  std::vector<const Activity*> activities;
  Sequence() : Activity(NodeKind::kSequence) {}
};
struct If : Activity {
  struct Branch {
    std::optional<Expression> condition;  // absent: else, always the last
    const Activity* activity = nullptr;
  };
  std::vector<Branch> branches;
  If() : Activity(NodeKind::kIf) {}
};
struct While : Activity {
  Expression condition;
  const Activity* body = nullptr;
  While() : Activity(NodeKind::kWhile) {}
};
struct RepeatUntil : Activity {
  Expression condition;
  const Activity* body = nullptr;
  RepeatUntil() : Activity(NodeKind::kRepeatUntil) {}
};
struct Scope;
struct ForEach : Activity {
  bool parallel = false;
  VariableRef counter;  // in the child scope; xsd:unsignedInt
  Expression start, final;
  std::optional<Expression> completion_branches;  // the number of branches that suffice
  bool successful_branches_only = false;
  const Scope* body = nullptr;
  ForEach() : Activity(NodeKind::kForEach) {}
};
struct Flow : Activity {
  std::vector<LinkIndex> links;  // declared here
  std::vector<const Activity*> activities;
  Flow() : Activity(NodeKind::kFlow) {}
};
struct OnMessage : Node {
  MessageEvent event;
  const Activity* activity = nullptr;
  OnMessage() : Node(NodeKind::kOnMessage) {}
};
struct OnAlarm : Node {
  std::optional<Expression> for_duration, until;  // at most one; of pick exactly one
  std::optional<Expression> repeat_every;         // event handlers only; alone: the first time after one such span
  const Activity* activity = nullptr;             // in event handlers a Scope
  OnAlarm() : Node(NodeKind::kOnAlarm) {}
};
struct Pick : Activity {
  std::vector<const OnMessage*> messages;
  std::vector<const OnAlarm*> alarms;
  bool create_instance = false;
  Pick() : Activity(NodeKind::kPick) {}
};

// ---- scope and handlers ----

struct Catch : Node {
  bool all = false;                              // catchAll
  std::optional<xml::QName> fault_name;          // absent: any name
  VariableRef variable;                          // unset: the handler wants no data
  xml::QName fault_message_type, fault_element;  // at most one; tells the variable's kind
  const Activity* activity = nullptr;
  Catch() : Node(NodeKind::kCatch) {}
};
struct Handler : Node {  // compensation and termination
  const Activity* activity = nullptr;
  using Node::Node;
};
struct OnEvent : Node {
  MessageEvent event;           // references resolved in the associated scope first (§12.7.1)
  const Scope* body = nullptr;  // the associated scope
  OnEvent() : Node(NodeKind::kOnEvent) {}
};

struct Scope : Activity {
  ScopeIndex self = kNone;  // its number among the scopes
  std::deque<Variable> variables;
  std::deque<PartnerLink> partner_links;
  std::deque<CorrelationSet> correlation_sets;
  std::deque<std::string> message_exchanges;      // [0] is the default exchange, its name empty
  std::vector<const Catch*> catches;              // in document order, catchAll last
  const Handler* compensation_handler = nullptr;  // null: the default handler
  const Handler* termination_handler = nullptr;
  std::vector<const OnEvent*> on_events;
  std::vector<const OnAlarm*> on_alarms;
  bool isolated = false;
  bool exit_on_standard_fault = false;  // resolved through the ancestors
  bool of_invoke = false;               // made for an invoke's inline handlers
  const Activity* body = nullptr;
  Scope() : Activity(NodeKind::kScope) {}
};

// One thing that is wrong with a package.
struct Diagnostic {
  std::string rule;  // "SA00024", or empty when no rule of the standard is meant
  std::string file;
  xml::Position where;
  std::string sentence;
  bool warning = false;           // does not refuse the deployment
  std::string to_string() const;  // "file:line:column: SA00024: sentence"
};

// A process package: the files of a folder, paths relative to it.
struct Package {
  std::map<std::string, std::string> files;
  // All regular files below the folder; kExhausted for more than kMaxFiles or 64 MiB.
  static Result<Package> from_directory(const std::string& folder);
};

class ProcessDefinition {
 public:
  const xml::QName& name() const { return name_; }
  const std::string& file() const { return file_; }
  const Scope& process() const { return *scopes_.front(); }
  const Node& node(NodeIndex index) const { return *nodes_.at(index); }
  const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  const Scope& scope(ScopeIndex index) const { return *scopes_.at(index); }
  const std::vector<const Scope*>& scopes() const { return scopes_; }
  const Link& link(LinkIndex index) const { return links_.at(index); }
  const std::vector<Link>& links() const { return links_; }
  // Receives and picks with createInstance="yes".
  const std::vector<NodeIndex>& start_activities() const { return start_activities_; }
  const wsdl::Definitions& wsdl() const { return *wsdl_; }
  std::shared_ptr<const wsdl::Definitions> shared_wsdl() const { return wsdl_; }

  const Variable& variable(VariableRef ref) const { return scope(ref.scope).variables.at(ref.slot); }
  const PartnerLink& partner_link(PartnerLinkRef ref) const { return scope(ref.scope).partner_links.at(ref.slot); }
  const CorrelationSet& correlation_set(CorrelationSetRef ref) const {
    return scope(ref.scope).correlation_sets.at(ref.slot);
  }
  // "/process/sequence/invoke[2]": for people; elements of the same kind among siblings are counted from 1.
  std::string path_of(NodeIndex index) const;
  // The fault, compensation or termination handler that stands between a node and `ancestor` and is nearest to the
  // ancestor; kNone when there is none.
  NodeIndex fct_handler_of(NodeIndex node, NodeIndex ancestor) const;
  // The process's text and the package's other files, kept for `?wsdl`, XSLT and drawing.
  const std::map<std::string, std::string>& files() const { return package_->files; }

 private:
  friend class Parser;
  xml::QName name_;
  std::string file_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<const Scope*> scopes_;
  std::vector<Link> links_;
  std::vector<NodeIndex> start_activities_;
  std::shared_ptr<const wsdl::Definitions> wsdl_;
  std::shared_ptr<const Package> package_;
};

// The node as its type; the kind must fit.
template <class T>
const T& as(const Node& node) {
  return static_cast<const T&>(node);
}

// ---- parsing (parse/) ----

struct ParsedProcess {
  std::shared_ptr<const ProcessDefinition> definition;  // null when there is a diagnostic that is no warning
  std::vector<Diagnostic> diagnostics;                  // all findings at once, in file order
};
// Parses, resolves and checks the process in the package's file `path`.
ParsedProcess parse_process(const Package& package, const std::string& path);
// All .bpel files of the package, in the order of their paths.
std::vector<ParsedProcess> parse_package(const Package& package);

}  // namespace nuraghe::bpel
