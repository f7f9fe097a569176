// ControllerNode: one Virtual Host Controller with all that it stands on: driver, fabric, worker, database, exchange.
// The same inside nuraghed and, alone, in vhcd.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>

#include "apps/controller/drained_exchange.hpp"
#include "apps/controller/settings.hpp"
#include "env/posix.hpp"
#include "exchange/exchange.hpp"
#include "hypervisor/driver.hpp"
#include "network/fabric.hpp"
#include "services/vhc/vhc.hpp"

namespace nuraghe::controller {

class ControllerNode {
 public:
  // The router, the seeds and the drainer (null: the exchange has its own threads) outlive it.
  static Result<std::unique_ptr<ControllerNode>> open(const NodeSettings& settings,
                                                      const ControllerSettings& controller, exchange::Router& router,
                                                      services::vhc::SeedSource& seeds, Drainer* drainer = nullptr);
  ~ControllerNode();
  const std::string& name() const { return name_; }
  exchange::Exchange& exchange() { return *exchange_; }
  void start() { exchange_->start(); }
  void stop();
  // The live console of a host, and its last bytes, for a VO: kNotFound when it has no such host. Answered on the
  // exchange's thread.
  void open_console(const std::string& host, const std::string& vo, std::function<void(Result<env::UniqueFd>)> done);
  void console_tail(const std::string& host, const std::string& vo, Bytes limit,
                    std::function<void(Result<std::string>)> done);
  // As services::vhc::Worker::exported. Thread safe.
  Result<std::unique_ptr<images::ByteSource>> exported(const std::string& host, const std::string& digest) const {
    return worker_->exported(host, digest);
  }
  // True when the factory knows this controller within the time.
  bool wait_registered(Duration timeout);

 private:
  ControllerNode() = default;
  // Answers, on the exchange's thread, whether the VO may see the host: kNotFound otherwise.
  void when_visible(const std::string& host, const std::string& vo, std::function<void(const Status&)> done);
  std::promise<void> registered_;
  std::future<void> is_registered_ = registered_.get_future();
  std::string name_;
  std::unique_ptr<hypervisor::Driver> driver_;
  std::unique_ptr<network::Fabric> fabric_;
  std::unique_ptr<services::vhc::Worker> worker_;
  std::unique_ptr<services::vhc::Controller> controller_;
  std::unique_ptr<exchange::Exchange> exchange_;
};

}  // namespace nuraghe::controller
