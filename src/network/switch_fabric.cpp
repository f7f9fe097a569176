// The fabric whose switch is a process of its own (nuraghe-switch).
//
// The switch is started when it is first needed, so an idle physical host has none, and started again when it dies: by
// whoever calls next, and by a thread that waits for its end. Starting and ending hold a lock on the folder, so several
// fabrics over one folder, in one process or many, do not disturb one another.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/log.hpp"
#include "base/record.hpp"
#include "env/posix.hpp"
#include "network/address.hpp"
#include "network/configuration.hpp"
#include "network/fabric.hpp"
#include "network/folder.hpp"
#include "network/protocol.hpp"
#include "network/switch_client.hpp"

namespace nuraghe::network {

namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

int poll_milliseconds(Duration span) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(span).count());
}

Request make_request(Command command) {
  Request request;
  request.command = command;
  return request;
}

// The folder's lock (flock(2) on the folder itself, so that it leaves no file). Held while this lives.
class FolderLock {
 public:
  // kNotFound when the folder is not there.
  static Result<FolderLock> take(const std::string& folder, Duration timeout) {
    const auto deadline = Steady::now() + timeout;
    for (;;) {
      FolderLock lock;
      lock.fd_ = env::UniqueFd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!lock.fd_.valid()) return system_error("open " + folder, errno);
      if (::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) return system_error("lock " + folder, errno);
        if (Steady::now() > deadline) return timed_out(fmt::format("another process holds the lock of {}", folder));
        // flock has no time limit and no descriptor to wait on; its holders are done within milliseconds.
        ::poll(nullptr, 0, 5);
        continue;
      }
      struct stat held {
      }, named{};
      if (::fstat(lock.fd_.get(), &held) == 0 && ::stat(folder.c_str(), &named) == 0 && held.st_ino == named.st_ino) {
        return lock;
      }  // else it was removed, and perhaps made anew, meanwhile
    }
  }

 private:
  env::UniqueFd fd_;
};

