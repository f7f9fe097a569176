#include "apps/nuraghed/daemon.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "api/gateway.hpp"
#include "api/tokens.hpp"
#include "apps/controller/controller_node.hpp"
#include "apps/controller/drained_exchange.hpp"
#include "apps/controller/site.hpp"
#include "apps/controller/state_folder.hpp"
#include "apps/nuraghed/remote_controllers.hpp"
#include "base/log.hpp"
#include "bpel/engine.hpp"
#include "contracts/texts.hpp"
#include "contracts/vcm.hpp"
#include "contracts/vhm.hpp"
#include "env/posix.hpp"
#include "images/image_store.hpp"
#include "net/http_client.hpp"
#include "services/vcf/vcf.hpp"
#include "services/vhf/vhf.hpp"
#include "services/vhir/vhir.hpp"
#include "services/workflow/workflow.hpp"
#include "soap/transport.hpp"
#include "store/location.hpp"
#include "store/sqlite.hpp"

namespace nuraghe::daemon {

using controller::ControllerNode;
using controller::Drainer;

namespace {

// Where the contracts say their services are; the addresses of this process itself.
constexpr const char* kContractBase = "http://localhost";
constexpr Duration kRegistrationTimeout = std::chrono::seconds(20);
constexpr Bytes kPackageFileLimit = {4 << 20};

// Seeds of this process's own VCF: read within a turn of its exchange.
class OwnSeeds final : public services::vhc::SeedSource {
 public:
  // `drains`: fetch is called by the thread that drains the exchange.
  OwnSeeds(exchange::Exchange& control, services::vcf::Factory& factory, bool drains)
      : control_(control), factory_(factory), drains_(drains) {}
  Result<std::string> fetch(const std::string& address, const std::string& digest, Duration timeout) override {
    constexpr std::string_view kFolder = "/seeds/";
    const auto at = address.find(kFolder);
    if (at == std::string::npos) return invalid(fmt::format("'{}' is not the address of a seed", address));
    auto promise = std::make_shared<std::promise<Result<std::string>>>();
    auto answer = promise->get_future();
    read(address.substr(at + kFolder.size()) + "/" + digest,
         [promise](Result<std::string> bytes) { promise->set_value(std::move(bytes)); });
    if (drains_) TRY(control_.drain());
    if (answer.wait_for(timeout) != std::future_status::ready) return timed_out("the seed was not read in time");
    return answer.get();
  }
  // `done` is called on the exchange's thread, or at once when that has stopped.
  void read(const std::string& path, std::function<void(Result<std::string>)> done) {
    auto bytes = std::make_shared<Result<std::string>>(internal("the seed was not read"));
    control_.post(
        "vcf",
        [this, path, bytes](exchange::Turn& turn) -> Status {
          *bytes = factory_.seed(turn, path);
          return {};
        },
        [bytes, done = std::move(done)](const Status& status) {
          if (!status) return done(status.error());
          done(std::move(*bytes));
        });
  }

 private:
  exchange::Exchange& control_;
  services::vcf::Factory& factory_;
  const bool drains_;
};

Status add_files(bpel::Package& package, const std::string& folder, const std::string& prefix) {
  TRY_ASSIGN(const auto names, env::list_directory(folder));
  for (const auto& name : names) {
    const std::string path = folder + "/" + name;
    if (const auto below = env::list_directory(path)) {
      TRY(add_files(package, path, prefix + name + "/"));
      continue;
    }
    TRY_ASSIGN(package.files[prefix + name], env::read_file(path, kPackageFileLimit));
  }
  return {};
}

}  // namespace

struct Daemon::Parts final : api::ConsoleProvider {
  Settings settings;
  env::UniqueFd lock;
  net::HttpServerOptions listen;
  std::string unix_base;
  std::string base;  // "http://127.0.0.1:PORT", or the UNIX socket's
  std::vector<api::TokenEntry> tokens;
  std::string self_token;  // with which this process asks itself (--force-http); never stored
  controller::Site site;
  RegisteredBases controller_bases;
  std::unique_ptr<net::HttpClient> http;
  std::unique_ptr<soap::SoapTransport> transport;
  std::unique_ptr<exchange::Router> router;
  std::unique_ptr<RemoteControllers> remote;
  std::unique_ptr<exchange::Router> door_router;  // what comes in from outside
  std::unique_ptr<images::ImageStore> images;
  std::unique_ptr<bpel::Engine> engine;
  std::unique_ptr<services::vhf::Factory> vhf;
  std::unique_ptr<services::vhir::Repository> vhir;
  std::unique_ptr<services::vcf::Factory> vcf;
  std::unique_ptr<services::workflow::Administration> workflow;
  std::unique_ptr<Drainer> drainer;  // null: every exchange has its own threads
  std::unique_ptr<exchange::Exchange> control;
  std::unique_ptr<OwnSeeds> seeds;
  std::vector<std::unique_ptr<ControllerNode>> nodes;
  std::unique_ptr<api::Gateway> gateway;

