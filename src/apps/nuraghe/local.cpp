// What needs no nuraghed: init, validate, doctor.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>

#include "apps/nuraghe/commands.hpp"
#include "client/blueprint_files.hpp"
#include "contracts/vhf.hpp"
#include "contracts/vhir.hpp"
#include "env/posix.hpp"
#include "hypervisor/qemu/accelerator.hpp"
#include "network/fabric.hpp"
#include "services/catalogue.hpp"

namespace nuraghe::cli {
namespace {

namespace json = boost::json;

struct Check {
  std::string what;
  bool ok = true;
  std::string found;
  std::string remedy;
  bool is_needed = true;  // false: only who wants it is told what is lacking
};

Bytes machine_memory() {
  return Bytes{static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE)};
}

Check check_program(const std::string& program, const std::string& package) {
  const auto result = env::run_command({"sh", "-c", "command -v -- \"$0\"", program});
  const bool ok = result && result->exit_code == 0;
  return {"program " + program, ok, ok ? result->output.substr(0, result->output.find('\n')) : "missing",
          fmt::format("install it: apt-get install {}", package)};
}

Check check_space(const std::string& what, const std::string& path, Bytes needed) {
  const auto free = env::free_space(path);
  const bool ok = free && *free >= needed;
  return {what, ok, free ? short_size(*free) + " free in " + path : free.error().to_string(),
          fmt::format("make room: at least {} is needed in {}", short_size(needed), path)};
}

Check check_state(const std::string& state) {
  if (!env::path_exists(state)) return {"state folder", true, state + " is made at the first start", ""};
  const bool ok = ::access(state.c_str(), R_OK | W_OK | X_OK) == 0;
  return {"state folder", ok, state, fmt::format("make {} yours: chown -R $USER {}", state, state)};
}

Check check_daemon(Context& context) {
  auto connection = context.connection();
  if (!connection)
    return {"nuraghed", false, "not running",
            fmt::format("start it: nuraghed --state {} --vhc host-1", context.options().state)};
  const auto answer = (*connection)->get("/healthz");
  return {"nuraghed", answer.has_value(), answer ? "answers" : answer.error().to_string(),
          "look at its log, or start it again"};
}

Check check_loopback_port() {
  const env::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool ok = fd.valid() && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  return {"TCP ports of 127.0.0.1", ok, ok ? "can be had" : "cannot be bound",
          "bring the loopback interface up: ip link set lo up"};
}

Check check_accelerator(const std::string& state) {
  const std::string cache =
      fmt::format("{}/accelerator",
                  env::path_exists(state) ? state : std::string("/tmp/nuraghe-doctor-") + std::to_string(::getpid()));
  const bool is_temporary = !env::path_exists(state);
  const std::string folder = cache.substr(0, cache.rfind('/'));
  if (is_temporary && !env::make_directories(folder, 0700))
    return {"accelerator", false, "no folder for the probe", "make /tmp writable"};
  const auto choice = hypervisor::qemu::choose_accelerator("auto", "qemu-system-x86_64", cache);
  if (is_temporary && !env::remove_tree(folder))
    return {"accelerator", false, "the probe's folder stays: " + folder, "remove it"};
  if (!choice) return {"accelerator", false, choice.error().to_string(), "install qemu-system-x86"};
  const bool is_kvm = choice->name == "kvm";
  return {"accelerator", true, choice->name + (is_kvm ? "" : ": " + choice->reason), ""};
}

Check check_bridges() {
  const Status support = network::check_bridge_support();
  if (support) return {"networks of bridges", true, "possible: --vhc NAME:tunnel=vxlan:ADDRESS:4789", "", false};
  const bool is_right = support.error().code() == ErrorCode::kDenied;
  return {"networks of bridges", false, support.error().to_string(),
          is_right ? "start nuraghed or vhcd as root, or give it CAP_NET_ADMIN and the right to open /dev/net/tun"
                   : "as root: modprobe -a bridge vxlan tun; without them networks need no root, by a switch process",
          false};
}

Check check_uefi() {
  constexpr const char* kCode = "/usr/share/OVMF/OVMF_CODE_4M.fd";
  const bool is_there = env::path_exists(kCode);
  return {"firmware uefi", is_there, is_there ? kCode : "missing: hosts can ask for the firmware bios only",
          "install it: apt-get install ovmf", false};
}

// "ok"; "BAD": hosts cannot run; "-": there is no such thing here.
std::string_view mark_of(const Check& check) {
  if (check.ok) return "ok";
  return check.is_needed ? "BAD" : "-";
}

}  // namespace

