#include "everything.hpp"

#include <fmt/format.h>

#include <limits>

#include <string>
#include <vector>

namespace nuraghe::contracts {
// Made of the tests' definitions.
std::span<const ServiceInfo> test_services();
}  // namespace nuraghe::contracts

namespace nuraghe::contracts::echo {
namespace {

constexpr std::int64_t kLongest = 946'080'000'000'000;  // 30 years in microseconds

// Text with what XML escapes, with blanks at its ends and with characters of one to four bytes.
rc::Gen<std::string> any_text() {
  static const std::vector<std::string> kCharacters = {
      "a", "Z", "7", " ",  "\n", "\t",       "\r",           "<",
      ">", "&", "'", "\"", "]",  "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x8F\xB0"};
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(kCharacters)),
                      [](const std::vector<std::string>& parts) {
                        std::string text;
                        for (const auto& part : parts) text += part;
                        return text;
                      });
}

rc::Gen<double> any_double() {
  return rc::gen::oneOf(rc::gen::arbitrary<double>(),
                        rc::gen::element(0.1, -0.0, 1e300, -1e-300, std::numeric_limits<double>::infinity(),
                                         -std::numeric_limits<double>::infinity()));
}

Duration any_span() { return Duration(*rc::gen::inRange<std::int64_t>(-kLongest, kLongest)); }
TimePoint any_moment() { return TimePoint{*rc::gen::inRange<std::int64_t>(0, 2 * kLongest)}; }
shapes::Colour any_colour() {
  return *rc::gen::element(shapes::Colour::kRed, shapes::Colour::kLightBlue, shapes::Colour::kRAL9010);
}
shapes::Point any_point() { return {*any_double(), *any_double()}; }

template <class Make>
auto maybe(Make make) {
  return *rc::gen::arbitrary<bool>() ? std::optional(make()) : std::nullopt;
}
template <class Make>
auto several(Make make) {
  std::vector<decltype(make())> items(*rc::gen::inRange<std::size_t>(0, 4));
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = make();
  return items;
}

shapes::Tree any_tree(int depth) {
  shapes::Tree tree{*any_text(), {}};
  if (depth > 0) tree.child = several([&] { return any_tree(depth - 1); });
  return tree;
}

Everything make_everything() {
  const auto text = [] { return *any_text(); };
  const auto flag = [] { return *rc::gen::arbitrary<bool>(); };
  const auto size = [] { return Bytes{*rc::gen::arbitrary<std::int64_t>()}; };
  Everything all;
  all.text = text();
  all.flag = flag();
  all.small = *rc::gen::arbitrary<std::int32_t>();
  all.large = *rc::gen::arbitrary<std::int64_t>();
  all.real = *any_double();
  all.size = size();
  all.moment = any_moment();
  all.span = any_span();
  all.reference = Epr{"urn:test:" + fmt::to_string(all.large)};
  all.mood = flag() ? Mood::kCalm : Mood::kVeryCross;
  all.place = shapes::Place{any_point(), maybe([] { return Epr{"/services/echo/1"}; })};
  all.maybe_text = maybe(text);
  all.maybe_flag = maybe(flag);
  all.maybe_small = maybe([] { return *rc::gen::arbitrary<std::int32_t>(); });
  all.maybe_size = maybe(size);
  all.maybe_moment = maybe(any_moment);
  all.maybe_reference = maybe([] { return Epr{"http://example.org/a?b=c&d"}; });
  all.maybe_colour = maybe(any_colour);
  all.maybe_point = maybe(any_point);
  all.texts = several(text);
  all.flags = several(flag);
  all.numbers = several([] { return *rc::gen::arbitrary<std::int64_t>(); });
  all.spans = several(any_span);
  all.colours = several(any_colour);
  all.trees = several([] { return any_tree(3); });
  all.class_ = text();
  all.fields_ = *rc::gen::arbitrary<std::int32_t>();
  return all;
}

void grow(xml::Node element, int depth) {
  element.set_attribute("note", *any_text());
  const auto children = *rc::gen::inRange<int>(0, depth > 0 ? 4 : 1);
  if (children == 0) element.append_text(*any_text());
  for (int i = 0; i < children; ++i) {
    grow(element.append_element(*rc::gen::element<std::string>("", "urn:a", "urn:b"), "item"), depth - 1);
  }
}

}  // namespace

const ServiceInfo* test_service() {
  for (const auto& service : test_services())
    if (service.name == kName) return &service;
  return nullptr;
}

rc::Gen<Everything> any_everything() { return rc::gen::exec(make_everything); }

rc::Gen<xml::DocumentPtr> any_document() {
  return rc::gen::exec([] {
    auto document = xml::Document::create({*rc::gen::element<std::string>("", "urn:a", "urn:b"), "root"});
    grow(document.root(), 3);
    return std::move(document).share();
  });
}

}  // namespace nuraghe::contracts::echo
