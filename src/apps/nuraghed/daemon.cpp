#include "apps/nuraghed/daemon.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apps/controller/state_folder.hpp"
#include "apps/nuraghed/daemon_parts.hpp"
#include "base/log.hpp"
#include "env/posix.hpp"

namespace nuraghe::daemon {

namespace {

constexpr Duration kRegistrationTimeout = std::chrono::seconds(20);

}  // namespace

Status Daemon::Parts::open_controllers() {
  for (const auto& controller : settings.controllers) {
    controller::NodeSettings node_settings;
    node_settings.folder = settings.state + "/vhc/" + controller.name;
    node_settings.programs = settings.programs;
    node_settings.address = base;
    node_settings.factory = "/services/vhf";
    node_settings.accelerator = settings.accelerator;
    node_settings.accelerator_cache = settings.state + "/accelerator";
    node_settings.segment_secret = [this](const std::string& key) { return site.segment_secret(key); };
    node_settings.renewal = settings.renewal;
    node_settings.on_spans = spans.taker();
    node_settings.sim_failures = settings.sim_failures;
    node_settings.sim_delays = settings.sim_delays;
    node_settings.sim_persisted = settings.sim_persisted;
    TRY_ASSIGN(auto node, ControllerNode::open(node_settings, controller, *router, *seeds, drainer.get()));
    router->add_route("/services/" + controller.name, "*", node->exchange(), "vhc");
    nodes.push_back(std::move(node));
  }
  return {};
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Result<std::unique_ptr<Daemon>> Daemon::start(Settings settings) {
  auto parts = std::make_unique<Parts>();
  parts->settings = std::move(settings);
  TRY(env::make_directories(parts->settings.state, 0700));
  TRY_ASSIGN(parts->lock, controller::lock_state(parts->settings.state, "nuraghed"));
  TRY(parts->choose_addresses());
  TRY(parts->open_control());
  parts->add_routes();
  TRY(parts->open_controllers());
  TRY(parts->open_doors());
  parts->control->start();
  parts->end_revoked();  // those of before the process ended
  for (auto& node : parts->nodes) node->start();
  if (parts->drainer) parts->drainer->start();
  // A cluster can be placed only on controllers that are registered.
  for (auto& node : parts->nodes) {
    if (!node->wait_registered(kRegistrationTimeout))
      log_warning("nuraghed", "a controller has not registered yet", {{"controller", node->name()}});
  }
  log_info("nuraghed", "serving",
           {{"base", parts->base},
            {"state", parts->settings.state},
            {"controllers", fmt::format("{}", parts->nodes.size())}});
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

Daemon::~Daemon() { stop(); }

void Daemon::stop() {
  if (!parts_) return;
  if (parts_->gateway) parts_->gateway->stop();
  if (parts_->recorded) parts_->recorded->write_strangers(true);
  if (parts_->remote) parts_->remote->stop();
  parts_->spans.finish();
  if (parts_->control) parts_->control->stop();
  for (auto& node : parts_->nodes) node->stop();
  parts_->http.reset();
  parts_->transports->close();
}

Daemon::Work Daemon::work() const {
  Work sum;
  const auto add = [&](const exchange::ExchangeStatistics& one) {
    sum.commits += one.store.commits;
    sum.sends += one.messages_sent + one.replies_sent;
  };
  add(parts_->control->statistics());
  for (const auto& node : parts_->nodes) add(node->exchange().statistics());
  return sum;
}

int Daemon::port() const { return parts_->settings.tcp ? parts_->settings.port : 0; }

std::vector<std::string> Daemon::network_bases() const {
  const auto& all = parts_->gateway->bases();
  const std::size_t own = parts_->settings.tcp ? 2 : 1;  // its socket, its port on loopback
  return {all.begin() + static_cast<std::ptrdiff_t>(std::min(own, all.size())), all.end()};
}

void Daemon::tick(bool reread) {
  if (parts_->authority) parts_->authority->tick(reread);
  if (parts_->door_certificate && parts_->door_certificate->refresh(reread)) parts_->show_certificates();
  if (parts_->oidc) parts_->oidc->refresh(reread);
  parts_->recorded->write_strangers();
}

bool Daemon::failed() const {
  return parts_->control->failed() || std::any_of(parts_->nodes.begin(), parts_->nodes.end(),
                                                  [](const auto& node) { return node->exchange().failed(); });
}

}  // namespace nuraghe::daemon
