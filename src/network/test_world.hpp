// For tests: real switches in folders of their own, and NICs as a hypervisor has them.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/record.hpp"
#include "env/posix.hpp"
#include "network/address.hpp"
#include "network/configuration.hpp"
#include "network/fabric.hpp"
#include "test_folders.hpp"

namespace nuraghe::network::testing_world {

using namespace std::chrono_literals;
using Frame = std::string;
constexpr std::uint64_t kEverybody = 0xffffffffffff;

inline Frame make_frame(std::uint64_t to, std::uint64_t from, const std::string& text, std::size_t size = 60) {
  Frame frame;
  for (const std::uint64_t mac : {to, from}) {
    for (int shift = 40; shift >= 0; shift -= 8) frame += static_cast<char>(mac >> shift);
  }
  frame += "\x88\xb5" + text;  // local experimental EtherType (IEEE 802)
  if (frame.size() < size) frame.resize(size, '\0');
  return frame;
}

// The text of a frame made by make_frame.
inline std::string text_of(const Frame& frame) { return frame.size() < 14 ? frame : frame.substr(14).c_str(); }

inline const PortSockets& sockets_of(const Port& port) { return std::get<PortSockets>(port.plug); }

// A hypervisor's end of a port.
class Nic {
 public:
  Nic() = default;
  Nic(Nic&&) = default;
  Nic& operator=(Nic&&) = default;
  virtual ~Nic() = default;
  // As a hypervisor that starts (again).
  virtual void plug() = 0;
  void unplug() { fd_.reset(); }
  // 0, or errno.
  virtual int send(const Frame& frame) = 0;
  std::optional<Frame> receive(std::chrono::milliseconds patience = 20s) {
    pollfd event{fd_.get(), POLLIN, 0};
    if (::poll(&event, 1, static_cast<int>(patience.count())) <= 0) return std::nullopt;
    static thread_local std::array<char, 65536> buffer;
    const ssize_t size = ::read(fd_.get(), buffer.data(), buffer.size());
    if (size < 0) return std::nullopt;
    return Frame(buffer.data(), static_cast<std::size_t>(size));
  }
  // The texts of all frames up to the one with this text.
  std::vector<std::string> receive_until(const std::string& last) {
    std::vector<std::string> texts;
    while (const auto frame = receive()) {
      texts.push_back(text_of(*frame));
      if (texts.back() == last) break;
    }
    return texts;
  }

 protected:
  env::UniqueFd fd_;
};

// Of a switch's port.
class SocketNic : public Nic {
 public:
  explicit SocketNic(PortSockets sockets) : sockets_(std::move(sockets)) { SocketNic::plug(); }
  // A new socket at the same path.
  void plug() override {
    auto fd = bind_datagram(sockets_.hypervisor);
    if (!fd) ADD_FAILURE() << fd.error().to_string();
    if (fd) fd_ = std::move(*fd);
  }
  // Waits a moment when the switch is busy.
  int send(const Frame& frame) override {
    const auto address = unix_address(sockets_.fabric);
    for (int i = 0; i < 10000; ++i) {
      if (::sendto(fd_.get(), frame.data(), frame.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&*address),
                   sizeof *address) >= 0) {
        return 0;
      }
      if (errno != EAGAIN) return errno;
      ::poll(nullptr, 0, 1);  // a UNIX datagram socket that is not connected has no event for room at the receiver
    }
    return EAGAIN;
  }

 private:
  PortSockets sockets_;
};

class SwitchTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/nuraghe-sw-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override {
    const auto names = env::list_directory(root_);
    for (const auto& name : names ? *names : std::vector<std::string>{}) {
      if (const auto id = process(name)) ::kill(id->pid, SIGKILL);
    }
    EXPECT_TRUE(env::remove_tree(root_));
  }

  SwitchOptions options(const std::string& name, const std::string& listen = "") const {
    SwitchOptions made;
    made.folder = root_ + "/" + name;
    made.program = std::string(NURAGHE_BUILD_DIR) + "/bin/nuraghe-switch";
    made.listen = listen;
    made.timeout = 50s;
    return made;
  }
  std::unique_ptr<Fabric> open(const std::string& name, const std::string& listen = "") const {
    auto fabric = open_switch_fabric(options(name, listen));
    if (!fabric) {
      ADD_FAILURE() << fabric.error().to_string();
      return make_simulated_fabric(name);
    }
    return std::move(*fabric);
  }
  static SocketNic plug(Fabric& fabric, const std::string& id, std::int64_t segment) {
    auto sockets = fabric.add_port(id, segment);
    if (!sockets) ADD_FAILURE() << sockets.error().to_string();
    return SocketNic(sockets ? sockets_of(*sockets) : PortSockets{});
  }
  // The running switch of a folder.
  std::optional<env::ProcessId> process(const std::string& name) const {
    const auto bytes = env::read_file(SwitchFiles{root_ + "/" + name}.process());
    if (!bytes) return std::nullopt;
    const auto record = decode_record<SwitchProcess>(*bytes);
    if (!record) return std::nullopt;
    const env::ProcessId id{static_cast<pid_t>(record->pid), record->start_ticks};
    if (!env::process_alive(id)) return std::nullopt;
    return id;
  }
  std::string show(const std::string& name) const {
    const auto shown = env::run_command_ok({options(name).program, "show", options(name).folder});
    return shown ? *shown : shown.error().to_string();
  }
  // Whether the switch comes to show this text.
  bool comes_to_show(const std::string& name, const std::string& text) const {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    for (;;) {
      const std::string shown = show(name);
      if (shown.find(text) != std::string::npos) return true;
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << text << " is not in " << shown;
        return false;
      }
    }
  }
  std::string root_;
};

}  // namespace nuraghe::network::testing_world
