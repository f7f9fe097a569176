#include "soap/references.hpp"

#include <algorithm>
#include <iterator>

#include "soap/envelope.hpp"

namespace nuraghe::soap {
namespace {

constexpr std::string_view kNamespaces[] = {kAddressing, kAddressing2004,
                                            "http://schemas.xmlsoap.org/ws/2004/03/addressing",
                                            "http://schemas.xmlsoap.org/ws/2003/03/addressing"};

// What says where a message goes, in whose name, and what it is: no reference may say that of our messages.
bool is_ours(std::string_view ns) {
  return is_addressing(ns) || ns == kContext || ns == kEnvelope11 || ns == kEnvelope12;
}

}  // namespace

bool is_addressing(std::string_view ns) { return std::ranges::find(kNamespaces, ns) != std::end(kNamespaces); }

xml::DocumentPtr detached(xml::Node element) {
  xml::Document document = xml::Document::copy_of(element);
  const xml::Node root = document.root();
  for (const auto& [prefix, uri] : element.namespaces_in_scope()) {
    if (prefix.empty() || prefix == "xml" || uri == kEnvelope11 || uri == kEnvelope12 || uri == kAddressing ||
        uri == kContext)
      continue;
    if (!root.namespace_of_prefix(prefix)) xml::Node(root).declare_namespace(prefix, uri);
  }
  return std::move(document).share();
}

xml::DocumentPtr header_blocks_of(xml::Node reference) {
  const std::string_view ns = reference.namespace_uri();
  xml::Document parts = xml::Document::create({std::string(kParts), "parts"});
  xml::Node header = parts.root().append_element(kParts, "header");
  const bool is_standard = ns == kAddressing;
  const auto repeat = [&](std::string_view list) {
    const xml::Node around = reference.child(ns, list);
    if (!around) return;
    for (const xml::Node one : around.children()) {
      if (is_ours(one.namespace_uri())) continue;
      xml::Node block = header.append_copy(detached(one)->root());
      if (is_standard) block.set_attribute("IsReferenceParameter", "true", kAddressing);
    }
  };
  if (!is_standard) repeat("ReferenceProperties");
  repeat("ReferenceParameters");
  if (!header.first_child()) return nullptr;
  parts.root().append_element(kParts, "body");
  return std::move(parts).share();
}

xml::DocumentPtr with_header_blocks(const xml::DocumentPtr& blocks, const xml::DocumentPtr& body) {
  if (blocks == nullptr) return body;
  xml::Document parts = blocks->clone();
  if (body == nullptr) return std::move(parts).share();
  xml::Node elements = parts.root().child(kParts, "body");
  if (!body->root().is(kParts, "parts")) {
    elements.append_copy(body->root());
    return std::move(parts).share();
  }
  xml::Node header = parts.root().child(kParts, "header");
  for (const xml::Node block : body->root().child(kParts, "header").children()) header.append_copy(block);
  for (const xml::Node element : body->root().child(kParts, "body").children()) elements.append_copy(element);
  return std::move(parts).share();
}

}  // namespace nuraghe::soap
