#include "hypervisor/qemu/qmp.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

#include "hypervisor/qemu/host_files.hpp"

namespace nuraghe::hypervisor::qemu {

namespace json = boost::json;

namespace {

constexpr std::size_t kMessageLimit = 4 * 1024 * 1024;
constexpr const char* kMigrationFd = "nuraghe-device-state";

const json::value* member(const json::value& value, std::string_view name) {
  const json::object* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(name);
}
std::string text_of(const json::value* value) {
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->begin(), text->end());
}

Result<json::value> parse(const std::string& line) {
  boost::system::error_code error;
  json::value value = json::parse(line, error);
  if (error) return corrupt(fmt::format("QEMU's monitor said something that is no JSON: {}", error.message()));
  return value;
}

}  // namespace

Result<Qmp> Qmp::open(const std::string& folder, const Deadline& deadline) {
  TRY_ASSIGN(auto socket, connect_in(folder, kQmpSocket));
  Qmp qmp(std::move(socket));
  TRY(qmp.negotiate(deadline));
  return qmp;
}

Status Qmp::negotiate(const Deadline& deadline) {
  TRY_ASSIGN(const std::string line, receive(deadline));
  TRY_ASSIGN(const json::value greeting, parse(line));
  if (member(greeting, "QMP") == nullptr) return corrupt("QEMU's monitor did not greet");
  TRY(execute("qmp_capabilities", "", deadline));
  return {};
}

Status Qmp::send(std::string_view text, int fd) {
  std::array<char, CMSG_SPACE(sizeof(int))> control{};
  while (!text.empty()) {
    iovec part{const_cast<char*>(text.data()), text.size()};  // sendmsg only reads
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd >= 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    // Commands are far smaller than the socket's buffer, which QEMU empties before it answers: this does not block.
    const ssize_t count = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return unavailable(fmt::format("QEMU's monitor is gone: {}", std::strerror(errno)));
    text.remove_prefix(static_cast<std::size_t>(count));
    fd = -1;
  }
  return {};
}

Result<std::string> Qmp::receive(const Deadline& deadline) {
  for (;;) {
    const auto end = input_.find('\n');
    if (end != std::string::npos) {
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      return line;
    }
    if (input_.size() > kMessageLimit) return corrupt("QEMU's monitor sent a message over 4 MiB");
    TRY(deadline.wait_readable(socket_.get(), "answer of QEMU's monitor"));
    std::array<char, 8192> buffer{};
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count <= 0) return unavailable("QEMU ended");
    input_.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

Result<std::string> Qmp::execute(std::string_view command, const std::string& arguments, const Deadline& deadline) {
  return execute_with_fd(command, arguments, -1, deadline);
}

Result<std::string> Qmp::execute_with_fd(std::string_view command, const std::string& arguments, int fd,
                                         const Deadline& deadline) {
  TRY(send(arguments.empty() ? fmt::format("{{\"execute\":\"{}\"}}\n", command)
                             : fmt::format("{{\"execute\":\"{}\",\"arguments\":{}}}\n", command, arguments),
           fd));
  for (;;) {
    TRY_ASSIGN(const std::string line, receive(deadline));
    TRY_ASSIGN(const json::value answer, parse(line));
    if (const json::value* value = member(answer, "return")) return json::serialize(*value);
    if (const json::value* error = member(answer, "error")) {
      return unavailable(fmt::format("QEMU refuses {}: {}", command, text_of(member(*error, "desc"))));
    }
    if (text_of(member(answer, "event")) != "MIGRATION") continue;
    if (const json::value* data = member(answer, "data")) events_.push_back(text_of(member(*data, "status")));
  }
}

Result<std::string> Qmp::status(const Deadline& deadline) {
  TRY_ASSIGN(const std::string text, execute("query-status", "", deadline));
  TRY_ASSIGN(const json::value value, parse(text));
  return text_of(member(value, "status"));
}

Result<std::optional<DiskFailure>> Qmp::disk_failure(const Deadline& deadline) {
  TRY_ASSIGN(const std::string text, execute("query-block", "", deadline));
  TRY_ASSIGN(const json::value value, parse(text));
  const json::array* disks = value.if_array();
  if (disks == nullptr) return std::optional<DiskFailure>();
  for (const json::value& disk : *disks) {
    const std::string status = text_of(member(disk, "io-status"));
    if (status.empty() || status == "ok") continue;
    const json::value* inserted = member(disk, "inserted");
    return std::optional(
        DiskFailure{inserted == nullptr ? "" : text_of(member(*inserted, "node-name")), status == "nospace"});
  }
  return std::optional<DiskFailure>();
}

Status Qmp::stop(const Deadline& deadline) {
  TRY(execute("stop", "", deadline));
  return {};
}

Status Qmp::cont(const Deadline& deadline) {
  TRY(execute("cont", "", deadline));
  return {};
}

Status Qmp::set_link(std::string_view nic_device, bool up, const Deadline& deadline) {
  TRY(execute("set_link", json::serialize(json::object{{"name", nic_device}, {"up", up}}), deadline));
  return {};
}

Status Qmp::await_migration(const Deadline& deadline) {
  for (;;) {
    while (!events_.empty()) {
      const std::string status = events_.front();
      events_.pop_front();
      if (status == "completed") return {};
      if (status != "failed" && status != "cancelled") continue;
      auto info = execute("query-migrate", "", deadline);
      std::string why = info ? *info : info.error().to_string();
      if (info) {
        if (const auto value = parse(*info); value && member(*value, "error-desc") != nullptr) {
          why = text_of(member(*value, "error-desc"));
        }
      }
      return unavailable(fmt::format("QEMU could not transfer the device state ({}): {}", status, why));
    }
    TRY_ASSIGN(const std::string line, receive(deadline));
    TRY_ASSIGN(const json::value message, parse(line));
    if (text_of(member(message, "event")) != "MIGRATION") continue;
    if (const json::value* data = member(message, "data")) events_.push_back(text_of(member(*data, "status")));
  }
}

namespace {
// "events": progress arrives as MIGRATION events; "x-ignore-shared": RAM in a shared file is not copied.
constexpr const char* kCapabilities =
    R"({"capabilities":[{"capability":"events","state":true},{"capability":"x-ignore-shared","state":true}]})";
}  // namespace

Status Qmp::save_devices(int fd, const Deadline& deadline) {
  events_.clear();
  TRY(execute("migrate-set-capabilities", kCapabilities, deadline));
  TRY(execute_with_fd("getfd", fmt::format(R"({{"fdname":"{}"}})", kMigrationFd), fd, deadline));
  TRY(execute("migrate", fmt::format(R"({{"uri":"fd:{}"}})", kMigrationFd), deadline));
  return await_migration(deadline);
}

Status Qmp::load_devices(int fd, const Deadline& deadline) {
  events_.clear();
  TRY(execute("migrate-set-capabilities", kCapabilities, deadline));
  TRY(execute_with_fd("getfd", fmt::format(R"({{"fdname":"{}"}})", kMigrationFd), fd, deadline));
  TRY(execute("migrate-incoming", fmt::format(R"({{"uri":"fd:{}"}})", kMigrationFd), deadline));
  return await_migration(deadline);
}

}  // namespace nuraghe::hypervisor::qemu
