#include "xml/xslt.hpp"

#include <fmt/format.h>
#include <libxml/hash.h>
#include <libxml/xpathInternals.h>
#include <libxslt/documents.h>
#include <libxslt/extensions.h>
#include <libxslt/security.h>
#include <libxslt/transform.h>
#include <libxslt/variables.h>
#include <libxslt/xslt.h>
#include <libxslt/xsltInternals.h>
#include <libxslt/xsltutils.h>

#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <utility>

#include "base/check.hpp"
#include "xml/tree.hpp"

namespace nuraghe::xml {

namespace {

// Parameters of every type reach a style sheet as calls of this function with their number.
constexpr const char* kParameterNamespace = "urn:nuraghe:xslt-parameter";
constexpr const char* kScheme = "package:///";
constexpr int kMaxStylesheets = 64;

// What libxslt does on this thread just now: it has one loader and one message handler for the whole process.
struct Work {
  const std::map<std::string, std::string>* files = nullptr;  // while compiling
  const std::vector<XsltParameter>* parameters = nullptr;     // while transforming
  std::vector<xmlDoc*> parameter_documents;                   // one per parameter; null: no nodes
  std::string message;                                        // the first one
  std::size_t longest_text = 0;                               // that concat() may make
  int loaded = 0;
  bool is_newer = false;  // a style sheet says another version than 1.0 and 1.1
};
thread_local Work* work = nullptr;

class Working {
 public:
  explicit Working(Work& now) : outer_(std::exchange(work, &now)) {}
  ~Working() { work = outer_; }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  Work* outer_;
};

// libxslt tells an error in pieces: a line that says where, then what.
void on_message(void*, const char* format, ...) {
  if (work == nullptr || work->message.size() > 1000) return;
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length <= 0) return;
  std::string_view piece(text);
  while (!piece.empty() && (piece.back() == '\n' || piece.back() == ' ')) piece.remove_suffix(1);
  if (piece.empty()) return;
  if (!work->message.empty()) work->message += work->message.ends_with(':') ? " " : "; ";
  work->message += piece;
}

// XSLT 1.0 §2.5: such a style sheet is processed as far as it is known, and no error before what is not is reached.
bool is_of_newer_version(Node root) {
  constexpr std::string_view kXsl = "http://www.w3.org/1999/XSL/Transform";
  const auto version = root.namespace_uri() == kXsl ? root.attribute("version") : root.attribute("version", kXsl);
  return version && *version != "1.0" && *version != "1.1";
}

xmlDoc* parse_stylesheet(const std::string& path) {
  const auto file = work->files->find(path);
  if (file == work->files->end()) {
    work->message = fmt::format("the style sheet {} is not among the files given", path);
    return nullptr;
  }
  if (++work->loaded > kMaxStylesheets) {
    work->message = fmt::format("more than {} style sheets are included", kMaxStylesheets);
    return nullptr;
  }
  const auto document = Document::parse(file->second, {.source = path});
  if (!document) {
    work->message = document.error().message();
    return nullptr;
  }
  work->is_newer = work->is_newer || is_of_newer_version(document->root());
  xmlDoc* const copy = xmlCopyDoc(document->raw(), 1);
  CHECK(copy != nullptr);
  if (copy->URL != nullptr) xmlFree(const_cast<xmlChar*>(copy->URL));
  copy->URL = xmlStrdup(chars(kScheme + path));
  return copy;
}

// Style sheets come from the files given; documents from nowhere.
xmlDoc* load(const xmlChar* uri, xmlDict*, int, void*, xsltLoadType type) {
  const std::string_view location = view(uri);
  if (work == nullptr || work->files == nullptr || type != XSLT_LOAD_STYLESHEET) {
    if (work != nullptr && work->message.empty())
      work->message = fmt::format("reading {} is not allowed", std::string(location));
    return nullptr;
  }
  if (!location.starts_with(kScheme)) {
    work->message = fmt::format("the style sheet {} is not among the files given", std::string(location));
    return nullptr;
  }
  return parse_stylesheet(std::string(location.substr(std::string_view(kScheme).size())));
}

void set_up() {
  initialise();
  static std::once_flag once;
  std::call_once(once, [] {
    xsltInit();
    xsltSetGenericErrorFunc(nullptr, on_message);
    xsltSetLoaderFunc(load);
  });
}

xmlXPathObject* parameter_nodes(xmlDoc* document) {
  xmlNodeSet* set = xmlXPathNodeSetCreate(nullptr);
  CHECK(set != nullptr);
  for (xmlNode* node = xmlDocGetRootElement(document)->children; node != nullptr; node = node->next)
    xmlXPathNodeSetAdd(set, node);
  return xmlXPathWrapNodeSet(set);
}

void give_parameter(xmlXPathParserContext* parser, int count) {
  if (count != 1 || work == nullptr || work->parameters == nullptr) return xmlXPathErr(parser, XPATH_INVALID_ARITY);
  const double number = xmlXPathPopNumber(parser);
  if (!(number >= 0 && number < static_cast<double>(work->parameters->size())))
    return xmlXPathErr(parser, XPATH_INVALID_OPERAND);
  const auto index = static_cast<std::size_t>(number);
  const XPathValue& value = (*work->parameters)[index].value;
  if (const auto* flag = std::get_if<bool>(&value)) return void(valuePush(parser, xmlXPathNewBoolean(*flag ? 1 : 0)));
  if (const auto* real = std::get_if<double>(&value)) return void(valuePush(parser, xmlXPathNewFloat(*real)));
  if (const auto* text = std::get_if<std::string>(&value))
    return void(valuePush(parser, xmlXPathNewString(chars(*text))));
  valuePush(parser, parameter_nodes(work->parameter_documents[index]));
}

// An error in an expression alone would leave the value out and go on.
void stop(xmlXPathParserContext* parser) {
  if (auto* context = xsltXPathGetTransformContext(parser)) context->state = XSLT_STATE_STOPPED;
}

// concat() with a limit; a recursion could double a text in each step.
void call_bounded_concat(xmlXPathParserContext* parser, int count) {
  if (count < 2) return xmlXPathErr(parser, XPATH_INVALID_ARITY);
  std::vector<std::string> texts(static_cast<std::size_t>(count));
  std::size_t size = 0;
  for (auto text = texts.rbegin(); text != texts.rend(); ++text) {
    xmlChar* const popped = xmlXPathPopString(parser);
    *text = view(popped);
    xmlFree(popped);
    size += text->size();
    if (work != nullptr && size > work->longest_text) {
      work->message = fmt::format("a text is longer than {} bytes", work->longest_text);
      stop(parser);
      return xmlXPathErr(parser, XPATH_MEMORY_ERROR);
    }
  }
  std::string result;
  result.reserve(size);
  for (const std::string& text : texts) result += text;
  valuePush(parser, xmlXPathNewString(chars(result)));
}

// A copy of the nodes below one root: a style sheet may note things in what it is given.
Document holding(const NodeSet& nodes) {
  Document holder = Document::create({"", "parameter"});
  for (const Node node : nodes) {
    if (node.kind() == NodeKind::kElement)
      holder.root().append_copy(node);
    else if (node.kind() == NodeKind::kDocument)
      holder.root().append_copy(node.first_child());
    else
      holder.root().append_text(node.text());
  }
  return holder;
}

Result<XsltResult> result_of(xmlDoc* made, const XsltLimits& limits) {
  xmlNode* element = nullptr;
  std::string text;
  int elements = 0;
  for (xmlNode* node = made->children; node != nullptr; node = node->next) {
    if (node->type == XML_ELEMENT_NODE) element = node, ++elements;
    if (is_text(node)) text += view(node->content);
  }
  if (elements == 0) return XsltResult(std::move(text));
  if (elements > 1 || !is_blank(text))
    return invalid(fmt::format("the result has {} elements and text at its top; one element is wanted", elements));
  if (depth(Node(element)) > limits.result_depth)
    return exhausted(fmt::format("the result is nested more than {} deep", limits.result_depth));
  return XsltResult(Document::copy_of(Node(element)).share());
}

struct FreeStylesheet {
  void operator()(xsltStylesheet* sheet) const { xsltFreeStylesheet(sheet); }
};
struct FreeNames {
  void operator()(xmlHashTable* names) const { xmlHashFree(names, xmlHashDefaultDeallocator); }
};
struct FreeTransformation {
  void operator()(xsltTransformContext* context) const { xsltFreeTransformContext(context); }
};
struct FreeSecurity {
  void operator()(xsltSecurityPrefs* prefs) const { xsltFreeSecurityPrefs(prefs); }
};
struct FreeDocument {
  void operator()(xmlDoc* document) const { xmlFreeDoc(document); }
};

std::unique_ptr<xsltSecurityPrefs, FreeSecurity> everything_forbidden() {
  std::unique_ptr<xsltSecurityPrefs, FreeSecurity> prefs(xsltNewSecurityPrefs());
  CHECK(prefs != nullptr);
  for (const auto option : {XSLT_SECPREF_READ_FILE, XSLT_SECPREF_WRITE_FILE, XSLT_SECPREF_CREATE_DIRECTORY,
                            XSLT_SECPREF_READ_NETWORK, XSLT_SECPREF_WRITE_NETWORK})
    CHECK(xsltSetSecurityPrefs(prefs.get(), option, xsltSecurityForbid) == 0);
  return prefs;
}

}  // namespace

