#include "services/vhc/work.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "base/log.hpp"
#include "env/posix.hpp"
#include "images/digest.hpp"
#include "images/seed_disk.hpp"
#include "model/image.hpp"
#include "model/node.hpp"
#include "services/seed_bundle.hpp"
#include "services/vhc/agent_addresses.hpp"
#include "services/vhc/disks.hpp"
#include "services/vhc/logins.hpp"

namespace nuraghe::services::vhc {
namespace {

constexpr Duration kSeedTimeout = std::chrono::seconds(30);
constexpr Duration kAgentTimeout = std::chrono::seconds(20);
constexpr Duration kFirstLook = std::chrono::milliseconds(100);
constexpr Duration kLongestPause = std::chrono::seconds(2);
constexpr int kPortTries = 5;

// A TCP port of 127.0.0.1 that is free now. Somebody may take it before the hypervisor does: creation then tries
// another.
Result<int> free_port() {
  const env::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!fd.valid() || ::bind(fd.get(), generic, size) != 0 || ::getsockname(fd.get(), generic, &size) != 0)
    return system_error("find a free TCP port on 127.0.0.1", errno);
  return ntohs(address.sin_port);
}

// True when the port can still be had: the reason of a failed start may have been this. As the hypervisor asks for it:
// connections of before that linger on do not count.
bool is_port_free(int port) {
  const env::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd.valid()) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return fd.valid() && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
         ::listen(fd.get(), 1) == 0;
}

// Waits, at most so long, for the cancellation; true when it came.
bool wait_for_cancel(exchange::JobContext& context, Duration span) {
  pollfd entry{context.cancel_fd(), POLLIN, 0};
  return ::poll(&entry, 1, static_cast<int>(span.count() / 1000)) > 0 || context.cancelled();
}

std::string port_id(const std::string& host, const std::string& nic) { return host + "/" + nic; }

// The hypervisor's half of a port.
Status plug_into(const network::Port& port, hypervisor::NicSpec& nic) {
  if (nic.mtu > port.mtu_limit)
    return unsupported(fmt::format("network {}: an MTU of {} is more than {}, the most that this physical host carries",
                                   nic.name, nic.mtu, port.mtu_limit));
  if (nic.mtu == 0) nic.mtu = port.mtu;
  if (const auto* tap = std::get_if<network::PortTap>(&port.plug)) {
    nic.kind = hypervisor::NicSpec::Kind::kTap;
    nic.tap = tap->device;
  } else {
    const auto& sockets = std::get<network::PortSockets>(port.plug);
    nic.local_socket = sockets.hypervisor;
    nic.remote_socket = sockets.fabric;
  }
  return {};
}

}  // namespace

hypervisor::Control Worker::control(exchange::JobContext& context, Duration timeout) const {
  hypervisor::Control control;
  control.timeout = timeout;
  control.cancel_fd = context.cancel_fd();
  return control;
}

Result<Outcome> Worker::run(const Order& order, exchange::JobContext& context) {
  Outcome outcome;
  const auto limits = control(context, options_.operation_timeout);
  if (order.verb == "create") return create(order, context);
  if (order.verb == "destroy") return destroy(order, context);
  if (order.verb == "boot") return boot(order, context);
  if (order.verb == "join") return join(order, context);
  if (order.verb == "thaw") return thaw(order, context);
  if (order.verb == "export") return export_host(order, context);
  if (order.verb == "import") return import_host(order, context);
  if (order.verb == "adopt") return adopt(order);
  if (order.verb == "end-logins") return end_logins(order, context);
  if (order.verb == "link") {
    std::vector<network::Peer> peers;
    for (const auto& peer : order.network.peer) peers.push_back({peer.name, peer.address});
    const auto& key = order.network.key;
    TRY(fabric_.set_segment(order.network.segment, peers,
                            options_.segment_secret ? options_.segment_secret(key) : key));
    return outcome;
  }
  if (order.verb == "unlink") {
    TRY(fabric_.remove_segment(order.network.segment));
    TRY(fabric_.release_if_idle());
    return outcome;
  }
  if (order.verb == "pause") TRY(driver_.pause(order.id, limits));
  if (order.verb == "resume") TRY(driver_.resume(order.id, limits));
  if (order.verb == "resume") set_guest_clock(order, context);
  if (order.verb == "freeze") {
    TRY_ASSIGN(const auto report, driver_.freeze(order.id, limits));
    outcome.memory_saved = report.memory_saved;
    outcome.device_state = report.device_state;
    outcome.disk_state = report.disk_overlay;
    outcome.guest_pause = report.guest_pause;
  }
  return outcome;
}

