#include "soap/addresses.hpp"

#include "soap/envelope.hpp"

namespace nuraghe::soap {
namespace {

constexpr std::string_view kServices = "/services/";

std::optional<std::string> own_path(const SharedPathOf& path_of, std::string_view address) {
  return path_of ? (*path_of)(address) : path_below({}, address);
}

bool names_own(xml::Node node, const SharedPathOf& path_of) {
  if (node.is(kAddressing, "Address")) return own_path(path_of, node.text()).has_value();
  for (xml::Node child = node.first_child(); child; child = child.next_sibling()) {
    if (names_own(child, path_of)) return true;
  }
  return false;
}

void tell(xml::Node node, const SharedPathOf& path_of, const std::string& base) {
  if (node.is(kAddressing, "Address")) {
    if (const auto path = own_path(path_of, node.text())) node.set_text(base + *path);
    return;
  }
  for (xml::Node child = node.first_child(); child; child = child.next_sibling()) tell(child, path_of, base);
}

}  // namespace

std::optional<std::string> path_below(std::string_view base, std::string_view address) {
  if (!base.empty() && address.starts_with(base)) address.remove_prefix(base.size());
  if (!address.starts_with(kServices)) return std::nullopt;
  return std::string(address);
}

xml::DocumentPtr told_with(const xml::DocumentPtr& document, const SharedPathOf& path_of, const std::string& base) {
  if (document == nullptr || base.empty() || !names_own(document->root(), path_of)) return document;
  xml::Document told = document->clone();
  tell(told.root(), path_of, base);
  return std::move(told).share();
}

}  // namespace nuraghe::soap
