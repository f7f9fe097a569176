#include "contracts/wire.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace nuraghe::contracts::wire {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// "reserve/nodes/memory": from the top of the message to the element.
std::string path_of(xml::Node element) {
  std::string path(element.local_name());
  for (xml::Node above = element.parent(); above && above.kind() == xml::NodeKind::kElement; above = above.parent()) {
    path = fmt::format("{}/{}", above.local_name(), path);
  }
  return path;
}

Error wrong(xml::Node element, std::string_view what) {
  const int line = element.position().line;
  if (line == 0) return invalid(fmt::format("the element {} {}", path_of(element), what));
  return invalid(fmt::format("the element {} (line {}) {}", path_of(element), line, what));
}

// As much of a text as an error should quote.
std::string quoted(std::string_view text) {
  constexpr std::size_t kLimit = 60;
  return text.size() <= kLimit ? fmt::format("'{}'", text) : fmt::format("'{}…'", text.substr(0, kLimit));
}

Result<std::string> text_content(xml::Node element) {
  if (element.first_child()) return wrong(element, "holds elements where a value should stand");
  return element.text();
}

template <class T>
Status read_number(xml::Node element, T& value, std::string_view what) {
  TRY_ASSIGN(const std::string content, text_content(element));
  std::string_view text = trim(content);
  if (text.starts_with('+')) text.remove_prefix(text.substr(1).starts_with('-') ? 0 : 1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && !text.empty() && end == text.data() + text.size()) return {};
  return wrong(element, fmt::format("must be {}, not {}", what, quoted(content)));
}

// The length of the XML character (XML 1.0 §2.2) at the beginning of text, 0 when there is none.
std::size_t xml_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 || lead == '\t' || lead == '\n' || lead == '\r' ? 1 : 0;
  if (lead >= 0xC2 && lead < 0xE0) return follows(1) ? 2 : 0;
  if (lead >= 0xE0 && lead < 0xF0) {
    if (!follows(1) || !follows(2)) return 0;
    const unsigned code = (lead & 0x0FU) << 12 | (byte(1) & 0x3FU) << 6 | (byte(2) & 0x3FU);
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    return code < 0x800 || surrogate || code >= 0xFFFE ? 0 : 3;
  }
  if (lead >= 0xF0 && lead < 0xF5) {
    if (!follows(1) || !follows(2) || !follows(3)) return 0;
    const unsigned top = (lead & 0x07U) << 2 | (byte(1) & 0x3FU) >> 4;  // planes 1 to 16
    return top >= 1 && top <= 16 ? 4 : 0;
  }
  return 0;
}

// How many bytes of the text are fit for XML, from its beginning.
std::size_t fit_for_xml(std::string_view text) {
  std::size_t good = 0;
  while (good < text.size()) {
    const std::size_t length = xml_character(text.substr(good));
    if (length == 0) break;
    good += length;
  }
  return good;
}

void write_text(xml::Node parent, std::string_view ns, std::string_view name, std::string_view text) {
  const std::size_t good = fit_for_xml(text);
  if (good == text.size()) {
    parent.append_text_element(ns, name, text);
    return;
  }
  std::string clean(text.substr(0, good));
  for (std::size_t at = good; at < text.size();) {
    const std::size_t length = xml_character(text.substr(at));
    clean += length == 0 ? kReplacement : text.substr(at, length);
    at += std::max<std::size_t>(length, 1);
  }
  parent.append_text_element(ns, name, clean);
}

}  // namespace

bool is_xml_text(std::string_view text) { return fit_for_xml(text) == text.size(); }

// ---- values ----

Status read_xml(xml::Node element, std::string& value) {
  TRY_ASSIGN(value, text_content(element));
  return {};
}

Status read_xml(xml::Node element, bool& value) {
  TRY_ASSIGN(const std::string content, text_content(element));
  const std::string_view text = trim(content);
  value = text == "true" || text == "1";
  if (value || text == "false" || text == "0") return {};
  return wrong(element, fmt::format("must be true or false, not {}", quoted(content)));
}

Status read_xml(xml::Node element, std::int32_t& value) {
  return read_number(element, value, "a whole number of 32 bits");
}

Status read_xml(xml::Node element, std::int64_t& value) {
  return read_number(element, value, "a whole number of 64 bits");
}

Status read_xml(xml::Node element, double& value) {
  TRY_ASSIGN(const std::string content, text_content(element));
  const std::string_view text = trim(content);
  if (text == "INF" || text == "-INF") {
    value = std::numeric_limits<double>::infinity() * (text.front() == '-' ? -1 : 1);
    return {};
  }
  if (text == "NaN") {
    value = std::numeric_limits<double>::quiet_NaN();
    return {};
  }
  // from_chars would take "inf" and "nan" in any case; XML Schema does not.
  if (text.find_first_of("iInN") != std::string_view::npos) {
    return wrong(element, fmt::format("must be a number, not {}", quoted(content)));
  }
  return read_number(element, value, "a number");
}