  Status choose_addresses();
  Status open_doors();
  Result<std::string> description(const std::string& service, const std::string& file) const;
  void open(const std::string& controller, const std::string& host, const api::Identity& caller,
            std::function<void(Result<env::UniqueFd>)> done) override;
  void tail(const std::string& controller, const std::string& host, const api::Identity& caller, Bytes limit,
            std::function<void(Result<std::string>)> done) override;
  // Null: there is none of that name in this process.
  ControllerNode* own(const std::string& controller) const;
  Status open_control();
  void open_remote();
  Status deploy_workflows();
  Status open_controllers();
  void add_routes();
};

// The description that is served at /services/NAME?wsdl; controllers share theirs.
Result<std::string> Daemon::Parts::description(const std::string& service, const std::string& file) const {
  const bool is_controller = std::any_of(settings.controllers.begin(), settings.controllers.end(),
                                         [&](const auto& controller) { return controller.name == service; });
  const auto text = file.empty() ? contracts::wsdl_text(is_controller ? "vhc" : service) : contracts::xsd_text(file);
  if (text.empty()) return not_found("there is no such description");
  return std::string(text);
}

Status Daemon::Parts::choose_addresses() {
  TRY_ASSIGN(tokens, api::ensure_token_file(settings.state + "/token", settings.vo, env::system_random()));
  const auto& site_token = settings.site_token;
  TRY_ASSIGN(site, controller::open_site(site_token.empty() ? settings.state + "/site-token" : site_token));
  for (auto& entry : site.as(api::Role::kController, "-")) tokens.push_back(std::move(entry));
  self_token = env::make_id(env::system_random(), "token");
  tokens.push_back({{"self", "", api::Role::kPeer}, self_token});
  const std::string socket = settings.state + "/nuraghed.sock";
  listen.listen.push_back("unix:" + socket);
  unix_base = "http+unix://" + net::percent_encode(socket);
  base = unix_base;
  if (!settings.tcp) return {};
  TRY_ASSIGN(const int port, controller::choose_port(settings.state, "127.0.0.1", settings.port));
  settings.port = port;
  listen.listen.push_back(fmt::format("127.0.0.1:{}", port));
  base = fmt::format("http://127.0.0.1:{}", port);
  for (const auto& address : settings.listen) {
    listen.listen.push_back(address);
    listen.allow_other_hosts = true;
    log_warning("nuraghed", "others may listen to what travels here: there is no TLS", {{"address", address}});
  }
  return {};
}

Status Daemon::Parts::open_doors() {
  api::GatewayOptions options;
  options.router = door_router.get();
  options.seed = [this](const std::string& path, std::function<void(Result<std::string>)> done) {
    seeds->read(path, std::move(done));
  };
  options.image_part = [this](const std::string& digest) { return images->blob_file(digest); };
  options.random = &env::system_random();
  options.tokens = tokens;
  options.description = [this](const std::string& service, const std::string& file) {
    return description(service, file);
  };
  options.events = control.get();
  options.metrics.emplace_back("control", control.get());
  for (auto& node : nodes) options.metrics.emplace_back(node->name(), &node->exchange());
  options.console = this;
  options.public_base = base;
  TRY_ASSIGN(gateway, api::Gateway::start(std::move(options), listen));
  return {};
}

void Daemon::Parts::open(const std::string& controller, const std::string& host, const api::Identity& caller,
                         std::function<void(Result<env::UniqueFd>)> done) {
  auto* node = own(controller);
  if (node == nullptr) return remote->open_console(controller, host, caller.vo, std::move(done));
  node->open_console(host, caller.vo, std::move(done));
}

void Daemon::Parts::tail(const std::string& controller, const std::string& host, const api::Identity& caller,
                         Bytes limit, std::function<void(Result<std::string>)> done) {
  auto* node = own(controller);
  if (node == nullptr) return remote->console_tail(controller, host, caller.vo, limit, std::move(done));
  node->console_tail(host, caller.vo, limit, std::move(done));
}

ControllerNode* Daemon::Parts::own(const std::string& controller) const {
  for (const auto& node : nodes) {
    if (node->name() == controller) return node.get();
  }
  return nullptr;
}

Status Daemon::Parts::open_control() {
  http = net::HttpClient::make();
  soap::SoapTransportOptions soap_options;
  // A request may name any address: it goes there without a token, unless a controller has registered with it.
  soap_options.token = [this](std::string_view at) {
    if (at == base || at == unix_base) return self_token;
    return controller_bases.has(at) ? site.token() : std::string();
  };
  transport = std::make_unique<soap::SoapTransport>(*http, std::move(soap_options));
  router = exchange::make_router({transport.get(), settings.force_http, unix_base});
  router->add_own_base(base);
  router->add_own_base(unix_base);
  router->add_own_base(kContractBase);
  TRY_ASSIGN(images, images::ImageStore::open(settings.state + "/images"));
  bpel::EngineOptions engine_options;
  engine_options.own_base = base;
  engine_options.others = bpel::OtherPackages::kRetire;
  engine_options.validate_messages = true;
  engine_options.history_retention = settings.retention.history;
  engine_options.history_limit = settings.retention.instances;
  engine = std::make_unique<bpel::Engine>(std::move(engine_options));
  const services::PastLimits past{settings.retention.past, settings.retention.past_of_vo};
  services::vhf::FactoryOptions host_options;
  host_options.past = past;
  host_options.weights = settings.weights;
  host_options.on_controller = [this](const std::string& name, const std::string& address) {
    controller_bases.set(name, address);
  };
  vhf = std::make_unique<services::vhf::Factory>(std::move(host_options));
  vhir = std::make_unique<services::vhir::Repository>(*images);
  services::vcf::FactoryOptions cluster_options;
  cluster_options.seed_base = base + "/seeds";
  cluster_options.past = past;
  vcf = std::make_unique<services::vcf::Factory>(std::move(cluster_options));
  workflow = std::make_unique<services::workflow::Administration>(*engine);
  TRY(deploy_workflows());
  auto opened = settings.store.empty() ? store::open_sqlite(settings.state + "/control.db")
                                       : store::open_location(settings.store, settings.store_schema);
  TRY_ASSIGN(auto store, std::move(opened));
  exchange::ExchangeOptions options;
  options.name = "control";
  options.lanes = 4;
  options.event_retention = settings.retention.events;
  options.event_limit = settings.retention.events_of_vo;
  options.clock = &env::system_clock();
  options.random = &env::system_random();
  control = exchange::make_exchange(std::move(store), *router, options);
  if (settings.deterministic) {
    drainer = std::make_unique<Drainer>();
    control = controller::make_drained(std::move(control), *drainer);
  }
  for (exchange::Actor* actor : {static_cast<exchange::Actor*>(engine.get()), static_cast<exchange::Actor*>(vhf.get()),
                                 static_cast<exchange::Actor*>(vhir.get()), static_cast<exchange::Actor*>(vcf.get()),
                                 static_cast<exchange::Actor*>(workflow.get())})
    control->add_actor(*actor);
  control->set_conversation_probe(engine->conversation_probe());
  TRY(control->open());
  seeds = std::make_unique<OwnSeeds>(*control, *vcf, settings.deterministic);
  open_remote();
  return {};
}

void Daemon::Parts::open_remote() {
  remote = std::make_unique<RemoteControllers>(
      *http, *transport, site.token(), [this](const std::string& name, std::function<void(Result<std::string>)> done) {
        auto address = std::make_shared<Result<std::string>>(internal("the address was not read"));
        control->post(
            "vhf",
            [this, name, address](exchange::Turn& turn) -> Status {
              *address = vhf->controller_address(turn, name);
              return {};
            },
            [address, done = std::move(done)](const Status& status) {
              if (!status) return done(status.error());
              done(std::move(*address));
            });
      });
  door_router = remote->make_router(*router, [this](const std::string& service) {
    return controller::is_service_name(service) || own(service) != nullptr;
  });
}

Status Daemon::Parts::deploy_workflows() {
  bpel::Package package;
  TRY(add_files(package, settings.contracts, "contracts/"));
  TRY(add_files(package, settings.workflows, "workflows/"));
  const auto deployment = engine->deploy("nuraghe", std::move(package));
  for (const auto& diagnostic : deployment.diagnostics) log_warning("workflow", diagnostic.to_string());
  if (!deployment.accepted)
    return invalid(
        fmt::format("the workflows of {} cannot be deployed: {}", settings.workflows,
                    deployment.diagnostics.empty() ? "unknown" : deployment.diagnostics.front().to_string()));
  return {};
}

void Daemon::Parts::add_routes() {
  const auto add = [&](const std::string& name, const std::vector<std::string>& operations) {
    for (const auto& operation : operations) router->add_route("/services/" + name, operation, *control, name);
  };
  add("vhf", contracts::vhf::Skeleton::operations());
  add("vhir", contracts::vhir::Skeleton::operations());
  add("vcf", contracts::vcf::Skeleton::operations());
  add("workflow", contracts::workflow::Skeleton::operations());
  for (const auto& route : engine->routes()) router->add_route(route.path, route.operation, *control, "engine");
}

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
  if (parts_->remote) parts_->remote->stop();
  if (parts_->control) parts_->control->stop();
  for (auto& node : parts_->nodes) node->stop();
  parts_->http.reset();
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

bool Daemon::failed() const {
  return parts_->control->failed() || std::any_of(parts_->nodes.begin(), parts_->nodes.end(),
                                                  [](const auto& node) { return node->exchange().failed(); });
}

}  // namespace nuraghe::daemon
