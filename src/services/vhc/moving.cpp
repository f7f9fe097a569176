// Worker: frozen hosts leave for the repository and come from it.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.hpp"
#include "env/posix.hpp"
#include "hypervisor/states.hpp"
#include "images/digest.hpp"
#include "images/image_json.hpp"
#include "images/packed_file.hpp"
#include "model/node.hpp"
#include "services/vhc/work.hpp"

namespace nuraghe::services::vhc {
namespace {

constexpr Bytes kPartLimit = gib(16 * 1024);  // of one file of a frozen host
constexpr Bytes kPieceSize = mib(1);

Bytes length_of(std::string_view text) { return {static_cast<std::int64_t>(text.size())}; }

Status go_on(exchange::JobContext& context) {
  return context.cancelled() ? Status(Error(ErrorCode::kCancelled, "it was ended")) : Status();
}

// The NICs of a specification, as the guest knows them.
Status keep_nics(const FrozenState& state, hypervisor::HostSpec& spec) {
  for (auto& nic : spec.nics) {
    const auto mtu = state.mtu.find(nic.name);
    const auto mac = state.mac.find(nic.name);
    if (mtu == state.mtu.end() || mac == state.mac.end())
      return corrupt(fmt::format("the frozen state of {} knows no network {}", spec.name, nic.name));
    if (mtu->second > nic.mtu && nic.mtu != 0)
      return unsupported(fmt::format("network {}: the guest sends up to {} bytes, this physical host carries {}",
                                     nic.name, mtu->second, nic.mtu));
    nic.mtu = static_cast<int>(mtu->second);
    nic.mac = mac->second;
  }
  return {};
}

// The node of a frozen state in the networks of the one that is to be made of it.
Result<std::string> in_networks_of(const std::string& frozen, const std::string& wanted) {
  TRY_ASSIGN(const auto before, xml::Document::parse(frozen));
  TRY_ASSIGN(auto node, model::parse_node_fragment(before.root()));
  TRY_ASSIGN(const auto after, xml::Document::parse(wanted));
  TRY_ASSIGN(const auto place, model::parse_node_fragment(after.root()));
  for (auto& nic : node.nics) {
    const auto there = std::ranges::find(place.nics, nic.network, &model::Nic::network);
    if (there == place.nics.end()) return invalid(fmt::format("the copy has no network {}", nic.network));
    nic.segment = there->segment;
  }
  return model::node_fragment(node).to_string();
}

Status unpack_blob(const std::string& blob, const std::string& to, exchange::JobContext& context) {
  const env::UniqueFd fd(::open(blob.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return system_error("open " + blob, errno);
  return images::unpack_file(to, kPartLimit, [&]() -> Result<std::string> {
    TRY(go_on(context));
    std::string piece(static_cast<std::size_t>(kPieceSize.count), '\0');
    ssize_t count = 0;
    do count = ::read(fd.get(), piece.data(), piece.size());
    while (count < 0 && errno == EINTR);
    if (count < 0) return system_error("read " + blob, errno);
    piece.resize(static_cast<std::size_t>(count));
    return piece;
  });
}

}  // namespace

Result<Exported> Worker::make_export(const Order& order, const hypervisor::FrozenHost& frozen,
                                     exchange::JobContext& context) const {
  FrozenState state{frozen.format, order.fragment, order.image, order.seed, {}, {}, order.booted, order.is_ready};
  for (const auto& nic : frozen.spec.nics) {
    state.mtu[nic.name] = nic.mtu;
    state.mac[nic.name] = nic.mac;
  }
  Exported made;
  images::Manifest manifest;
  const auto add = [&](const std::string& title, const std::string& path) -> Status {
    TRY_ASSIGN(auto layout, images::layout_of(path));
    TRY_ASSIGN(const auto source, images::pack_file(path, layout));
    TRY_ASSIGN(const auto digest, images::digest_of(*source, [&context] { return go_on(context); }));
    manifest.parts.push_back({kStatePartMediaType, digest, source->size(), title});
    made.parts.push_back({digest, path, std::move(layout)});
    made.size += source->size().count;
    return {};
  };
  for (const auto& file : frozen.files) TRY(add(std::string(kDriverFile) + file.name, file.path));
  for (const auto& disk : frozen.spec.disks) {
    const std::string base = base_disk(order.id, disk.name);
    if (options_.uses_files && disk.backing == base) TRY(add(std::string(kBaseDisk) + disk.name, base));
  }
  made.config = write_frozen_state(state);
  made.config_digest = images::digest_of(made.config);
  manifest.config = {kStateConfigMediaType, made.config_digest, length_of(made.config), ""};
  made.manifest = images::write_manifest(manifest);
  made.manifest_digest = images::digest_of(made.manifest);
  made.size += static_cast<std::int64_t>(made.config.size() + made.manifest.size());
  return made;
}

Result<Outcome> Worker::export_host(const Order& order, exchange::JobContext& context) {
  const std::string path = export_path(order.id);
  const auto answer_of = [](const Exported& exported) {
    Outcome outcome;
    outcome.state = exported.manifest_digest;
    outcome.state_size = {exported.size};
    return outcome;
  };
  TRY_ASSIGN(const auto frozen, driver_.export_frozen(order.id, control(context, options_.operation_timeout)));
  if (const auto text = env::read_file(path)) {
    if (const auto before = decode_record<Exported>(*text)) return answer_of(*before);
  }
  TRY_ASSIGN(const auto exported, make_export(order, frozen, context));
  TRY(env::make_directories(options_.folder + "/exports", 0700));
  TRY(env::write_file_durably(path, encode_record(exported), 0600));
  return answer_of(exported);
}

Result<std::unique_ptr<images::ByteSource>> Worker::exported(const std::string& id, const std::string& digest) const {
  const Error unknown = not_found(fmt::format("virtual host {} has no frozen state with the part {} here", id, digest));
  if (!hypervisor::check_host_id(id)) return unknown;
  const auto text = env::read_file(export_path(id));
  if (!text) return unknown;
  TRY_ASSIGN(const auto exported, decode_record<Exported>(*text));
  if (digest == exported.manifest_digest) return images::text_source(exported.manifest);
  if (digest == exported.config_digest) return images::text_source(exported.config);
  const auto part = std::ranges::find(exported.parts, digest, &ExportedPart::digest);
  if (part == exported.parts.end()) return unknown;
  return images::pack_file(part->path, part->layout);
}

class Worker::StateUse {
 public:
  StateUse(Worker& worker, const contracts::vhir::ImageReference& state) : worker_(worker), state_(state) {
    const std::lock_guard lock(worker_.states_mutex_);
    ++worker_.states_[state_.digest];
  }
  ~StateUse() {
    const std::lock_guard lock(worker_.states_mutex_);
    const auto uses = worker_.states_.find(state_.digest);
    if (--uses->second > 0) return;
    worker_.states_.erase(uses);
    if (worker_.options_.images == nullptr) return;
    if (const auto dropped = worker_.options_.images->drop(state_); !dropped)
      log_warning("vhc", "copies of a frozen state stay",
                  {{"state", state_.digest}, {"error", dropped.error().to_string()}});
  }
  StateUse(const StateUse&) = delete;
  StateUse& operator=(const StateUse&) = delete;

 private:
  Worker& worker_;
  const contracts::vhir::ImageReference& state_;
};

Result<Worker::Incoming> Worker::open_state(const Order& order, exchange::JobContext& context) {
  Incoming incoming;
  TRY_ASSIGN(incoming.store_folder, folder_of(order.image, context));
  TRY_ASSIGN(const auto store, images::ImageStore::open_existing(incoming.store_folder));
  TRY_ASSIGN(incoming.manifest, store->manifest(order.image.digest));
  if (incoming.manifest.config.media_type != kStateConfigMediaType)
    return invalid(fmt::format("{} is no frozen state of a virtual host", order.image.digest));
  TRY_ASSIGN(const auto text, store->config(incoming.manifest));
  TRY_ASSIGN(incoming.state, read_frozen_state(text));
  incoming.state.image.location = order.image.location;
  return incoming;
}

Status Worker::import_parts(const Order& order, const Incoming& incoming, const hypervisor::HostSpec& spec,
                            exchange::JobContext& context) {
  TRY_ASSIGN(const auto store, images::ImageStore::open_existing(incoming.store_folder));
  const std::string folder = import_folder(order.id);
  TRY(env::remove_tree(folder));
  TRY(env::make_directories(folder, 0700));
  TRY(env::make_directories(disk_folder(order.id), 0700));
  hypervisor::FrozenHost frozen{incoming.state.format, {}, {}, incoming.is_copy};
  for (const auto& part : incoming.manifest.parts) {
    const bool is_base = part.title.starts_with(kBaseDisk);
    const bool is_driver = part.title.starts_with(kDriverFile);
    const std::string name = part.title.substr(part.title.find('/') + 1);
    if (part.media_type != kStatePartMediaType || is_base == is_driver || !hypervisor::check_host_id(name))
      return corrupt(fmt::format("the frozen state of {} has a part '{}' that is none", order.name, part.title));
    const std::string path = is_base ? base_disk(order.id, name) : folder + "/" + name;
    TRY_ASSIGN(const auto blob, store->blob_path(part));
    TRY(unpack_blob(blob, path, context));
    if (is_driver) frozen.files.push_back({name, path});
  }
  TRY(driver_.import_frozen(spec, frozen, control(context, options_.operation_timeout)));
  return env::remove_tree(folder);
}

// A repeat after a crash, when the host was thawed already.
bool Worker::is_thawed(const std::string& id) const {
  const auto condition = driver_.inspect(id);
  return condition &&
         (condition->state == hypervisor::HostState::kRunning || condition->state == hypervisor::HostState::kPaused);
}

Result<Outcome> Worker::bring_in(const Order& order, const Incoming& incoming, exchange::JobContext& context) {
  const FrozenState& state = incoming.state;
  Order creation = order;
  creation.fragment = state.fragment;
  creation.image = state.image;
  creation.seed = state.seed;
  TRY_ASSIGN(const auto document, xml::Document::parse(state.fragment));
  TRY_ASSIGN(const auto node, model::parse_node_fragment(document.root()));
  TRY_ASSIGN(const auto image, image_files(creation.image, context));
  Outcome outcome;
  outcome.frozen = state;
  outcome.ready = node.boot.ready.empty() ? image.ready : node.boot.ready;
  auto spec = make_spec(creation, node, image);
  const auto made = [&]() -> Status {
    TRY(fetch_seed(creation, image, spec));
    TRY(plug_ports(creation, spec, outcome));
    TRY(keep_nics(state, spec));
    return is_thawed(order.id) ? Status() : import_parts(order, incoming, spec, context);
  }();
  if (made) return outcome;
  undo_create(order, outcome);
  TRY(env::remove_tree(import_folder(order.id)));
  return made.error();
}

Result<Outcome> Worker::import_host(const Order& order, exchange::JobContext& context) {
  const StateUse use(*this, order.image);
  TRY_ASSIGN(const auto incoming, open_state(order, context));
  return bring_in(order, incoming, context);
}

Result<bool> Worker::begins_frozen(const Order& order, exchange::JobContext& context) {
  {
    const std::lock_guard lock(images_mutex_);
    if (images_.contains(order.image.digest)) return false;
  }
  TRY_ASSIGN(const auto folder, folder_of(order.image, context));
  TRY_ASSIGN(const auto store, images::ImageStore::open_existing(folder));
  TRY_ASSIGN(const auto manifest, store->manifest(order.image.digest));
  return manifest.config.media_type == kStateConfigMediaType;
}

Result<Outcome> Worker::create_copy(const Order& order, exchange::JobContext& context) {
  const StateUse use(*this, order.image);
  TRY_ASSIGN(auto incoming, open_state(order, context));
  incoming.is_copy = true;
  TRY_ASSIGN(incoming.state.fragment, in_networks_of(incoming.state.fragment, order.fragment));
  // Its seed is that of the host of which it is a copy, and is asked for as its own.
  if (!order.seed.address.empty()) incoming.state.seed.address = order.seed.address;
  TRY_ASSIGN(auto outcome, bring_in(order, incoming, context));
  Order thawing = order;
  thawing.ready = outcome.ready;
  thawing.paused = false;
  const auto thawed = thaw(thawing, context);
  if (!thawed) {
    undo_create(order, outcome);
    return thawed.error();
  }
  reseed_guest(thawing, context);
  outcome.ssh_port = thawed->ssh_port;
  return outcome;
}

}  // namespace nuraghe::services::vhc