Status read_xml(xml::Node element, Bytes& value) {
  return read_number(element, value.count, "a whole number of bytes");
}

Status read_xml(xml::Node element, TimePoint& value) {
  TRY_ASSIGN(const std::string content, text_content(element));
  auto time = parse_time(trim(content));
  if (!time) return wrong(element, fmt::format("is wrong: {}", time.error().message()));
  value = *time;
  return {};
}

Status read_xml(xml::Node element, Duration& value) {
  TRY_ASSIGN(const std::string content, text_content(element));
  const std::string_view text = trim(content);
  if (!text.starts_with('P') && !text.starts_with("-P")) {
    return wrong(element, fmt::format("must be a duration such as PT90S, not {}", quoted(content)));
  }
  auto span = parse_duration(text);
  if (!span) return wrong(element, fmt::format("is wrong: {}", span.error().message()));
  value = *span;
  return {};
}

Status read_xml(xml::Node element, xml::DocumentPtr& value) {
  const xml::Node child = element.first_child();
  if (!child) return wrong(element, "must hold one element and holds none");
  if (child.next_sibling()) return wrong(element, "must hold one element and holds several");
  value = xml::Document::copy_of(child).share();
  return {};
}

Status read_xml(xml::Node element, Epr& value) {
  const xml::Node address = element.child(kAddressingNamespace, "Address");
  if (!address)
    return wrong(element, fmt::format("is no endpoint reference: {{{}}}Address is missing", kAddressingNamespace));
  if (const xml::Node parameters = element.child(kAddressingNamespace, "ReferenceParameters");
      parameters && parameters.first_child()) {
    return wrong(parameters, "must be empty: an endpoint reference with reference parameters cannot be used here");
  }
  TRY_ASSIGN(const std::string text, text_content(address));
  value.address = trim(text);
  return {};
}

void write(xml::Node parent, std::string_view ns, std::string_view name, std::string_view value) {
  write_text(parent, ns, name, value);
}

void write(xml::Node parent, std::string_view ns, std::string_view name, const std::string& value) {
  write_text(parent, ns, name, value);
}

void write(xml::Node parent, std::string_view ns, std::string_view name, bool value) {
  parent.append_text_element(ns, name, value ? "true" : "false");
}

void write(xml::Node parent, std::string_view ns, std::string_view name, std::int32_t value) {
  parent.append_text_element(ns, name, fmt::to_string(value));
}

void write(xml::Node parent, std::string_view ns, std::string_view name, std::int64_t value) {
  parent.append_text_element(ns, name, fmt::to_string(value));
}

void write(xml::Node parent, std::string_view ns, std::string_view name, double value) {
  if (std::isnan(value))
    parent.append_text_element(ns, name, "NaN");
  else if (std::isinf(value))
    parent.append_text_element(ns, name, value > 0 ? "INF" : "-INF");
  else
    parent.append_text_element(ns, name, fmt::to_string(value));
}

void write(xml::Node parent, std::string_view ns, std::string_view name, Bytes value) {
  parent.append_text_element(ns, name, fmt::to_string(value.count));
}

void write(xml::Node parent, std::string_view ns, std::string_view name, TimePoint value) {
  parent.append_text_element(ns, name, value.to_string());
}

void write(xml::Node parent, std::string_view ns, std::string_view name, Duration value) {
  parent.append_text_element(ns, name, duration_text(value));
}

std::string duration_text(Duration value) {
  constexpr std::uint64_t kMicrosPerSecond = 1'000'000;
  const std::int64_t micros = value.count();
  // Unsigned: the smallest value has no positive counterpart.
  const std::uint64_t size = micros < 0 ? 0 - static_cast<std::uint64_t>(micros) : static_cast<std::uint64_t>(micros);
  std::string text = fmt::format("{}PT{}", micros < 0 ? "-" : "", size / kMicrosPerSecond);
  if (size % kMicrosPerSecond != 0) text += fmt::format(".{:06}", size % kMicrosPerSecond);
  return text + "S";
}

void write(xml::Node parent, std::string_view ns, std::string_view name, const xml::DocumentPtr& value) {
  xml::Node element = parent.append_element(ns, name);
  if (value) element.append_copy(value->root());
}

void write(xml::Node parent, std::string_view ns, std::string_view name, const Epr& value) {
  write_text(parent.append_element(ns, name), kAddressingNamespace, "Address", value.address);
}

// ---- words of an enum ----

std::string_view word_of(std::span<const std::string_view> words, std::size_t index) {
  return index < words.size() ? words[index] : std::string_view();
}

Result<std::size_t> index_of(std::span<const std::string_view> words, std::string_view word) {
  const auto found = std::ranges::find(words, word);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  return invalid(fmt::format("{} is not one of {}", quoted(word), fmt::join(words, ", ")));
}

