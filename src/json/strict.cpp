#include "json/strict.hpp"

#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <limits>
#include <string>
#include <unordered_set>
#include <vector>

namespace nuraghe::jsontext {
namespace {

namespace json = boost::json;
using json::error_code;

// Builds the value, and keeps the names of the members of every object that is open. The signatures are those that
// boost::json::basic_parser calls.
class Handler {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();

  Handler() { stack_.reset(); }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) {
    open_.push_back({true, {}, {}, 0});
    return true;
  }
  bool on_object_end(std::size_t size, error_code&) {
    open_.pop_back();
    stack_.push_object(size);
    return end_item();
  }
  bool on_array_begin(error_code&) {
    open_.push_back({false, {}, {}, 0});
    return true;
  }
  bool on_array_end(std::size_t size, error_code&) {
    open_.pop_back();
    stack_.push_array(size);
    return end_item();
  }
  bool on_key_part(json::string_view part, std::size_t, error_code&) {
    key_ += std::string_view(part);
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, error_code& error) {
    key_ += std::string_view(part);
    stack_.push_key(part);
    Open& open = open_.back();
    open.key = std::move(key_);
    key_.clear();
    if (open.keys.insert(open.key).second) return true;
    twice_ = path();
    error = json::error::exception;
    return false;
  }
  bool on_string_part(json::string_view part, std::size_t, error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, error_code&) {
    stack_.push_string(part);
    return end_item();
  }
  bool on_number_part(json::string_view part, error_code&) {
    number_ += std::string_view(part);
    return true;
  }
  bool on_int64(std::int64_t value, json::string_view, error_code&) {
    number_.clear();
    stack_.push_int64(value);
    return end_item();
  }
  bool on_uint64(std::uint64_t value, json::string_view, error_code&) {
    number_.clear();
    stack_.push_uint64(value);
    return end_item();
  }
  // Boost.JSON 1.81 may be off by the last bit.
  bool on_double(double value, json::string_view part, error_code&) {
    number_ += std::string_view(part);
    double exact = value;
    if (std::from_chars(number_.data(), number_.data() + number_.size(), exact).ec == std::errc()) value = exact;
    number_.clear();
    stack_.push_double(value);
    return end_item();
  }
  bool on_bool(bool value, error_code&) {
    stack_.push_bool(value);
    return end_item();
  }
  bool on_null(error_code&) {
    stack_.push_null();
    return end_item();
  }
  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }

  json::value release() { return stack_.release(); }
  // Where a member stands that was there already; empty: none does.
  const std::string& twice() const { return twice_; }

 private:
  struct Open {
    bool is_object;
    std::unordered_set<std::string> keys;
    std::string key;
    std::size_t items;
  };
  bool end_item() {
    if (!open_.empty()) ++open_.back().items;
    return true;
  }
  std::string path() const {
    std::string text;
    for (const Open& open : open_) {
      if (open.is_object)
        text += (text.empty() ? "" : ".") + open.key;
      else
        text += fmt::format("[{}]", open.items);
    }
    return text;
  }

  json::value_stack stack_;
  std::vector<Open> open_;
  std::string key_;
  std::string number_;
  std::string twice_;
};

}  // namespace

Result<json::value> parse(std::string_view text) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::basic_parser<Handler> parser(options);
  error_code error;
  const std::size_t taken = parser.write_some(false, text.data(), text.size(), error);
  const std::string& twice = parser.handler().twice();
  if (!twice.empty()) return invalid(fmt::format("the member {} stands twice", twice));
  if (error == json::error::too_deep)
    return invalid(fmt::format("the text is no JSON that can be read here: it is deeper than {} levels", kMaxDepth));
  if (error) return invalid(fmt::format("the text is no JSON: {} at byte {}", error.message(), taken + 1));
  if (taken < text.size()) return invalid(fmt::format("the text is no JSON: more follows at byte {}", taken + 1));
  return parser.handler().release();
}

}  // namespace nuraghe::jsontext
