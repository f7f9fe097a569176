#include "base/result.hpp"

#include <array>
#include <cerrno>
#include <cstring>

namespace nuraghe {
namespace {
constexpr std::array<std::pair<ErrorCode, std::string_view>, 11> kNames{{
    {ErrorCode::kInvalid, "invalid"},
    {ErrorCode::kNotFound, "not-found"},
    {ErrorCode::kConflict, "conflict"},
    {ErrorCode::kDenied, "denied"},
    {ErrorCode::kExhausted, "exhausted"},
    {ErrorCode::kUnavailable, "unavailable"},
    {ErrorCode::kTimeout, "timeout"},
    {ErrorCode::kCancelled, "cancelled"},
    {ErrorCode::kUnsupported, "unsupported"},
    {ErrorCode::kCorrupt, "corrupt"},
    {ErrorCode::kInternal, "internal"},
}};
}  // namespace

std::string_view error_code_name(ErrorCode code) {
  for (const auto& [value, name] : kNames) {
    if (value == code) return name;
  }
  return "internal";
}

ErrorCode error_code_from_name(std::string_view name) {
  for (const auto& [value, text] : kNames) {
    if (text == name) return value;
  }
  return ErrorCode::kInternal;
}

std::string Error::to_string() const {
  std::string text;
  for (auto context = context_.rbegin(); context != context_.rend(); ++context) text += *context + ": ";
  return text + message_;
}

Error system_error(std::string_view what, int errno_value) {
  ErrorCode code = ErrorCode::kUnavailable;
  switch (errno_value) {
    case ENOENT:
    case ESRCH:
      code = ErrorCode::kNotFound;
      break;
    case EEXIST:
    case EADDRINUSE:
    case EBUSY:
      code = ErrorCode::kConflict;
      break;
    case EACCES:
    case EPERM:
      code = ErrorCode::kDenied;
      break;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      code = ErrorCode::kExhausted;
      break;
    default:
      break;
  }
  std::string message(what);
  message += ": ";
  message += std::strerror(errno_value);  // NOLINT(concurrency-mt-unsafe): glibc's is thread safe
  return {code, std::move(message)};
}

}  // namespace nuraghe