class SwitchFabric : public Fabric {
 public:
  SwitchFabric(SwitchOptions options, SwitchFiles files)
      : options_(std::move(options)), files_(std::move(files)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~SwitchFabric() override {
    {
      const std::lock_guard guard(mutex_);
      quitting_ = true;
      wake_watcher();
    }
    if (watcher_.joinable()) watcher_.join();
  }

  Status open();

  std::string tunnel_address() const override {
    const std::lock_guard guard(tunnel_mutex_);
    return tunnel_;
  }
  Status set_segment(std::int64_t segment, const std::vector<Peer>& peers, const std::string& secret) override {
    Request request = make_request(Command::kSetSegment);
    request.segment = segment;
    request.peers = peers;
    request.secret = secret;
    return status_of(ask(request));
  }
  Status remove_segment(std::int64_t segment) override {
    Request request = make_request(Command::kRemoveSegment);
    request.segment = segment;
    return status_of(ask(request));
  }
  Result<Port> add_port(const std::string& id, std::int64_t segment) override {
    Request request = make_request(Command::kAddPort);
    request.segment = segment;
    request.id = id;
    TRY_ASSIGN(Answer answer, ask(request));
    return Port{std::move(answer.sockets), 0, kSwitchMtu};
  }
  Status remove_port(const std::string& id) override {
    Request request = make_request(Command::kRemovePort);
    request.id = id;
    return status_of(ask(request));
  }
  Result<std::vector<std::string>> ports() override {
    TRY_ASSIGN(Answer answer, ask(make_request(Command::kList)));
    return std::move(answer.ports);
  }
  Result<std::vector<std::int64_t>> segments() override {
    TRY_ASSIGN(Answer answer, ask(make_request(Command::kList)));
    return std::move(answer.segments);
  }
  Status release_if_idle() override;

 private:
  static Status status_of(Result<Answer> answer) {
    if (!answer) return std::move(answer).error();
    return {};
  }
  void set_tunnel(std::string address) {
    const std::lock_guard guard(tunnel_mutex_);
    tunnel_ = std::move(address);
  }
  // Everything below requires mutex_.
  Result<Answer> ask(const Request& request);
  Status start();
  Result<FolderLock> lock_made_folder();
  Status launch();
  Status greet();
  void set_process(env::UniqueFd process) {
    process_ = std::move(process);
    ++generation_;
    wake_watcher();
  }
  void wake_watcher() {
    const std::uint64_t one = 1;
    // Full means that it is awake already.
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  }
  bool has_saved() const { return env::path_exists(files_.saved()); }
  bool saved_is_idle() const;
  Status await_end(const env::UniqueFd& process) const;

  void watch();
  Duration on_death(std::uint64_t generation);  // when to try again; zero: not

  const SwitchOptions options_;
  const SwitchFiles files_;
  std::mutex mutex_;
  mutable std::mutex tunnel_mutex_;
  std::string tunnel_;
  env::UniqueFd process_;  // a pidfd of the switch; not valid while none is known
  std::uint64_t generation_ = 0;
  bool quitting_ = false;
  env::UniqueFd wake_;
  std::thread watcher_;
  // The watcher's own.
  Duration delay_{};
  Steady::time_point last_start_;
};

Status SwitchFabric::open() {
  if (!wake_.valid()) return system_error("eventfd", errno);
  TRY_ASSIGN(const TunnelAddress asked,
             parse_tunnel_address(options_.listen.empty() ? "unix:" + files_.tunnel() : options_.listen, true));
  if (asked.kind == TunnelAddress::Kind::kVxlan) {
    return invalid(fmt::format("a switch cannot listen on {}: its tunnels are 'unix' or 'udp'", asked.text));
  }
  const std::lock_guard guard(mutex_);
  set_tunnel(asked.text);
  const bool unknown_port = asked.kind == TunnelAddress::Kind::kUdp && asked.text.ends_with(":0");
  const Status there = greet();
  if (!there) {
    if (there.error().code() != ErrorCode::kNotFound) return there;
    // A port that the system chooses is known only once the switch listens.
    if (has_saved() || unknown_port) TRY(start());
  }
  TRY_ASSIGN(const TunnelAddress actual, parse_tunnel_address(tunnel_address(), true));
  if (!address_fits(asked, actual)) {
    return conflict(fmt::format("the switch that runs in {} listens on {}, not on {}: end its clusters first",
                                files_.folder, tunnel_address(), asked.text));
  }
  watcher_ = std::thread([this] { watch(); });
  return {};
}

// Asks the running switch who it is.
Status SwitchFabric::greet() {
  const Request hello = make_request(Command::kHello);
  env::UniqueFd process;
  TRY_ASSIGN(const std::string line, ask_switch(files_, hello, options_.timeout, &process));
  TRY_ASSIGN(Answer answer, decode_answer(hello, line));
  if (answer.protocol != kProtocol) {
    return unsupported(
        fmt::format("the switch that runs in {} speaks protocol {}, this program {}: end its clusters, "
                    "then the switch is replaced",
                    files_.folder, answer.protocol, kProtocol));
  }
  set_tunnel(std::move(answer.tunnel));
  set_process(std::move(process));
  return {};
}

Status SwitchFabric::launch() {
  env::CommandOptions run;
  run.timeout = std::max<Duration>(options_.timeout, 10s);
  const auto with = [&](const std::string& listen) -> Status {
    auto started = env::run_command_ok({options_.program, "run", files_.folder, listen}, run);
    if (!started) return std::move(started).error().with("starting the switch of " + files_.folder);
    return {};
  };
  const std::string before = tunnel_address();
  if (!options_.listen.ends_with(":0") || before.ends_with(":0")) return with(options_.listen);
  // The port that the system chose is kept while that is possible: peers know it.
  Status started = with(before);
  if (started) return started;
  log_warning("network", "the switch cannot have its address of before",
              {{"address", before}, {"why", started.error().to_string()}});
  return with(options_.listen);
}

Result<FolderLock> SwitchFabric::lock_made_folder() {
  const auto deadline = Steady::now() + options_.timeout;
  for (;;) {
    // Another fabric that releases the switch may remove the folder between any two of these.
    const auto lock = [&]() -> Result<FolderLock> {
      TRY(env::make_directories(files_.folder, 0700));
      TRY(check_folder(files_.folder));
      return FolderLock::take(files_.folder, options_.timeout);
    };
    auto locked = lock();
    if (locked || locked.error().code() != ErrorCode::kNotFound || Steady::now() > deadline) return locked;
  }
}

Status SwitchFabric::start() {
  TRY_ASSIGN(const FolderLock lock, lock_made_folder());
  if (greet()) return {};  // somebody else was first
  TRY(launch());
  return greet();
}

Result<Answer> SwitchFabric::ask(const Request& request) {
  const std::lock_guard guard(mutex_);
  const bool makes = request.command == Command::kSetSegment || request.command == Command::kAddPort;
  const auto deadline = Steady::now() + options_.timeout;
  for (;;) {  // others may release the switch as often as this starts it
    env::UniqueFd process;
    auto line = ask_switch(files_, request, options_.timeout, &process);
    if (line) {
      if (!process_.valid()) set_process(std::move(process));
      return decode_answer(request, *line);
    }
    const ErrorCode code = line.error().code();
    if ((code != ErrorCode::kNotFound && code != ErrorCode::kUnavailable) || Steady::now() > deadline) {
      return std::move(line).error();
    }
    if (!makes && !has_saved() && code == ErrorCode::kNotFound) return Answer{};  // there is nothing, and nothing to do
    TRY(start());
  }
}

bool SwitchFabric::saved_is_idle() const {
  const auto bytes = env::read_file(files_.saved());
  if (!bytes) return bytes.error().code() == ErrorCode::kNotFound;
  const auto saved = decode_record<Configuration>(*bytes);
  return saved && saved->idle();
}

Status SwitchFabric::await_end(const env::UniqueFd& process) const {
  pollfd event{process.get(), POLLIN, 0};
  if (::poll(&event, 1, poll_milliseconds(options_.timeout)) > 0) return {};
  return timed_out(fmt::format("the switch of {} was told to end and did not", files_.folder));
}

Status SwitchFabric::release_if_idle() {
  const std::lock_guard guard(mutex_);
  auto lock = FolderLock::take(files_.folder, options_.timeout);
  if (!lock) {
    if (lock.error().code() == ErrorCode::kNotFound) return {};
    return std::move(lock).error();
  }
  const Request request = make_request(Command::kShutdownIfIdle);
  env::UniqueFd process;
  const auto line = ask_switch(files_, request, options_.timeout, &process);
  if (!line) {
    // None runs. One that died with ports is started again by the watcher; of one that had none nothing is to stay.
    if (line.error().code() != ErrorCode::kNotFound) return line.error();
    return saved_is_idle() ? remove_switch_files(files_) : Status();
  }
  TRY_ASSIGN(const Answer answer, decode_answer(request, *line));
  if (!answer.stopping) return {};
  set_process({});
  TRY(await_end(process));
  return remove_switch_files(files_);
}

Duration SwitchFabric::on_death(std::uint64_t generation) {
  constexpr Duration kLongest = 30s;
  const std::lock_guard guard(mutex_);
  if (quitting_ || generation != generation_) return {};
  if (!has_saved()) {  // another fabric released it
    set_process({});
    return {};
  }
  const auto now = Steady::now();
  if (now - last_start_ > 60s) delay_ = {};  // the last one lived long
  if (now - last_start_ < delay_) return std::chrono::duration_cast<Duration>(delay_ - (now - last_start_));
  last_start_ = now;
  delay_ = std::clamp<Duration>(delay_ * 2, 1s, kLongest);
  log_warning("network", "the switch died and is started again", {{"folder", files_.folder}});
  const Status started = start();
  if (started) return {};
  log_error("network", "the switch cannot be started again", {{"why", started.error().to_string()}});
  return delay_;
}

void SwitchFabric::watch() {
  Duration again{};
  for (;;) {
    env::UniqueFd process;
    std::uint64_t generation = 0;
    {
      const std::lock_guard guard(mutex_);
      if (quitting_) return;
      generation = generation_;
      if (process_.valid()) process = env::UniqueFd(::fcntl(process_.get(), F_DUPFD_CLOEXEC, 3));
    }
    // While waiting to try again, the dead process's descriptor would be ready at once.
    const bool waiting = again.count() > 0;
    std::array<pollfd, 2> events{{{wake_.get(), POLLIN, 0}, {waiting ? -1 : process.get(), POLLIN, 0}}};
    const int ready = ::poll(events.data(), events.size(), waiting ? poll_milliseconds(again) + 1 : -1);
    if (ready < 0) continue;
    if (events[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto taken = ::read(wake_.get(), &count, sizeof count);
      if (events[1].revents == 0) {
        again = {};  // something changed: look again
        continue;
      }
    }
    if (ready == 0 || events[1].revents != 0) again = on_death(generation);
  }
}

}  // namespace

Result<std::unique_ptr<Fabric>> open_switch_fabric(const SwitchOptions& options) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(options.folder, error);
  if (options.folder.empty() || error) return invalid("the switch has no folder");
  std::string folder = absolute.lexically_normal().string();
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  if (const Status checked = check_folder(folder); !checked && checked.error().code() != ErrorCode::kNotFound) {
    return checked.error();
  }
  auto fabric = std::make_unique<SwitchFabric>(options, SwitchFiles{std::move(folder)});
  TRY(fabric->open());
  return std::unique_ptr<Fabric>(std::move(fabric));
}

}  // namespace nuraghe::network
