#include <fmt/format.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/xmlIO.h>
#include <libxml/xmlsave.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <utility>

#include "base/check.hpp"
#include "xml/library.hpp"
#include "xml/tree.hpp"
#include "xml/xml.hpp"

namespace nuraghe::xml {

namespace {

// libxml2 compares every attribute of a start tag with every other one.
constexpr int kMaxAttributes = 1000;

// What one parse knows beside libxml2's context, whose _private points here.
struct ParseState {
  std::string_view text;
  int max_depth = 0;
  int elements_left = 0;
  std::string problem;  // the first one
  Position where;
  // The scan for positions: everything before `scanned` is counted.
  std::size_t scanned = 0;
  Position at;

  // Offsets are asked in ascending order, so a whole parse scans its text once.
  Position position_of_offset(std::size_t offset) {
    if (offset < scanned || at.line == 0) {
      scanned = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
      at = {1, 1};
    }
    for (; scanned < offset && scanned < text.size(); ++scanned) {
      const auto byte = static_cast<unsigned char>(text[scanned]);
      if (byte == '\n')
        at = {at.line + 1, 1};
      else if ((byte & 0xC0) != 0x80)
        ++at.column;
    }
    return at;
  }

  void fail(std::string_view what, Position position) {
    if (!problem.empty()) return;
    while (!what.empty() && (what.back() == '\n' || what.back() == ' ')) what.remove_suffix(1);
    problem = what;
    where = position;
  }
};

ParseState& state_of(void* context) {
  return *static_cast<ParseState*>(static_cast<xmlParserCtxt*>(context)->_private);
}

// False while libxml2 reads a converted copy of the text (UTF-16 and other encodings).
bool reads_text_itself(const xmlParserCtxt* context) {
  return context->input != nullptr && (context->input->buf == nullptr || context->input->buf->encoder == nullptr);
}

std::size_t offset_of(const xmlParserCtxt* context) {
  return context->input->consumed + static_cast<std::size_t>(context->input->cur - context->input->base);
}

Position current_position(xmlParserCtxt* context, ParseState& state) {
  if (context->input == nullptr) return {};
  if (!reads_text_itself(context)) return {context->input->line, 0};
  return state.position_of_offset(offset_of(context));
}

// The handler is called at the end of the start tag; a raw '<' cannot stand within one.
Position start_tag_position(xmlParserCtxt* context, ParseState& state) {
  if (!reads_text_itself(context)) return {context->input->line, 0};
  std::size_t offset = std::min(offset_of(context), state.text.size());
  while (offset > 0 && state.text[offset - 1] != '<') --offset;
  return offset == 0 ? Position{} : state.position_of_offset(offset - 1);
}

void stop(xmlParserCtxt* context, std::string_view what) {
  ParseState& state = state_of(context);
  state.fail(what, current_position(context, state));
  xmlStopParser(context);
}

void on_start_element(void* user, const xmlChar* local, const xmlChar* prefix, const xmlChar* uri, int namespaces,
                      const xmlChar** declarations, int attributes, int defaulted, const xmlChar** values) {
  auto* context = static_cast<xmlParserCtxt*>(user);
  ParseState& state = state_of(user);
  const Position position = start_tag_position(context, state);
  if (context->nodeNr >= state.max_depth) {
    state.fail(fmt::format("elements are nested more than {} deep", state.max_depth), position);
    xmlStopParser(context);
    return;
  }
  if (--state.elements_left < 0) return stop(context, "there are too many elements");
  xmlSAX2StartElementNs(user, local, prefix, uri, namespaces, declarations, attributes, defaulted, values);
  if (context->node != nullptr) set_position(context->node, position);
}

void on_entity(void* user, const xmlChar* name, int, const xmlChar*, const xmlChar*, xmlChar*) {
  stop(static_cast<xmlParserCtxt*>(user),
       fmt::format("the entity '{}' is defined; entities are not accepted", view(name)));
}

void on_unparsed_entity(void* user, const xmlChar* name, const xmlChar*, const xmlChar*, const xmlChar*) {
  on_entity(user, name, 0, nullptr, nullptr, nullptr);
}

void on_attribute_declaration(void* user, const xmlChar* element, const xmlChar*, int, int, const xmlChar*,
                              xmlEnumerationPtr tree) {
  xmlFreeEnumeration(tree);
  stop(static_cast<xmlParserCtxt*>(user),
       fmt::format("the DTD declares attributes of '{}'; declarations in a DTD are not accepted", view(element)));
}

void on_external_subset(void*, const xmlChar*, const xmlChar*, const xmlChar*) {}

void on_error(void* user, xmlErrorPtr error) {
  if (error == nullptr || error->level < XML_ERR_ERROR) return;
  auto* context = static_cast<xmlParserCtxt*>(user);
  ParseState& state = state_of(user);
  if (state.problem.empty())
    state.fail(error->message == nullptr ? "not well-formed" : error->message, current_position(context, state));
}

void set_handlers(xmlParserCtxt* context) {
  xmlSAXHandler& sax = *context->sax;
  sax.startElementNs = on_start_element;
  sax.entityDecl = on_entity;
  sax.unparsedEntityDecl = on_unparsed_entity;
  sax.attributeDecl = on_attribute_declaration;
  sax.externalSubset = on_external_subset;
  sax.serror = on_error;
}

// Skips "<!-- -->", "<![CDATA[ ]]>" and "<? ?>" at `at`; 0 when none of them stands there.
std::size_t length_of_non_element(std::string_view text, std::size_t at) {
  constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}};
  for (const auto& [begin, end] : kKinds) {
    if (text.substr(at, begin.size()) != begin) continue;
    const std::size_t found = text.find(end, at + begin.size());
    return (found == std::string_view::npos ? text.size() : found + end.size()) - at;
  }
  return 0;
}

