// The switch of one physical host: its configuration on disk, its data plane, its door, its one loop.
//
// Invariants: what a command changes is on disk before it is done and before it is answered; the files of a folder
// belong to one running switch, the holder of the lock (switch_main.cpp).
// Threading: none.
#pragma once

#include <memory>
#include <string>

#include "network/configuration.hpp"
#include "network/control_server.hpp"
#include "network/data_plane.hpp"
#include "network/poller.hpp"
#include "network/protocol.hpp"

namespace nuraghe::network {

class Switch {
 public:
  // Takes up the saved configuration when there is one. `listen` as in SwitchOptions; a saved address that fits it (the
  // same, or the same but for port 0) is used again.
  static Result<std::unique_ptr<Switch>> open(SwitchFiles files, const std::string& listen);
  // Serves until it was told to shut down, and then removes its files, or until a signal ends it, and then leaves them:
  // the next switch in this folder goes on. SIGTERM, SIGINT must be blocked in this process.
  Status run();

 private:
  explicit Switch(SwitchFiles files) : files_(std::move(files)) {}
  Status start(const std::string& listen);
  Result<Configuration> load(const TunnelAddress& listen) const;
  std::string handle(std::string_view line);
  Result<Answer> execute(const Request& request);
  // Saves and applies; nothing is saved when nothing changed.
  Status change_to(Configuration wanted);
  void bound_log() const;

  const SwitchFiles files_;
  Configuration configuration_;
  std::unique_ptr<Poller> poller_;
  env::UniqueFd signals_;
  std::unique_ptr<DataPlane> plane_;
  std::unique_ptr<ControlServer> control_;
  bool stopping_ = false, finished_ = false;
};

}  // namespace nuraghe::network
