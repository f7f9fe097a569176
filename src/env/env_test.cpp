#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "env/posix.hpp"
#include "env/sim.hpp"

namespace nuraghe::env {
namespace {

class TemporaryDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "env-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { ASSERT_TRUE(remove_tree(directory_)); }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  std::string directory_;
};
using Files = TemporaryDirectory;
using Commands = TemporaryDirectory;

TEST(Ids, HaveTheirFormAndDoNotRepeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = make_id(system_random(), "vh");
    ASSERT_EQ(id.size(), 29U);
    ASSERT_EQ(id.substr(0, 3), "vh-");
    ASSERT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567", 3), std::string::npos);
    ASSERT_TRUE(seen.insert(id).second);
  }
  const std::string urn = make_uuid_urn(system_random());
  ASSERT_EQ(urn.size(), 45U);
  EXPECT_EQ(urn.substr(0, 9), "urn:uuid:");
  EXPECT_EQ(urn[9 + 14], '4');
  EXPECT_NE(std::string("89ab").find(urn[9 + 19]), std::string::npos);
}

TEST(Ids, AChildHasItsOwn) {
  static_cast<void>(make_id(system_random(), "vh"));  // what is left of the kernel's bytes the child gets, too
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const std::string id = make_id(system_random(), "vh");
    ::_exit(::write(ends[1], id.data(), id.size()) == static_cast<ssize_t>(id.size()) ? 0 : 1);
  }
  std::string of_child(29, ' ');
  EXPECT_EQ(::read(ends[0], of_child.data(), of_child.size()), 29);
  int status = 1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_NE(of_child, make_id(system_random(), "vh"));
}

TEST(Ids, EachOfTheirCharactersTakesEveryValue) {
  std::vector<std::set<char>> seen(26);
  SimRandom random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::string id = make_id(random, "x");
    for (std::size_t k = 0; k < 26; ++k) seen[k].insert(id[2 + k]);
  }
  for (const auto& values : seen) EXPECT_EQ(values.size(), 32U);
}

TEST(Sim, TheSameSeedGivesTheSameNumbers) {
  SimRandom a(42);
  SimRandom b(42);
  SimRandom c(43);
  EXPECT_EQ(make_id(a, "x"), make_id(b, "x"));
  EXPECT_NE(make_id(a, "x"), make_id(c, "x"));
  for (int i = 0; i < 1000; ++i) ASSERT_LT(a.below(7), 7U);
}

TEST(Sim, TheClockMovesOnlyWhenTold) {
  SimClock clock;
  EXPECT_EQ(clock.now().to_string(), "2026-01-01T00:00:00.000000Z");
  clock.advance(std::chrono::seconds(90));
  EXPECT_EQ(clock.now() - SimClock::kStart, std::chrono::seconds(90));
  clock.set({5});
  EXPECT_EQ(clock.now().micros, 5);
}

