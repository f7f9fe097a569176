#include "api/rest_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/units.hpp"
#include "contracts/json.hpp"
#include "net/http.hpp"

namespace nuraghe::api {

using contracts::FieldShape;
using contracts::ValueKind;

namespace {

constexpr std::size_t kDefaultLimit = 1000;
constexpr std::size_t kMostItems = 10'000;
constexpr std::size_t kMostOfOperation = 1000;  // that every operation gives at once

bool is_simple(const FieldShape& field) {
  return !field.list && field.kind != ValueKind::kAny && field.kind != ValueKind::kEpr &&
         field.kind != ValueKind::kStruct;
}

std::span<const FieldShape> fields_of(const FieldShape& items) {
  return items.kind == ValueKind::kStruct ? items.type->fields : std::span<const FieldShape>();
}

const FieldShape* find_field(std::span<const FieldShape> fields, std::string_view name) {
  const auto found = std::ranges::find(fields, name, &FieldShape::name);
  return found == fields.end() ? nullptr : &*found;
}

template <class T>
std::optional<Scalar> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Scalar(value);
}

// nullopt: the text is no value of the field's type.
std::optional<Scalar> scalar(const FieldShape& field, std::string_view text) {
  switch (field.kind) {
    case ValueKind::kBoolean:
      if (text == "true" || text == "1") return Scalar(true);
      if (text == "false" || text == "0") return Scalar(false);
      return std::nullopt;
    case ValueKind::kInt:
    case ValueKind::kLong:
    case ValueKind::kBytes:
      return number<std::int64_t>(text);
    case ValueKind::kDouble:
      return number<double>(text);
    case ValueKind::kTime: {
      const auto time = parse_time(text);
      return time ? std::optional<Scalar>(time->micros) : std::nullopt;
    }
    case ValueKind::kDuration: {
      const auto duration = parse_duration(text);
      return duration ? std::optional<Scalar>(std::int64_t{duration->count()}) : std::nullopt;
    }
    case ValueKind::kEnum:
      if (std::ranges::find(field.words, text) == field.words.end()) return std::nullopt;
      return Scalar(std::string(text));
    default:
      return Scalar(std::string(text));
  }
}

std::string what_is_meant(const FieldShape& field) {
  switch (field.kind) {
    case ValueKind::kBoolean:
      return "true or false";
    case ValueKind::kTime:
      return "a time such as 2026-01-31T12:00:00Z";
    case ValueKind::kDuration:
      return "a duration such as PT90S";
    case ValueKind::kEnum: {
      std::string words;
      for (const auto& word : field.words) words += (words.empty() ? "" : ", ") + std::string(word);
      return "one of " + words;
    }
    default:
      return "a number";
  }
}

std::string known_parameters(const RestRoute& route) {
  std::string names = "limit, cursor";
  for (const FieldShape& field : route.operation->request->fields) {
    const bool in_path = std::ranges::find(route.parameters, field.name) != route.parameters.end();
    if (!in_path && field.name != "limit" && is_simple(field)) names += ", " + std::string(field.name);
  }
  for (const FieldShape& field : fields_of(*route.items)) {
    if (is_simple(field) && find_field(route.operation->request->fields, field.name) == nullptr) {
      names += ", " + std::string(field.name);
    }
  }
  return names;
}

// ---- cursors: hexadecimal digits of TYPE GIVEN ':' NAME ----

std::string hex_of(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::optional<std::string> bytes_of(std::string_view hex) {
  std::string out;
  if (hex.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
    if (error != std::errc() || end != hex.data() + i + 2) return std::nullopt;
    out.push_back(static_cast<char>(value));
  }
  return out;
}

std::string cursor_of(const Scalar& name, std::size_t given) {
  if (const auto* text = std::get_if<std::string>(&name)) return hex_of(fmt::format("s{}:{}", given, *text));
  if (const auto* value = std::get_if<std::int64_t>(&name)) return hex_of(fmt::format("n{}:{}", given, *value));
  return hex_of(fmt::format("n{}:0", given));
}

Status read_cursor(std::string_view text, ListQuery& query) {
  const Error wrong = invalid("the cursor is not one that an earlier page has given; begin without it");
  const auto bytes = bytes_of(text);
  const std::size_t colon = bytes ? bytes->find(':') : std::string::npos;
  if (colon == std::string::npos || colon < 2) return wrong;
  const std::string_view whole = *bytes;
  const auto given = number<std::int64_t>(whole.substr(1, colon - 1));
  if (!given || std::get<std::int64_t>(*given) < 0) return wrong;
  query.given = static_cast<std::size_t>(std::get<std::int64_t>(*given));
  query.resumes = true;
  const std::string_view name = whole.substr(colon + 1);
  if (whole.front() == 's') {
    query.after = std::string(name);
    return {};
  }
  const auto value = number<std::int64_t>(name);
  if (whole.front() != 'n' || !value) return wrong;
  query.after = *value;
  return {};
}

Status read_limit(std::string_view text, ListQuery& query) {
  const auto value = number<std::int64_t>(text);
  if (!value || std::get<std::int64_t>(*value) < 1) {
    return invalid(fmt::format("limit must be a number from 1 to {}", kMostItems));
  }
  query.limit = std::min(static_cast<std::size_t>(std::get<std::int64_t>(*value)), kMostItems);
  return {};
}

Status add_filter(const RestRoute& route, const std::string& name, const std::string& text, ListQuery& query) {
  const FieldShape* field = find_field(fields_of(*route.items), name);
  if (field == nullptr || !is_simple(*field)) {
    return invalid(fmt::format("there is no parameter {}; {} {} has {}", name, route.operation->rest_verb,
                               route.operation->rest_path, known_parameters(route)));
  }
  auto value = scalar(*field, text);
  if (!value) return invalid(fmt::format("the parameter {} must be {}, not {}", name, what_is_meant(*field), text));
  auto filter = std::ranges::find(query.filters, field, &Filter::field);
  if (filter == query.filters.end()) filter = query.filters.insert(filter, Filter{field, {}});
  filter->values.push_back(std::move(*value));
  return {};
}

bool gives_pages(const RestRoute& route) {
  const auto fields = route.operation->request->fields;
  const FieldShape* after = find_field(fields, "after");
  const FieldShape* limit = find_field(fields, "limit");
  const FieldShape* order = find_field(fields_of(*route.items), route.order);
  return after != nullptr && limit != nullptr && limit->kind == ValueKind::kInt && order != nullptr &&
         order->kind == after->kind;
}

// Asks the operation for the page that is wanted.
void ask_for_page(ListQuery& query, QueryParameters& own) {
  query.by_operation = true;
  query.limit = std::min(query.limit, kMostOfOperation);
  own.emplace_back("limit", fmt::format("{}", query.limit));
  if (!query.resumes) return;
  std::erase_if(own, [](const auto& parameter) { return parameter.first == "after"; });
  const auto* number = std::get_if<std::int64_t>(&query.after);
  const auto* text = std::get_if<std::string>(&query.after);
  own.emplace_back("after", number != nullptr ? fmt::format("{}", *number) : text != nullptr ? *text : std::string());
}

struct Item {
  Scalar name;
  xml::Node element;
};

bool shows(const ListQuery& query, xml::Node element, std::string_view ns) {
  return std::ranges::all_of(query.filters, [&](const Filter& filter) {
    const xml::Node child = element.child(ns, filter.field->name);
    if (!child) return false;
    const auto value = scalar(*filter.field, child.text());
    return value && std::ranges::find(filter.values, *value) != filter.values.end();
  });
}

std::vector<Item> items_of(const RestRoute& route, const ListQuery& query, xml::Node parent) {
  std::vector<Item> items;
  const bool structs = route.items->kind == ValueKind::kStruct;
  const std::string_view ns = structs ? route.items->type->name_space : std::string_view();
  const FieldShape* order = find_field(fields_of(*route.items), route.order);
  std::int64_t number = 0;
  for (const xml::Node element : parent.children(route.answer->name_space, route.items->name)) {
    Item item{Scalar(number++), element};
    if (order != nullptr) {
      const xml::Node name = element.child(ns, order->name);
      item.name = scalar(*order, name ? name.text() : "").value_or(Scalar(std::string()));
    }
    if (!structs || shows(query, element, ns)) items.push_back(std::move(item));
  }
  std::ranges::stable_sort(items, {}, &Item::name);
  return items;
}

// Where the items of that name stand; not by equal_range, whose result clang 14 does not compile.
struct Places {
  std::size_t begin = 0, end = 0;
};
Places places_of(const std::vector<Item>& items, const Scalar& name) {
  const auto begin = std::ranges::lower_bound(items, name, {}, &Item::name);
  const auto end = std::ranges::upper_bound(items, name, {}, &Item::name);
  return {static_cast<std::size_t>(begin - items.begin()), static_cast<std::size_t>(end - items.begin())};
}

// The first item that the pages before did not have.
std::size_t first_of(const ListQuery& query, const std::vector<Item>& items) {
  if (!query.resumes) return 0;
  const Places same = places_of(items, query.after);
  return std::min(same.begin + query.given, same.end);
}

}  // namespace

Result<ListQuery> take_list_query(const RestRoute& route, QueryParameters& parameters) {
  ListQuery query;
  query.limit = kDefaultLimit;
  QueryParameters own;
  for (auto& [name, text] : parameters) {
    if (name == "limit") {
      TRY(read_limit(text, query));
    } else if (name == "cursor") {
      TRY(read_cursor(text, query));
    } else if (find_field(route.operation->request->fields, name) != nullptr) {
      own.emplace_back(name, std::move(text));
    } else {
      TRY(add_filter(route, name, text, query));
    }
  }
  if (gives_pages(route)) ask_for_page(query, own);
  parameters = std::move(own);
  return query;
}

Result<Page> page_of(const RestRoute& route, const ListQuery& query, const xml::DocumentPtr& answer) {
  const contracts::Shape& response = *route.operation->response;
  if (!answer || !answer->root().is(response.name_space, response.name)) {
    return corrupt(fmt::format("what {} answered is no {}", route.operation->name, response.name));
  }
  xml::Node parent = answer->root();
  if (!route.operation->rest_answer_field.empty()) {
    parent = parent.child(response.name_space, route.operation->rest_answer_field);
    if (!parent) return corrupt(fmt::format("the answer of {} is empty", route.operation->name));
  }
  const std::vector<Item> items = items_of(route, query, parent);
  const std::size_t begin = query.by_operation ? 0 : first_of(query, items);
  const std::size_t end = query.by_operation ? items.size() : std::min(items.size(), begin + query.limit);
  // What is shown is read by the same codec as a whole answer.
  xml::Document shown = xml::Document::create({std::string(route.answer->name_space), "page"});
  for (std::size_t i = begin; i < end; ++i) shown.root().append_copy(items[i].element);
  Page page;
  auto body = contracts::json_of(*route.answer, shown.root());
  if (!body)
    return corrupt(body.error().message()).with(fmt::format("reading the answer of {}", route.operation->name));
  page.body = std::move(*body);
  if (query.by_operation) {
    const std::vector<Item> all = items_of(route, {}, parent);
    if (all.size() >= query.limit) page.cursor = cursor_of(all.back().name, 0);
  } else if (end < items.size()) {
    page.cursor = cursor_of(items[end - 1].name, end - places_of(items, items[end - 1].name).begin);
  }
  return page;
}

std::string next_target(std::string_view path, const QueryParameters& parameters, const std::string& cursor) {
  std::string target(path);
  target += "?";
  for (const auto& [name, text] : parameters) {
    if (name != "cursor") target += net::percent_encode(name) + "=" + net::percent_encode(text) + "&";
  }
  return target + "cursor=" + cursor;
}

}  // namespace nuraghe::api
