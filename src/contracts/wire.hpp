// The XML form of field values, and what the generated codecs, skeletons and clients are made of. Used by generated
// code only.
//
// Reading is strict about what stands in an element (nothing unknown, nothing missing, nothing twice) and lenient about
// the order. Every error is kInvalid and names the element by its path within the message, and its line when it has
// one. Blanks around a value are ignored, but for strings (XML Schema 1.0 Part 2 §4.3.6).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "contracts/caller.hpp"
#include "contracts/epr.hpp"
#include "contracts/json.hpp"
#include "contracts/shape.hpp"
#include "exchange/message.hpp"
#include "xml/xml.hpp"

namespace nuraghe::contracts::wire {

inline constexpr std::string_view kAddressingNamespace = "http://www.w3.org/2005/08/addressing";

// ---- values ----

Status read_xml(xml::Node element, std::string& value);
Status read_xml(xml::Node element, bool& value);              // xsd:boolean
Status read_xml(xml::Node element, std::int32_t& value);      // xsd:int
Status read_xml(xml::Node element, std::int64_t& value);      // xsd:long
Status read_xml(xml::Node element, double& value);            // xsd:double, also INF, -INF, NaN
Status read_xml(xml::Node element, Bytes& value);             // xsd:long
Status read_xml(xml::Node element, TimePoint& value);         // xsd:dateTime; without zone: UTC
Status read_xml(xml::Node element, Duration& value);          // xsd:duration
Status read_xml(xml::Node element, xml::DocumentPtr& value);  // its only child element, copied
// Metadata and extensions are ignored; reference parameters are refused, for nobody here would send them back.
Status read_xml(xml::Node element, Epr& value);

// Each appends the element {ns}name. Text that XML cannot carry (control characters, bytes that are not UTF-8) is
// written as U+FFFD. A null document is written as an empty element, which no reader accepts.
void write(xml::Node parent, std::string_view ns, std::string_view name, std::string_view value);
void write(xml::Node parent, std::string_view ns, std::string_view name, const std::string& value);
void write(xml::Node parent, std::string_view ns, std::string_view name, bool value);
void write(xml::Node parent, std::string_view ns, std::string_view name, std::int32_t value);
void write(xml::Node parent, std::string_view ns, std::string_view name, std::int64_t value);
void write(xml::Node parent, std::string_view ns, std::string_view name, double value);
void write(xml::Node parent, std::string_view ns, std::string_view name, Bytes value);
void write(xml::Node parent, std::string_view ns, std::string_view name, TimePoint value);
void write(xml::Node parent, std::string_view ns, std::string_view name, Duration value);
void write(xml::Node parent, std::string_view ns, std::string_view name, const xml::DocumentPtr& value);
void write(xml::Node parent, std::string_view ns, std::string_view name, const Epr& value);

// Every character of it is one of XML 1.0 (§2.2), and it is UTF-8.
bool is_xml_text(std::string_view text);
// "PT90S", "-PT0.000001S": as write() writes it.
std::string duration_text(Duration value);

// ---- words of an enum ----

std::string_view word_of(std::span<const std::string_view> words, std::size_t index);  // empty when out of range
Result<std::size_t> index_of(std::span<const std::string_view> words, std::string_view word);
Result<std::size_t> read_word(xml::Node element, std::span<const std::string_view> words);

// ---- structures ----

// Walks over the child elements of one element:
//   FieldReader in(element, ns, rules);
//   while (in.next()) switch (in.index()) { case 0: in.set(value.name); break; ... }
//   return in.finish();
// The first error ends the walk and is what finish() returns. At most 64 rules.
class FieldReader {
 public:
  FieldReader(xml::Node element, std::string_view ns, std::span<const FieldShape> rules)
      : element_(element), ns_(ns), rules_(rules) {}
  // Moves to the next child; false at the end or after an error.
  bool next();
  // Which rule the child is under.
  std::size_t index() const { return index_; }
  xml::Node child() const { return child_; }
  template <class T>
  void set(T& value) {
    keep(read_xml(child_, value));
  }
  template <class T>
  void add(std::vector<T>& values) {
    T item{};
    keep(read_xml(child_, item));
    values.push_back(std::move(item));
  }
  // Also when next() was never called: then the element must be as if it has no fields.
  Status finish();

 private:
  void keep(Status status);
  bool find_rule();
  std::string known_fields() const;

  xml::Node element_;
  std::string_view ns_;
  std::span<const FieldShape> rules_;
  xml::Node child_;
  std::size_t index_ = 0;
  std::uint64_t seen_ = 0;
  bool started_ = false;
  Status status_;
};

// ---- JSON ----

// By way of the value's XML form, which the generated read_xml and write_xml make.
template <class T>
Result<std::string> to_json(const Shape& shape, const T& value) {
  auto document = xml::Document::create(xml::QName{std::string(shape.name_space), std::string(shape.name)});
  write_xml(value, document.root());
  return json_of(shape, document.root());
}
template <class T>
Status from_json(const Shape& shape, std::string_view text, T& value) {
  auto document = xml::Document::create(xml::QName{std::string(shape.name_space), std::string(shape.name)});
  TRY(xml_of(shape, text, document.root()));
  return read_xml(document.root(), value);
}

// ---- messages ----

xml::Document make_document(std::string_view ns, std::string_view local);
exchange::Message make_request(std::string to, std::string operation, xml::DocumentPtr body, bool one_way);
// The root of a request's body; kInvalid when it is not {ns}local.
Result<xml::Node> request_element(const exchange::Message& request, std::string_view ns, std::string_view local);
// The root of a reply's body; the fault as an Error; kCorrupt when it is not {ns}local.
Result<xml::Node> response_element(const exchange::Message& reply, std::string_view ns, std::string_view local);
// A reply that does not decode is its sender's failure, not the fault of whoever asked: kInvalid becomes kCorrupt.
Status as_corrupt(Status status, std::string_view element);
Error no_such_operation(std::string_view service, std::string_view operation, const std::vector<std::string>& own,
                        const std::vector<std::string>& workflows);
Result<exchange::Message> call(Caller& caller, exchange::Message request, const CallOptions& options);
Status call_one_way(Caller& caller, exchange::Message request, const CallOptions& options);

}  // namespace nuraghe::contracts::wire
