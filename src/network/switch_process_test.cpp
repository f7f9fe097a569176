// The life of the switch process: started, adopted, killed, released.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <thread>

#include "network/test_world.hpp"

namespace nuraghe::network {
namespace {

using namespace testing_world;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kMacA = 0x525400000001, kMacB = 0x525400000002;

class SwitchProcessTest : public SwitchTest {
 protected:
  // Sends until something arrives: the way between may just be made again.
  static bool arrives(Nic& from, Nic& to) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < deadline) {
      (void)from.send(make_frame(kEverybody, kMacA, "hello"));  // fails while no switch is there
      if (to.receive(20ms)) return true;
    }
    return false;
  }
  void kill_switch(const std::string& name) {
    const auto id = process(name);
    ASSERT_TRUE(id);
    const env::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, id->pid, 0)));
    ASSERT_EQ(::kill(id->pid, SIGKILL), 0);
    pollfd event{pidfd.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&event, 1, 50'000), 1);
  }
};

TEST_F(SwitchProcessTest, CommandsMayBeRepeated) {
  const auto fabric = open("a");
  const auto sockets = fabric->add_port("one", 7), again = fabric->add_port("one", 7);
  ASSERT_TRUE(sockets && again);
  EXPECT_EQ(sockets_of(*sockets).hypervisor, sockets_of(*again).hypervisor);
  EXPECT_EQ(sockets_of(*sockets).fabric, sockets_of(*again).fabric);
  EXPECT_TRUE(env::path_exists(sockets_of(*sockets).fabric));
  EXPECT_EQ(fabric->add_port("one", 8).error().code(), ErrorCode::kConflict);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(fabric->set_segment(7, {{"b", "unix:/run/b/t"}}, "s"));
    EXPECT_TRUE(fabric->remove_segment(99));
    EXPECT_TRUE(fabric->remove_port("nobody"));
  }
  EXPECT_THAT(*fabric->ports(), ElementsAre("one"));
  EXPECT_THAT(*fabric->segments(), ElementsAre(7));
  EXPECT_TRUE(fabric->remove_port("one"));
  EXPECT_FALSE(env::path_exists(sockets_of(*sockets).fabric));
  EXPECT_EQ(fabric->set_segment(0, {}, "").error().code(), ErrorCode::kInvalid);
}

TEST_F(SwitchProcessTest, NothingRunsBeforeItIsNeededNorAfter) {
  const auto fabric = open("a");
  EXPECT_EQ(fabric->tunnel_address(), "unix:" + root_ + "/a/t");
  EXPECT_THAT(*fabric->ports(), IsEmpty());
  EXPECT_THAT(*fabric->segments(), IsEmpty());
  EXPECT_TRUE(fabric->remove_port("x"));
  EXPECT_TRUE(fabric->remove_segment(1));
  EXPECT_TRUE(fabric->release_if_idle());
  EXPECT_FALSE(env::path_exists(root_ + "/a"));

  for (int round = 0; round < 2; ++round) {
    SocketNic nic = plug(*fabric, "one", 7);
    ASSERT_TRUE(fabric->set_segment(8, {}, "s"));
    const auto id = process("a");
    ASSERT_TRUE(id);
    ASSERT_TRUE(fabric->remove_port("one"));
    ASSERT_TRUE(fabric->release_if_idle());
    EXPECT_TRUE(env::process_alive(*id)) << "a segment is left";
    ASSERT_TRUE(fabric->remove_segment(8));
    ASSERT_TRUE(fabric->release_if_idle());
    EXPECT_FALSE(env::process_alive(*id));
    EXPECT_FALSE(env::path_exists(root_ + "/a"));
  }
}

TEST_F(SwitchProcessTest, ItOutlivesItsController) {
  auto fabric = open("a");
  SocketNic a = plug(*fabric, "a", 7), b = plug(*fabric, "b", 7);
  const auto id = process("a");
  ASSERT_TRUE(id);
  EXPECT_EQ(::getsid(id->pid), id->pid) << "a session of its own";
  fabric.reset();
  EXPECT_TRUE(arrives(a, b));
  fabric = open("a");
  EXPECT_THAT(*fabric->ports(), ElementsAre("a", "b"));
  EXPECT_EQ(process("a")->pid, id->pid);
}

