#include "apps/controller/stranger_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>

#include "base/log.hpp"
#include "env/posix.hpp"

namespace nuraghe::controller {

namespace json = boost::json;

void StrangerLog::write(TimePoint now, bool all) {
  std::string text;
  for (const auto& entry : strangers_.take(now, all)) {
    text += json::serialize(json::object{{"time", entry.first.to_string()},
                                         {"origin", entry.stranger.origin},
                                         {"request", entry.stranger.request},
                                         {"shown", entry.stranger.claim},
                                         {"times", entry.times}}) +
            "\n";
  }
  if (text.empty()) return;
  if (const Status status = append(text); !status)
    log_error("audit", "who was not let in could not be written down",
              {{"error", status.error().to_string()}, {"entries", text}});
}

Status StrangerLog::append(const std::string& text) const {
  struct stat info {};
  const bool is_full = ::stat(file_.c_str(), &info) == 0 && info.st_size >= most_.count;
  if (is_full && ::rename(file_.c_str(), (file_ + ".1").c_str()) != 0)
    return system_error(fmt::format("rename {}", file_), errno);
  const env::UniqueFd file(::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!file.valid()) return system_error(fmt::format("open {}", file_), errno);
  std::string_view left = text;
  while (!left.empty()) {
    const auto count = ::write(file.get(), left.data(), left.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return system_error(fmt::format("write {}", file_), errno);
    left.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace nuraghe::controller
