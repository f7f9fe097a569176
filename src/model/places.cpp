#include "model/places.hpp"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>
#include <string_view>

namespace nuraghe::model {

namespace {

constexpr std::size_t kMostFiles = 1000;

std::string file_attribute(std::size_t number) { return fmt::format("file-{}", number); }

// The elements below and with `root`, in document order.
template <class Visit>
void for_each_element(xml::Node root, Visit visit) {
  for (xml::Node at = root; at;) {
    visit(at);
    if (const xml::Node child = at.first_child()) {
      at = child;
      continue;
    }
    while (at && !(at == root) && !at.next_sibling()) at = at.parent();
    at = !at || at == root ? xml::Node() : at.next_sibling();
  }
}

bool take_number(std::string_view& text, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool take_character(std::string_view& text, char character) {
  if (!text.starts_with(character)) return false;
  text.remove_prefix(1);
  return true;
}

// "5:3" or "5:3/1"
std::optional<Places::Place> read_place(std::string_view text, std::size_t files) {
  Places::Place place;
  int file = 0;
  if (!take_number(text, place.position.line) || !take_character(text, ':')) return std::nullopt;
  if (!take_number(text, place.position.column)) return std::nullopt;
  if (take_character(text, '/') && !take_number(text, file)) return std::nullopt;
  place.file = static_cast<std::size_t>(file);
  if (!text.empty() || place.file >= files) return std::nullopt;
  return place;
}

}  // namespace

void write_places(xml::Node root, const Places& places) {
  take_places(root);
  std::string at;
  for (const Places::Place& place : places.elements) {
    at += fmt::format("{}{}:{}", at.empty() ? "" : " ", place.position.line, place.position.column);
    if (place.file > 0) at += fmt::format("/{}", place.file);
  }
  root.set_attribute("at", at, kPlacesNamespace);
  for (std::size_t i = 0; i < places.files.size(); ++i)
    root.set_attribute(file_attribute(i), places.files[i], kPlacesNamespace);
}

Places take_places(xml::Node root) {
  Places places;
  const std::string at = root.attribute_or("at", "", kPlacesNamespace);
  while (places.files.size() < kMostFiles) {
    auto file = root.attribute(file_attribute(places.files.size()), kPlacesNamespace);
    if (!file) break;
    places.files.push_back(std::move(*file));
  }
  for (const auto& attribute : root.attributes())
    if (attribute.name.ns == kPlacesNamespace) root.remove_attribute(attribute.name.local, kPlacesNamespace);
  std::string_view rest = at;
  while (!rest.empty()) {
    const auto blank = rest.find(' ');
    const auto place = read_place(rest.substr(0, blank), places.files.size());
    if (!place) return {};
    places.elements.push_back(*place);
    rest.remove_prefix(blank == std::string_view::npos ? rest.size() : blank + 1);
  }
  return places;
}

void place_findings(const xml::Document& document, const Places& places, std::vector<xml::Finding>& findings) {
  std::map<std::pair<int, int>, const Places::Place*> known;
  std::size_t number = 0;
  for_each_element(document.root(), [&](xml::Node element) {
    if (number >= places.elements.size()) return;
    known.emplace(std::pair(element.position().line, element.position().column), &places.elements[number++]);
  });
  for (xml::Finding& finding : findings) {
    const auto found = known.find({finding.position.line, finding.position.column});
    if (found == known.end()) continue;
    finding.position = found->second->position;
    finding.source = places.files[found->second->file];
  }
}

}  // namespace nuraghe::model
