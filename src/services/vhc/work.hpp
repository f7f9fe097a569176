// Worker: the blocking half of a controller: images, seeds, switch ports and the hypervisor. Runs on job lanes.
// Threading: every function is thread safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "exchange/exchange.hpp"
#include "hypervisor/driver.hpp"
#include "images/byte_source.hpp"
#include "images/image_store.hpp"
#include "model/node.hpp"
#include "network/fabric.hpp"
#include "services/vhc/rows.hpp"

namespace nuraghe::services::vhc {

// Where the bytes of a seed come from: opaque to the controller but for their digest.
class SeedSource {
 public:
  virtual ~SeedSource() = default;
  virtual Result<std::string> fetch(const std::string& address, const std::string& digest, Duration timeout) = 0;
};

// Where the parts of an image are: a folder with an OCI image layout that holds all of them.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  // Blocks while parts are copied; `cancelled` is asked between them.
  virtual Result<std::string> folder_of(const contracts::vhir::ImageReference& image,
                                        const std::function<bool()>& cancelled) = 0;
  // What was copied for this one alone is not needed any more. Nothing to give up is no error.
  virtual Status drop(const contracts::vhir::ImageReference& image) = 0;
};

struct WorkerOptions {
  std::string folder;      // seed disks stand below it
  bool uses_files = true;  // false: the driver reads no disks (simulated), so none are made
  Duration operation_timeout = std::chrono::minutes(5);
  Duration boot_timeout = std::chrono::minutes(10);
  ImageSource* images = nullptr;  // outlives the worker; null: an image's parts are where its reference says
  // The secret that the switches of a segment share, made of the key that names it; empty: the key itself.
  std::function<std::string(const std::string& key)> segment_secret;
};

class Worker {
 public:
  // Everything handed in outlives the worker.
  Worker(WorkerOptions options, hypervisor::Driver& driver, network::Fabric& fabric, SeedSource& seeds)
      : options_(std::move(options)), driver_(driver), fabric_(fabric), seeds_(seeds) {}

  Result<Outcome> run(const Order& order, exchange::JobContext& context);
  // What `export` made of a frozen host, by digest: the manifest, the configuration or a part. kNotFound when there is
  // no such thing (any more).
  Result<std::unique_ptr<images::ByteSource>> exported(const std::string& id, const std::string& digest) const;
  hypervisor::Driver& driver() { return driver_; }
  network::Fabric& fabric() { return fabric_; }

 private:
  struct ImageFiles {
    std::string kernel, initrd, disk, disk_format, parameters, ready, seed;
    Bytes disk_size;
  };
  Result<Outcome> create(const Order& order, exchange::JobContext& context);
  Result<Outcome> destroy(const Order& order, exchange::JobContext& context);
  // ---- moving.cpp ----
  Result<Outcome> export_host(const Order& order, exchange::JobContext& context);
  Result<Exported> make_export(const Order& order, const hypervisor::FrozenHost& frozen,
                               exchange::JobContext& context) const;
  Result<Outcome> import_host(const Order& order, exchange::JobContext& context);
  // Whether what the order calls its image is a frozen state.
  Result<bool> begins_frozen(const Order& order, exchange::JobContext& context);
  // A copy of a frozen host, in networks of its own, which goes on where that one was frozen.
  Result<Outcome> create_copy(const Order& order, exchange::JobContext& context);
  // A frozen state that is here, as far as it has been read.
  struct Incoming {
    std::string store_folder;
    images::Manifest manifest;
    FrozenState state;
    bool is_copy = false;
  };
  Result<Incoming> open_state(const Order& order, exchange::JobContext& context);
  // As long as it is there the copies of a state's parts stay; the last one gives them up.
  class StateUse;
  bool is_thawed(const std::string& id) const;
  // The driver has the host of the order, frozen.
  Result<Outcome> bring_in(const Order& order, const Incoming& incoming, exchange::JobContext& context);
  Status import_parts(const Order& order, const Incoming& incoming, const hypervisor::HostSpec& spec,
                      exchange::JobContext& context);
  Result<std::string> folder_of(const contracts::vhir::ImageReference& reference, exchange::JobContext& context);
  std::string export_path(const std::string& id) const { return options_.folder + "/exports/" + id; }
  std::string import_folder(const std::string& id) const { return options_.folder + "/imports/" + id; }

  // The machine that an order describes, without its seed and NICs.
  hypervisor::HostSpec make_spec(const Order& order, const model::Node& node, const ImageFiles& image) const;
  Status make_disks(const Order& order, const model::Node& node) const;
  Result<Outcome> boot(const Order& order, exchange::JobContext& context);
  Result<Outcome> join(const Order& order, exchange::JobContext& context);
  Result<Outcome> adopt(const Order& order);
  Result<Outcome> end_logins(const Order& order, exchange::JobContext& context);
  Result<ImageFiles> image_files(const contracts::vhir::ImageReference& reference, exchange::JobContext& context);
  Status fetch_seed(const Order& order, const ImageFiles& image, hypervisor::HostSpec& spec);
  Result<Outcome> thaw(const Order& order, exchange::JobContext& context);
  // The port of 127.0.0.1 that leads to the host's ssh: the same until somebody else has it when the host is thawed.
  Result<int> ssh_port(const std::string& id);
  Status plug_ports(const Order& order, hypervisor::HostSpec& spec, Outcome& outcome);
  // Runs a command (guest-exec) in the guest and waits until it ended well.
  Status run_in_guest(const Order& order, const std::string& command, const std::string& what,
                      exchange::JobContext& context);
  void reseed_guest(const Order& order, exchange::JobContext& context);
  void set_guest_clock(const Order& order, exchange::JobContext& context);
  void undo_create(const Order& order, const Outcome& outcome);
  std::string seed_path(const std::string& id) const { return options_.folder + "/seeds/" + id + ".iso"; }
  std::string disk_folder(const std::string& id) const { return options_.folder + "/disks/" + id; }
  // Below the overlay of a disk with partitions.
  std::string base_disk(const std::string& id, const std::string& disk) const {
    return disk_folder(id) + "/" + disk + ".raw";
  }
  hypervisor::Control control(exchange::JobContext& context, Duration timeout) const;

  WorkerOptions options_;
  hypervisor::Driver& driver_;
  network::Fabric& fabric_;
  SeedSource& seeds_;
  std::mutex images_mutex_;
  std::map<std::string, ImageFiles> images_;  // by manifest digest; images never change
  std::mutex states_mutex_;
  std::map<std::string, int> states_;  // frozen states that jobs read at the moment, by digest: how many
};

}  // namespace nuraghe::services::vhc
