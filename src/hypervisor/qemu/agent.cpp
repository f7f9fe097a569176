#include "hypervisor/qemu/agent.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

namespace nuraghe::hypervisor::qemu {

namespace json = boost::json;

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kAnswerLimit = 16 * 1024 * 1024;
// An agent that restarts may read a request and never answer it: it is asked again after this time.
constexpr Duration kAnswerWait = 5s;

std::int64_t random_sync_id() {
  std::uint32_t id = 0;
  std::array<std::uint8_t, sizeof id> bytes{};
  env::system_random().fill(bytes);
  std::memcpy(&id, bytes.data(), sizeof id);
  return id & 0x7fffffff;
}

}  // namespace

Status AgentConnection::send(std::string text, const Deadline& deadline) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      std::array<pollfd, 2> polls{{{socket_.get(), POLLOUT, 0}, {end_fd_, POLLIN, 0}}};
      TRY(deadline.wait(polls, "room in the guest agent's port"));
      if (polls[1].revents != 0) return unavailable("the host ended");
    } else if (errno != EINTR) {
      return unavailable(fmt::format("the guest agent's port is gone: {}", std::strerror(errno)));
    }
  }
  return {};
}

Result<std::string> AgentConnection::receive(const Deadline& deadline) {
  for (;;) {
    const auto end = input_.find('\n');
    if (end != std::string::npos) {
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      const auto begin = line.find_last_of('\xff');
      return begin == std::string::npos ? line : line.substr(begin + 1);
    }
    if (input_.size() > kAnswerLimit) return corrupt("the guest agent sent a message over 16 MiB");
    std::array<pollfd, 2> polls{{{socket_.get(), POLLIN, 0}, {end_fd_, POLLIN, 0}}};
    TRY(deadline.wait(polls, "answer of the guest agent"));
    if (polls[0].revents == 0) return unavailable("the host ended");
    std::array<char, 16384> buffer{};
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return unavailable("the guest agent's port was closed");
    input_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

Status AgentConnection::synchronise(const Deadline& deadline) {
  sync_id_ = random_sync_id();
  late_answers_ = -1;
  const std::string request =
      fmt::format("\xff{{\"execute\":\"guest-sync-delimited\",\"arguments\":{{\"id\":{}}}}}\n", sync_id_);
  for (;;) {
    TRY(send(request, deadline));
    ++late_answers_;
    const Deadline patience = deadline.at_most(kAnswerWait);
    for (;;) {
      auto line = receive(patience);
      if (!line) {
        if (line.error().code() != ErrorCode::kTimeout) return std::move(line).error();
        TRY(deadline.check("answer of the guest agent"));
        break;
      }
      boost::system::error_code error;
      const json::value answer = json::parse(*line, error);
      if (error || !answer.is_object()) continue;  // the rest of an answer to somebody before us
      const json::value* value = answer.get_object().if_contains("return");
      if (value != nullptr && value->is_int64() && value->get_int64() == sync_id_) return {};
    }
  }
}

Result<std::string> AgentConnection::execute(const std::string& command, const Deadline& deadline) {
  boost::system::error_code error;
  const json::value request = json::parse(command, error);
  if (error || !request.is_object() || !request.get_object().contains("execute")) {
    return invalid("a guest agent command is a JSON object with the member \"execute\"");
  }
  TRY(synchronise(deadline));
  TRY(send(json::serialize(request) + "\n", deadline));
  for (;;) {
    TRY_ASSIGN(const std::string line, receive(deadline));
    const json::value answer = json::parse(line, error);
    if (error || !answer.is_object()) return corrupt("the guest agent said something that is no JSON object");
    if (const json::value* value = answer.get_object().if_contains("return")) {
      if (value->is_int64() && value->get_int64() == sync_id_ && late_answers_ > 0) {
        --late_answers_;
        continue;
      }
      return json::serialize(*value);
    }
    if (const json::value* failure = answer.get_object().if_contains("error")) {
      const json::value* text = failure->is_object() ? failure->get_object().if_contains("desc") : nullptr;
      return unavailable(fmt::format("the guest agent refuses: {}",
                                     text != nullptr && text->is_string() ? text->get_string().c_str() : "no reason"));
    }
  }
}

}  // namespace nuraghe::hypervisor::qemu