void Worker::set_guest_clock(const Order& order, exchange::JobContext& context) {
  if (order.ready != "agent" || !options_.uses_files) return;
  // The guest slept; its clock did not notice. A guest whose agent does not answer keeps its own time.
  const auto nanoseconds = context.clock().now().micros * 1000;
  const auto done = driver_.agent_command(
      order.id, fmt::format("{{\"execute\":\"guest-set-time\",\"arguments\":{{\"time\":{}}}}}", nanoseconds),
      control(context, kAgentTimeout));
  if (!done)
    log_warning("vhc", "the guest's clock was not set", {{"host", order.id}, {"error", done.error().to_string()}});
}

Status Worker::run_in_guest(const Order& order, const std::string& command, const std::string& what,
                            exchange::JobContext& context) {
  const auto ask = [&](const std::string& text) {
    return driver_.agent_command(order.id, text, control(context, kAgentTimeout));
  };
  TRY_ASSIGN(const auto started, ask(command));
  TRY_ASSIGN(const auto process, started_process(started));
  const TimePoint deadline = context.clock().now() + kAgentTimeout;
  for (Duration pause = kFirstLook;; pause = std::min(pause * 2, kLongestPause)) {
    TRY_ASSIGN(const auto status, ask(process_status_command(process)));
    TRY_ASSIGN(const auto code, exit_code(status));
    if (code && *code == 0) return {};
    if (code) return unavailable(fmt::format("{} in {} failed with exit code {}", what, order.name, *code));
    if (context.clock().now() > deadline) return timed_out(fmt::format("{} in {} took too long", what, order.name));
    if (wait_for_cancel(context, pause)) return Error(ErrorCode::kCancelled, what + " was ended");
  }
}

Result<Outcome> Worker::end_logins(const Order& order, exchange::JobContext& context) {
  TRY(run_in_guest(order, end_logins_command(order.logins), "ending sessions", context));
  return Outcome{};
}

// Two copies of one guest would give out the same random numbers. A guest that knows VMGenID is told by that, too.
void Worker::reseed_guest(const Order& order, exchange::JobContext& context) {
  if (order.ready != "agent" || !options_.uses_files) return;
  std::array<std::uint8_t, 32> random{};
  env::system_random().fill(random);
  const auto done = run_in_guest(order, reseed_command(random), "reseeding", context);
  if (!done)
    log_warning("vhc", "the guest's random numbers were not reseeded",
                {{"host", order.id}, {"error", done.error().to_string()}});
}

Result<std::string> Worker::folder_of(const contracts::vhir::ImageReference& reference, exchange::JobContext& context) {
  if (options_.images == nullptr) return reference.location;
  return options_.images->folder_of(reference, [&context] { return context.cancelled(); });
}

Result<Worker::ImageFiles> Worker::image_files(const contracts::vhir::ImageReference& reference,
                                               exchange::JobContext& context) {
  {
    const std::lock_guard lock(images_mutex_);
    if (const auto found = images_.find(reference.digest); found != images_.end()) return found->second;
  }
  TRY_ASSIGN(const auto folder, folder_of(reference, context));
  TRY_ASSIGN(const auto store, images::ImageStore::open_existing(folder));
  TRY_ASSIGN(const auto manifest, store->manifest(reference.digest));
  TRY_ASSIGN(const auto text, store->config(manifest));
  TRY_ASSIGN(const auto description, model::parse_image_description(text, reference.name + "/vhi.xml"));
  ImageFiles files;
  const auto take = [&](const char* media_type, std::string& path) -> Status {
    const auto* part = manifest.part(media_type);
    if (part == nullptr) return {};
    TRY_ASSIGN(path, store->blob_path(*part));
    return {};
  };
  TRY(take(images::kKernelMediaType, files.kernel));
  TRY(take(images::kInitrdMediaType, files.initrd));
  TRY(take(description.disk_format == "raw" ? images::kDiskRawMediaType : images::kDiskQcow2MediaType, files.disk));
  files.disk_format = description.disk_format;
  files.disk_size = description.disk_size;
  files.parameters = description.parameters;
  files.ready = description.ready;
  files.seed = description.seed;
  const std::lock_guard lock(images_mutex_);
  images_.emplace(reference.digest, files);
  return files;
}

