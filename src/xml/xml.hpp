// XML: documents, nodes, serialisation. The only room that sees libxml2.
//
// A Document owns a tree; a Node is a cheap handle into one and valid while the document lives and the node is not
// removed. A document is used by one thread at a time, but one that nobody changes any more may be read by several
// threads: hand it round as DocumentPtr (shared_ptr<const Document>).
//
// Parsing is closed: no network, no external entities or DTDs, no entity definitions, at most 256 levels deep. An
// error says line and column.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

struct _xmlNode;
struct _xmlDoc;

namespace nuraghe::xml {

// An expanded name: namespace URI (empty: none) and local name.
struct QName {
  std::string ns;
  std::string local;
  auto operator<=>(const QName&) const = default;
  bool empty() const { return local.empty(); }
  std::string to_string() const { return ns.empty() ? local : "{" + ns + "}" + local; }
};

// Where something stands in its source: both count from 1; 0 = unknown.
struct Position {
  int line = 0;
  int column = 0;
};

enum class NodeKind { kElement, kAttribute, kText, kDocument, kOther };

class Document;
using DocumentPtr = std::shared_ptr<const Document>;

// A handle; copying it copies the handle. A null handle answers false and must not be used otherwise.
class Node {
 public:
  Node() = default;
  explicit Node(_xmlNode* raw) : raw_(raw) {}
  explicit operator bool() const { return raw_ != nullptr; }
  bool operator==(const Node& other) const = default;
  _xmlNode* raw() const { return raw_; }  // for this room only

  NodeKind kind() const;
  std::string_view local_name() const;  // empty for text
  std::string_view namespace_uri() const;
  QName name() const;
  bool is(std::string_view ns, std::string_view local) const;  // an element with this name
  Position position() const;                                   // of the start tag's '<'; {0,0} for nodes made by code

  Node parent() const;                                            // null at the document element
  Node first_child() const;                                       // first child element, or null
  Node next_sibling() const;                                      // next sibling element, or null
  Node child(std::string_view ns, std::string_view local) const;  // first child element of that name, or null
  std::vector<Node> children() const;                             // all child elements
  std::vector<Node> children(std::string_view ns, std::string_view local) const;

  std::string text() const;  // the string value: all text below, concatenated; an attribute's value
  bool has_element_children() const;
  std::optional<std::string> attribute(std::string_view local, std::string_view ns = {}) const;
  std::string attribute_or(std::string_view local, std::string_view fallback, std::string_view ns = {}) const;
  struct Attribute {
    QName name;
    std::string value;
  };
  std::vector<Attribute> attributes() const;  // without xmlns declarations
  // The URI that a prefix is bound to here; nullopt when unbound. Empty prefix: the default namespace ("" if none).
  std::optional<std::string> namespace_of_prefix(std::string_view prefix) const;
  // All prefixes in scope here: (prefix, uri).
  std::vector<std::pair<std::string, std::string>> namespaces_in_scope() const;
  // Resolves "p:local" or "local" (default namespace applies when use_default) here; kInvalid for an unbound prefix.
  Result<QName> resolve_qname(std::string_view text, bool use_default = true) const;

  // ---- changing; only on nodes of a Document that the caller owns exclusively ----
  Node append_element(std::string_view ns, std::string_view local);  // declares a prefix where needed
  Node append_element(const QName& name) { return append_element(name.ns, name.local); }
  Node append_text_element(std::string_view ns, std::string_view local, std::string_view text);
  Node append_copy(Node other);  // deep copy, with the namespaces it needs; returns the copy
  void append_text(std::string_view text);
  void set_text(std::string_view text);  // replaces all children by one text node; sets an attribute's value
  void set_attribute(std::string_view local, std::string_view value, std::string_view ns = {});
  void remove_attribute(std::string_view local, std::string_view ns = {});
  // Declares a prefix here (also when unused: for QNames in content).
  void declare_namespace(std::string_view prefix, std::string_view uri);
  void clear();                         // removes children, keeps attributes
  void clear_all();                     // removes children and attributes
  void remove();                        // unlinks and frees; the handle is dead afterwards
  Node insert_copy_before(Node other);  // a deep copy of other before this element; returns the copy
  Node replace_with_copy(Node other);   // this element is freed; returns the copy in its place
  void rename(const QName& name);
  // Moves all children and attributes of `other` (of any document, copied) here, replacing this one's.
  void assign_content_from(Node other);

  std::string to_string(bool pretty = false) const;  // this element as a stand-alone fragment, no XML declaration

 private:
  _xmlNode* raw_ = nullptr;
};

struct ParseOptions {
  Bytes max_size = mib(64);
  int max_depth = 256;
  int max_elements = 1'000'000;
  std::string source = "input";  // how errors name it: a file's path
  bool keep_whitespace = true;
};

class Document {
 public:
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();

  // kInvalid with "source:line:column: ..." when not well-formed, too deep, of too many elements or with a DTD that
  // defines entities.
  static Result<Document> parse(std::string_view text, const ParseOptions& options = {});
  static Result<Document> parse_file(const std::string& path, ParseOptions options = {});
  // A new document with an empty root element.
  static Document create(const QName& root, std::string_view prefix = {});
  // A new document whose root is a deep copy of `element`.
  static Document copy_of(Node element);

  Document clone() const;
  Node root() const;
  std::string to_string(bool pretty = false) const;  // without XML declaration
  // to_string() of a document that nobody changes any more: made once. Thread safe.
  const std::string& shared_text() const;
  const std::string& source() const;
  _xmlDoc* raw() const { return raw_; }

  DocumentPtr share() && { return std::make_shared<const Document>(std::move(*this)); }

 private:
  explicit Document(_xmlDoc* raw);
  friend class DocumentAccess;
  _xmlDoc* raw_ = nullptr;
  std::string source_;
  mutable std::atomic<const std::string*> text_{nullptr};  // owned
};

// Deep equality of two elements: names, attributes, children, text (whitespace-only text between elements ignored).
bool equivalent(Node a, Node b);
// How deep elements are nested in the element: 1 when it has no child elements.
int depth(Node element);
std::string escape_text(std::string_view text);
// Any bytes (a console's output) as text that XML 1.0 can carry: what is no UTF-8 character allowed there becomes '?',
// carriage returns go.
std::string printable(std::string_view bytes);

// Prepares the XML library; call once in main before threads start. Tests' main and programs do so implicitly by the
// first parse, which is thread safe too.
void initialise();

}  // namespace nuraghe::xml
