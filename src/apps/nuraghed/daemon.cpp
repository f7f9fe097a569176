#include "apps/nuraghed/daemon.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <future>

#include "api/gateway.hpp"
#include "api/tokens.hpp"
#include "apps/nuraghed/controller_node.hpp"
#include "apps/nuraghed/drained_exchange.hpp"
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
#include "store/sqlite.hpp"

namespace nuraghe::daemon {
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
    const std::string path = address.substr(at + kFolder.size()) + "/" + digest;
    auto promise = std::make_shared<std::promise<Result<std::string>>>();
    auto answer = promise->get_future();
    auto bytes = std::make_shared<Result<std::string>>(internal("the seed was not read"));
    control_.post(
        "vcf",
        [this, path, bytes](exchange::Turn& turn) -> Status {
          *bytes = factory_.seed(turn, path);
          return {};
        },
        [promise, bytes](const Status& status) {
          if (status)
            promise->set_value(std::move(*bytes));
          else
            promise->set_value(status.error());
        });
    if (drains_) TRY(control_.drain());
    if (answer.wait_for(timeout) != std::future_status::ready) return timed_out("the seed was not read in time");
    return answer.get();
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

Result<int> free_port() {
  const env::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!fd.valid() || ::bind(fd.get(), generic, size) != 0 || ::getsockname(fd.get(), generic, &size) != 0)
    return system_error("find a free TCP port on 127.0.0.1", errno);
  return ntohs(address.sin_port);
}

// Held until this process ends, however it does. A second nuraghed would take the databases from the first.
Result<env::UniqueFd> lock_state(const std::string& state) {
  const std::string path = state + "/lock";
  env::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return system_error("open " + path, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) return conflict(fmt::format("another nuraghed works on the state folder {}", state));
  return system_error("lock " + path, errno);
}

Result<int> kept_port(const std::string& state) {
  const auto text = env::read_file(state + "/port");
  if (!text) return 0;
  int port = 0;
  std::from_chars(text->data(), text->data() + text->size(), port);
  return port;
}

}  // namespace

struct Daemon::Parts final : api::ConsoleProvider {
  Settings settings;
  env::UniqueFd lock;
  net::HttpServerOptions listen;
  std::string unix_base;
  std::string base;  // "http://127.0.0.1:PORT", or the UNIX socket's
  std::vector<api::TokenEntry> tokens;
  std::unique_ptr<net::HttpClient> http;
  std::unique_ptr<soap::SoapTransport> transport;
  std::unique_ptr<exchange::Router> router;
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
  ControllerNode* visible(const std::string& controller) const;
  Status open_control();
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
  const std::string socket = settings.state + "/nuraghed.sock";
  listen.listen.push_back("unix:" + socket);
  unix_base = "http+unix://" + net::percent_encode(socket);
  base = unix_base;
  if (!settings.tcp) return {};
  // References to hosts carry the address, so the port of the first start is kept.
  int port = settings.port;
  if (port == 0) {
    TRY_ASSIGN(port, kept_port(settings.state));
  }
  if (port == 0) {
    TRY_ASSIGN(port, free_port());
  }
  TRY(env::write_file_durably(settings.state + "/port", fmt::format("{}\n", port), 0600));
  settings.port = port;
  listen.listen.push_back(fmt::format("127.0.0.1:{}", port));
  base = fmt::format("http://127.0.0.1:{}", port);
  return {};
}

Status Daemon::Parts::open_doors() {
  api::GatewayOptions options;
  options.router = router.get();
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
  auto* node = visible(controller);
  if (node == nullptr) return done(not_found(fmt::format("there is no controller {}", controller)));
  node->when_visible(host, caller.vo, [node, host, done](const Status& allowed) {
    if (!allowed) return done(allowed.error());
    auto fd = node->driver().open_console(host);
    if (!fd) return done(fd.error());
    done(env::UniqueFd(*fd));
  });
}

void Daemon::Parts::tail(const std::string& controller, const std::string& host, const api::Identity& caller,
                         Bytes limit, std::function<void(Result<std::string>)> done) {
  auto* node = visible(controller);
  if (node == nullptr) return done(not_found(fmt::format("there is no controller {}", controller)));
  node->when_visible(host, caller.vo, [node, host, limit, done](const Status& allowed) {
    if (!allowed) return done(allowed.error());
    done(node->driver().console_tail(host, limit));
  });
}

ControllerNode* Daemon::Parts::visible(const std::string& controller) const {
  for (const auto& node : nodes) {
    if (node->name() == controller) return node.get();
  }
  return nullptr;
}

Status Daemon::Parts::open_control() {
  http = net::HttpClient::make();
  soap::SoapTransportOptions soap_options;
  soap_options.token = [secret = tokens.front().token](std::string_view) { return secret; };
  transport = std::make_unique<soap::SoapTransport>(*http, std::move(soap_options));
  router = exchange::make_router({transport.get(), settings.force_http, unix_base});
  router->add_own_base(base);
  router->add_own_base(unix_base);
  router->add_own_base(kContractBase);
  TRY_ASSIGN(images, images::ImageStore::open(settings.state + "/images"));
  bpel::EngineOptions engine_options;
  engine_options.own_base = base;
  engine_options.packages_are_complete = true;
  engine = std::make_unique<bpel::Engine>(std::move(engine_options));
  vhf = std::make_unique<services::vhf::Factory>();
  vhir = std::make_unique<services::vhir::Repository>(*images);
  services::vcf::FactoryOptions cluster_options;
  cluster_options.seed_base = base + "/seeds";
  vcf = std::make_unique<services::vcf::Factory>(std::move(cluster_options));
  workflow = std::make_unique<services::workflow::Administration>(*engine);
  TRY(deploy_workflows());
  TRY_ASSIGN(auto store, store::open_sqlite(settings.state + "/control.db"));
  exchange::ExchangeOptions options;
  options.name = "control";
  options.lanes = 4;
  options.clock = &env::system_clock();
  options.random = &env::system_random();
  control = exchange::make_exchange(std::move(store), *router, options);
  if (settings.deterministic) {
    drainer = std::make_unique<Drainer>();
    control = make_drained(std::move(control), *drainer);
  }
  for (exchange::Actor* actor : {static_cast<exchange::Actor*>(engine.get()), static_cast<exchange::Actor*>(vhf.get()),
                                 static_cast<exchange::Actor*>(vhir.get()), static_cast<exchange::Actor*>(vcf.get()),
                                 static_cast<exchange::Actor*>(workflow.get())})
    control->add_actor(*actor);
  control->set_conversation_probe(engine->conversation_probe());
  TRY(control->open());
  seeds = std::make_unique<OwnSeeds>(*control, *vcf, settings.deterministic);
  return {};
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
    TRY_ASSIGN(auto node, ControllerNode::open(settings, controller, base, *router, *seeds, drainer.get()));
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
  TRY_ASSIGN(parts->lock, lock_state(parts->settings.state));
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
