// nuraghed: the daemon. Wiring only: options, signals.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/nuraghed/daemon.hpp"
#include "base/crash_point.hpp"
#include "client/connection.hpp"
#include "env/posix.hpp"
#include "xml/xml.hpp"

namespace {

// The folder that this program stands in.
std::string own_folder() {
  std::string path(4096, '\0');
  const auto length = ::readlink("/proc/self/exe", path.data(), path.size());
  path.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
  return path.substr(0, path.rfind('/'));
}

// Installed below share/nuraghe, in a build tree beside bin/.
std::string data_folder(const std::string& programs, const std::string& name) {
  const std::string installed = programs + "/../share/nuraghe/" + name;
  return nuraghe::env::path_exists(installed) ? installed : programs + "/../" + name;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("nuraghed: Nuraghe's daemon");
  nuraghe::daemon::Settings settings;
  settings.state = nuraghe::client::default_state_folder();
  settings.programs = own_folder();
  settings.contracts = data_folder(settings.programs, "contracts");
  settings.workflows = data_folder(settings.programs, "workflows");
  std::vector<std::string> controllers;
  std::uint64_t crash_at = 0;
  bool count_crash_points = false;
  bool no_tcp = false;
  std::string renewal = "10s";
  app.add_option("--state", settings.state, "State folder");
  app.add_option("--port", settings.port, "TCP port on 127.0.0.1; 0: the one of before, else any free one");
  app.add_flag("--no-tcp", no_tcp, "Serve on the UNIX socket only");
  app.add_option("--vhc", controllers,
                 "A Virtual Host Controller: NAME[:cpus=N,memory=SIZE,disk=SIZE,site=NAME,driver=qemu|sim]")
      ->take_all();
  app.add_option("--vo", settings.vo, "Virtual organisation of the first token");
  app.add_option("--contracts", settings.contracts, "Folder of WSDL and XSD files");
  app.add_option("--workflows", settings.workflows, "Folder of BPEL files");
  app.add_option("--accelerator", settings.accelerator, "auto, kvm or tcg");
  app.add_flag("--force-http", settings.force_http,
               "Services call one another by SOAP over HTTP also within this process");
  app.add_option("--renewal", renewal, "How often a controller renews its registration");
  app.add_option("--sim-fail", settings.sim_failures, "Simulated hypervisor: VERB:PATTERN[:every=N] fails")->take_all();
  app.add_option("--sim-delay", settings.sim_delays, "Simulated hypervisor: VERB=DURATION, how long a verb takes")
      ->take_all();
  app.add_flag("--deterministic", settings.deterministic, "For tests: one thread does all work, in a fixed order");
  app.add_flag("!--sim-volatile", settings.sim_persisted,
               "Simulated hypervisor: keep nothing on disk (for benchmarks)");
  app.add_option("--crash-at", crash_at, "For tests: end by SIGKILL at the Nth store commit or outgoing message");
  app.add_flag("--count-crash-points", count_crash_points, "For tests: print how many of them were passed, at the end");
  CLI11_PARSE(app, argc, argv);
  settings.tcp = !no_tcp;
  for (const auto& text : controllers) {
    auto controller = nuraghe::daemon::parse_controller(text);
    if (!controller) {
      std::fprintf(stderr, "nuraghed: --vhc %s: %s\n", text.c_str(), controller.error().to_string().c_str());
      return 2;
    }
    settings.controllers.push_back(std::move(*controller));
  }
  const auto span = nuraghe::parse_duration(renewal);
  if (!span) {
    std::fprintf(stderr, "nuraghed: --renewal: %s\n", span.error().to_string().c_str());
    return 2;
  }
  settings.renewal = *span;

  // Blocked before any thread is made, so that only sigwait sees them.
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  nuraghe::xml::initialise();
  if (crash_at > 0) nuraghe::arm_crash_point(crash_at);

  auto daemon = nuraghe::daemon::Daemon::start(settings);
  if (!daemon) {
    std::fprintf(stderr, "nuraghed: %s\n", daemon.error().to_string().c_str());
    return 1;
  }
  std::printf("nuraghed serves on %s/nuraghed.sock", settings.state.c_str());
  if (settings.tcp) std::printf(" and http://127.0.0.1:%d", (*daemon)->port());
  std::printf("\n");
  std::fflush(stdout);
  int signal = 0;
  while (true) {
    const timespec second{1, 0};
    signal = ::sigtimedwait(&signals, nullptr, &second);
    if (signal > 0 || (*daemon)->failed()) break;
  }
  const bool failed = (*daemon)->failed();
  (*daemon)->stop();
  if (count_crash_points) {
    const auto work = (*daemon)->work();
    std::printf("crash points passed: %llu\ncommits: %lld\nsends: %lld\n",
                static_cast<unsigned long long>(nuraghe::crash_points_passed()), static_cast<long long>(work.commits),
                static_cast<long long>(work.sends));
  }
  return failed ? 1 : 0;
}