struct Stylesheet::Compiled {
  std::string path;
  std::unique_ptr<xsltStylesheet, FreeStylesheet> sheet;
  std::mutex mutex;  // compiled XPath of libxml2 notes what it found: one transformation at a time
};

Stylesheet::Stylesheet(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
Stylesheet::Stylesheet(Stylesheet&&) noexcept = default;
Stylesheet& Stylesheet::operator=(Stylesheet&&) noexcept = default;
Stylesheet::~Stylesheet() = default;

Result<Stylesheet> Stylesheet::compile(const std::string& path, const std::map<std::string, std::string>& files) {
  set_up();
  if (!files.contains(path)) return not_found(fmt::format("the style sheet {} is not among the files given", path));
  Work now;
  now.files = &files;
  const Working working(now);
  xmlDoc* const document = parse_stylesheet(path);
  if (document == nullptr) return invalid(now.message);
  auto compiled = std::make_unique<Compiled>();
  compiled->path = path;
  compiled->sheet.reset(xsltParseStylesheetDoc(document));
  if (compiled->sheet == nullptr) {
    xmlFreeDoc(document);  // libxslt leaves it to the caller then
    return invalid(fmt::format("{}: {}", path, now.message.empty() ? "no XSLT 1.0 style sheet" : now.message));
  }
  // What is no error is a warning: of a newer version it says no more than that.
  if (compiled->sheet->errors > 0 || (!now.is_newer && !now.message.empty()))
    return invalid(fmt::format("{}: {}", path, now.message.empty() ? "no XSLT 1.0 style sheet" : now.message));
  return Stylesheet(std::move(compiled));
}

Result<XsltResult> Stylesheet::transform(Node source, const std::vector<XsltParameter>& parameters,
                                         const XsltLimits& limits) const {
  const Document document = Document::copy_of(source);
  std::vector<Document> holders;
  Work now;
  now.parameters = &parameters;
  now.longest_text = static_cast<std::size_t>(limits.text.count);
  for (const XsltParameter& parameter : parameters) {
    const auto* nodes = std::get_if<NodeSet>(&parameter.value);
    if (nodes != nullptr) holders.push_back(holding(*nodes));
    now.parameter_documents.push_back(nodes == nullptr ? nullptr : holders.back().raw());
  }
  const std::lock_guard lock(compiled_->mutex);
  const Working working(now);
  const auto prefs = everything_forbidden();
  std::unique_ptr<xsltTransformContext, FreeTransformation> context(
      xsltNewTransformContext(compiled_->sheet.get(), document.raw()));
  CHECK(context != nullptr);
  CHECK(xsltSetCtxtSecurityPrefs(prefs.get(), context.get()) == 0);
  xsltSetTransformErrorFunc(context.get(), nullptr, on_message);
  context->maxTemplateDepth = limits.template_depth;
  context->opLimit = context->xpathCtxt->opLimit = static_cast<unsigned long>(limits.operations);
  xsltRegisterExtFunction(context.get(), chars("value"), chars(kParameterNamespace), give_parameter);
  xmlXPathRegisterFunc(context->xpathCtxt, chars("concat"), nullptr);  // libxml2 replaces none
  xmlXPathRegisterFunc(context->xpathCtxt, chars("concat"), call_bounded_concat);
  const bool is_ours = context->xpathCtxt->nsHash == nullptr;
  xmlXPathRegisterNs(context->xpathCtxt, chars("parameter"), chars(kParameterNamespace));
  // libxslt forgets this table with its context, because its own are shared with the style sheet.
  const std::unique_ptr<xmlHashTable, FreeNames> names(is_ours ? context->xpathCtxt->nsHash : nullptr);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& name = parameters[i].name;
    texts.push_back(name.ns.empty() ? name.local : "{" + name.ns + "}" + name.local);
    texts.push_back(fmt::format("parameter:value({})", i));
  }
  std::vector<const char*> list;
  list.reserve(texts.size() + 1);
  for (const std::string& text : texts) list.push_back(text.c_str());
  list.push_back(nullptr);
  const std::unique_ptr<xmlDoc, FreeDocument> made(
      xsltApplyStylesheetUser(compiled_->sheet.get(), document.raw(), list.data(), nullptr, nullptr, context.get()));
  if (context->opCount >= context->opLimit || context->xpathCtxt->opCount >= context->opLimit)
    return exhausted(fmt::format("{}: more than {} operations", compiled_->path, limits.operations));
  if (made == nullptr || context->state != XSLT_STATE_OK) {
    const std::string what = now.message.empty() ? "the transformation was stopped" : now.message;
    if (what.find("recursion") != std::string::npos || what.find("depth") != std::string::npos)
      return exhausted(fmt::format("{}: {}", compiled_->path, what));
    return invalid(fmt::format("{}: {}", compiled_->path, what));
  }
  auto result = result_of(made.get(), limits);
  if (!result) return std::move(result).error().with(compiled_->path);
  return result;
}

}  // namespace nuraghe::xml
