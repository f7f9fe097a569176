// A PostgreSQL server of a test program's own, of Debian's package postgresql: started when first asked for, on a UNIX
// socket in a temporary folder, without durability (a killed process loses nothing that the kernel has).
//
// A keeper process holds the server: it ends it and removes the folder when the test program ends, however it ends.
// When root, server and keeper's folder belong to an unprivileged user, as PostgreSQL demands.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "env/posix.hpp"

namespace nuraghe::store::testing {

class PostgresServer {
 public:
  // The program's server; it runs until the program's end. A test must fail when it does not run.
  static PostgresServer& instance() {
    static PostgresServer server;
    return server;
  }
  bool running() const { return problem_.empty(); }
  // Why there is none.
  const std::string& problem() const { return problem_; }
  const std::string& folder() const { return folder_; }
  std::string socket() const { return folder_ + "/.s.PGSQL.5432"; }
  // A connection string.
  std::string connection() const { return "host=" + folder_ + " user=nuraghe dbname=postgres"; }
  // A schema's name that was not used before.
  std::string new_schema() { return fmt::format("s{}_{}", ::getpid(), ++schemas_); }

  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;
  ~PostgresServer() {
    if (::getpid() != owner_) return;  // a child that was forked
    control_.reset();
    if (keeper_ > 0) ::waitpid(keeper_, nullptr, 0);
  }

 private:
  PostgresServer() { start(); }

  // Debian keeps each version's programs in a folder of their own, outside of PATH.
  static std::string programs() {
    std::string newest;
    int newest_version = 0;
    const auto versions = env::list_directory("/usr/lib/postgresql");
    for (const std::string& version : versions ? *versions : std::vector<std::string>()) {
      const std::string folder = "/usr/lib/postgresql/" + version + "/bin";
      const int number = ::atoi(version.c_str());
      if (number <= newest_version || ::access((folder + "/initdb").c_str(), X_OK) != 0) continue;
      newest_version = number;
      newest = folder;
    }
    return newest;
  }

  void start() {
    const std::string bin = programs();
    if (bin.empty()) {
      problem_ = "PostgreSQL's server is not installed: install Debian's package postgresql";
      return;
    }
    std::string pattern = ::testing::TempDir() + "pg-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
      problem_ = "no temporary folder in " + ::testing::TempDir();
      return;
    }
    folder_ = pattern;
    int control[2], ready[2];
    if (::pipe2(control, O_CLOEXEC) != 0 || ::pipe2(ready, O_CLOEXEC) != 0) {
      problem_ = "no pipes";
      return;
    }
    keeper_ = ::fork();
    if (keeper_ == 0) {
      ::close(control[1]);
      ::close(ready[0]);
      ::setsid();  // who kills the test program's group does not kill the keeper
      keep(bin, control[0], ready[1]);
    }
    ::close(control[0]);
    ::close(ready[1]);
    control_.reset(control[1]);
    const env::UniqueFd said(ready[0]);
    char buffer[4096];
    for (ssize_t count; (count = ::read(said.get(), buffer, sizeof buffer)) > 0;)
      problem_.append(buffer, static_cast<std::size_t>(count));
    if (problem_ == "ready")
      problem_.clear();
    else
      problem_ = "PostgreSQL's server does not start: " + problem_;
  }

  // ---- in the keeper ----

  static void say(int fd, std::string_view text) {
    if (::write(fd, text.data(), text.size()) < 0) ::_exit(1);
    ::close(fd);
  }

  // Runs a program as the unprivileged user, its outputs in `output`.
  static pid_t spawn(const passwd* user, int output, const std::vector<std::string>& argv) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, STDIN_FILENO);
    if (user != nullptr && (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0))
      ::_exit(126);
    ::setenv("LC_ALL", "C", 1);
    std::vector<char*> arguments;
    for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    if (::chdir("/") == 0) ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }

  // Reads until `mark` or the end, or until the test program has ended.
  static bool read_until(int fd, int control, std::string_view mark, std::string& text) {
    for (;;) {
      if (!mark.empty() && text.find(mark) != std::string::npos) return true;
      pollfd both[] = {{fd, POLLIN, 0}, {control, POLLIN, 0}};
      if (::poll(both, 2, -1) < 0) continue;
      if (both[1].revents != 0) return false;
      char buffer[4096];
      const ssize_t count = ::read(fd, buffer, sizeof buffer);
      if (count <= 0) return false;
      text.append(buffer, static_cast<std::size_t>(count));
      if (text.size() > 65536) text.erase(0, text.size() - 32768);
    }
  }

  [[noreturn]] void keep(const std::string& bin, int control, int ready) {
    const passwd* user = ::getuid() != 0 ? nullptr : ::getpwnam("postgres");
    if (::getuid() == 0 && user == nullptr) user = ::getpwnam("nobody");
    if (user != nullptr && ::chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) ::_exit(1);
    std::string text;
    pid_t server = -1;
    int output[2];
    if (::pipe2(output, O_CLOEXEC) == 0) {
      const pid_t maker = spawn(user, output[1],
                                {bin + "/initdb", "-D", folder_ + "/data", "-U", "nuraghe", "-A", "trust", "-E", "UTF8",
                                 "--locale=C", "--no-sync", "--no-instructions"});
      ::close(output[1]);
      read_until(output[0], control, "", text);
      int status = 1;
      ::waitpid(maker, &status, 0);
      ::close(output[0]);
      if (status == 0 && ::pipe2(output, O_CLOEXEC) == 0) {
        text.clear();
        server = spawn(user, output[1],
                       {bin + "/postgres", "-D", folder_ + "/data", "-k", folder_, "-c", "listen_addresses=", "-c",
                        "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB", "-c",
                        "log_min_messages=log", "-c", "max_wal_size=256MB"});
        ::close(output[1]);
        if (read_until(output[0], control, "ready to accept connections", text)) {
          say(ready, "ready");
          text.clear();
          read_until(output[0], control, "", text);
        }
      }
    }
    if (server > 0) {
      ::kill(server, SIGQUIT);  // at once: what it holds is removed anyway
      ::waitpid(server, nullptr, 0);
    }
    static_cast<void>(env::remove_tree(folder_));
    if (::fcntl(ready, F_GETFD) != -1) say(ready, text.empty() ? "it ended" : text);
    ::_exit(0);
  }

  const pid_t owner_ = ::getpid();
  std::string folder_;
  std::string problem_;
  env::UniqueFd control_;  // the keeper ends when it is closed
  pid_t keeper_ = -1;
  int schemas_ = 0;
};

}  // namespace nuraghe::store::testing
