// Into the hosts: ssh, cp, exec by the system's OpenSSH client, the console through nuraghed.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "apps/nuraghe/commands.hpp"
#include "base/check.hpp"
#include "contracts/vhf.hpp"
#include "env/posix.hpp"
#include "net/http.hpp"

namespace nuraghe::cli {
namespace {

struct Target {
  std::string id;
  std::string name;
  int port = 0;
  std::string host_key;   // public; empty: unknown
  std::string reference;  // of the virtual host
  std::string physical_host;
};

// True for an address that this machine has: nobody can listen on another's.
bool is_own_address(const std::string& address) {
  sockaddr_in four{};
  sockaddr_in6 six{};
  four.sin_family = AF_INET;
  six.sin6_family = AF_INET6;
  const bool is_four = ::inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1;
  if (!is_four && ::inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) != 1) return false;
  const auto* generic = is_four ? reinterpret_cast<const sockaddr*>(&four) : reinterpret_cast<const sockaddr*>(&six);
  const env::UniqueFd fd(::socket(generic->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return fd.valid() && ::bind(fd.get(), generic, is_four ? sizeof four : sizeof six) == 0;
}

// A host's ssh port is one of 127.0.0.1 on its physical host.
Status check_runs_here(const Target& target) {
  TRY_ASSIGN(const auto url, net::parse_url(target.reference));
  if (!url.socket.empty()) return {};
  std::string address = url.authority.substr(0, url.authority.rfind(':'));
  if (address.starts_with('[')) address = address.substr(1, address.size() - 2);
  if (is_own_address(address)) return {};
  return unsupported(fmt::format(
      "virtual host {} runs on another machine, {}: its ssh port, {}, is open on 127.0.0.1 there; go through that "
      "machine: ssh -J {} -i KEY -o CertificateFile=CERTIFICATE -p {} root@127.0.0.1",
      target.name, target.physical_host, target.port, address, target.port));
}

Result<Target> find_target(Context& context, const std::string& text) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhf::Client hosts(connection->caller(), connection->service("vhf"));
  Target target;
  std::string wanted = text;
  if (const auto slash = text.find('/'); slash != std::string::npos) {
    TRY_ASSIGN(const auto cluster, find_cluster(context, text.substr(0, slash)));
    const std::string name = text.substr(slash + 1);
    const contracts::vcf::Member* found = nullptr;
    std::string names;
    for (const auto& member : cluster.member) {
      names += (names.empty() ? "" : ", ") + member.name;
      if (member.name == name) found = &member;
    }
    if (found == nullptr)
      return not_found(fmt::format("cluster {} has no host '{}'; it has {}", cluster.name, name, names));
    wanted = found->host;
    target.host_key = found->host_key;
  }
  TRY_ASSIGN(const auto response, hosts.get_virtual_host({wanted}));
  target.id = response.host.id;
  target.name = response.host.name;
  target.port = response.host.ssh_port;
  target.reference = response.host.reference.address;
  target.physical_host = response.host.physical_host;
  if (response.host.state != contracts::vhc::HostState::kRunning)
    return conflict(fmt::format("virtual host {} is {}", target.name, contracts::vhc::to_string(response.host.state)));
  return target;
}

std::string key_path(Context& context) { return context.options().state + "/client/id_ed25519"; }

std::string known_hosts_path(Context& context, const std::string& host) {
  return context.options().state + "/client/known_hosts." + host;
}

// The public half of our key, which is made when it is first needed.
Result<std::string> own_public_key(Context& context) {
  const std::string path = key_path(context);
  const std::string folder = context.options().state + "/client";
  TRY(env::make_directories(folder, 0700));
  // Two first commands at once: one makes the key, the other waits for it.
  const env::UniqueFd lock(::open((folder + "/lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  if (!lock.valid() || ::flock(lock.get(), LOCK_EX) != 0) return system_error("lock " + folder, errno);
  if (!env::path_exists(path))
    TRY(env::run_command_ok({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "nuraghe", "-f", path}));
  TRY_ASSIGN(auto text, env::read_file(path + ".pub", kib(16)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

struct Login {
  std::string certificate;  // file
  std::string account;
};

// What lets our key in for less than a minute: asked for by each command.
Result<Login> log_in(Context& context) {
  TRY_ASSIGN(const auto key, own_public_key(context));
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vcf::Client clusters(connection->caller(), connection->service("vcf"));
  TRY_ASSIGN(const auto issued, clusters.issue_login_certificate({key}));
  // Of different VOs' hosts one may ask at once.
  const std::string path = fmt::format("{}/client/login{}.pub", context.options().state,
                                       context.options().vo.empty() ? "" : "-" + context.options().vo);
  TRY(env::write_file_durably(path, issued.certificate + "\n", 0600));
  return Login{path, issued.account};
}

// The ssh options for a target: our key, only its own host key.
Result<std::vector<std::string>> ssh_options(Context& context, const Target& target, const Login& login,
                                             const std::string& port_flag) {
  if (target.port == 0)
    return unsupported(fmt::format("virtual host {} has no management network: ssh cannot reach it", target.name));
  TRY(check_runs_here(target));
  const std::string known_hosts = known_hosts_path(context, target.id);
  if (!target.host_key.empty())
    TRY(env::write_file_durably(known_hosts, fmt::format("{} {}\n", target.id, target.host_key), 0600));
  return std::vector<std::string>{
      "-i",      key_path(context),
      "-o",      "CertificateFile=" + login.certificate,
      "-o",      "IdentitiesOnly=yes",
      "-o",      "UserKnownHostsFile=" + known_hosts,
      "-o",      "HostKeyAlias=" + target.id,
      "-o",      std::string("StrictHostKeyChecking=") + (target.host_key.empty() ? "accept-new" : "yes"),
      "-o",      "LogLevel=ERROR",
      "-o",      "ConnectTimeout=60",
      "-o",      "BatchMode=yes",
      port_flag, fmt::format("{}", target.port)};
}

// Runs a program in our place of the terminal; its exit code.
Result<int> run_here(const std::vector<std::string>& argv) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return system_error("fork", errno);
  if (child == 0) {
    std::vector<char*> pointers;
    for (const auto& argument : argv)
      pointers.push_back(const_cast<char*>(argument.c_str()));  // NOLINT: execvp's signature
    pointers.push_back(nullptr);
    ::execvp(pointers[0], pointers.data());
    std::perror(pointers[0]);
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return system_error("waitpid", errno);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

void forget_host_key(Context& context, const std::string& host) {
  for (const char* suffix : {"", ".old"}) {
    // A file that stays is no reason to call a destruction failed.
    static_cast<void>(env::remove_tree(known_hosts_path(context, host) + suffix));
  }
}

Result<int> ssh(Context& context, const std::string& host, const std::vector<std::string>& command) {
  TRY_ASSIGN(const auto target, find_target(context, host));
  TRY_ASSIGN(const auto login, log_in(context));
  TRY_ASSIGN(const auto options, ssh_options(context, target, login, "-p"));
  std::vector<std::string> argv{"ssh"};
  argv.insert(argv.end(), options.begin(), options.end());
  argv.push_back(login.account + "@127.0.0.1");
  if (!command.empty()) argv.emplace_back("--");
  argv.insert(argv.end(), command.begin(), command.end());
  return run_here(argv);
}

Result<int> copy(Context& context, const std::string& from, const std::string& to) {
  const auto colon_from = from.find(':');
  const auto colon_to = to.find(':');
  const bool from_host = colon_from != std::string::npos;
  CHECK(from_host != (colon_to != std::string::npos));
  const auto& remote = from_host ? from : to;
  const auto colon = from_host ? colon_from : colon_to;
  TRY_ASSIGN(const auto target, find_target(context, remote.substr(0, colon)));
  TRY_ASSIGN(const auto login, log_in(context));
  TRY_ASSIGN(const auto options, ssh_options(context, target, login, "-P"));
  // -O: the older protocol needs no sftp server in the guest.
  std::vector<std::string> argv{"scp", "-q", "-r", "-O"};
  argv.insert(argv.end(), options.begin(), options.end());
  const std::string side = login.account + "@127.0.0.1:" + remote.substr(colon + 1);
  argv.push_back(from_host ? side : from);
  argv.push_back(from_host ? to : side);
  return run_here(argv);
}

Result<int> console(Context& context, const std::string& host, bool follow) {
  TRY_ASSIGN(auto* connection, context.connection());
  TRY_ASSIGN(const auto target, find_target(context, host));
  const auto services = target.reference.find("/services/");
  if (services == std::string::npos) return unavailable(fmt::format("virtual host {} has no reference", target.name));
  TRY_ASSIGN(const auto stream,
             connection->stream(target.reference.substr(services) + "/console?follow=" + (follow ? "1" : "0")));
  while (true) {
    const auto bytes = stream->read(std::chrono::hours(1));
    if (!bytes && bytes.error().code() == ErrorCode::kTimeout) continue;
    if (!bytes) return bytes.error();
    if (bytes->empty()) return 0;
    std::fwrite(bytes->data(), 1, bytes->size(), stdout);
    std::fflush(stdout);
  }
}

}  // namespace nuraghe::cli
