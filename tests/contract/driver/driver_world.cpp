#include "driver_world.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "env/posix.hpp"
#include "hypervisor/qemu/qmp.hpp"
#include "hypervisor/sim/driver.hpp"
#include "hypervisor/wait.hpp"
#include "test_folders.hpp"

namespace nuraghe::hypervisor {

namespace {

std::string make_folder() {
  std::string path = "/tmp/nuraghe-driver-XXXXXX";
  EXPECT_NE(::mkdtemp(path.data()), nullptr);
  return path;
}

class SimWorld final : public DriverWorld {
 public:
  ~SimWorld() override { std::filesystem::remove_all(root_); }
  std::unique_ptr<Driver> open() override {
    SimOptions options;
    options.root = root_;
    options.memory = gib(64);
    // Long enough for a cancellation to meet it at work.
    options.delays[Verb::kCreate] = std::chrono::milliseconds(20);
    auto driver = open_sim_driver(options);
    EXPECT_TRUE(driver) << driver.error().to_string();
    return driver ? std::move(*driver) : nullptr;
  }
  HostSpec tiny(const std::string& id) const override {
    HostSpec spec;
    spec.id = id;
    spec.memory = mib(4);
    spec.nics.resize(1);
    spec.nics[0].name = "management";
    return spec;
  }
  HostSpec broken(const std::string& id, std::string& message) const override {
    HostSpec spec = tiny(id);
    spec.reserved["fail"] = "create";
    message = "simulated failure of create";
    return spec;
  }
  void end_host(Driver& driver, const std::string& id) override {
    const Status lost = dynamic_cast<SimDriver&>(driver).lose(id, "the simulation ended it");
    EXPECT_TRUE(lost) << lost.error().to_string();
  }
  void stop_guest(Driver& driver, const std::string& id) override {
    const Status stopped = dynamic_cast<SimDriver&>(driver).stop(id, "the simulation stopped it");
    EXPECT_TRUE(stopped) << stopped.error().to_string();
  }
  std::vector<std::string> leftovers() const override { return {}; }  // its records are its tombstones

 private:
  const std::string root_ = make_folder();
};

}  // namespace

std::unique_ptr<DriverWorld> make_world(const std::string& driver) {
  if (driver == "sim") return std::make_unique<SimWorld>();
  return std::make_unique<QemuWorld>();
}

QemuWorld::QemuWorld(std::string root) : root_(root.empty() ? make_folder() : std::move(root)) {
  static std::atomic<int> count = 0;
  memory_root_ = fmt::format("/dev/shm/nuraghe-test-{}-{}", ::getpid(), ++count);
}

QemuWorld::~QemuWorld() {
  // Not by the driver, which may be what is broken: shims of this root die, and QEMU with them.
  for (const auto& name : leftovers()) {
    if (!name.starts_with("process ")) continue;
    const pid_t pid = static_cast<pid_t>(std::strtol(name.c_str() + 8, nullptr, 10));
    if (pid > 1) ::kill(pid, SIGKILL);
  }
  std::error_code ignored;
  std::filesystem::remove_all(memory_root_, ignored);
  for (const auto& entry : std::filesystem::directory_iterator(root_)) std::filesystem::remove_all(entry, ignored);
  std::filesystem::remove(root_, ignored);
}

QemuOptions QemuWorld::options() const {
  QemuOptions options = base_options();
  options.root = root_;
  options.memory_root = memory_root_;
  return options;
}

QemuOptions QemuWorld::base_options() {
  QemuOptions options;
  options.shim_program = NURAGHE_BUILD_DIR "/bin/nuraghe-shim";
  options.accelerator = "tcg";
  options.translation_cache_mib = 8;
  return options;
}

std::unique_ptr<Driver> QemuWorld::open() {
  auto driver = open_qemu_driver(options());
  EXPECT_TRUE(driver) << driver.error().to_string();
  return driver ? std::move(*driver) : nullptr;
}

HostSpec QemuWorld::tiny(const std::string& id) const { return tiny_host(id); }

HostSpec QemuWorld::tiny_host(const std::string& id) {
  HostSpec spec;
  spec.id = id;
  spec.memory = mib(4);
  spec.kernel = NURAGHE_BUILD_DIR "/guests/tiny.elf";
  spec.agent = false;
  spec.nics.resize(1);
  spec.nics[0].name = "management";
  spec.nics[0].mac = "52:54:00:00:00:01";
  spec.nics[0].kind = NicSpec::Kind::kUser;
  spec.nics[0].link_up = false;
  return spec;
}

HostSpec QemuWorld::broken(const std::string& id, std::string& message) const {
  HostSpec spec = tiny(id);
  spec.kernel = "/nowhere/kernel";
  message = "could not open kernel file '/nowhere/kernel'";
  return spec;
}

void QemuWorld::end_host(Driver& driver, const std::string& id) {
  const auto condition = driver.inspect(id);
  ASSERT_TRUE(condition) << condition.error().to_string();
  ASSERT_GT(condition->pid, 1);
  ASSERT_EQ(::kill(static_cast<pid_t>(condition->pid), SIGKILL), 0);
}

void QemuWorld::stop_guest(Driver&, const std::string& id) {
  const Deadline deadline(std::chrono::seconds(60));
  auto qmp = qemu::Qmp::open(root_ + "/hosts/" + id, deadline);
  ASSERT_TRUE(qmp) << qmp.error().to_string();
  ASSERT_TRUE(qmp->stop(deadline));
}

std::vector<std::string> QemuWorld::leftovers() const {
  std::vector<std::string> found;
  const auto processes = env::list_directory("/proc");
  for (const auto& pid : processes ? *processes : std::vector<std::string>()) {
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto line = env::read_file("/proc/" + pid + "/cmdline");  // empty for zombies: they are gone
    if (line && (line->find(root_ + "/hosts/") != std::string::npos || line->find(memory_root_) != std::string::npos)) {
      found.push_back("process " + pid);
    }
  }
  const auto hosts = env::list_directory(root_ + "/hosts");
  for (const auto& id : hosts ? *hosts : std::vector<std::string>()) found.push_back("folder of host " + id);
  if (env::path_exists(memory_root_)) found.push_back("memory folder " + memory_root_);
  return found;
}

Control within(Duration timeout, int cancel_fd) {
  Control control;
  control.timeout = timeout;
  control.cancel_fd = cancel_fd;
  return control;
}

int last_beat(Driver& driver, const std::string& id) {
  const auto console = driver.console_tail(id, kib(64));
  EXPECT_TRUE(console) << console.error().to_string();
  const auto at = console ? console->rfind("beat ") : std::string::npos;
  return at == std::string::npos ? 0 : std::atoi(console->c_str() + at + 5);
}

Status await_beat(Driver& driver, const std::string& id, int number) {
  return driver.wait_ready(id, ReadyCondition::kConsoleText, fmt::format("beat {}", number), kPatient);
}

}  // namespace nuraghe::hypervisor
