#include "bpel/expression/assign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/check.hpp"
#include "soap/references.hpp"

namespace nuraghe::bpel {

namespace {

constexpr std::string_view kServiceRefNamespace = "http://docs.oasis-open.org/wsbpel/2.0/serviceref";
constexpr std::string_view kInstanceNamespace = "http://www.w3.org/2001/XMLSchema-instance";
// A variable must stay readable: parsing accepts 256 levels, and messages put some around it.
constexpr int kMaxDepth = 250;

// What a from-spec gave: a whole message, an element, a text, or nothing where nothing may be.
struct Source {
  enum class Kind { kMessage, kElement, kText, kMissing };
  Kind kind = Kind::kText;
  VariableValue message;
  xml::Node element;
  std::string text;
  std::vector<xml::DocumentPtr> owned;  // keep the element alive

  static Source of_text(std::string text) {
    Source source;
    source.text = std::move(text);
    return source;
  }
  static Source of_element(xml::Node element, xml::DocumentPtr owned) {
    Source source;
    source.kind = Kind::kElement;
    source.element = element;
    if (owned != nullptr) source.owned.push_back(std::move(owned));
    return source;
  }
  // The text that a copy of content takes (§8.4.2, RC); selectionFailure for an element that is nil.
  Evaluated<std::string> content() const {
    if (kind != Kind::kElement) return text;
    const auto nil = element.attribute_or("nil", "", kInstanceNamespace);
    if (nil == "true" || nil == "1")
      return standard_fault(faults::kSelectionFailure, "the source element is nil: it has no content");
    return element.text();
  }
};

// What is read and written while an assign runs: the context with the copies done so far laid over it.
class Overlay : public EvaluationContext {
 public:
  explicit Overlay(AssignContext& context) : context_(context) {}

  Evaluated<const VariableValue*> variable(const VariableRef& ref) override {
    const auto found = changed_.find(ref);
    if (found != changed_.end()) return &found->second;
    return context_.variable(ref);
  }
  Evaluated<bool> link_status(LinkIndex link) override { return context_.link_status(link); }
  Evaluated<std::shared_ptr<const xml::Stylesheet>> stylesheet(std::string_view location) override {
    return context_.stylesheet(location);
  }

  Evaluated<xml::DocumentPtr> endpoint(const PartnerLinkRef& ref, bool my_role) {
    const auto found = endpoints_.find(ref);
    if (!my_role && found != endpoints_.end()) return found->second;
    return context_.endpoint_reference(ref, my_role);
  }
  void set_endpoint(const PartnerLinkRef& ref, xml::DocumentPtr reference) { endpoints_[ref] = std::move(reference); }

  // The value to be changed.
  Evaluated<VariableValue*> writable(const VariableRef& ref) {
    const auto found = changed_.find(ref);
    if (found != changed_.end()) return &found->second;
    TRY_ASSIGN(const VariableValue* const present, context_.variable(ref));
    return &changed_.emplace(ref, present == nullptr ? VariableValue() : *present).first->second;
  }

  // The document of a part, for changing in place: a copy is made once per assign. Null when the part has no value.
  Evaluated<std::shared_ptr<xml::Document>> writable_document(const VariableRef& ref, const std::string& part) {
    const auto own = own_documents_.find({ref, part});
    if (own != own_documents_.end()) return own->second;
    TRY_ASSIGN(VariableValue* const value, writable(ref));
    const xml::DocumentPtr present = value->initialised ? value->part(part) : nullptr;
    if (present == nullptr) return std::shared_ptr<xml::Document>();
    auto copy = std::make_shared<xml::Document>(present->clone());
    value->parts[part] = copy;
    own_documents_.emplace(std::pair(ref, part), copy);
    return copy;
  }
  Evaluated<void> put(const VariableRef& ref, const std::string& part, xml::Document document) {
    TRY_ASSIGN(VariableValue* const value, writable(ref));
    auto own = std::make_shared<xml::Document>(std::move(document));
    value->initialised = true;
    value->parts[part] = own;
    own_documents_[{ref, part}] = std::move(own);
    return {};
  }
  // The variable's documents are in other hands too from now on.
  void share(const VariableRef& ref) {
    std::erase_if(own_documents_, [&](const auto& entry) { return entry.first.first == ref; });
  }

