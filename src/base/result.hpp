// Result<T> and Error: how every room of Nuraghe reports failure. No exception crosses a room's border.
//
// An Error is for people: one sentence that says what happened, to what, why and what to do next, and a chain of
// context from the innermost cause outwards. Whether to retry depends on the code, never on the text.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace nuraghe {

enum class ErrorCode {
  kInvalid,      // the input is wrong; repeating it cannot succeed
  kNotFound,     // what was named does not exist
  kConflict,     // the state does not allow it, or somebody else was first
  kDenied,       // the caller may not do this
  kExhausted,    // a resource or limit is used up: memory, disk, capacity, queue length
  kUnavailable,  // a peer does not answer now; a repeat may succeed
  kTimeout,      // it was not done within its time
  kCancelled,    // its user aborted it
  kUnsupported,  // this driver, build or host cannot do it
  kCorrupt,      // stored or received data does not verify
  kInternal,     // a defect of Nuraghe
};

// The code's stable name as it stands in faults and JSON: "invalid", "not-found", "conflict", ...
std::string_view error_code_name(ErrorCode code);
// The inverse of error_code_name; kInternal for an unknown name.
ErrorCode error_code_from_name(std::string_view name);

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<std::string>& context() const { return context_; }

  // Adds what was being done when this happened, outermost last: error.with("creating host head").
  Error with(std::string context) && {
    context_.push_back(std::move(context));
    return std::move(*this);
  }
  Error with(std::string context) const& { return Error(*this).with(std::move(context)); }

  // "creating cluster a: creating host head: the image mini is not in the repository"
  std::string to_string() const;
  // True when a repeat of the same call may succeed: kUnavailable and kTimeout.
  bool is_transient() const { return code_ == ErrorCode::kUnavailable || code_ == ErrorCode::kTimeout; }

 private:
  ErrorCode code_;
  std::string message_;
  std::vector<std::string> context_;
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
  Result(Error error) : tl::expected<T, Error>(tl::unexpect, std::move(error)) {}     // NOLINT: implicit by design
  Result(tl::expected<T, Error> other) : tl::expected<T, Error>(std::move(other)) {}  // NOLINT: implicit by design
};
using Status = Result<void>;

inline Error invalid(std::string message) { return {ErrorCode::kInvalid, std::move(message)}; }
inline Error not_found(std::string message) { return {ErrorCode::kNotFound, std::move(message)}; }
inline Error conflict(std::string message) { return {ErrorCode::kConflict, std::move(message)}; }
inline Error denied(std::string message) { return {ErrorCode::kDenied, std::move(message)}; }
inline Error exhausted(std::string message) { return {ErrorCode::kExhausted, std::move(message)}; }
inline Error unavailable(std::string message) { return {ErrorCode::kUnavailable, std::move(message)}; }
inline Error timed_out(std::string message) { return {ErrorCode::kTimeout, std::move(message)}; }
inline Error unsupported(std::string message) { return {ErrorCode::kUnsupported, std::move(message)}; }
inline Error corrupt(std::string message) { return {ErrorCode::kCorrupt, std::move(message)}; }
inline Error internal(std::string message) { return {ErrorCode::kInternal, std::move(message)}; }

// The error of a failed system call: "open /a/b: No such file or directory", the code chosen by errno
// (ENOENT not found, EEXIST conflict, EACCES/EPERM denied, ENOSPC/EMFILE/ENOMEM exhausted, else unavailable).
Error system_error(std::string_view what, int errno_value);

}  // namespace nuraghe

#define NURAGHE_CONCAT_INNER(a, b) a##b
#define NURAGHE_CONCAT(a, b) NURAGHE_CONCAT_INNER(a, b)

// Returns the error of a Status or Result expression to the caller, if it holds one.
#define TRY(expression)                                             \
  do {                                                              \
    if (auto try_status_ = (expression); !try_status_) [[unlikely]] \
      return std::move(try_status_).error();                        \
  } while (false)

// TRY_ASSIGN(auto value, expression): as TRY, else binds the value.
#define TRY_ASSIGN(target, expression) TRY_ASSIGN_INNER(NURAGHE_CONCAT(try_result_, __LINE__), target, expression)
#define TRY_ASSIGN_INNER(name, target, expression) \
  auto name = (expression);                        \
  if (!name) [[unlikely]]                          \
    return std::move(name).error();                \
  target = std::move(*name)
