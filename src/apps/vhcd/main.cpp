// vhcd: one Virtual Host Controller as a process of its own. Wiring only: options, signals.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "apps/controller/membership.hpp"
#include "apps/controller/process.hpp"
#include "apps/vhcd/vhc_daemon.hpp"
#include "base/crash_point.hpp"
#include "env/posix.hpp"
#include "xml/xml.hpp"

namespace {

constexpr const char* kExample =
    "Example: vhcd --name host-2 --state /var/lib/vhcd --factory https://10.0.0.1:8470 --listen 10.0.0.2:8471 --join "
    "/root/token\n"
    "docs/vhcd.md tells how several machines become one site.";

// Sizes and spans as people write them.
struct Texts {
  std::string memory = "4GiB", disk = "40GiB", renewal = "10s", join;
};

void add_options(CLI::App& app, nuraghe::vhcd::Settings& settings, Texts& texts) {
  auto& offer = settings.controller;
  app.add_option("--name", offer.name, "Name of this physical host: lower-case letters, digits, '-'")->required();
  app.add_option("--factory", settings.factory,
                 "nuraghed: https://ADDRESS:PORT; on this machine http://127.0.0.1:PORT or unix:PATH too")
      ->required();
  app.add_option("--state", settings.state, "State folder")->required();
  app.add_option("--join", texts.join,
                 "Join the site of --factory with the join token in this file, '-': standard input (default: that of "
                 "$NURAGHE_JOIN_TOKEN); done once, then the certificate in STATE/pki says who this is");
  app.add_option("--token-file", settings.token_file,
                 "Beside its nuraghed on one machine: file with the site's token (mode 0600), the same as nuraghed's; "
                 "made when missing (default: STATE/site-token)");
  app.add_option("--listen", settings.listen,
                 "ADDRESS:PORT or, beside its nuraghed, unix:PATH; port 0: the one of before, else any free one")
      ->capture_default_str();
  app.add_option("--cpus", offer.cpus, "Virtual CPUs that it offers")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--memory", texts.memory, "Memory that it offers")->capture_default_str();
  app.add_option("--disk", texts.disk, "Disk space that it offers")->capture_default_str();
  app.add_option("--site", offer.site, "Where it stands, for blueprints that say so")->capture_default_str();
  app.add_option("--driver", offer.driver, "Hypervisor: qemu or sim")->capture_default_str();
  app.add_option("--accelerator", settings.accelerator, "auto, kvm or tcg")->capture_default_str();
  app.add_option("--tunnel", offer.tunnel,
                 "Where other hosts send frames to: udp:ADDRESS:PORT, or with root and the kernel's own bridges "
                 "vxlan:ADDRESS:PORT (default: a UNIX socket, or udp on the address of --listen when that is not "
                 "loopback)");
  app.add_option("--images", settings.images,
                 "nuraghed's image repository as a shared folder (default: images are copied over HTTP)");
  app.add_option("--renewal", texts.renewal, "How often the registration is renewed")->capture_default_str();
  app.add_option("--sim-fail", settings.sim_failures, "Simulated hypervisor: VERB:PATTERN[:every=N] fails")->take_all();
  app.add_option("--sim-delay", settings.sim_delays, "Simulated hypervisor: VERB=DURATION, how long a verb takes")
      ->take_all();
  app.add_flag("!--sim-volatile", settings.sim_persisted,
               "Simulated hypervisor: keep nothing on disk (for benchmarks)");
  app.set_version_flag("--version", NURAGHE_VERSION);
  app.footer(kExample);
}

nuraghe::Status read_texts(const Texts& texts, nuraghe::vhcd::Settings& settings) {
  TRY_ASSIGN(settings.controller.memory, nuraghe::parse_bytes(texts.memory));
  TRY_ASSIGN(settings.controller.disk, nuraghe::parse_bytes(texts.disk));
  TRY_ASSIGN(settings.renewal, nuraghe::parse_duration(texts.renewal));
  TRY_ASSIGN(settings.join_token, nuraghe::controller::read_join_token(texts.join));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("vhcd: a Virtual Host Controller, the virtual hosts of this machine, for a nuraghed");
  nuraghe::vhcd::Settings settings;
  Texts texts;
  std::uint64_t crash_at = 0;
  add_options(app, settings, texts);
  app.add_option("--crash-at", crash_at, "For tests: end by SIGKILL at the Nth store commit or outgoing message");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (const auto read = read_texts(texts, settings); !read) {
    std::fprintf(stderr, "vhcd: %s\n", read.error().to_string().c_str());
    return 2;
  }
  settings.state = std::filesystem::absolute(settings.state).string();
  settings.programs = nuraghe::controller::own_folder();
  nuraghe::controller::prepare_process();
  nuraghe::xml::initialise();
  if (crash_at > 0) nuraghe::arm_crash_point(crash_at);
  const std::string name = settings.controller.name;
  const std::string factory = settings.factory;
  auto daemon = nuraghe::vhcd::VhcDaemon::start(std::move(settings));
  if (!daemon) {
    std::fprintf(stderr, "vhcd: %s\n", daemon.error().to_string().c_str());
    return daemon.error().code() == nuraghe::ErrorCode::kInvalid ? 2 : 1;
  }
  std::printf("vhcd %s serves on %s for %s\n", name.c_str(), (*daemon)->base().c_str(), factory.c_str());
  std::fflush(stdout);
  nuraghe::controller::run_until_told([&] { return (*daemon)->failed(); },
                                      [&](bool reread) { (*daemon)->tick(reread); });
  const bool failed = (*daemon)->failed();
  (*daemon)->stop();
  return failed ? 1 : 0;
}
