#include "hypervisor/qemu/event_link.hpp"

#include <sys/socket.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <string_view>

namespace nuraghe::hypervisor::qemu {

namespace json = boost::json;

namespace {

constexpr std::size_t kEventLimit = 1024 * 1024;
constexpr std::string_view kQuestions = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-status\"}\n";

}  // namespace

// What it says before it greets would be lost: so it is asked for its status when it has.
bool EventLink::ask() {
  const ssize_t count = ::send(fd(), kQuestions.data(), kQuestions.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return count == static_cast<ssize_t>(kQuestions.size());
}

EventLink::Said EventLink::take(const std::string& line) {
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  const json::object* message = error ? nullptr : value.if_object();
  if (message == nullptr) return Said::kEnded;
  if (message->contains("QMP")) return ask() ? Said::kNothing : Said::kEnded;
  if (const json::value* event = message->if_contains("event"); event != nullptr && event->is_string())
    return event->get_string() == "STOP" ? Said::kStopped : Said::kNothing;
  const json::value* answer = message->if_contains("return");
  const json::object* status = answer == nullptr ? nullptr : answer->if_object();
  const json::value* runs = status == nullptr ? nullptr : status->if_contains("running");
  return runs != nullptr && runs->is_bool() && !runs->get_bool() ? Said::kStopped : Said::kNothing;
}

EventLink::Said EventLink::read() {
  Said said = Said::kNothing;
  for (;;) {
    for (auto end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
      const Said now = take(input_.substr(0, end));
      input_.erase(0, end + 1);
      if (now == Said::kEnded) return now;
      if (now == Said::kStopped) said = now;
    }
    std::array<char, 8192> buffer{};
    const ssize_t count = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return said;
    if (count <= 0 || input_.size() > kEventLimit) return said == Said::kStopped ? said : Said::kEnded;
    input_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace nuraghe::hypervisor::qemu
