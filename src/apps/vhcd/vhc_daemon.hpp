// VhcDaemon: what one vhcd is made of: a Virtual Host Controller with its own database, its door, and the way to its
// nuraghed. No memory, file or transaction is shared with nuraghed; messages, seeds and images travel over HTTP.
//
//   STATE/lock         held by the one vhcd that works on the folder
//   STATE/site-token   the site's token, unless --token-file names another file (mode 0600), or it has joined a site
//   STATE/pki/         of one that has joined a site: membership.hpp
//   STATE/segment-key  what the secrets of clusters' networks are made of (mode 0600)
//   STATE/port         the TCP port, kept from the first start on
//   STATE/vhc.db       the controller's database
//   STATE/images/      parts of images that were copied from nuraghed: an OCI image layout
//   STATE/hosts/ seeds/ switch/ …   driver, seed disks, the network switch
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/controller/settings.hpp"
#include "base/result.hpp"

namespace nuraghe::vhcd {

struct Settings {
  std::string state;
  std::string programs;                // folder of nuraghe-shim and nuraghe-switch
  std::string listen = "127.0.0.1:0";  // ADDRESS:PORT, or unix:PATH
  std::string factory;                 // nuraghed's base: https://…; on this machine http://…, unix:PATH
  std::string join_token;              // to join a site with; of no meaning once it has
  std::string token_file;              // empty: STATE/site-token
  std::string images;                  // folder shared with nuraghed; empty: parts are copied over HTTP
  controller::ControllerSettings controller;
  std::string accelerator = "auto";
  Duration renewal = std::chrono::seconds(10);
  std::vector<std::string> sim_failures;
  std::vector<std::string> sim_delays;
  bool sim_persisted = true;
};

class VhcDaemon {
 public:
  // Opens everything; serves when it returns, and goes on trying to register until nuraghed takes it.
  static Result<std::unique_ptr<VhcDaemon>> start(Settings settings);
  ~VhcDaemon();
  // Lets the work in hand finish and closes the door. Virtual hosts go on running.
  void stop();
  const std::string& base() const;
  bool failed() const;
  // Once a second; `reread`: what stands in files is read again.
  void tick(bool reread);

 private:
  struct Parts;
  explicit VhcDaemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace nuraghe::vhcd