  // §8.4.2: what takes the place of a document element under its own name must stand for the declared one.
  Evaluated<void> check_substitution(const xml::QName& element, const xml::QName& head) {
    if (context_.substitutes(element, head)) return {};
    return standard_fault(faults::kMismatchedAssignmentFailure, fmt::format("{} is not in the substitution group of {}",
                                                                            element.to_string(), head.to_string()));
  }
  Evaluated<void> validate() {
    for (const auto& [ref, declaration] : declarations_) {
      const auto changed = changed_.find(ref);
      if (changed != changed_.end()) TRY(context_.validate(*declaration, changed->second));
    }
    return {};
  }
  void note(const VariableRef& ref, const Variable& declaration) { declarations_.emplace(ref, &declaration); }

  Evaluated<void> commit() {
    for (auto& [ref, value] : changed_) TRY(context_.store_variable(ref, std::move(value)));
    for (auto& [ref, reference] : endpoints_) TRY(context_.store_endpoint_reference(ref, std::move(reference)));
    return {};
  }

 private:
  AssignContext& context_;
  std::map<VariableRef, VariableValue> changed_;
  std::map<VariableRef, const Variable*> declarations_;  // of destinations
  std::map<std::pair<VariableRef, std::string>, std::shared_ptr<xml::Document>> own_documents_;
  std::map<PartnerLinkRef, xml::DocumentPtr> endpoints_;
};

EvaluationFault uninitialised(const Variable& declaration, const std::string& part) {
  return standard_fault(faults::kUninitializedVariable,
                        part.empty() ? fmt::format("the variable '{}' has no value", declaration.name)
                                     : fmt::format("the part '{}' of '{}' has no value", part, declaration.name));
}
EvaluationFault mismatch(std::string sentence) {
  return standard_fault(faults::kMismatchedAssignmentFailure, std::move(sentence));
}

// ---- reading ----

Evaluated<Source> source_of(const xml::XPathValue& value, const std::string& text, bool ignore_missing) {
  const auto* const nodes = std::get_if<xml::NodeSet>(&value);
  if (nodes == nullptr) return Source::of_text(xml::to_string(value));
  if (nodes->empty() && ignore_missing) {
    Source missing;
    missing.kind = Source::Kind::kMissing;
    return missing;
  }
  if (nodes->size() != 1) {
    return standard_fault(faults::kSelectionFailure,
                          fmt::format("the <from> '{}' selects {} nodes, not one", text, nodes->size()));
  }
  const xml::Node node = nodes->front();
  if (node.kind() == xml::NodeKind::kElement) return Source::of_element(node, nullptr);
  if (node.kind() == xml::NodeKind::kDocument) return Source::of_element(node.first_child(), nullptr);
  return Source::of_text(node.text());
}

Evaluated<Source> read_variable(const FromSpec& from, bool ignore_missing, Overlay& overlay) {
  TRY_ASSIGN(const VariableValue* const value, overlay.variable(from.variable));
  if (value == nullptr || !value->initialised) return uninitialised(*from.declaration, "");
  if (from.declaration->kind == VariableKind::kMessage && from.part.empty()) {
    Source source;
    source.kind = Source::Kind::kMessage;
    source.message = *value;
    overlay.share(from.variable);
    return source;
  }
  const xml::DocumentPtr document = value->part(from.part);
  if (document == nullptr) return uninitialised(*from.declaration, from.part);
  if (from.query) {
    TRY_ASSIGN(const ExpressionValue selected, evaluate_at(*from.query, overlay, document->root()));
    TRY_ASSIGN(Source source, source_of(selected.value, from.query->text(), ignore_missing));
    source.owned = selected.owned;
    source.owned.push_back(document);
    return source;
  }
  if (from.simple) return Source::of_text(document->root().text());
  return Source::of_element(document->root(), document);
}

Evaluated<Source> read_property(const FromSpec& from, bool ignore_missing, Overlay& overlay) {
  TRY_ASSIGN(const VariableValue* const value, overlay.variable(from.variable));
  if (value == nullptr || !value->initialised) return uninitialised(*from.declaration, "");
  bool missing = false;
  TRY_ASSIGN(const xml::XPathValue found, property_node(*from.alias, *value, ignore_missing ? &missing : nullptr));
  TRY_ASSIGN(Source source, source_of(found, from.property.to_string(), ignore_missing));
  if (auto document = value->part(from.alias->part)) source.owned.push_back(std::move(document));
  return source;
}

Evaluated<Source> read_partner_link(const FromSpec& from, Overlay& overlay) {
  TRY_ASSIGN(const xml::DocumentPtr reference, overlay.endpoint(from.partner_link, from.my_role));
  if (reference == nullptr)
    return standard_fault(faults::kUninitializedPartnerRole, "the partner link's role has no endpoint reference yet");
  xml::Document wrapped = xml::Document::create({std::string(kServiceRefNamespace), "service-ref"}, "sref");
  wrapped.root().append_copy(reference->root());
  const xml::DocumentPtr shared = std::move(wrapped).share();
  return Source::of_element(shared->root(), shared);
}

Evaluated<Source> read_source(const FromSpec& from, bool ignore_missing, Overlay& overlay) {
  switch (from.kind) {
    case FromKind::kVariable:
      return read_variable(from, ignore_missing, overlay);
    case FromKind::kProperty:
      return read_property(from, ignore_missing, overlay);
    case FromKind::kPartnerLink:
      return read_partner_link(from, overlay);
    case FromKind::kExpression: {
      TRY_ASSIGN(const ExpressionValue result, evaluate(*from.expression, overlay));
      TRY_ASSIGN(Source source, source_of(result.value, from.expression->text(), ignore_missing));
      source.owned = result.owned;
      return source;
    }
    case FromKind::kLiteral: {
      const xml::Node root = from.literal->root();
      const xml::Node element = root.first_child();
      if (element) return Source::of_element(element, from.literal);
      return Source::of_text(root.text());
    }
    case FromKind::kEmpty:
      break;
  }
  return mismatch("an empty <from/> has no value");
}

// ---- writing ----

// What the document element of a whole variable or part is called when it has no value yet.
xml::QName declared_root(const Variable& declaration, const std::string& part) {
  if (declaration.kind == VariableKind::kElement) return declaration.type;
  if (declaration.kind == VariableKind::kType) return {"", "value"};
  const wsdl::Part* const found = declaration.message == nullptr ? nullptr : declaration.message->part(part);
  return found == nullptr || found->element.empty() ? xml::QName{"", part} : found->element;
}

bool is_element(const Variable& declaration, const std::string& part) {
  if (declaration.kind != VariableKind::kMessage) return declaration.kind == VariableKind::kElement;
  const wsdl::Part* const found = declaration.message == nullptr ? nullptr : declaration.message->part(part);
  return found != nullptr && !found->element.empty();
}

// The document element as the destination (§8.4.2): its name stays unless keepSrcElementName says otherwise.
Evaluated<void> write_root(const ToSpec& to, const Source& source, bool keep_name, Overlay& overlay) {
  TRY_ASSIGN(const VariableValue* const present, overlay.variable(to.variable));
  const xml::DocumentPtr old = present == nullptr || !present->initialised ? nullptr : present->part(to.part);
  const xml::QName name = old == nullptr ? declared_root(*to.declaration, to.part) : old->root().name();
  if (source.kind == Source::Kind::kElement && !to.simple) {
    xml::Document copy = xml::Document::copy_of(source.element);
    // The root of a value that is given by type has no name that could be replaced.
    const auto declared = declared_root(*to.declaration, to.part);
    if (keep_name && is_element(*to.declaration, to.part)) {
      TRY(overlay.check_substitution(copy.root().name(), declared));
    } else if (copy.root().name() != name) {
      copy.root().rename(name);
    }
    return overlay.put(to.variable, to.part, std::move(copy));
  }
  TRY_ASSIGN(const std::string content, source.content());
  xml::Document text = old == nullptr ? xml::Document::create(name) : old->clone();
  text.root().set_text(content);
  return overlay.put(to.variable, to.part, std::move(text));
}

Evaluated<void> write_node(xml::Node node, const Source& source, bool keep_name) {
  if (node.kind() != xml::NodeKind::kElement || source.kind == Source::Kind::kText) {
    TRY_ASSIGN(const std::string content, source.content());
    node.set_text(content);
    return {};
  }
  int depth = xml::depth(source.element);
  for (xml::Node above = node.parent(); above; above = above.parent()) ++depth;
  if (depth > kMaxDepth) {
    return standard_fault(faults::kSubLanguageExecutionFault,
                          fmt::format("the copy would nest elements more than {} deep", kMaxDepth));
  }
  if (keep_name) {
    node.replace_with_copy(source.element);
  } else {
    node.assign_content_from(source.element);
  }
  return {};
}

Evaluated<xml::Node> only_node(const xml::XPathValue& value, const std::string& text) {
  const auto* const nodes = std::get_if<xml::NodeSet>(&value);
  if (nodes == nullptr || nodes->size() != 1) {
    return standard_fault(faults::kSelectionFailure,
                          nodes == nullptr
                              ? fmt::format("the <to> '{}' does not select a node", text)
                              : fmt::format("the <to> '{}' selects {} nodes, not one", text, nodes->size()));
  }
  return nodes->front();
}

// The node that a query, an L-value or a property's alias means, in a document that may be changed.
Evaluated<xml::Node> destination(const ToSpec& to, xml::Node root, Overlay& overlay) {
  if (to.kind == ToKind::kExpression) {
    TRY_ASSIGN(const ExpressionValue selected, evaluate(*to.expression, overlay));
    return only_node(selected.value, to.expression->text());
  }
  if (to.kind == ToKind::kVariable) {
    TRY_ASSIGN(const ExpressionValue selected, evaluate_at(*to.query, overlay, root));
    return only_node(selected.value, to.query->text());
  }
  if (to.alias->query == nullptr) return root;
  xml::XPathContext context;
  context.node = root;
  const auto selected = to.alias->query->evaluate(context);
  if (!selected) return standard_fault(faults::kSubLanguageExecutionFault, selected.error().message());
  return only_node(*selected, to.alias->query->text());
}

// §8.4: what stands in a service-ref tells what it is; addresses and services as WSDL 1.1 has them do too.
bool is_reference(xml::Node node) {
  if (node.is(wsdl::kWsdlNamespace, "service") || node.is(wsdl::kSoapBindingNamespace, "address") ||
      node.is(wsdl::kSoap12BindingNamespace, "address"))
    return true;
  return soap::is_addressing(node.namespace_uri()) && node.local_name() == "EndpointReference";
}

Evaluated<void> write_partner_link(const ToSpec& to, const Source& source, Overlay& overlay) {
  if (source.kind != Source::Kind::kElement) return mismatch("a partner link takes a service-ref, not a text");
  xml::Node reference = source.element;
  // A variable of the service-ref's type has a root without a name of its own.
  const bool by_type = reference.namespace_uri().empty() && reference.first_child();
  if (reference.is(kServiceRefNamespace, "service-ref") || by_type) {
    const auto scheme = reference.attribute("reference-scheme");
    if (scheme && !scheme->empty() && !soap::is_addressing(*scheme)) {
      return standard_fault(faults::kUnsupportedReference,
                            fmt::format("the reference scheme '{}' is not supported", *scheme));
    }
    reference = reference.first_child();
    if (!reference) return mismatch("the service-ref holds no endpoint reference");
  } else if (!is_reference(reference)) {
    return mismatch(fmt::format("a partner link takes a service-ref, not {}", reference.name().to_string()));
  }
  if (!is_reference(reference)) {
    return standard_fault(faults::kUnsupportedReference,
                          fmt::format("an endpoint reference {} is not supported", reference.name().to_string()));
  }
  overlay.set_endpoint(to.partner_link, xml::Document::copy_of(reference).share());
  return {};
}

Evaluated<void> write_message(const ToSpec& to, const Source& source, Overlay& overlay) {
  const bool to_message =
      to.kind == ToKind::kVariable && to.declaration->kind == VariableKind::kMessage && to.part.empty();
  if (!to_message) return mismatch("a whole message can be copied only to a message");
  TRY_ASSIGN(VariableValue* const value, overlay.writable(to.variable));
  overlay.share(to.variable);
  *value = source.message;
  return {};
}

Evaluated<void> write(const ToSpec& to, const Source& source, bool keep_name, Overlay& overlay) {
  if (to.kind == ToKind::kEmpty) return mismatch("an empty <to/> takes no value");
  if (to.kind == ToKind::kPartnerLink) return write_partner_link(to, source, overlay);
  if (source.kind == Source::Kind::kMessage) return write_message(to, source, overlay);
  if (to.declaration->kind == VariableKind::kMessage && to.part.empty() && to.kind == ToKind::kVariable)
    return mismatch(fmt::format("only a message can be copied to the whole message '{}'", to.declaration->name));
  if (to.whole) return write_root(to, source, keep_name, overlay);
  const std::string& part = to.kind == ToKind::kProperty ? to.alias->part : to.part;
  TRY_ASSIGN(const auto document, overlay.writable_document(to.variable, part));
  if (document == nullptr) return uninitialised(*to.declaration, part);
  TRY_ASSIGN(const xml::Node node, destination(to, document->root(), overlay));
  if (node == document->root() && keep_name && source.kind == Source::Kind::kElement) {
    if (!is_element(*to.declaration, part)) return write_node(node, source, false);
    TRY(overlay.check_substitution(source.element.name(), declared_root(*to.declaration, part)));
    return overlay.put(to.variable, part, xml::Document::copy_of(source.element));
  }
  xml::Node root = node;
  while (root.parent()) root = root.parent();
  if (root != document->root()) {
    return standard_fault(faults::kSelectionFailure, "the <to> selects a node outside of the variable it begins with");
  }
  return write_node(node, source, keep_name);
}

Evaluated<void> execute_copy(const Copy& copy, Overlay& overlay) {
  TRY_ASSIGN(const Source source, read_source(copy.from, copy.ignore_missing_from_data, overlay));
  if (source.kind == Source::Kind::kMissing) return {};
  return write(copy.to, source, copy.keep_source_element_name, overlay);
}

}  // namespace

Evaluated<void> execute_assign(const Assign& assign, AssignContext& context) {
  Overlay overlay(context);
  for (const Copy& copy : assign.copies) {
    TRY(execute_copy(copy, overlay));
    if (copy.to.declaration != nullptr) overlay.note(copy.to.variable, *copy.to.declaration);
  }
  if (assign.validate) TRY(overlay.validate());
  return overlay.commit();
}

Evaluated<VariableValue> initial_value(const Variable& variable, AssignContext& context) {
  CHECK(variable.initial.has_value());
  Overlay overlay(context);
  TRY_ASSIGN(const Source source, read_source(*variable.initial, false, overlay));
  if (source.kind == Source::Kind::kMessage) {
    if (variable.kind != VariableKind::kMessage)
      return mismatch(fmt::format("a whole message cannot initialise '{}'", variable.name));
    return source.message;
  }
  if (variable.kind == VariableKind::kMessage)
    return mismatch(fmt::format("only a message can initialise the message '{}'", variable.name));
  const bool simple = variable.kind == VariableKind::kType && variable.type_class != wsdl::TypeClass::kComplex;
  const xml::QName name = declared_root(variable, "");
  if (source.kind == Source::Kind::kElement && !simple) {
    xml::Document copy = xml::Document::copy_of(source.element);
    if (copy.root().name() != name) copy.root().rename(name);
    return VariableValue::of(std::move(copy).share());
  }
  TRY_ASSIGN(const std::string content, source.content());
  xml::Document text = xml::Document::create(name);
  text.root().set_text(content);
  return VariableValue::of(std::move(text).share());
}

VariableValue simple_value(std::string_view text) {
  xml::Document document = xml::Document::create({"", "value"});
  document.root().set_text(text);
  return VariableValue::of(std::move(document).share());
}

std::string text_of(const VariableValue& value) {
  const xml::DocumentPtr document = value.initialised ? value.part() : nullptr;
  return document == nullptr ? std::string() : document->root().text();
}

}  // namespace nuraghe::bpel