Status Worker::fetch_seed(const Order& order, const ImageFiles& image, hypervisor::HostSpec& spec) {
  if (order.seed.digest.empty() || image.seed == "none") return {};
  const auto fetch = [&](const std::string& digest) -> Result<std::string> {
    TRY_ASSIGN(auto bytes, seeds_.fetch(order.seed.address, digest, kSeedTimeout));
    if (images::digest_of(bytes) != digest)
      return corrupt(fmt::format("the seed of {} does not match its digest", order.name));
    return bytes;
  };
  TRY_ASSIGN(const auto bytes, fetch(order.seed.digest));
  if (!options_.uses_files) return {};
  TRY_ASSIGN(const auto bundle, decode_record<SeedBundle>(bytes));
  auto files = bundle.files;
  for (const auto& [name, digest] : bundle.shared) {
    TRY_ASSIGN(files[name], fetch(digest));
  }
  TRY(env::make_directories(options_.folder + "/seeds", 0700));
  TRY(images::write_seed_disk(seed_path(order.id), files));
  hypervisor::DiskSpec disk;
  disk.name = "seed";
  disk.backing = seed_path(order.id);
  disk.backing_format = "raw";
  disk.read_only = true;
  spec.disks.push_back(std::move(disk));
  return {};
}

// A creation that is repeated after a crash must order the same port: the host may be there already. Losing the file
// with the power is no harm, then the host is gone too.
// A repeat after a crash keeps the port that the driver knows.
Result<int> Worker::ssh_port(const std::string& id) {
  const auto condition = driver_.inspect(id);
  if (condition && condition->ssh_port != 0) return condition->ssh_port;
  return free_port();
}

// A port is given back while its host is frozen: somebody else may have it now. The driver keeps the new one, so a
// repeat after a crash finds it.
Result<Outcome> Worker::thaw(const Order& order, exchange::JobContext& context) {
  const auto limits = control(context, options_.operation_timeout);
  // What it was exported as changes from now on.
  TRY(env::remove_tree(export_path(order.id)));
  Outcome outcome;
  for (int tries = 1;; ++tries) {
    const auto condition = driver_.inspect(order.id);
    const bool is_frozen = condition && condition->state == hypervisor::HostState::kFrozen;
    outcome.ssh_port = condition ? condition->ssh_port : order.ssh_port;
    if (is_frozen && outcome.ssh_port != 0 && !is_port_free(outcome.ssh_port)) {
      TRY_ASSIGN(outcome.ssh_port, free_port());
      TRY(driver_.move_ssh(order.id, outcome.ssh_port, limits));
    }
    const auto thawed = driver_.thaw(order.id, order.paused, limits);
    if (thawed) break;
    const bool port_taken = is_frozen && outcome.ssh_port != 0 && !is_port_free(outcome.ssh_port);
    if (!port_taken || tries == kPortTries) return thawed.error();
  }
  if (!order.paused) set_guest_clock(order, context);
  return outcome;
}

