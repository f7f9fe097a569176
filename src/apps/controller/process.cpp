#include "apps/controller/process.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "env/posix.hpp"

namespace nuraghe::controller {
namespace {

sigset_t waited_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGHUP);
  return signals;
}

}  // namespace

std::string own_folder() {
  std::string path(4096, '\0');
  const auto length = ::readlink("/proc/self/exe", path.data(), path.size());
  path.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
  return path.substr(0, path.rfind('/'));
}

std::string data_folder(const std::string& programs, const std::string& name) {
  const std::string installed = programs + "/../share/nuraghe/" + name;
  return env::path_exists(installed) ? installed : programs + "/../" + name;
}

void prepare_process() {
  const sigset_t signals = waited_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    // Not granted: then fewer requests at once.
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

void run_until_told(const std::function<bool()>& failed, const std::function<void(bool reread)>& tick) {
  const sigset_t signals = waited_signals();
  constexpr timespec kSecond{1, 0};
  while (true) {
    const int signal = ::sigtimedwait(&signals, nullptr, &kSecond);
    if (signal == SIGTERM || signal == SIGINT || failed()) return;
    if (tick) tick(signal == SIGHUP);
  }
}

}  // namespace nuraghe::controller
