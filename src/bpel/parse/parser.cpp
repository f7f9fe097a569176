#include "bpel/parse/parser.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bpel/analysis/analysis.hpp"
#include "bpel/parse/grammar.hpp"

namespace nuraghe::bpel {

namespace {

// XPath 1.0's own name, as WSDL 1.1 and earlier drafts say it.
constexpr std::string_view kXPathUri = "http://www.w3.org/TR/1999/REC-xpath-19991116";
constexpr std::string_view kAbstractNamespace = "http://docs.oasis-open.org/wsbpel/2.0/process/abstract";

}  // namespace

ParsedProcess Parser::run() {
  const auto file = package_.files.find(path_);
  if (file == package_.files.end()) {
    diagnostics_.push_back({"", path_, {}, "the file is not in the package", false});
    return {nullptr, std::move(diagnostics_)};
  }
  if (package_.files.size() > kMaxFiles) {
    diagnostics_.push_back({"", path_, {}, fmt::format("the package has more than {} files", kMaxFiles), false});
    return {nullptr, std::move(diagnostics_)};
  }
  xml::ParseOptions options;
  options.source = path_;
  const auto document = xml::Document::parse(file->second, options);
  if (!document) {
    diagnostics_.push_back({"", path_, {}, document.error().message(), false});
    return {nullptr, std::move(diagnostics_)};
  }
  const xml::Node root = document->root();
  if (root.is(kAbstractNamespace, "process")) {
    report(root, "", "this is an abstract process; only executable ones can be run");
  } else if (!root.is(kBpelNamespace, "process")) {
    report(root, "",
           fmt::format("the document element is {}, not the <process> of WS-BPEL 2.0", root.name().to_string()));
  } else {
    check_shape(root, path_, diagnostics_);
    definition_ = std::make_shared<ProcessDefinition>();
    definition_->file_ = path_;
    definition_->package_ = shared_package_;
    read_process(root);
  }
  const bool sound =
      std::all_of(diagnostics_.begin(), diagnostics_.end(), [](const Diagnostic& d) { return d.warning; });
  std::stable_sort(diagnostics_.begin(), diagnostics_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.file, a.where.line, a.where.column) < std::tie(b.file, b.where.line, b.where.column);
  });
  return {sound ? definition_ : nullptr, std::move(diagnostics_)};
}

void Parser::report(xml::Node where, std::string rule, std::string sentence) {
  diagnostics_.push_back({std::move(rule), path_, where.position(), std::move(sentence), false});
}

void Parser::warn(xml::Node where, std::string rule, std::string sentence) {
  diagnostics_.push_back({std::move(rule), path_, where.position(), std::move(sentence), true});
}

xml::QName Parser::qname(xml::Node node, std::string_view attribute_name) {
  const auto text = node.attribute(attribute_name);
  if (!text) return {};
  auto name = node.resolve_qname(*text);
  if (name && !name->local.empty()) return *name;
  report(node, "", fmt::format("{}=\"{}\" is no name with a declared prefix", attribute_name, *text));
  return {};
}

bool Parser::yes_no(xml::Node node, std::string_view name, bool fallback) {
  const auto text = node.attribute(name);
  if (!text) return fallback;
  if (*text == "yes") return true;
  if (*text != "no") report(node, "", fmt::format("{}=\"{}\": it must be yes or no", name, *text));
  return false;
}

std::vector<xml::Node> Parser::children(xml::Node node, std::string_view local) const {
  return node.children(kBpelNamespace, local);
}

void Parser::check_language(xml::Node node, std::string_view attribute_name) {
  const auto language = node.attribute(attribute_name);
  if (language && *language != kXPathLanguage && *language != kXPathUri) {
    report(node, "SA00004",
           fmt::format("the {} '{}' is not supported; XPath 1.0 is: {}", attribute_name, *language, kXPathLanguage));
  }
}

void Parser::read_extensions(xml::Node process) {
  const xml::Node extensions = child(process, "extensions");
  if (!extensions) return;
  for (const xml::Node extension : children(extensions, "extension")) {
    if (!yes_no(extension, "mustUnderstand", false)) continue;
    must_understand_.push_back(attribute(extension, "namespace"));
    report(
        extension, "SA00009",
        fmt::format("the extension '{}' must be understood and is not known here", attribute(extension, "namespace")));
  }
}