// Offset of the first start tag with more than kMaxAttributes attributes, or npos. A bound only: what is not
// well-formed is the parser's business.
std::size_t find_crowded_tag(std::string_view text) {
  for (std::size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at)) {
    if (const std::size_t skipped = length_of_non_element(text, at)) {
      at += skipped;
      continue;
    }
    int attributes = 0;
    std::size_t end = at + 1;
    while (end < text.size() && text[end] != '>' && text[end] != '<') {
      const char quote = text[end];
      if (quote != '"' && quote != '\'') {
        ++end;
        continue;
      }
      if (++attributes > kMaxAttributes) return at;
      end = text.find(quote, end + 1);
      if (end == std::string_view::npos) return end;
      ++end;
    }
    at = end;
  }
  return std::string_view::npos;
}

void drop_blank_text(xmlDoc* document) {
  for (xmlNode* node = xmlDocGetRootElement(document); node != nullptr;) {
    xmlNode* next = next_in_subtree(node, xmlDocGetRootElement(document));
    const bool blank = is_text(node) && is_blank(view(node->content));
    if (blank && Node(node->parent).has_element_children()) {
      xmlUnlinkNode(node);
      xmlFreeNode(node);
    }
    node = next;
  }
}

Error parse_error(const std::string& source, const ParseState& state) {
  const std::string what = state.problem.empty() ? "not well-formed" : state.problem;
  if (state.where.column == 0) return invalid(fmt::format("{}:{}: {}", source, state.where.line, what));
  return invalid(fmt::format("{}:{}:{}: {}", source, state.where.line, state.where.column, what));
}

std::string dump(xmlDoc* document, xmlNode* node, bool pretty) {
  xmlBuffer* buffer = xmlBufferCreate();
  CHECK(buffer != nullptr);
  xmlBufferSetAllocationScheme(buffer, XML_BUFFER_ALLOC_DOUBLEIT);
  xmlOutputBuffer* output = xmlOutputBufferCreateBuffer(buffer, nullptr);
  CHECK(output != nullptr);
  xmlNodeDumpOutput(output, document, node, 0, pretty ? 1 : 0, "UTF-8");
  xmlOutputBufferClose(output);
  std::string result(view(xmlBufferContent(buffer)));
  xmlBufferFree(buffer);
  return result;
}

}  // namespace

Document::Document(_xmlDoc* raw) : raw_(raw) {}
Document::Document(Document&& other) noexcept
    : raw_(std::exchange(other.raw_, nullptr)),
      source_(std::move(other.source_)),
      text_(other.text_.exchange(nullptr)) {}
Document& Document::operator=(Document&& other) noexcept {
  std::swap(raw_, other.raw_);
  std::swap(source_, other.source_);
  text_ = other.text_.exchange(text_);
  return *this;
}
Document::~Document() {
  delete text_.load();
  if (raw_ != nullptr) xmlFreeDoc(raw_);
}

