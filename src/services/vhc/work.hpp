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
#include "images/image_store.hpp"
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
  hypervisor::Driver& driver() { return driver_; }
  network::Fabric& fabric() { return fabric_; }

 private:
  Result<Outcome> create(const Order& order, exchange::JobContext& context);
  Result<Outcome> destroy(const Order& order, exchange::JobContext& context);
  Result<Outcome> boot(const Order& order, exchange::JobContext& context);
  Result<Outcome> join(const Order& order, exchange::JobContext& context);
  Result<Outcome> adopt(const Order& order);
  Result<Outcome> end_logins(const Order& order, exchange::JobContext& context);
  struct ImageFiles {
    std::string kernel, initrd, disk, disk_format, parameters, ready, seed;
    Bytes disk_size;
  };
  Result<ImageFiles> image_files(const contracts::vhir::ImageReference& reference, exchange::JobContext& context);
  Status fetch_seed(const Order& order, const ImageFiles& image, hypervisor::HostSpec& spec);
  Result<Outcome> thaw(const Order& order, exchange::JobContext& context);
  // The port of 127.0.0.1 that leads to the host's ssh: the same until somebody else has it when the host is thawed.
  Result<int> ssh_port(const std::string& id);
  Status plug_ports(const Order& order, hypervisor::HostSpec& spec, Outcome& outcome);
  void set_guest_clock(const Order& order, exchange::JobContext& context);
  void undo_create(const Order& order, const Outcome& outcome);
  std::string seed_path(const std::string& id) const { return options_.folder + "/seeds/" + id + ".iso"; }
  std::string disk_folder(const std::string& id) const { return options_.folder + "/disks/" + id; }
  hypervisor::Control control(exchange::JobContext& context, Duration timeout) const;

  WorkerOptions options_;
  hypervisor::Driver& driver_;
  network::Fabric& fabric_;
  SeedSource& seeds_;
  std::mutex images_mutex_;
  std::map<std::string, ImageFiles> images_;  // by manifest digest; images never change
};

}  // namespace nuraghe::services::vhc