Status init(Context& context) {
  model::MachineFacts machine;
  machine.cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  machine.memory = machine_memory();
  machine.image = "mini";
  machine.image_minimum_memory = mib(96);
  // With a nuraghed at hand: one of its own images.
  if (auto connection = context.connection()) {
    contracts::vhir::Client repository((*connection)->caller(), (*connection)->service("vhir"));
    const auto images = repository.list_images({});
    if (images && !images->catalogue.image.empty()) {
      machine.image = images->catalogue.image.front().name;
      machine.image_minimum_memory = images->catalogue.image.front().minimum_memory;
    }
  }
  const std::string text = model::default_blueprint("my-cluster", machine);
  if (context.json())
    context.print_json(json::object{{"blueprint", text}});
  else
    std::fputs(text.c_str(), stdout);
  return {};
}

Result<int> validate(Context& context, const std::string& file) {
  model::ParseContext parse;
  std::vector<contracts::vhir::Image> images;
  std::unique_ptr<services::Catalogue> catalogue;
  if (auto connection = context.connection()) {
    contracts::vhir::Client repository((*connection)->caller(), (*connection)->service("vhir"));
    TRY_ASSIGN(auto answer, repository.list_images({}));
    images = std::move(answer.catalogue.image);
    catalogue = std::make_unique<services::Catalogue>(images);
    parse.images = catalogue.get();
    contracts::vhf::Client factory((*connection)->caller(), (*connection)->service("vhf"));
    TRY_ASSIGN(const auto hosts, factory.list_physical_hosts({}));
    parse.physical_hosts.emplace();
    parse.sites.emplace();
    for (const auto& host : hosts.physical_host) {
      parse.physical_hosts->insert(host.name);
      parse.sites->insert(host.site);
    }
  }
  TRY_ASSIGN(const auto parsed, client::read_blueprint(file, parse));
  if (context.json()) {
    json::array findings;
    for (const auto& finding : parsed.findings)
      findings.push_back(json::object{{"file", finding.source},
                                      {"line", finding.position.line},
                                      {"column", finding.position.column},
                                      {"element", finding.element},
                                      {"message", finding.message}});
    context.print_json(
        json::object{{"valid", parsed.ok()}, {"images_checked", catalogue != nullptr}, {"findings", findings}});
  }
  if (!parsed.ok()) {
    for (const auto& finding : parsed.findings) context.print_line(finding.to_string());
    std::fprintf(stderr, "nuraghe: %s: %zu finding%s\n", file.c_str(), parsed.findings.size(),
                 parsed.findings.size() == 1 ? "" : "s");
    return kInvalidInput;
  }
  context.print_line(
      fmt::format("{} is valid{}", file, catalogue ? "" : " (images and hosts were not checked: no nuraghed runs)"));
  return kOk;
}

Result<int> doctor(Context& context) {
  const std::string state = context.options().state;
  std::string existing = state;
  while (!existing.empty() && !env::path_exists(existing)) existing = existing.substr(0, existing.rfind('/'));
  std::vector<Check> checks{check_program("qemu-system-x86_64", "qemu-system-x86"),
                            check_program("qemu-img", "qemu-utils"),
                            check_program("ssh", "openssh-client"),
                            check_program("ssh-keygen", "openssh-client"),
                            check_accelerator(state),
                            check_uefi(),
                            check_bridges(),
                            check_space("disk", existing.empty() ? "/" : existing, gib(2)),
                            check_space("memory of hosts", "/dev/shm", mib(512)),
                            check_loopback_port(),
                            check_state(state),
                            check_daemon(context)};
  bool all_ok = true;
  json::array list;
  for (const auto& check : checks) {
    all_ok = all_ok && (check.ok || !check.is_needed);
    list.push_back(json::object{{"check", check.what},
                                {"ok", check.ok},
                                {"needed", check.is_needed},
                                {"found", check.found},
                                {"remedy", check.ok ? "" : check.remedy}});
    context.print_line(fmt::format("{:4}  {:24} {}", mark_of(check), check.what, check.found));
    if (!check.ok) context.print_line("      → " + check.remedy);
  }
  if (context.json()) context.print_json(json::object{{"ok", all_ok}, {"checks", list}});
  return all_ok ? kOk : kFailed;
}

}  // namespace nuraghe::cli
