// What a Virtual Host Controller is started with, in nuraghed (--vhc) as in vhcd.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "exchange/exchange.hpp"
#include "exchange/trace.hpp"
#include "services/vhc/work.hpp"

namespace nuraghe::controller {

// What it offers and under which name.
struct ControllerSettings {
  std::string name;
  std::string site = "local";
  std::string driver = "qemu";
  std::int32_t cpus = 4;
  Bytes memory = gib(4);
  Bytes disk = gib(40);
  std::string tunnel;  // end of its network: "" = a UNIX socket, "udp:…" or "vxlan:ADDRESS:PORT"
};
// "NAME[:key=value,...]" with cpus, memory, disk, site, driver, tunnel.
Result<ControllerSettings> parse_controller(const std::string& text);
// kInvalid when a controller cannot be called so: its name is part of paths beside those of the services.
Status check_controller_name(const std::string& name);

// True for the names that the paths of nuraghed's services have.
bool is_service_name(const std::string& name);

// What it stands on.
struct NodeSettings {
  std::string folder;    // everything that it stores
  std::string programs;  // folder of nuraghe-shim and nuraghe-switch
  std::string address;   // base of its own addresses: "http://127.0.0.1:8470"
  std::string factory;   // the VHF's address
  std::string accelerator = "auto";
  std::string accelerator_cache;  // file that remembers what KVM can do here
  Duration renewal = std::chrono::seconds(10);
  services::vhc::ImageSource* images = nullptr;  // as services::vhc::WorkerOptions; outlives the node
  // The secret that the switches of a segment share, made of the key that names it.
  std::function<std::string(const std::string& key)> segment_secret;
  std::function<void(std::vector<exchange::Span>)> on_spans;  // as exchange::ExchangeOptions; empty: none are kept
  std::vector<std::string> sim_failures;                      // "VERB:PATTERN[:every=N]"
  std::vector<std::string> sim_delays;                        // "VERB=DURATION"
  bool sim_persisted = true;
  exchange::Actor* beside = nullptr;  // an actor of the process in the node's exchange; not owned, outlives the node
};

}  // namespace nuraghe::controller