Result<Document> Document::parse(std::string_view text, const ParseOptions& options) {
  initialise();
  if (std::cmp_greater(text.size(), options.max_size.count) || text.size() >= std::size_t{1} << 31U)
    return exhausted(fmt::format("{}: {} bytes of XML; at most {} are accepted", options.source, text.size(),
                                 options.max_size.count));
  ParseState state;
  state.text = text;
  state.max_depth = options.max_depth;
  state.elements_left = options.max_elements;
  if (text.empty()) return invalid(options.source + ":1:1: the document is empty");
  if (const std::size_t crowded = find_crowded_tag(text); crowded != std::string_view::npos) {
    state.fail(fmt::format("more than {} attributes in one element", kMaxAttributes),
               state.position_of_offset(crowded));
    return parse_error(options.source, state);
  }

  xmlParserCtxt* context = xmlNewParserCtxt();
  CHECK(context != nullptr);
  context->_private = &state;
  set_handlers(context);
  xmlDoc* raw = xmlCtxtReadMemory(context, text.data(), static_cast<int>(text.size()), nullptr, nullptr,
                                  XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_HUGE);
  xmlFreeParserCtxt(context);
  Document document(raw);
  if (raw == nullptr || !state.problem.empty()) return parse_error(options.source, state);
  if (xmlDtd* dtd = xmlGetIntSubset(raw)) {
    xmlUnlinkNode(reinterpret_cast<xmlNode*>(dtd));
    xmlFreeDtd(dtd);
    raw->intSubset = nullptr;
  }
  raw->URL = xmlStrdup(chars(options.source));
  document.source_ = options.source;
  if (!options.keep_whitespace) drop_blank_text(raw);
  return document;
}

Result<Document> Document::parse_file(const std::string& path, ParseOptions options) {
  if (options.source == ParseOptions().source) options.source = path;
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return system_error("open " + path, errno == 0 ? EIO : errno);
  std::string text;
  char block[65536];
  while (file.read(block, sizeof block) || file.gcount() > 0) {
    text.append(block, static_cast<std::size_t>(file.gcount()));
    if (std::cmp_greater(text.size(), options.max_size.count)) break;  // parse refuses it
  }
  if (file.bad()) return system_error("read " + path, errno == 0 ? EIO : errno);
  return parse(text, options);
}

Document Document::create(const QName& root, std::string_view prefix) {
  initialise();
  xmlDoc* raw = xmlNewDoc(chars("1.0"));
  CHECK(raw != nullptr);
  xmlNode* element = xmlNewDocNode(raw, nullptr, chars(root.local), nullptr);
  CHECK(element != nullptr);
  xmlDocSetRootElement(raw, element);
  element->ns = bind_namespace(element, root.ns, false, prefix);
  return Document(raw);
}

Document Document::copy_of(Node element) {
  initialise();
  xmlNode* from = element.raw();
  if (element.kind() == NodeKind::kDocument) from = xmlDocGetRootElement(reinterpret_cast<xmlDoc*>(from));
  CHECK(from != nullptr && from->type == XML_ELEMENT_NODE);
  xmlDoc* raw = xmlNewDoc(chars("1.0"));
  CHECK(raw != nullptr);
  Document result(raw);
  xmlNode* copy = copy_detached(from, raw);
  xmlDocSetRootElement(raw, copy);
  copy_positions(from, copy);
  if (from->doc != nullptr && from->doc->URL != nullptr) {
    raw->URL = xmlStrdup(from->doc->URL);
    result.source_ = view(raw->URL);
  }
  return result;
}

Document Document::clone() const { return copy_of(root()); }
Node Document::root() const { return Node(xmlDocGetRootElement(raw_)); }
std::string Document::to_string(bool pretty) const { return root().to_string(pretty); }
const std::string& Document::shared_text() const {
  if (const std::string* text = text_.load(std::memory_order_acquire)) return *text;
  auto made = std::make_unique<const std::string>(to_string());
  const std::string* expected = nullptr;
  // Of two threads that made it at once the slower throws its own away.
  if (text_.compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) return *made.release();
  return *expected;
}
const std::string& Document::source() const { return source_; }

std::string Node::to_string(bool pretty) const {
  switch (kind()) {
    case NodeKind::kDocument:
      return Node(xmlDocGetRootElement(reinterpret_cast<xmlDoc*>(raw_))).to_string(pretty);
    case NodeKind::kElement:
      break;
    case NodeKind::kText:
    case NodeKind::kAttribute:
      return escape_text(text());
    case NodeKind::kOther:
      return dump(raw_->doc, raw_, pretty);
  }
  const bool declares_all = raw_->parent == nullptr || raw_->parent->type != XML_ELEMENT_NODE;
  if (declares_all) return dump(raw_->doc, raw_, pretty);
  const Document copy = Document::copy_of(*this);
  return dump(copy.raw(), copy.root().raw(), pretty);
}

std::string escape_text(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : legal_text(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      case '\r':
        result += "&#13;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

}  // namespace nuraghe::xml