void Parser::read_imports(xml::Node process) {
  std::vector<std::string> paths;
  wsdl::ReadOptions options;
  for (const xml::Node import : children(process, "import")) {
    const std::string type = attribute(import, "importType");
    if (type != wsdl::kWsdlNamespace && type != wsdl::kSchemaNamespace) {
      report(import, "SA00013",
             fmt::format("importType=\"{}\" is neither WSDL 1.1 ({}) nor XML Schema ({})", type, wsdl::kWsdlNamespace,
                         wsdl::kSchemaNamespace));
      continue;
    }
    auto& into = type == wsdl::kWsdlNamespace ? paths : options.extra_schemas;
    for (auto& path : imported_files(import)) into.push_back(std::move(path));
  }
  for (const auto& [path, text] : package_.files) {
    if (path.ends_with(".wsdl")) options.deployment_files.push_back(path);
  }
  std::vector<xml::Finding> findings;
  options.parsed = &parsed_;
  definition_->wsdl_ = wsdl::Definitions::read(paths, package_.files, findings, options);
  take_wsdl_findings(std::move(findings));
  for (const xml::Node import : children(process, "import")) {
    const std::string path = wsdl::find_file(package_.files, path_, attribute(import, "location"));
    if (!path.empty() && parsed_.contains(path)) check_imported_namespace(import, path);
  }
}

// The files that an import means: the one at its location; without a location, or with one outside of the package,
// those of its namespace. A name that is missing then is a finding where it is used.
std::vector<std::string> Parser::imported_files(xml::Node import) {
  const std::string location = attribute(import, "location");
  if (!location.empty()) {
    if (auto path = wsdl::find_file(package_.files, path_, location); !path.empty()) return {std::move(path)};
    if (location.find(':') == std::string::npos) {
      report(import, "SA00010", fmt::format("the imported file '{}' is not in the package", location));
      return {};
    }
  }
  std::vector<std::string> paths;
  const bool of_wsdl = attribute(import, "importType") == wsdl::kWsdlNamespace;
  for (const auto& [path, text] : package_.files) {
    if (!path.ends_with(of_wsdl ? ".wsdl" : ".xsd")) continue;
    xml::ParseOptions options;
    options.source = path;
    const auto document = xml::Document::parse(text, options);
    if (!document) continue;
    const bool fits = of_wsdl ? document->root().is(wsdl::kWsdlNamespace, "definitions")
                              : document->root().is(wsdl::kSchemaNamespace, "schema");
    if (fits && document->root().attribute_or("targetNamespace", "") == attribute(import, "namespace"))
      paths.push_back(path);
  }
  return paths;
}

void Parser::check_imported_namespace(xml::Node import, const std::string& file) {
  const xml::DocumentPtr document = parsed_[file];
  if (document == nullptr) return;  // not well-formed: reported already
  const bool wsdl_wanted = attribute(import, "importType") == wsdl::kWsdlNamespace;
  const bool fits = wsdl_wanted ? document->root().is(wsdl::kWsdlNamespace, "definitions")
                                : document->root().is(wsdl::kSchemaNamespace, "schema");
  if (!fits) {
    report(import, "SA00013", fmt::format("'{}' is not what its importType says", file));
    return;
  }
  const std::string target = document->root().attribute_or("targetNamespace", "");
  const auto wanted = import.attribute("namespace");
  if (wanted && *wanted != target) {
    report(import, "SA00011",
           fmt::format("the import says namespace '{}', the file '{}' has '{}'", *wanted, file, target));
  } else if (!wanted && !target.empty()) {
    report(import, "SA00012", fmt::format("the import names no namespace, but the file '{}' has '{}'", file, target));
  }
}

void Parser::take_wsdl_findings(std::vector<xml::Finding> findings) {
  for (xml::Finding& finding : findings) {
    Diagnostic diagnostic{"", finding.source, finding.position, finding.message, finding.warning};
    if (finding.message.starts_with("[SA")) {  // "[SA00002] ..."
      diagnostic.rule = finding.message.substr(1, 7);
      diagnostic.sentence = finding.message.substr(10);
    }
    diagnostics_.push_back(std::move(diagnostic));
  }
}