Result<std::size_t> read_word(xml::Node element, std::span<const std::string_view> words) {
  TRY_ASSIGN(const std::string content, text_content(element));
  auto index = index_of(words, trim(content));
  if (!index) return wrong(element, fmt::format("must be one of {}, not {}", fmt::join(words, ", "), quoted(content)));
  return *index;
}

// ---- structures ----

void FieldReader::keep(Status status) {
  if (!status) status_ = std::move(status);
}

std::string FieldReader::known_fields() const {
  std::string names;
  for (const auto& rule : rules_) names += (names.empty() ? "" : ", ") + std::string(rule.name);
  return names.empty() ? "nothing" : names;
}

bool FieldReader::find_rule() {
  const std::string_view local = child_.local_name();
  if (child_.namespace_uri() == ns_) {
    // Senders write the fields in the schema's order: the rule of the last child or the one after it is the likely one.
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      const std::size_t candidate = (index_ + i) % rules_.size();
      if (rules_[candidate].name != local) continue;
      index_ = candidate;
      return true;
    }
  }
  const bool other_namespace = std::ranges::find(rules_, local, &FieldShape::name) != rules_.end();
  status_ = other_namespace
                ? wrong(child_, fmt::format("is of the namespace {} and must be of {}", quoted(child_.namespace_uri()),
                                            quoted(ns_)))
                : wrong(child_, fmt::format("is unknown; {} may hold {}", element_.local_name(), known_fields()));
  return false;
}

bool FieldReader::next() {
  if (!status_ || (started_ && !child_)) return false;
  child_ = started_ ? child_.next_sibling() : element_.first_child();
  started_ = true;
  if (!child_ || !find_rule()) return false;
  const std::uint64_t bit = std::uint64_t{1} << index_;
  if ((seen_ & bit) != 0 && !rules_[index_].list) {
    status_ = wrong(child_, fmt::format("stands twice in {}", element_.local_name()));
    return false;
  }
  seen_ |= bit;
  return true;
}

Status FieldReader::finish() {
  if (!started_) static_cast<void>(next());
  if (!status_) return std::move(status_);
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    if (!rules_[i].list && !rules_[i].optional && (seen_ >> i & 1) == 0) {
      return wrong(element_, fmt::format("lacks the element {}", rules_[i].name));
    }
  }
  if (seen_ == 0 && !trim(element_.text()).empty()) {
    return wrong(element_,
                 fmt::format("holds the text {}; it may hold {}", quoted(trim(element_.text())), known_fields()));
  }
  return {};
}

// ---- messages ----

xml::Document make_document(std::string_view ns, std::string_view local) {
  return xml::Document::create(xml::QName{std::string(ns), std::string(local)});
}

exchange::Message make_request(std::string to, std::string operation, xml::DocumentPtr body, bool one_way) {
  exchange::Message request;
  request.to = std::move(to);
  request.operation = std::move(operation);
  request.body = std::move(body);
  request.one_way = one_way;
  return request;
}

Result<xml::Node> request_element(const exchange::Message& request, std::string_view ns, std::string_view local) {
  if (!request.body) return invalid(fmt::format("the request {} has no body; it must be {{{}}}{}", local, ns, local));
  const xml::Node root = request.body->root();
  if (root.is(ns, local)) return root;
  return invalid(fmt::format("the body of the request {} is {} and must be {{{}}}{}", request.operation,
                             root.name().to_string(), ns, local));
}

Result<xml::Node> response_element(const exchange::Message& reply, std::string_view ns, std::string_view local) {
  if (reply.fault) return exchange::error_of(*reply.fault);
  if (!reply.body) return corrupt(fmt::format("the reply has no body; it must be {{{}}}{}", ns, local));
  const xml::Node root = reply.body->root();
  if (root.is(ns, local)) return root;
  return corrupt(fmt::format("the reply is {} and must be {{{}}}{}", root.name().to_string(), ns, local));
}

Status as_corrupt(Status status, std::string_view element) {
  if (status) return {};
  return corrupt(status.error().message()).with(fmt::format("reading the reply {}", element));
}

Error no_such_operation(std::string_view service, std::string_view operation, const std::vector<std::string>& own,
                        const std::vector<std::string>& workflows) {
  if (std::ranges::find(workflows, operation) != workflows.end()) {
    return unsupported(fmt::format("the operation {} of {} is done by a workflow, and none that serves it is deployed",
                                   operation, service));
  }
  return invalid(fmt::format("{} has no operation {}; it has {}", service, quoted(operation),
                             own.empty() ? "none of its own" : fmt::format("{}", fmt::join(own, ", "))));
}

Result<exchange::Message> call(Caller& caller, exchange::Message request, const CallOptions& options) {
  request.message_id = options.message_id;
  request.vo = options.vo;
  return caller.call(std::move(request), options.timeout);
}

Status call_one_way(Caller& caller, exchange::Message request, const CallOptions& options) {
  TRY_ASSIGN(const auto reply, call(caller, std::move(request), options));
  if (reply.fault) return exchange::error_of(*reply.fault);
  return {};
}

}  // namespace nuraghe::contracts::wire