TEST_F(SwitchProcessTest, AKilledSwitchComesBackAsItWas) {
  for (const std::string listen : {"", "udp:127.0.0.1:0"}) {
    const std::string name = listen.empty() ? "u" : "v";
    const auto first = open(name + "1", listen), second = open(name + "2", listen);
    const std::string address = first->tunnel_address();
    ASSERT_TRUE(first->set_segment(7, {{"b", second->tunnel_address()}}, "secret"));
    ASSERT_TRUE(second->set_segment(7, {{"a", address}}, "secret"));
    SocketNic a = plug(*first, "a", 7), b = plug(*second, "b", 7);
    ASSERT_TRUE(arrives(a, b));
    kill_switch(name + "1");
    EXPECT_TRUE(arrives(a, b)) << "started again without any call";
    EXPECT_TRUE(arrives(b, a));
    EXPECT_EQ(first->tunnel_address(), address);
    EXPECT_THAT(*first->ports(), ElementsAre("a"));
    EXPECT_THAT(*first->segments(), ElementsAre(7));
  }
}

TEST_F(SwitchProcessTest, ASwitchThatDiedWithoutItsControllerIsStartedByTheNextOne) {
  auto fabric = open("a");
  SocketNic a = plug(*fabric, "a", 7), b = plug(*fabric, "b", 7);
  fabric.reset();
  kill_switch("a");
  fabric = open("a");
  EXPECT_TRUE(arrives(a, b));
  EXPECT_THAT(*fabric->ports(), ElementsAre("a", "b"));
}

TEST_F(SwitchProcessTest, ASwitchThatDiedIdleLeavesNothingEither) {
  auto fabric = open("a");
  ASSERT_TRUE(fabric->add_port("a", 7));
  ASSERT_TRUE(fabric->remove_port("a"));
  fabric.reset();
  kill_switch("a");
  EXPECT_TRUE(env::path_exists(root_ + "/a/saved"));
  fabric = open("a");  // starts it again, for it cannot know
  ASSERT_TRUE(fabric->release_if_idle());
  EXPECT_FALSE(env::path_exists(root_ + "/a"));
}

TEST_F(SwitchProcessTest, ManyControllersStartOneSwitch) {
  std::vector<std::thread> threads;
  std::vector<std::string> errors(8);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto fabric = open("a");
      const auto added = fabric->add_port("port" + std::to_string(i), 7);
      if (!added) errors[i] = added.error().to_string();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(errors, testing::Each(""));
  const auto fabric = open("a");
  EXPECT_EQ(fabric->ports()->size(), errors.size());
}

TEST_F(SwitchProcessTest, ReleasingAndUsingAtOnceIsSafe) {
  const auto one = open("a"), other = open("a");
  std::thread user([&] {
    for (int i = 0; i < 10; ++i) {
      const auto added = one->add_port("p", 7);
      ASSERT_TRUE(added) << added.error().to_string();
      EXPECT_THAT(*one->ports(), ElementsAre("p")) << "a port that is there keeps the switch";
      const Status removed = one->remove_port("p");
      ASSERT_TRUE(removed) << removed.error().to_string();
    }
  });
  for (int i = 0; i < 20; ++i) {
    const Status released = other->release_if_idle();
    EXPECT_TRUE(released) << released.error().to_string();
  }
  user.join();
  EXPECT_TRUE(one->release_if_idle());
  EXPECT_FALSE(env::path_exists(root_ + "/a"));
}

TEST_F(SwitchProcessTest, AUdpAddressStaysWhileTheFabricLives) {
  const auto fabric = open("a", "udp:127.0.0.1:0");
  const std::string address = fabric->tunnel_address();
  EXPECT_THAT(address, testing::MatchesRegex("udp:127\\.0\\.0\\.1:[1-9][0-9]*"));
  ASSERT_TRUE(fabric->release_if_idle());
  EXPECT_FALSE(env::path_exists(root_ + "/a"));
  ASSERT_TRUE(fabric->add_port("a", 7));
  EXPECT_EQ(fabric->tunnel_address(), address);
}