TEST_F(Files, AreReadAndWritten) {
  EXPECT_EQ(read_file(path("none")).error().code(), ErrorCode::kNotFound);
  EXPECT_NE(read_file(path("none")).error().message().find(path("none")), std::string::npos);
  ASSERT_TRUE(write_file_durably(path("a"), "one", 0600));
  ASSERT_TRUE(write_file_durably(path("a"), std::string(100'000, 'x'), 0640));
  EXPECT_EQ(read_file(path("a")).value(), std::string(100'000, 'x'));
  EXPECT_EQ(read_file(path("a"), Bytes{99'999}).error().code(), ErrorCode::kExhausted);
  EXPECT_TRUE(read_file(path("a"), Bytes{100'000}));
  struct stat info {};
  ASSERT_EQ(::stat(path("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
  EXPECT_EQ(list_directory(directory_).value(), std::vector<std::string>{"a"});  // no temporary is left
  EXPECT_EQ(write_file_durably(path("no/a"), "x").error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(read_file("/proc/self/stat").value().empty());
}

TEST_F(Files, AFailedWriteLeavesTheOldFileAndNothingElse) {
  ASSERT_TRUE(make_directories(path("target/below")));
  EXPECT_FALSE(write_file_durably(path("target"), "x"));  // a folder that is not empty cannot be renamed over
  EXPECT_EQ(list_directory(directory_).value(), std::vector<std::string>{"target"});
}

TEST_F(Files, TreesAreMadeAndRemoved) {
  ASSERT_TRUE(make_directories(path("a/b/c")));
  ASSERT_TRUE(make_directories(path("a/b/c")));
  ASSERT_TRUE(write_file_durably(path("a/b/file"), "x"));
  ASSERT_TRUE(write_file_durably(path("outside"), "x"));
  ASSERT_EQ(::symlink(path("outside").c_str(), path("a/link").c_str()), 0);
  EXPECT_EQ(make_directories(path("a/b/file")).error().code(), ErrorCode::kConflict);
  EXPECT_EQ(list_directory(path("a")).value(), (std::vector<std::string>{"b", "link"}));
  EXPECT_TRUE(path_exists(path("a/link")));
  ASSERT_TRUE(remove_tree(path("a")));
  EXPECT_FALSE(path_exists(path("a")));
  EXPECT_TRUE(path_exists(path("outside")));
  EXPECT_TRUE(remove_tree(path("a")));
  EXPECT_GT(free_space(directory_).value().count, 0);
}

TEST_F(Commands, GiveOutputErrorsAndExitCode) {
  CommandOptions options;
  options.input = "hello";
  options.directory = directory_;
  auto result = run_command({"sh", "-c", "cat; pwd; echo bad >&2; exit 3"}, options).value();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.output, "hello" + directory_ + "\n");
  EXPECT_EQ(result.errors, "bad\n");
  EXPECT_EQ(run_command({"sh", "-c", "kill -9 $$"}).value().exit_code, 137);
  EXPECT_EQ(run_command({"/no/such/program"}).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(run_command({"cat"}).value().output, "");  // standard input is empty, not the caller's
  auto failed = run_command_ok({"sh", "-c", "echo first >&2; echo the reason >&2; exit 2"});
  EXPECT_EQ(failed.error().message(), "sh ended with 2: the reason");
}

TEST_F(Commands, ManyBytesGoThroughAndTooManyAreCut) {
  CommandOptions options;
  options.input = std::string(700'000, 'y');
  EXPECT_EQ(run_command({"cat"}, options).value().output, options.input);
  options.input = std::string(3'000'000, 'y');
  EXPECT_EQ(run_command({"cat"}, options).value().output.size(), 1024U * 1024U);
  EXPECT_EQ(run_command({"true"}, options).value().exit_code, 0);  // reads nothing: no SIGPIPE here
}

TEST_F(Commands, ATimeOutKillsTheWholeGroup) {
  CommandOptions options;
  options.timeout = std::chrono::milliseconds(300);
  const auto result = run_command({"sh", "-c", "sleep 1000 & echo $! > " + path("pid") + "; wait"}, options);
  ASSERT_EQ(result.error().code(), ErrorCode::kTimeout);
  const pid_t child = std::stoi(read_file(path("pid")).value());
  // Killed, but perhaps its end has not come to pass yet.
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!process.valid()) return;  // gone already
  pollfd wait{process.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 60'000), 1);
}

TEST_F(Commands, ADaemonThatHoldsThePipesDoesNotHoldTheCaller) {
  const auto result = run_command({"sh", "-c", "sleep 1000 & echo $!"});
  ASSERT_TRUE(result);
  const pid_t child = std::stoi(result->output);
  EXPECT_TRUE(process_alive(identify_process(child).value()));
  ::kill(child, SIGKILL);
}

TEST_F(Commands, DescriptorsAreNotInherited) {
  const int leaky = ::open("/dev/null", O_RDONLY);  // without close-on-exec
  const auto result = run_command({"sh", "-c", "ls /proc/$$/fd"});
  ::close(leaky);
  // 0, 1, 2 and what the shell itself holds (dash: 10 when it has a terminal).
  EXPECT_EQ(result->output.substr(0, 6), "0\n1\n2\n");
  EXPECT_EQ(result->output.find("\n" + std::to_string(leaky) + "\n", 5), std::string::npos);
}

TEST(Processes, AreIdentifiedByTheirStart) {
  const ProcessId self = identify_process(::getpid()).value();
  EXPECT_TRUE(process_alive(self));
  EXPECT_FALSE(process_alive({self.pid, self.start_ticks + 1}));
  EXPECT_EQ(identify_process(0x3fffffff).error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace nuraghe::env