Status Worker::plug_ports(const Order& order, hypervisor::HostSpec& spec, Outcome& outcome) {
  TRY_ASSIGN(const auto document, xml::Document::parse(order.fragment));
  TRY_ASSIGN(const auto node, model::parse_node_fragment(document.root()));
  bool outward = false;
  for (const auto& nic : node.nics) {
    outward = outward || nic.uplink;
    hypervisor::NicSpec spec_nic;
    spec_nic.name = nic.network;
    spec_nic.mac = nic.mac;
    spec_nic.mtu = nic.mtu;
    const std::string id = port_id(order.id, nic.network);
    TRY_ASSIGN(const auto port, fabric_.add_port(id, nic.segment));
    outcome.ports.push_back(id);
    TRY(plug_into(port, spec_nic));
    spec.nics.push_back(std::move(spec_nic));
  }
  // The management network comes last: cluster networks keep their place whatever else a host has.
  if (outcome.ready == "agent" || !order.seed.digest.empty()) {
    hypervisor::NicSpec management;
    management.name = "management";
    management.mac = node.management_mac.empty() ? management_mac(order.id) : node.management_mac;
    management.kind = hypervisor::NicSpec::Kind::kUser;
    management.outward = outward;
    TRY_ASSIGN(management.ssh_port, ssh_port(order.id));
    outcome.ssh_port = management.ssh_port;
    spec.nics.push_back(std::move(management));
  }
  return {};
}

hypervisor::HostSpec Worker::make_spec(const Order& order, const model::Node& node, const ImageFiles& image) const {
  hypervisor::HostSpec spec;
  spec.id = order.id;
  spec.name = node.name;
  spec.cpus = node.cpus;
  spec.memory = node.memory;
  spec.machine = node.boot.machine;
  spec.firmware = node.boot.firmware;
  spec.kernel = image.kernel;
  spec.initrd = image.initrd;
  spec.kernel_parameters = image.parameters + (node.boot.parameters.empty() ? "" : " " + node.boot.parameters);
  spec.agent = (node.boot.ready.empty() ? image.ready : node.boot.ready) == "agent";
  bool has_root = false;
  for (const auto& disk : node.disks) {
    hypervisor::DiskSpec disk_spec;
    disk_spec.name = disk.name;
    disk_spec.size = disk.size;
    if (disk.name == model::kRootDisk && !image.disk.empty()) {
      has_root = true;
      disk_spec.backing = image.disk;
      disk_spec.backing_format = image.disk_format;
    }
    if (!disk.partitions.empty() && options_.uses_files) {
      disk_spec.backing = base_disk(order.id, disk.name);
      disk_spec.backing_format = "raw";
    }
    spec.disks.push_back(std::move(disk_spec));
  }
  if (!has_root && !image.disk.empty()) {
    hypervisor::DiskSpec root;
    root.name = model::kRootDisk;
    root.backing = image.disk;
    root.backing_format = image.disk_format;
    spec.disks.insert(spec.disks.begin(), std::move(root));
  }
  return spec;
}

Status Worker::make_disks(const Order& order, const model::Node& node) const {
  // A repeat after a crash: a host that its hypervisor knows has its disks already, and may be writing to them.
  const auto condition = driver_.inspect(order.id);
  const bool is_known = condition && condition->state != hypervisor::HostState::kDestroyed;
  for (const auto& disk : node.disks) {
    if (disk.partitions.empty() || !options_.uses_files) continue;
    const std::string path = base_disk(order.id, disk.name);
    TRY(env::make_directories(disk_folder(order.id), 0700));
    if (!is_known || !env::path_exists(path)) TRY(make_partitioned_disk(path, disk, options_.operation_timeout));
  }
  return {};
}

Result<Outcome> Worker::create(const Order& order, exchange::JobContext& context) {
  TRY_ASSIGN(const bool is_copy, begins_frozen(order, context));
  if (is_copy) return create_copy(order, context);
  TRY_ASSIGN(const auto document, xml::Document::parse(order.fragment));
  TRY_ASSIGN(const auto node, model::parse_node_fragment(document.root()));
  TRY_ASSIGN(const auto image, image_files(order.image, context));
  Outcome outcome;
  outcome.ready = node.boot.ready.empty() ? image.ready : node.boot.ready;
  auto spec = make_spec(order, node, image);
  TRY(make_disks(order, node));
  const auto made = [&]() -> Status {
    TRY(fetch_seed(order, image, spec));
    TRY(plug_ports(order, spec, outcome));
    for (int tries = 1;; ++tries) {
      auto created = driver_.create(spec, control(context, options_.operation_timeout));
      const bool port_taken = !created && outcome.ssh_port != 0 && !is_port_free(outcome.ssh_port);
      if (created || !port_taken || tries == kPortTries) return created;
      TRY_ASSIGN(outcome.ssh_port, free_port());
      spec.nics.back().ssh_port = outcome.ssh_port;
    }
  }();
  if (!made) {
    undo_create(order, outcome);
    return made.error();
  }
  return outcome;
}

