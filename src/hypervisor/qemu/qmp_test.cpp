// The two protocols against a partner that speaks as QEMU 7.2 and its guest agent do, misbehaviour included.
#include "hypervisor/qemu/qmp.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "hypervisor/qemu/agent.hpp"

namespace nuraghe::hypervisor::qemu {
namespace {

using namespace std::chrono_literals;

// The far end of a socket, played by a function in a thread of its own.
class Partner {
 public:
  explicit Partner(std::function<void(Partner&)> play) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    near_ = env::UniqueFd(ends[0]);
    far_ = env::UniqueFd(ends[1]);
    thread_ = std::thread([this, play] {
      play(*this);
      far_.reset();
    });
  }
  ~Partner() {
    near_.reset();
    thread_.join();
  }
  env::UniqueFd take() { return std::move(near_); }
  void say(std::string_view text) {
    EXPECT_EQ(::send(far_.get(), text.data(), text.size(), MSG_NOSIGNAL), ssize_t(text.size()));
  }
  std::string hear() {  // one line; empty when the other end is closed
    std::string line;
    for (char c = 0; ::recv(far_.get(), &c, 1, 0) == 1 && c != '\n';) line += c;
    return line;
  }

 private:
  env::UniqueFd near_, far_;
  std::thread thread_;
};

constexpr const char* kGreeting =
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}}}}\r\n";
constexpr const char* kEmpty = "{\"return\": {}}\r\n";

TEST(Qmp, NegotiatesAndReadsPastEvents) {
  Partner partner([](Partner& qemu) {
    qemu.say(kGreeting);
    EXPECT_EQ(qemu.hear(), R"({"execute":"qmp_capabilities"})");
    qemu.say(kEmpty);
    EXPECT_EQ(qemu.hear(), R"({"execute":"stop"})");
    qemu.say("{\"timestamp\": {\"seconds\": 1}, \"event\": \"STOP\"}\r\n{\"return\"");
    qemu.say(": {}}\r\n");
    EXPECT_EQ(qemu.hear(), R"({"execute":"query-status"})");
    qemu.say("{\"return\": {\"status\": \"paused\", \"singlestep\": false, \"running\": false}}\r\n");
    EXPECT_EQ(qemu.hear(), R"({"execute":"set_link","arguments":{"name":"nic-a","up":false}})");
    qemu.say("{\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"Device 'nic-a' not found\"}}\r\n");
  });
  Qmp qmp(partner.take());
  const Deadline deadline(60s);
  ASSERT_TRUE(qmp.negotiate(deadline));
  EXPECT_TRUE(qmp.stop(deadline));
  EXPECT_EQ(qmp.status(deadline).value(), "paused");
  const Status refused = qmp.set_link("nic-a", false, deadline);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "QEMU refuses set_link: Device 'nic-a' not found");
}

TEST(Qmp, AFailedMigrationSaysWhy) {
  Partner partner([](Partner& qemu) {
    EXPECT_NE(qemu.hear().find("migrate-set-capabilities"), std::string::npos);
    qemu.say(kEmpty);
    EXPECT_NE(qemu.hear().find("getfd"), std::string::npos);
    qemu.say(kEmpty);
    EXPECT_NE(qemu.hear().find("\"migrate\""), std::string::npos);
    qemu.say("{\"event\": \"MIGRATION\", \"data\": {\"status\": \"setup\"}}\r\n{\"return\": {}}\r\n");
    qemu.say("{\"event\": \"MIGRATION\", \"data\": {\"status\": \"active\"}}\r\n");
    qemu.say("{\"event\": \"MIGRATION\", \"data\": {\"status\": \"failed\"}}\r\n");
    EXPECT_NE(qemu.hear().find("query-migrate"), std::string::npos);
    qemu.say("{\"return\": {\"status\": \"failed\", \"error-desc\": \"No space left on device\"}}\r\n");
  });
  Qmp qmp(partner.take());
  const Status saved = qmp.save_devices(STDIN_FILENO, Deadline(60s));
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().message().find("(failed): No space left on device"), std::string::npos)
      << saved.error().message();
}

TEST(Qmp, EndsWithItsPartner) {
  Partner gone([](Partner&) {});
  Qmp qmp(gone.take());
  const Status status = qmp.negotiate(Deadline(60s));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kUnavailable);
  Partner babbling([](Partner& qemu) { qemu.say("this is no JSON\r\n"); });
  Qmp second(babbling.take());
  EXPECT_EQ(second.negotiate(Deadline(60s)).error().code(), ErrorCode::kCorrupt);
  Partner silent([](Partner& qemu) { qemu.hear(); });
  Qmp third(silent.take());
  EXPECT_EQ(third.negotiate(Deadline(10ms)).error().code(), ErrorCode::kTimeout);
}

std::string sync_answer(const std::string& request) {
  const auto at = request.find("\"id\":");
  EXPECT_EQ(request.find("\xff{\"execute\":\"guest-sync-delimited\""), 0U) << request;
  return "\xff{\"return\": " + request.substr(at + 5, request.find('}', at) - at - 5) + "}\n";
}

TEST(Agent, DropsWhatWasQueuedBeforeAndAnswers) {
  Partner partner([](Partner& agent) {
    const std::string sync = agent.hear();
    agent.say("of an answer to somebody else\"}\n{\"return\": 7}\n" + sync_answer(sync));
    EXPECT_EQ(agent.hear(), R"({"execute":"guest-get-host-name"})");
    agent.say("{\"return\": {\"host-name\":");
    agent.say(" \"head\"}}\n");
    agent.say(sync_answer(agent.hear()));
    EXPECT_EQ(agent.hear(), R"({"execute":"guest-nothing"})");
    agent.say(
        "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Command guest-nothing has not been found\"}}\n");
  });
  EventFlag end;
  AgentConnection agent(partner.take(), end.fd());
  const Deadline deadline(60s);
  EXPECT_EQ(agent.execute("{ \"execute\": \"guest-get-host-name\" }", deadline).value(), R"({"host-name":"head"})");
  const auto refused = agent.execute(R"({"execute":"guest-nothing"})", deadline);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(), "the guest agent refuses: Command guest-nothing has not been found");
  EXPECT_EQ(agent.execute("rm -rf /", deadline).error().code(), ErrorCode::kInvalid);
}

TEST(Agent, WaitsNoLongerThanTheHostLives) {
  Partner silent([](Partner& agent) { agent.hear(), agent.hear(); });
  EventFlag end;
  AgentConnection agent(silent.take(), end.fd());
  EXPECT_EQ(agent.synchronise(Deadline(10ms)).error().code(), ErrorCode::kTimeout);
  end.raise();
  EXPECT_EQ(agent.synchronise(Deadline(60s)).error().code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace nuraghe::hypervisor::qemu
