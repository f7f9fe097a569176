// nuraghed: the daemon. Wiring only: options, signals.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <list>

#include "apps/controller/process.hpp"
#include "apps/nuraghed/daemon.hpp"
#include "apps/nuraghed/own_addresses.hpp"
#include "base/crash_point.hpp"
#include "client/connection.hpp"
#include "xml/xml.hpp"

namespace {

constexpr const char* kExample =
    "Example: nuraghed --vhc host-1:cpus=4,memory=8GiB --vhc host-2:cpus=4,memory=8GiB\n"
    "Every VHC is a physical host to the control plane. 'nuraghe doctor' says whether this machine is fit, 'nuraghe "
    "host "
    "ls' whether they are there. docs/vhcd.md tells how other machines join.";

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("nuraghed: Nuraghe's daemon");
  nuraghe::daemon::Settings settings;
  settings.state = nuraghe::client::default_state_folder();
  settings.programs = nuraghe::controller::own_folder();
  settings.contracts = nuraghe::controller::data_folder(settings.programs, "contracts");
  settings.workflows = nuraghe::controller::data_folder(settings.programs, "workflows");
  std::vector<std::string> controllers, consumers;
  std::string weights, public_url;
  std::uint64_t crash_at = 0;
  bool count_crash_points = false;
  bool no_tcp = false;
  // The words of durations, and where they belong.
  std::list<std::pair<std::string, nuraghe::Duration*>> durations;
  const auto add_duration = [&](const std::string& option, nuraghe::Duration& target, std::string text,
                                const std::string& what) {
    durations.emplace_back(std::move(text), &target);
    app.add_option(option, durations.back().first, what)->capture_default_str();
  };
  app.add_option("--state", settings.state, "State folder");
  app.add_option("--store", settings.store,
                 "Keep the control plane's rows in PostgreSQL: postgres:CONNECTION or postgresql://USER@HOST/DATABASE "
                 "(default: STATE/control.db)");
  app.add_option("--store-schema", settings.store_schema, "Its schema that holds them; made when missing")
      ->capture_default_str();
  app.add_option("--port", settings.port, "TCP port on 127.0.0.1; 0: the one of before, else any free one");
  app.add_flag("--no-tcp", no_tcp, "Serve on the UNIX socket only");
  app.add_option("--vhc", controllers,
                 "A Virtual Host Controller: "
                 "NAME[:cpus=N,memory=SIZE,disk=SIZE,site=NAME,driver=qemu|sim,tunnel=udp:ADDRESS:PORT]")
      ->take_all();
  app.add_option("--listen", settings.listen,
                 "A further ADDRESS:PORT, for other machines, with TLS; tls:ADDRESS:PORT: with TLS on loopback too")
      ->take_all();
  app.add_option("--consumers", consumers,
                 "Send notifications only to this network, such as 10.1.0.0/16 (several times: these; default: "
                 "everywhere but link-local addresses, and to loopback only without --listen)")
      ->take_all();
  app.add_flag("--insecure-plain-http", settings.allow_plain,
               "Let --listen plain:ADDRESS:PORT serve other machines without TLS: everybody on the network can read "
               "tokens, keys and seeds");
  app.add_option("--server-name", settings.names, "A DNS name or address by which others reach it, for its certificate")
      ->take_all();
  app.add_option(
      "--tls-certificate", settings.tls_certificate,
      "File (PEM) with a certificate that people's programs know, and those that lead to its root: shown at the "
      "doors with TLS; the site's machines go on knowing nuraghed by its own CA");
  app.add_option("--tls-key", settings.tls_key, "File (PEM, mode 0600) with its key");
  app.add_option("--public-url", public_url,
                 "https://HOST[:PORT] by which clients reach it, told in every address (default: what each came by)");
  add_duration("--certificate-lifetime", settings.certificate_lifetime, "90d",
               "How long certificates that it makes are good; renewed after two thirds of it");
  app.add_option("--request-rate", settings.caller_rate.per_second,
                 "Requests in a second that a caller may make, twice as many at once; 0: no limit")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--site-token", settings.site_token,
                 "File with the token shared with vhcd on this machine; made when missing (default: STATE/site-token)");
  app.add_option("--oidc", settings.oidc,
                 "File (JSON) with the OIDC providers whose access tokens are believed (docs/tenants.md)");
  app.add_option("--vo", settings.vo, "Virtual organisation of the first token");
  app.add_option("--contracts", settings.contracts, "Folder of WSDL and XSD files");
  app.add_option("--workflows", settings.workflows, "Folder of BPEL files");
  app.add_option("--accelerator", settings.accelerator, "auto, kvm or tcg");
  app.add_flag("--force-http", settings.force_http,
               "Services call one another by SOAP over HTTP also within this process");
  add_duration("--renewal", settings.renewal, "10s", "How often a controller renews its registration");
  auto& kept = settings.retention;
  add_duration("--event-retention", kept.events, "90d", "How long events are kept");
  app.add_option("--event-limit", kept.events_of_vo, "How many events of a VO are kept")->capture_default_str();
  add_duration("--history-retention", kept.history, "7d", "How long ended workflow instances are kept");
  app.add_option("--history-limit", kept.instances, "How many ended workflow instances are kept")
      ->capture_default_str();
  add_duration("--past-retention", kept.past, "90d",
               "How long clusters and single hosts that are gone are remembered, and physical hosts that are not seen");
  app.add_option("--past-limit", kept.past_of_vo, "How many of each of a VO are remembered")->capture_default_str();
  add_duration("--audit-retention", kept.audit, "400d", "How long entries of the audit log are kept");
  app.add_option("--placement-weights", weights,
                 "Weights of the placement policy optimise, such as load=1,image=0.5,distance=1,fragmentation=0.5 "
                 "(these, when not said)");
  app.add_option("--sim-fail", settings.sim_failures, "Simulated hypervisor: VERB:PATTERN[:every=N] fails")->take_all();
  app.add_option("--sim-delay", settings.sim_delays, "Simulated hypervisor: VERB=DURATION, how long a verb takes")
      ->take_all();
  app.add_option(
         "--power-limit", settings.machines.power_limits,
         "Physical machines: COMMAND=DURATION, how long on, soft-off, hard-off or cycle may take before the next "
         "means is tried")
      ->take_all();
  app.add_option(
         "--step-limit", settings.machines.step_limits,
         "Physical machines: STEP=DURATION, how long a step of a deployment or release, such as populate, may take")
      ->take_all();
  app.add_option("--sim-machine-fail", settings.machines.sim_failures,
                 "Simulated machines: VERB:PATTERN[:every=N][:chance=PERCENT][:refused|unanswered|ignored] fails")
      ->take_all();
  app.add_option("--sim-machine-delay", settings.machines.sim_delays,
                 "Simulated machines: VERB=DURATION, how long a verb takes")
      ->take_all();
  app.add_flag("--deterministic", settings.deterministic, "For tests: one thread does all work, in a fixed order");
  app.add_flag("!--sim-volatile", settings.sim_persisted,
               "Simulated hypervisor: keep nothing on disk (for benchmarks)");
  app.add_option("--crash-at", crash_at, "For tests: end by SIGKILL at the Nth store commit or outgoing message");
  app.add_flag("--count-crash-points", count_crash_points, "For tests: print how many of them were passed, at the end");
  app.footer(kExample);
  CLI11_PARSE(app, argc, argv);
  settings.tcp = !no_tcp;
  settings.caller_rate.burst = 2 * settings.caller_rate.per_second;
  for (const auto& text : controllers) {
    auto controller = nuraghe::controller::parse_controller(text);
    if (!controller) {
      std::fprintf(stderr, "nuraghed: --vhc %s: %s\n", text.c_str(), controller.error().to_string().c_str());
      return 2;
    }
    settings.controllers.push_back(std::move(*controller));
  }
  for (const auto& text : consumers) {
    const auto network = nuraghe::net::parse_network(text);
    if (!network) {
      std::fprintf(stderr, "nuraghed: --consumers: %s\n", network.error().message().c_str());
      return 2;
    }
    settings.consumers.push_back(*network);
  }
  if (!public_url.empty()) {
    auto parsed = nuraghe::daemon::parse_public_url(public_url);
    if (!parsed) {
      std::fprintf(stderr, "nuraghed: --public-url: %s\n", parsed.error().message().c_str());
      return 2;
    }
    settings.public_url = std::move(*parsed);
  }
  if (app.count("--placement-weights") > 0) {
    const auto parsed = nuraghe::placement::parse_weights(weights);
    if (!parsed) {
      std::fprintf(stderr, "nuraghed: --placement-weights: %s\n", parsed.error().message().c_str());
      return 2;
    }
    settings.weights = *parsed;
  }
  for (const auto& [text, target] : durations) {
    const auto span = nuraghe::parse_duration(text);
    if (!span || span->count() < 0) {
      std::fprintf(stderr, "nuraghed: '%s' is no span of time, such as 10s, 5m, 2h, 7d\n", text.c_str());
      return 2;
    }
    *target = *span;
  }

  nuraghe::controller::prepare_process();
  nuraghe::xml::initialise();
  if (crash_at > 0) nuraghe::arm_crash_point(crash_at);

  auto daemon = nuraghe::daemon::Daemon::start(settings);
  if (!daemon) {
    std::fprintf(stderr, "nuraghed: %s\n", daemon.error().to_string().c_str());
    return 1;
  }
  std::printf("nuraghed serves on %s/nuraghed.sock", settings.state.c_str());
  if (settings.tcp) std::printf(" and http://127.0.0.1:%d", (*daemon)->port());
  for (const auto& base : (*daemon)->network_bases()) std::printf(" and %s", base.c_str());
  std::printf("\n");
  std::fflush(stdout);
  nuraghe::controller::run_until_told([&] { return (*daemon)->failed(); },
                                      [&](bool reread) { (*daemon)->tick(reread); });
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