TEST_F(SwitchProcessTest, ErrorsSayWhatToDo) {
  auto wrong = options("a");
  wrong.folder = root_ + "/" + std::string(100, 'x');
  auto fabric = open_switch_fabric(wrong);
  ASSERT_FALSE(fabric);
  EXPECT_EQ(fabric.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(fabric.error().message(), HasSubstr("choose a state directory with a path"));

  wrong = options("b");
  ASSERT_EQ(::mkdir(wrong.folder.c_str(), 0755), 0);
  fabric = open_switch_fabric(wrong);
  ASSERT_FALSE(fabric);
  EXPECT_EQ(fabric.error().code(), ErrorCode::kDenied);

  wrong = options("c");
  wrong.program = "/does/not/exist";
  fabric = open_switch_fabric(wrong);
  ASSERT_TRUE(fabric) << "it is needed only later";
  const auto added = (*fabric)->add_port("a", 7);
  ASSERT_FALSE(added);
  EXPECT_THAT(added.error().to_string(), HasSubstr("/does/not/exist"));

  wrong = options("d", "udp:192.0.2.1:0");  // not an address of this machine (RFC 5737)
  fabric = open_switch_fabric(wrong);
  ASSERT_FALSE(fabric);
  EXPECT_THAT(fabric.error().to_string(), HasSubstr("listen on udp:192.0.2.1:0"));
}

TEST_F(SwitchProcessTest, AnotherAddressIsRefusedWhileThereArePorts) {
  auto fabric = open("a");
  ASSERT_TRUE(fabric->add_port("a", 7));
  for (int round = 0; round < 2; ++round) {
    for (const char* listen : {"udp:127.0.0.1:0", "udp:127.0.0.1:4789"}) {
      const auto other = open_switch_fabric(options("a", listen));
      ASSERT_FALSE(other) << listen;
      EXPECT_THAT(other.error().to_string(), HasSubstr("end its clusters")) << (round == 0 ? "running" : "dead");
    }
    if (round == 1) break;
    fabric.reset();
    kill_switch("a");
  }
  fabric = open("a");
  EXPECT_THAT(*fabric->ports(), ElementsAre("a"));
}

TEST_F(SwitchProcessTest, ACorruptConfigurationIsSaidNotIgnored) {
  auto made = open("a");
  ASSERT_TRUE(made->add_port("a", 7));
  made.reset();
  kill_switch("a");
  ASSERT_TRUE(env::write_file_durably(root_ + "/a/saved", "\xff\xff\xff", 0600));
  const auto fabric = open_switch_fabric(options("a"));
  ASSERT_FALSE(fabric);
  EXPECT_THAT(fabric.error().to_string(), HasSubstr("reading " + root_ + "/a/saved"));
}

TEST_F(SwitchProcessTest, OnlyItsUserMayCommandIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  const auto fabric = open("a");
  ASSERT_TRUE(fabric->add_port("a", 7));
  // Even when every door but the last stands open.
  ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod((root_ + "/a").c_str(), 0755), 0);
  ASSERT_EQ(::chmod((root_ + "/a/c").c_str(), 0777), 0);
  const auto address = unix_address(root_ + "/a/c");
  const pid_t stranger = ::fork();
  ASSERT_GE(stranger, 0);
  if (stranger == 0) {
    char byte = 0;
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) ::_exit(3);
    (void)!::send(fd, "{\"do\":\"list\"}\n", 14, MSG_NOSIGNAL);
    ::_exit(::recv(fd, &byte, 1, 0) <= 0 ? 0 : 4);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(stranger, &status, 0), stranger);
  EXPECT_EQ(status, 0) << WEXITSTATUS(status);
}

TEST(SimulatedFabric, KeepsTheBooks) {
  const auto fabric = make_simulated_fabric("host1");
  EXPECT_EQ(fabric->tunnel_address(), "unix:/simulated/host1/t");
  ASSERT_TRUE(fabric->set_segment(7, {{"b", "unix:/simulated/host2/t"}}, "s"));
  const auto sockets = fabric->add_port("a", 7), again = fabric->add_port("a", 7);
  ASSERT_TRUE(sockets && again);
  EXPECT_EQ(sockets_of(*sockets).hypervisor, sockets_of(*again).hypervisor);
  EXPECT_THAT(*fabric->ports(), ElementsAre("a"));
  EXPECT_THAT(*fabric->segments(), ElementsAre(7));
  EXPECT_TRUE(fabric->remove_port("a"));
  EXPECT_TRUE(fabric->remove_segment(7));
  EXPECT_TRUE(fabric->release_if_idle());
  EXPECT_THAT(*fabric->ports(), IsEmpty());
}

}  // namespace
}  // namespace nuraghe::network
