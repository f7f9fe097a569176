// bpel serve.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <ctime>

#include "apps/bpel/commands.hpp"
#include "base/log.hpp"
#include "bpelhost/doors.hpp"
#include "env/posix.hpp"

namespace nuraghe::bpelcli {
namespace {

constexpr Bytes kBodyLimit = mib(32);  // a package as a zip

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("[::1]:") || address.starts_with("localhost:") ||
         address.starts_with("unix:");
}

Result<std::string> ensure_token(const std::string& path) {
  if (!env::path_exists(path)) {
    const auto token = env::make_id(env::system_random(), "bpel");
    TRY(env::write_file_durably(path, token + "\n", 0600));
  }
  return read_token(path);
}

sigset_t ending_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  return signals;
}

// Before any thread is made: the ending signals wait for us, and each waiting request may hold a connection.
void prepare() {
  const sigset_t signals = ending_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    // Not granted: then fewer requests at once.
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

void run_until_told(const bpelhost::Host& host) {
  const sigset_t signals = ending_signals();
  constexpr timespec kSecond{1, 0};
  while (::sigtimedwait(&signals, nullptr, &kSecond) < 0 && !host.failed()) {
  }
}

Status find_packages(const std::string& folder, bpelhost::HostOptions& options) {
  if (folder.empty()) return {};
  TRY_ASSIGN(auto found, bpelhost::find_packages(folder));
  options.packages_are_complete = true;
  for (auto& one : found) {
    if (one.package) {
      options.packages.emplace_back(std::move(one.name), std::move(one.package->files));
    } else {
      log_error("bpel", one.package.error().to_string(), {{"package", one.path}});
      options.unreadable.push_back(std::move(one.name));
    }
  }
  return {};
}

}  // namespace

Result<std::string> read_token(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return system_error("read the token file " + path, errno);
  if ((status.st_mode & 0077U) != 0) return invalid(fmt::format("others may read the token file {}: chmod 600", path));
  TRY_ASSIGN(std::string token, env::read_file(path, kib(4)));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) token.pop_back();
  if (token.size() < 16 || token.find_first_of(" \n\r\t") != std::string::npos)
    return invalid(fmt::format("{} holds no token: one line of at least 16 letters", path));
  return token;
}

Result<int> serve(const ServeOptions& options) {
  if (options.memory + !options.state.empty() + !options.store.empty() != 1)
    return invalid("say where everything is kept, --state DIR or --store postgres:CONNECTION, or --memory");
  net::HttpServerOptions listen;
  listen.listen = options.listen;
  listen.body_limit = kBodyLimit;
  std::string token;
  if (!options.token_file.empty()) {
    TRY_ASSIGN(token, ensure_token(options.token_file));
  }
  for (auto& address : listen.listen) {
    if (address.starts_with("localhost:")) address.replace(0, 9, "127.0.0.1");
    if (is_loopback(address)) continue;
    if (token.empty()) return denied(fmt::format("others can reach {}: give --token-file FILE", address));
    listen.allow_other_hosts = true;
  }
  listen.on_head = [token](net::HttpRequest& head) { return bpelhost::Doors::authenticate(token, head); };
  prepare();
  TRY_ASSIGN(const std::shared_ptr<net::HttpServer> server, net::HttpServer::bind(std::move(listen)));
  bpelhost::HostOptions host_options;
  host_options.state = options.state;
  host_options.memory = options.memory;
  host_options.store = options.store;
  host_options.schema = options.schema;
  host_options.bases = server->bases();
  if (server->port() != 0) host_options.bases.push_back(fmt::format("http://localhost:{}", server->port()));
  host_options.history_retention = options.history_retention;
  host_options.history_limit = options.history_limit;
  TRY(find_packages(options.deploy, host_options));
  TRY_ASSIGN(const auto host, bpelhost::Host::open(std::move(host_options)));
  const bpelhost::Doors doors(*host);
  server->serve([&doors](net::HttpRequest request, const net::HttpResponder& responder) {
    doors.handle(std::move(request), responder);
  });
  std::printf("bpel serves on %s\n", server->bases().front().c_str());
  std::fflush(stdout);
  run_until_told(*host);
  const bool failed = host->failed();
  server->stop();
  host->stop();
  if (failed) return internal("the store failed, or another process took it: the log says which");
  return kOk;
}

}  // namespace nuraghe::bpelcli
