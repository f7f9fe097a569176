#include "network/switch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.hpp"
#include "base/record.hpp"

namespace nuraghe::network {

namespace {

constexpr off_t kLogLimit = 1 << 20;

Result<TunnelAddress> asked_address(const SwitchFiles& files, const std::string& listen) {
  return parse_tunnel_address(listen.empty() ? "unix:" + files.tunnel() : listen, true);
}

}  // namespace

Result<std::unique_ptr<Switch>> Switch::open(SwitchFiles files, const std::string& listen) {
  std::unique_ptr<Switch> made(new Switch(std::move(files)));
  TRY(made->start(listen));
  return made;
}

Result<Configuration> Switch::load(const TunnelAddress& listen) const {
  Configuration configuration;
  auto bytes = env::read_file(files_.saved());
  if (!bytes && bytes.error().code() != ErrorCode::kNotFound) return std::move(bytes).error();
  if (bytes) {
    auto decoded = decode_record<Configuration>(*bytes);
    if (!decoded) return std::move(decoded).error().with("reading " + files_.saved());
    configuration = std::move(*decoded);
    TRY_ASSIGN(const TunnelAddress saved, parse_tunnel_address(configuration.listen));
    if (address_fits(listen, saved)) return configuration;
    if (!configuration.idle()) {
      return conflict(
          fmt::format("{} has segments or ports and listens on {}: end its clusters before it listens on {}",
                      files_.folder, saved.text, listen.text));
    }
  }
  configuration.listen = listen.text;
  return configuration;
}

Status Switch::start(const std::string& listen) {
  TRY_ASSIGN(const TunnelAddress asked, asked_address(files_, listen));
  TRY_ASSIGN(configuration_, load(asked));
  TRY_ASSIGN(poller_, Poller::open());
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  signals_ = env::UniqueFd(::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return system_error("signalfd", errno);
  TRY_ASSIGN([[maybe_unused]] const auto token, poller_->add(signals_.get(), EPOLLIN, [this] { finished_ = true; }));
  TRY_ASSIGN(const TunnelAddress address, parse_tunnel_address(configuration_.listen, true));
  TRY_ASSIGN(plane_, DataPlane::open(*poller_, files_, address));
  configuration_.listen = plane_->tunnel();
  TRY(env::write_file_durably(files_.saved(), encode_record(configuration_), 0600));
  // A port that cannot be opened again must not keep the others from their network.
  if (const Status applied = plane_->apply(configuration_); !applied) {
    log_error("network", "not everything could be opened again", {{"why", applied.error().to_string()}});
  }
  TRY_ASSIGN(control_,
             ControlServer::open(*poller_, files_.control(), [this](std::string_view line) { return handle(line); }));
  log_info("network", "switch started",
           {{"tunnel", configuration_.listen}, {"ports", fmt::format("{}", configuration_.ports.size())}});
  return {};
}

Status Switch::run() {
  while (!finished_) {
    TRY(poller_->run_once());
    if (stopping_) finished_ = true;  // the answer has been written
  }
  control_.reset();
  plane_.reset();
  if (!stopping_) return {};
  log_info("network", "switch ends: nothing is left to do");
  return remove_switch_files(files_);
}

std::string Switch::handle(std::string_view line) {
  const auto request = decode_request(line);
  if (!request) return encode_error(request.error());
  if (stopping_) return {};  // too late for this one: who asks again finds the next switch
  const auto answer = execute(*request);
  bound_log();
  if (answer) return encode_answer(*request, *answer);
  log_warning("network", "command failed", {{"why", answer.error().to_string()}});
  return encode_error(answer.error());
}

Status Switch::change_to(Configuration wanted) {
  std::string bytes = encode_record(wanted);
  if (bytes != encode_record(configuration_)) TRY(env::write_file_durably(files_.saved(), bytes, 0600));
  configuration_ = std::move(wanted);
  return plane_->apply(configuration_);
}

Result<Answer> Switch::execute(const Request& request) {
  Answer answer;
  Configuration wanted = configuration_;
  switch (request.command) {
    case Command::kHello:
      answer.protocol = kProtocol;
      answer.tunnel = plane_->tunnel();
      break;
    case Command::kSetSegment:
      TRY(wanted.set_segment(request.segment, request.peers, request.secret));
      TRY(change_to(std::move(wanted)));
      break;
    case Command::kRemoveSegment:
      wanted.remove_segment(request.segment);
      TRY(change_to(std::move(wanted)));
      break;
    case Command::kAddPort: {
      TRY_ASSIGN(const PortConfiguration port, wanted.add_port(request.id, request.segment));
      TRY(change_to(std::move(wanted)));
      answer.sockets = files_.port(port.number);
      break;
    }
    case Command::kRemovePort:
      wanted.remove_port(request.id);
      TRY(change_to(std::move(wanted)));
      break;
    case Command::kList:
      for (const auto& port : configuration_.ports) answer.ports.push_back(port.id);
      for (const auto& segment : configuration_.segments) answer.segments.push_back(segment.number);
      break;
    case Command::kCounters:
      answer.counters = encode_counters(plane_->counters());
      break;
    case Command::kShutdownIfIdle:
      stopping_ = stopping_ || configuration_.idle();
      answer.stopping = stopping_;
      break;
  }
  return answer;
}

// The log is standard error; its older half moves to log.1 and takes the one before with it.
void Switch::bound_log() const {
  struct stat info {};
  if (::fstat(STDERR_FILENO, &info) != 0 || info.st_size < kLogLimit) return;
  struct stat named {};
  if (::stat(files_.log().c_str(), &named) != 0 || named.st_ino != info.st_ino) return;  // it is not ours
  if (::rename(files_.log().c_str(), files_.old_log().c_str()) != 0) return;
  const env::UniqueFd fresh(::open(files_.log().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (fresh.valid()) ::dup2(fresh.get(), STDERR_FILENO);
}

}  // namespace nuraghe::network
