#include "apps/controller/controller_node.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/controller/words.hpp"
#include "base/log.hpp"
#include "env/posix.hpp"
#include "hypervisor/qemu/driver.hpp"
#include "hypervisor/sim/driver.hpp"
#include "store/sqlite.hpp"

namespace nuraghe::controller {
namespace {

Result<hypervisor::Verb> parse_verb(const std::string& text) {
  const auto verb = std::find_if(hypervisor::kVerbs.begin(), hypervisor::kVerbs.end(),
                                 [&](hypervisor::Verb one) { return hypervisor::verb_name(one) == text; });
  if (verb != hypervisor::kVerbs.end()) return *verb;
  std::vector<std::string_view> names;  // two ways of thawing have one
  for (const auto one : hypervisor::kVerbs) {
    if (std::find(names.begin(), names.end(), hypervisor::verb_name(one)) == names.end())
      names.push_back(hypervisor::verb_name(one));
  }
  return invalid(fmt::format("'{}' is no verb of a hypervisor driver; there are {}", text, fmt::join(names, ", ")));
}

// "VERB:PATTERN[:every=N]"
Result<hypervisor::SimFailure> parse_failure(const std::string& text) {
  const auto parts = split(text, ':');
  hypervisor::SimFailure failure;
  TRY_ASSIGN(failure.verb, parse_verb(parts[0]));
  if (parts.size() > 1) failure.name = parts[1];
  if (parts.size() > 2) {
    if (!parts[2].starts_with("every=")) return invalid(fmt::format("'{}' is not every=N", parts[2]));
    TRY_ASSIGN(failure.every, to_int(parts[2].substr(6)));
  }
  return failure;
}

// "VERB=DURATION"
Result<std::pair<hypervisor::Verb, Duration>> parse_delay(const std::string& text) {
  const auto equals = std::min(text.find('='), text.size());
  TRY_ASSIGN(const auto verb, parse_verb(text.substr(0, equals)));
  TRY_ASSIGN(const auto delay, parse_duration(equals == text.size() ? "" : text.substr(equals + 1)));
  return std::pair(verb, delay);
}

Result<std::unique_ptr<hypervisor::Driver>> open_driver(const NodeSettings& settings,
                                                        const ControllerSettings& controller) {
  if (controller.driver == "sim") {
    hypervisor::SimOptions options;
    options.root = settings.folder + "/hosts";
    options.persisted = settings.sim_persisted;
    for (const auto& text : settings.sim_failures) {
      auto failure = parse_failure(text);
      if (!failure) return std::move(failure).error().with("--sim-fail " + text);
      options.failures.push_back(std::move(*failure));
    }
    for (const auto& text : settings.sim_delays) {
      auto delay = parse_delay(text);
      if (!delay) return std::move(delay).error().with("--sim-delay " + text);
      options.delays[delay->first] = delay->second;
    }
    TRY_ASSIGN(auto driver, hypervisor::open_sim_driver(std::move(options)));
    return std::unique_ptr<hypervisor::Driver>(std::move(driver));
  }
  if (controller.driver != "qemu")
    return invalid(fmt::format("'{}' is not a hypervisor driver; there are qemu and sim", controller.driver));
  hypervisor::QemuOptions options;
  options.root = settings.folder + "/hosts";
  options.shim_program = settings.programs + "/nuraghe-shim";
  options.accelerator = settings.accelerator;
  options.accelerator_cache = settings.accelerator_cache;
  return hypervisor::open_qemu_driver(std::move(options));
}

// The kind of tunnel says which fabric: one physical host has one.
Result<std::unique_ptr<network::Fabric>> open_fabric(const NodeSettings& settings,
                                                     const ControllerSettings& controller) {
  if (controller.driver == "sim") return network::make_simulated_fabric(controller.name);
  if (controller.tunnel.starts_with("vxlan:")) {
    network::BridgeOptions options;
    options.folder = settings.folder;
    options.tunnel = controller.tunnel;
    return network::open_bridge_fabric(options);
  }
  network::SwitchOptions options;
  options.folder = settings.folder + "/switch";
  options.program = settings.programs + "/nuraghe-switch";
  options.listen = controller.tunnel;
  return network::open_switch_fabric(options);
}

}  // namespace

Result<std::unique_ptr<ControllerNode>> ControllerNode::open(const NodeSettings& settings,
                                                             const ControllerSettings& controller,
                                                             exchange::Router& router, services::vhc::SeedSource& seeds,
                                                             Drainer* drainer) {
  const std::string& folder = settings.folder;
  TRY(env::make_directories(folder, 0700));
  std::unique_ptr<ControllerNode> node(new ControllerNode);
  node->name_ = controller.name;
  const bool is_simulated = controller.driver == "sim";
  TRY_ASSIGN(node->driver_, open_driver(settings, controller));
  TRY_ASSIGN(node->fabric_, open_fabric(settings, controller));
  services::vhc::WorkerOptions worker;
  worker.folder = folder;
  worker.uses_files = !is_simulated;
  worker.images = settings.images;
  worker.segment_secret = settings.segment_secret;
  node->worker_ = std::make_unique<services::vhc::Worker>(std::move(worker), *node->driver_, *node->fabric_, seeds);
  services::vhc::ControllerOptions options;
  options.name = controller.name;
  options.site = controller.site;
  options.address = settings.address + "/services/" + controller.name;
  options.factory = settings.factory;
  options.capacity.cpus = controller.cpus;
  options.capacity.memory = controller.memory;
  options.capacity.disk = controller.disk;
  options.renewal = settings.renewal;
  options.on_registered = [raw = node.get()] { raw->registered_.set_value(); };
  node->controller_ = std::make_unique<services::vhc::Controller>(std::move(options), *node->worker_);
  TRY_ASSIGN(auto store, store::open_sqlite(folder + "/vhc.db"));
  exchange::ExchangeOptions exchange_options;
  exchange_options.name = "vhc-" + controller.name;
  exchange_options.lanes = 64;
  exchange_options.clock = &env::system_clock();
  exchange_options.random = &env::system_random();
  exchange_options.on_spans = settings.on_spans;
  node->exchange_ = exchange::make_exchange(std::move(store), router, exchange_options);
  if (drainer != nullptr) node->exchange_ = make_drained(std::move(node->exchange_), *drainer);
  node->exchange_->add_actor(*node->controller_);
  if (settings.beside != nullptr) node->exchange_->add_actor(*settings.beside);
  TRY(node->exchange_->open());
  auto* raw = node.get();
  node->driver_->on_lost([raw](const std::string& id, const hypervisor::HostCondition& condition) {
    raw->exchange_->post(
        "vhc",
        [raw, id, reason = condition.exit_reason](exchange::Turn& turn) {
          return raw->controller_->host_lost(turn, id, reason);
        },
        [id](const Status& status) {
          if (!status)
            log_error("vhc", "a lost host could not be recorded",
                      {{"host", id}, {"error", status.error().to_string()}});
        });
  });
  node->driver_->on_paused([raw](const std::string& id, const hypervisor::HostCondition& condition) {
    raw->exchange_->post(
        "vhc",
        [raw, id, reason = condition.pause_reason](exchange::Turn& turn) {
          return raw->controller_->host_stopped(turn, id, reason);
        },
        [id](const Status& status) {
          if (!status)
            log_error("vhc", "a host that its hypervisor paused could not be recorded",
                      {{"host", id}, {"error", status.error().to_string()}});
        });
  });
  const auto capabilities = node->driver_->capabilities();
  log_info("vhc", "controller is open",
           {{"name", controller.name},
            {"driver", capabilities.name},
            {"accelerator", capabilities.accelerator},
            {"reason", capabilities.accelerator_reason}});
  return node;
}

void ControllerNode::when_visible(const std::string& host, const std::string& vo,
                                  std::function<void(const Status&)> done) {
  exchange_->post(
      "vhc", [this, host, vo](exchange::Turn& turn) { return controller_->check_visible(turn, vo, host); },
      std::move(done));
}

void ControllerNode::open_console(const std::string& host, const std::string& vo,
                                  std::function<void(Result<env::UniqueFd>)> done) {
  when_visible(host, vo, [this, host, done = std::move(done)](const Status& allowed) {
    if (!allowed) return done(allowed.error());
    auto fd = driver_->open_console(host);
    if (!fd) return done(fd.error());
    done(env::UniqueFd(*fd));
  });
}

void ControllerNode::console_tail(const std::string& host, const std::string& vo, Bytes limit,
                                  std::function<void(Result<std::string>)> done) {
  when_visible(host, vo, [this, host, limit, done = std::move(done)](const Status& allowed) {
    if (!allowed) return done(allowed.error());
    done(driver_->console_tail(host, limit));
  });
}

bool ControllerNode::wait_registered(Duration timeout) {
  return is_registered_.wait_for(timeout) == std::future_status::ready;
}

ControllerNode::~ControllerNode() { stop(); }

void ControllerNode::stop() {
  if (driver_) {
    driver_->on_lost({});
    driver_->on_paused({});
  }
  if (exchange_) exchange_->stop();
}

}  // namespace nuraghe::controller