void Worker::undo_create(const Order& order, const Outcome& outcome) {
  // Best effort: what stays is removed by destroy, which comes in any case.
  for (const auto& port : outcome.ports) {
    if (const auto removed = fabric_.remove_port(port); !removed)
      log_warning("vhc", "a port stays plugged in", {{"port", port}, {"error", removed.error().to_string()}});
  }
  for (const auto& path : {seed_path(order.id), disk_folder(order.id)}) {
    if (const auto removed = env::remove_tree(path); !removed)
      log_warning("vhc", "a file stays", {{"path", path}, {"error", removed.error().to_string()}});
  }
}

Result<Outcome> Worker::destroy(const Order& order, exchange::JobContext& context) {
  TRY(driver_.destroy(order.id, control(context, options_.operation_timeout)));
  TRY_ASSIGN(const auto plugged, fabric_.ports());
  for (const auto& port : plugged) {
    if (port.starts_with(order.id + "/")) TRY(fabric_.remove_port(port));
  }
  for (const auto& path : {seed_path(order.id), disk_folder(order.id), export_path(order.id), import_folder(order.id)})
    TRY(env::remove_tree(path));
  TRY(fabric_.release_if_idle());
  TRY(driver_.forget(order.id));
  return Outcome{};
}

Result<Outcome> Worker::boot(const Order& order, exchange::JobContext& context) {
  constexpr std::string_view kConsole = "console:";
  auto condition = hypervisor::ReadyCondition::kStarted;
  std::string text;
  if (order.ready == "agent") condition = hypervisor::ReadyCondition::kAgent;
  if (order.ready.starts_with(kConsole)) {
    condition = hypervisor::ReadyCondition::kConsoleText;
    text = order.ready.substr(kConsole.size());
  }
  TRY(driver_.wait_ready(order.id, condition, text, control(context, options_.boot_timeout)));
  return Outcome{};
}

Result<Outcome> Worker::join(const Order& order, exchange::JobContext& context) {
  // Nobody in the guest can be asked, or there is no guest (simulated).
  if (order.ready != "agent" || !options_.uses_files) return Outcome{};
  TRY_ASSIGN(const auto document, xml::Document::parse(order.fragment));
  TRY_ASSIGN(const auto node, model::parse_node_fragment(document.root()));
  std::vector<ExpectedAddress> missing;
  for (const auto& nic : node.nics) {
    if (!nic.address.empty()) missing.push_back({nic.mac, nic.address});
  }
  const TimePoint deadline = context.clock().now() + options_.boot_timeout;
  // A guest agent announces nothing, so it is asked again, less and less often.
  for (Duration pause = kFirstLook; !missing.empty(); pause = std::min(pause * 2, kLongestPause)) {
    TRY_ASSIGN(const auto answer, driver_.agent_command(order.id, "{\"execute\":\"guest-network-get-interfaces\"}",
                                                        control(context, kAgentTimeout)));
    TRY_ASSIGN(missing, missing_addresses(answer, missing));
    if (missing.empty()) break;
    if (context.clock().now() > deadline)
      return timed_out(fmt::format("{} has not taken its address {}: does its image read the seed?", order.name,
                                   missing.front().address));
    if (wait_for_cancel(context, pause))
      return Error(ErrorCode::kCancelled, "waiting for the host's addresses was ended");
  }
  return Outcome{};
}

Result<Outcome> Worker::adopt(const Order&) {
  Outcome outcome;
  TRY_ASSIGN(const auto ids, driver_.list());
  for (const auto& id : ids) {
    TRY_ASSIGN(const auto condition, driver_.inspect(id));
    if (condition.state == hypervisor::HostState::kDestroyed) continue;
    outcome.found.push_back({id, static_cast<std::int64_t>(condition.state),
                             condition.lost ? (condition.exit_reason.empty() ? "it ended" : condition.exit_reason) : "",
                             condition.pause_reason});
  }
  return outcome;
}

}  // namespace nuraghe::services::vhc
