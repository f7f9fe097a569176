#include "xml/schema.hpp"

#include <fmt/format.h>
#include <libxml/xmlschemas.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "base/check.hpp"
#include "xml/library.hpp"
#include "xml/schema_messages.hpp"
#include "xml/tree.hpp"

namespace nuraghe::xml {

namespace {

constexpr std::string_view kXsi = "http://www.w3.org/2001/XMLSchema-instance";

struct FreeSchema {
  void operator()(xmlSchema* schema) const { xmlSchemaFree(schema); }
};

std::string file_name(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

// "a/b.xsd" and "../c.xsd" → "c.xsd"; absolute references stay as they are.
std::string join(std::string_view base, std::string_view reference) {
  if (reference.find("://") != std::string_view::npos || reference.starts_with('/')) return std::string(reference);
  const std::size_t slash = base.rfind('/');
  std::string path =
      std::string(slash == std::string_view::npos ? "" : base.substr(0, slash + 1)) + std::string(reference);
  for (std::size_t at = path.find("./"); at != std::string::npos; at = path.find("./", at)) {
    if (at == 0 || path[at - 1] == '/') {
      path.erase(at, 2);
      continue;
    }
    const bool up = path[at - 1] == '.' && at >= 3 && path[at - 2] == '/' && path.compare(0, at - 2, "..") != 0;
    if (!up) {
      ++at;
      continue;
    }
    const std::size_t parent = at < 4 ? std::string::npos : path.rfind('/', at - 3);
    const std::size_t from = parent == std::string::npos ? 0 : parent + 1;
    path.erase(from, at + 2 - from);
    at = 0;
  }
  return path;
}

// The schema documents reachable from the main one, their references replaced by served locations.
class Loader {
 public:
  explicit Loader(const std::map<std::string, std::string>& files) : files_(files) {}

  Status load(const std::string& main) {
    TRY_ASSIGN(std::size_t first, index_of(main));
    CHECK(first == 0);
    for (std::size_t done = 0; done < locations.size(); ++done) TRY(rewrite(done));
    return {};
  }

  std::vector<std::string> locations;
  std::deque<Document> documents;
  std::vector<std::string> texts;
  SchemaCatalogue catalogue;
  bool uses_ids = false;

 private:
  Result<std::size_t> index_of(const std::string& location) {
    const auto known = std::find(locations.begin(), locations.end(), location);
    if (known != locations.end()) return static_cast<std::size_t>(known - locations.begin());
    const auto file = files_.find(location);
    if (file == files_.end()) return not_found(fmt::format("the schema {} is not among the files given", location));
    ParseOptions options;
    options.source = location;
    TRY_ASSIGN(Document document, Document::parse(file->second, options));
    if (!document.root().is(kSchemaNamespace, "schema"))
      return invalid(fmt::format("{}: the root is <{}>, not an XML Schema", location, document.root().local_name()));
    locations.push_back(location);
    documents.push_back(std::move(document));
    return locations.size() - 1;
  }

  // The location in files_ that a reference means, or empty.
  std::string find(const std::string& base, const std::optional<std::string>& reference, const std::string& ns) {
    if (reference) {
      if (files_.contains(*reference)) return *reference;
      if (const std::string joined = join(base, *reference); files_.contains(joined)) return joined;
      for (const auto& [location, text] : files_)
        if (file_name(location) == file_name(*reference)) return location;
    }
    if (ns.empty()) return {};
    return location_of_namespace(ns);
  }

  std::string location_of_namespace(const std::string& ns) {
    if (!namespaces_known_) {
      namespaces_known_ = true;
      for (const auto& [location, text] : files_) {
        const auto document = Document::parse(text);
        if (document) namespaces_.emplace(document->root().attribute_or("targetNamespace", ""), location);
      }
    }
    const auto found = namespaces_.find(ns);
    return found == namespaces_.end() ? std::string() : found->second;
  }

  Status rewrite(std::size_t index) {
    const std::string location = locations[index];
    const Node root = documents[index].root();
    note_ids(root);
    catalogue.add(root);
    for (Node node : root.children()) {
      const bool import = node.is(kSchemaNamespace, "import");
      if (!import && !node.is(kSchemaNamespace, "include") && !node.is(kSchemaNamespace, "redefine")) continue;
      const auto reference = node.attribute("schemaLocation");
      const std::string target = find(location, reference, import ? node.attribute_or("namespace", "") : "");
      if (target.empty()) {
        if (!import)
          return not_found(fmt::format("{}:{}: the schema {} is not among the files given", location,
                                       node.position().line, reference.value_or("")));
        node.remove_attribute("schemaLocation");  // an import that nothing uses does no harm
        continue;
      }
      TRY_ASSIGN(const std::size_t number, index_of(target));
      node.set_attribute("schemaLocation", served_location(number));
    }
    texts.push_back(documents[index].to_string());
    return {};
  }

  void note_ids(Node root) {
    for (xmlNode* node = root.raw(); node != nullptr && !uses_ids; node = next_in_subtree(node, root.raw())) {
      if (node->type != XML_ELEMENT_NODE) continue;
      for (const char* name : {"type", "base", "itemType", "memberTypes"})
        if (Node(node).attribute_or(name, "").ends_with("ID")) uses_ids = true;
    }
  }

  const std::map<std::string, std::string>& files_;
  std::map<std::string, std::string> namespaces_;
  bool namespaces_known_ = false;
};

struct CompileState {
  const Loader& loader;
  std::string problem;
};

void on_compile_error(void* user, xmlErrorPtr error) {
  auto* state = static_cast<CompileState*>(user);
  if (error->level < XML_ERR_ERROR || !state->problem.empty()) return;
  const std::size_t index = error->file == nullptr ? std::string::npos : served_index(error->file);
  const std::string where = index < state->loader.locations.size() ? state->loader.locations[index] : "schema";
  std::string message = error->message == nullptr ? "wrong" : error->message;
  while (!message.empty() && message.back() == '\n') message.pop_back();
  state->problem = fmt::format("{}:{}: {}", where, error->line, message);
}

struct ValidationState {
  const SchemaCatalogue& catalogue;
  std::string source;
  std::vector<Finding> findings;
  // The element and attribute of the last facet finding: libxml2 repeats it as a finding of the type.
  std::string last_facet;
};

std::string subject_of(std::string_view message) { return std::string(message.substr(0, message.find("': "))); }

void on_validity_error(void* user, xmlErrorPtr error) {
  auto* state = static_cast<ValidationState*>(user);
  if (error->level < XML_ERR_ERROR) return;
  const std::string_view message = error->message == nullptr ? "invalid" : error->message;
  auto* node = static_cast<xmlNode*>(error->node);
  while (node != nullptr && node->type != XML_ELEMENT_NODE) node = node->parent;
  const bool type_again =
      error->code >= XML_SCHEMAV_CVC_DATATYPE_VALID_1_2_1 && error->code <= XML_SCHEMAV_CVC_DATATYPE_VALID_1_2_3;
  const std::string key = fmt::format("{}|{}", static_cast<void*>(node), subject_of(message));
  if (type_again && key == state->last_facet) return;
  if (error->code >= XML_SCHEMAV_CVC_FACET_VALID && error->code <= XML_SCHEMAV_CVC_ENUMERATION_VALID) {
    if (key == state->last_facet) return;
    state->last_facet = key;
  }
  Finding finding;
  finding.source = state->source;
  if (node != nullptr) {
    finding.position = position_of(node);
    finding.element = view(node->name);
  }
  if (finding.position.line == 0) finding.position.line = error->line;
  const bool has_parent = node != nullptr && node->parent != nullptr && node->parent->type == XML_ELEMENT_NODE;
  const std::string_view parent = has_parent ? view(node->parent->name) : std::string_view();
  finding.message = plain_message(error->code, message, finding.element, parent, state->catalogue);
  state->findings.push_back(std::move(finding));
}

// True when the document tells where schemas are: libxml2 would load them into the shared schema.
bool names_schemas(Node root) {
  for (xmlNode* node = root.raw(); node != nullptr; node = next_in_subtree(node, root.raw())) {
    if (node->type != XML_ELEMENT_NODE) continue;
    if (Node(node).attribute("schemaLocation", kXsi) || Node(node).attribute("noNamespaceSchemaLocation", kXsi))
      return true;
  }
  return false;
}

void forget_schemas(Node root) {
  for (xmlNode* node = root.raw(); node != nullptr; node = next_in_subtree(node, root.raw())) {
    if (node->type != XML_ELEMENT_NODE) continue;
    Node(node).remove_attribute("schemaLocation", kXsi);
    Node(node).remove_attribute("noNamespaceSchemaLocation", kXsi);
  }
}

}  // namespace

std::string Finding::to_string() const {
  std::string where = source;
  if (position.line > 0) where += fmt::format(":{}", position.line);
  if (position.column > 0) where += fmt::format(":{}", position.column);
  return element.empty() ? fmt::format("{}: {}", where, message) : fmt::format("{}: {}: {}", where, element, message);
}

struct Schema::Compiled {
  std::unique_ptr<xmlSchema, FreeSchema> schema;
  SchemaCatalogue catalogue;
  bool uses_ids = false;  // validation notes IDs in the document: it needs one of its own

