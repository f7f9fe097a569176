// Log: one line per event on standard error, "time level room message key=value ...". Secrets never go here.
//
//   log_info("vhc", "host started", {{"host", id}, {"pid", fmt::format("{}", pid)}});
// Thread safe: a line is written by one write(2).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace nuraghe {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

// Lines below this level are dropped; kInfo at first.
void set_log_level(LogLevel level);
void log_line(LogLevel level, std::string_view room, std::string_view message, LogFields fields);

inline void log_debug(std::string_view room, std::string_view message, LogFields fields = {}) {
  log_line(LogLevel::kDebug, room, message, fields);
}
inline void log_info(std::string_view room, std::string_view message, LogFields fields = {}) {
  log_line(LogLevel::kInfo, room, message, fields);
}
inline void log_warning(std::string_view room, std::string_view message, LogFields fields = {}) {
  log_line(LogLevel::kWarning, room, message, fields);
}
inline void log_error(std::string_view room, std::string_view message, LogFields fields = {}) {
  log_line(LogLevel::kError, room, message, fields);
}

}  // namespace nuraghe
