#include "base/log.hpp"

#include <unistd.h>

#include <atomic>
#include <chrono>

#include "base/units.hpp"

namespace nuraghe {
namespace {
std::atomic<LogLevel> minimum_level{LogLevel::kInfo};
constexpr const char* kLevelNames[] = {"debug", "info", "warning", "error"};

bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" \t\n\r\"=") != std::string_view::npos;
}

void append_quoted(std::string& line, std::string_view value) {
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    if (c == '\n')
      line += "\\n";
    else if (c == '\r')
      line += "\\r";
    else
      line += c;
  }
  line += '"';
}
}  // namespace

void set_log_level(LogLevel level) { minimum_level = level; }

void log_line(LogLevel level, std::string_view room, std::string_view message, LogFields fields) {
  if (level < minimum_level.load(std::memory_order_relaxed)) return;
  const auto now = std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch());
  std::string line = TimePoint{now.count()}.to_string();
  line += ' ';
  line += kLevelNames[static_cast<int>(level)];
  line += ' ';
  line += room;
  line += ": ";
  line += message;
  for (const auto& [key, value] : fields) {
    line += ' ';
    line += key;
    line += '=';
    if (needs_quotes(value))
      append_quoted(line, value);
    else
      line += value;
  }
  line += '\n';
  // A log line that cannot be written has nowhere to be reported.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace nuraghe