  std::vector<Finding> validate(const Document& document) const {
    const std::vector<std::string> nothing;
    const ServedTexts closed(nothing);
    ValidationState state{catalogue, document.source(), {}, {}};
    xmlSchemaValidCtxt* context = xmlSchemaNewValidCtxt(schema.get());
    CHECK(context != nullptr);
    xmlSchemaSetValidStructuredErrors(context, on_validity_error, &state);
    const int verdict = xmlSchemaValidateDoc(context, document.raw());
    xmlSchemaFreeValidCtxt(context);
    if (verdict != 0 && state.findings.empty())
      state.findings.push_back({document.source(), {}, {}, "the document does not fit its schema"});
    std::stable_sort(state.findings.begin(), state.findings.end(), [](const Finding& a, const Finding& b) {
      return std::pair(a.position.line, a.position.column) < std::pair(b.position.line, b.position.column);
    });
    return std::move(state.findings);
  }
};

Schema::Schema(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
Schema::Schema(Schema&&) noexcept = default;
Schema& Schema::operator=(Schema&&) noexcept = default;
Schema::~Schema() = default;

Result<Schema> Schema::compile(const std::string& main, const std::map<std::string, std::string>& files) {
  initialise();
  Loader loader(files);
  TRY(loader.load(main));
  const ServedTexts served(loader.texts);
  CompileState state{loader, {}};
  xmlSchemaParserCtxt* context = xmlSchemaNewParserCtxt(served_location(0).c_str());
  CHECK(context != nullptr);
  xmlSchemaSetParserStructuredErrors(context, on_compile_error, &state);
  auto compiled = std::make_unique<Compiled>();
  compiled->schema.reset(xmlSchemaParse(context));
  xmlSchemaFreeParserCtxt(context);
  if (!state.problem.empty()) return invalid(state.problem);
  if (!compiled->schema) return invalid(main + ": not a valid schema");
  compiled->catalogue = std::move(loader.catalogue);
  compiled->uses_ids = loader.uses_ids;
  return Schema(std::move(compiled));
}

std::vector<Finding> Schema::validate(const Document& document) const {
  const bool declares = names_schemas(document.root());
  if (declares || compiled_->uses_ids) {
    Document own = document.clone();
    if (declares) forget_schemas(own.root());
    return compiled_->validate(own);
  }
  return compiled_->validate(document);
}

std::vector<Finding> Schema::validate(Node element) const { return validate(Document::copy_of(element)); }

}  // namespace nuraghe::xml