void Parser::read_process(xml::Node process) {
  check_language(process, "queryLanguage");
  check_language(process, "expressionLanguage");
  read_extensions(process);
  read_imports(process);
  definition_->name_ = {attribute(process, "targetNamespace"), attribute(process, "name")};
  Scope* const scope = make<Scope>(process, kNone);
  scope->suppress_join_failure = yes_no(process, "suppressJoinFailure", false);
  scope->exit_on_standard_fault = yes_no(process, "exitOnStandardFault", false);
  suppress_join_failure_ = scope->suppress_join_failure;
  begin_scope(process, *scope);
  read_declarations(process, *scope);
  read_handlers_and_body(process, *scope);
  resolve_compensate_scopes();
  if (!too_many_nodes_) analyse(*definition_, diagnostics_);
}

bool Parser::room_for_more(xml::Node node) {
  if (definition_->nodes_.size() < kMaxNodes) return true;
  if (!too_many_nodes_)
    report(node, "", fmt::format("the process has more than {} activities and handlers", kMaxNodes));
  too_many_nodes_ = true;
  return false;
}

std::pair<VariableRef, const Variable*> Parser::find_variable(std::string_view name) const {
  for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
    if (frame->scope == nullptr) {
      const Variable& hidden = definition_->scopes_[frame->hidden.scope]->variables[frame->hidden.slot];
      if (hidden.name == name) return {frame->hidden, &hidden};
      continue;
    }
    const auto& variables = frame->scope->variables;
    for (std::uint32_t slot = 0; slot < variables.size(); ++slot) {
      if (!variables[slot].hidden && variables[slot].name == name)
        return {{frame->scope->self, slot}, &variables[slot]};
    }
  }
  return {{}, nullptr};
}

std::pair<VariableRef, const Variable*> Parser::variable_named(xml::Node node, std::string_view name) {
  auto found = find_variable(name);
  if (found.second == nullptr) report(node, "", fmt::format("there is no variable '{}' here", name));
  return found;
}

PartnerLinkRef Parser::find_partner_link(std::string_view name) const {
  for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
    if (frame->scope == nullptr) continue;
    const auto& links = frame->scope->partner_links;
    for (std::uint32_t slot = 0; slot < links.size(); ++slot) {
      if (links[slot].name == name) return {frame->scope->self, slot};
    }
  }
  return {};
}

CorrelationSetRef Parser::find_correlation_set(std::string_view name) const {
  for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
    if (frame->scope == nullptr) continue;
    const auto& sets = frame->scope->correlation_sets;
    for (std::uint32_t slot = 0; slot < sets.size(); ++slot) {
      if (sets[slot].name == name) return {frame->scope->self, slot};
    }
  }
  return {};
}

MessageExchangeRef Parser::find_message_exchange(std::string_view name) const {
  for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
    if (frame->scope == nullptr) continue;
    const auto& exchanges = frame->scope->message_exchanges;
    for (std::uint32_t slot = 1; slot < exchanges.size(); ++slot) {
      if (exchanges[slot] == name) return {frame->scope->self, slot};
    }
  }
  return {};
}

LinkIndex Parser::find_incoming_link(std::string_view name) const {
  if (linked_ == nullptr) return kNone;
  for (const LinkIndex link : linked_->targets) {
    if (definition_->links_[link].name == name) return link;
  }
  return kNone;
}

Parser::OptionalExpression Parser::expression(xml::Node element, ExpressionUse use) {
  if (!element) return std::nullopt;
  check_language(element, element.is(kBpelNamespace, "query") ? "queryLanguage" : "expressionLanguage");
  std::vector<ExpressionFinding> findings;
  auto compiled = compile_expression(element, use, *this, *definition_->wsdl_, findings);
  for (ExpressionFinding& finding : findings) {
    report(element, std::move(finding.rule), fmt::format("<{}>: {}", element.local_name(), finding.sentence));
  }
  return compiled;
}

Expression Parser::required_expression(xml::Node element) {
  auto compiled = expression(element);
  return compiled ? std::move(*compiled) : Expression();
}

}  // namespace nuraghe::bpel
