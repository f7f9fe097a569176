#include "apps/nuraghed/daemon.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "api/gateway.hpp"
#include "api/tokens.hpp"
#include "apps/controller/controller_node.hpp"
#include "apps/controller/door.hpp"
#include "apps/controller/drained_exchange.hpp"
#include "apps/controller/site.hpp"
#include "apps/controller/state_folder.hpp"
#include "apps/nuraghed/descriptions.hpp"
#include "apps/nuraghed/door_certificate.hpp"
#include "apps/nuraghed/machines.hpp"
#include "apps/nuraghed/notifications.hpp"
#include "apps/nuraghed/outside_services.hpp"
#include "apps/nuraghed/own_addresses.hpp"
#include "apps/nuraghed/own_seeds.hpp"
#include "apps/nuraghed/package_files.hpp"
#include "apps/nuraghed/partners.hpp"
#include "apps/nuraghed/recorded_calls.hpp"
#include "apps/nuraghed/remote_controllers.hpp"
#include "apps/nuraghed/site_authority.hpp"
#include "apps/nuraghed/spans.hpp"
#include "base/log.hpp"
#include "bpel/engine.hpp"
#include "contracts/operation.hpp"
#include "env/posix.hpp"
#include "images/image_store.hpp"
#include "net/http_client.hpp"
#include "services/tenant/member_keys.hpp"
#include "services/tenant/tenant.hpp"
#include "services/vcf/vcf.hpp"
#include "services/vhf/vhf.hpp"
#include "services/vhir/vhir.hpp"
#include "services/workflow/workflow.hpp"
#include "soap/transport.hpp"
#include "store/location.hpp"
#include "store/sqlite.hpp"
#include "wsrf/address.hpp"
#include "wsrf/resources.hpp"

namespace nuraghe::daemon {

using controller::ControllerNode;
using controller::Drainer;

namespace {

// Where the contracts say their services are; the addresses of this process itself.
constexpr const char* kContractBase = "http://localhost";
constexpr Duration kRegistrationTimeout = std::chrono::seconds(20);

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
  soap::SharedPathOf own_addresses;                   // there before anybody is answered
  std::unique_ptr<SiteAuthority> authority;           // null: the site has no CA, and this process no TLS
  std::unique_ptr<DoorCertificate> door_certificate;  // null: people are shown what machines are shown
  std::unique_ptr<net::HttpClient> http;
  std::unique_ptr<soap::SoapTransport> transport;
  net::AddressRules strangers;  // where messages go that somebody outside asked for
  std::unique_ptr<Transports> transports;
  std::unique_ptr<OutsideServices> outside;
  std::unique_ptr<exchange::Router> inner_router;
  std::unique_ptr<exchange::Router> router;
  std::unique_ptr<RemoteControllers> remote;
  std::unique_ptr<exchange::Router> remote_router;
  std::unique_ptr<RecordedCalls> recorded;
  std::unique_ptr<exchange::Router> door_router;  // what comes in from outside
  std::unique_ptr<images::ImageStore> images;
  std::unique_ptr<bpel::Engine> engine;
  std::unique_ptr<services::vhf::Factory> vhf;
  std::unique_ptr<services::vhir::Repository> vhir;
  std::unique_ptr<services::vcf::Factory> vcf;
  std::unique_ptr<Machines> machines;
  std::unique_ptr<services::ca::Registry> ca;
  std::unique_ptr<services::workflow::Administration> workflow;
  std::unique_ptr<soap::Elsewhere> elsewhere;
  std::unique_ptr<wsrf::Resources> resources;
  std::unique_ptr<services::notification::Notification> notification;
  services::tenant::AccountBoard accounts;
  services::tenant::StoredMemberKeys member_keys;
  std::unique_ptr<services::tenant::Service> tenant;
  std::unique_ptr<api::OidcVerifier> oidc;  // null: no provider is trusted
  std::unique_ptr<Drainer> drainer;         // null: every exchange has its own threads
  Spans spans;
  std::unique_ptr<exchange::Exchange> control;
  std::unique_ptr<soap::AnswersElsewhere> answers;
  std::unique_ptr<OwnSeeds> seeds;
  std::vector<std::unique_ptr<ControllerNode>> nodes;
  std::unique_ptr<api::Gateway> gateway;

  Status choose_addresses();
  Status open_authority();
  Status choose_network_doors();
  Result<std::shared_ptr<const net::TlsServerContext>> tls_context() const;
  void show_certificates();
  void end_revoked();
  bool is_member(pki::Kind kind, const std::string& who) const { return authority && authority->is_member(kind, who); }
  Partner partner_at(std::string_view at) const;
  std::string token_for(std::string_view at) const;
  Status open_doors();
  void open(const std::string& controller, const std::string& host, const api::Identity& caller,
            std::function<void(Result<env::UniqueFd>)> done) override;
  void tail(const std::string& controller, const std::string& host, const api::Identity& caller, Bytes limit,
            std::function<void(Result<std::string>)> done) override;
  // Null: there is none of that name in this process.
  ControllerNode* own(const std::string& controller) const;
  Status open_control();
  void make_tenant();
  Status open_oidc();
  void open_remote();
  Status deploy_workflows();
  Status open_controllers();
  void add_routes();
};

Status Daemon::Parts::choose_addresses() {
  TRY_ASSIGN(tokens, api::ensure_token_file(settings.state + "/token", settings.vo, env::system_random()));
  const auto& site_token = settings.site_token;
  TRY_ASSIGN(site, controller::open_site(site_token.empty() ? settings.state + "/site-token" : site_token,
                                         settings.state + "/segment-key"));
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
  return choose_network_doors();
}

Status Daemon::Parts::choose_network_doors() {
  TRY(open_authority());
  if (!settings.tls_certificate.empty() || !settings.tls_key.empty()) {
    TRY_ASSIGN(door_certificate, DoorCertificate::open(settings.tls_certificate, settings.tls_key));
  }
  for (const auto& text : settings.listen) {
    TRY_ASSIGN(const auto door, controller::parse_door(text));
    TRY(controller::check_door(door, settings.allow_plain));
    if (door.kind == controller::DoorAddress::Kind::kTls && !authority && !door_certificate)
      return conflict(
          fmt::format("--listen {} needs a certificate, and the site has no CA: make one with 'nuraghe "
                      "--state {} ca init', or name one with --tls-certificate",
                      text, settings.state));
    if (door.kind == controller::DoorAddress::Kind::kUnix) {
      listen.listen.push_back(text);
    } else if (door.kind == controller::DoorAddress::Kind::kTls) {
      listen.listen.push_back("tls:" + door.authority());
    } else {
      listen.listen.push_back(door.authority());
      listen.allow_other_hosts = listen.allow_other_hosts || !door.is_loopback;
      if (!door.is_loopback)
        log_warning("nuraghed", "INSECURE: others may read what travels here, tokens too", {{"address", text}});
    }
  }
  if (!authority && !door_certificate) return {};
  TRY_ASSIGN(listen.tls, tls_context());
  return {};
}

Result<std::shared_ptr<const net::TlsServerContext>> Daemon::Parts::tls_context() const {
  const auto own = authority ? authority->credentials() : nullptr;
  if (door_certificate) return door_certificate->context(own.get());
  return net::TlsServerContext::make(*own);
}

void Daemon::Parts::show_certificates() {
  auto context = tls_context();
  if (!context) return log_error("tls", "the new certificate cannot be used", {{"error", context.error().to_string()}});
  gateway->server().set_tls(std::move(*context));
}

Status Daemon::Parts::open_authority() {
  SiteAuthorityOptions options;
  options.folder = settings.state + "/ca";
  if (!pki::AuthorityFolder(options.folder).exists()) return {};
  options.names = settings.names;
  if (!settings.public_url.empty()) options.names.push_back(host_of(settings.public_url));
  for (const auto& text : settings.listen) {
    TRY_ASSIGN(const auto door, controller::parse_door(text));
    for (auto& address : controller::addresses_of(door)) options.names.push_back(std::move(address));
  }
  options.segment_key = site.segment_key;
  options.lifetime = settings.certificate_lifetime;
  TRY_ASSIGN(authority, SiteAuthority::open(std::move(options)));
  return {};
}

// Whatever address a message names: this process shows who it is to itself and to the site's controllers alone.
std::string Daemon::Parts::token_for(std::string_view at) const {
  if (at == base || at == unix_base) return self_token;
  return controller::is_local_base(at) && is_by_token(partner_at(at)) ? site.token() : std::string();
}

Partner Daemon::Parts::partner_at(std::string_view at) const {
  if (auto service = outside->table().name_of(at); !service.empty()) {
    const bool by_certificate = outside->by_certificate(service);
    const bool counts = is_member(pki::Kind::kService, service);
    return {pki::Kind::kService, std::move(service), by_certificate, counts};
  }
  return controller_bases.partner_at(at, [this](const auto& name) { return is_member(pki::Kind::kHost, name); });
}

// In turns of their own: this is called within one of the authority's registry.
void Daemon::Parts::end_revoked() {
  outside->end_revoked(*control);
  control->post(
      std::string(vhf->name()), [this](exchange::Turn& turn) { return vhf->end_revoked(turn); },
      [](const Status& status) {
        if (!status)
          log_error("vhf", "a revoked controller is registered until it would have to renew",
                    {{"error", status.error().to_string()}});
      });
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
  options.accounts = &accounts;
  options.oidc = oidc.get();
  options.default_vo = settings.vo;
  options.refused = [this](const exchange::Message& request, const Error& error) { recorded->refused(request, error); };
  options.stranger = [this](api::Stranger stranger) { recorded->stranger(std::move(stranger)); };
  options.description = [this](const std::string& service, const std::string& file) {
    const bool is_controller = controller_bases.has(service.substr(0, service.find('/')));
    return description_of(service, file, is_controller, outside->table());
  };
  options.events = control.get();
  options.metrics.emplace_back("control", control.get());
  for (auto& node : nodes) options.metrics.emplace_back(node->name(), &node->exchange());
  options.console = this;
  options.caller_rate = settings.caller_rate;
  options.outside = &outside->table();
  options.pass_on = outside->pass_on(*http, *recorded, [this](std::string_view at) { return token_for(at); });
  if (authority) {
    authority->use(*control, *ca);
    authority->on_stranger([this](api::Stranger stranger) { recorded->stranger(std::move(stranger)); });
    options.site = authority.get();
    options.certificate = [this](const net::PeerCertificate& shown) { return authority->identity_of(shown); };
  }
  options.public_base = base;
  options.public_url = settings.public_url;
  options.own_paths = own_addresses;
  options.elsewhere = answers.get();
  // Who can ask is on this machine, and could reach by itself what listens on it alone.
  options.strangers = strangers;
  TRY_ASSIGN(gateway, api::Gateway::bind(std::move(options), listen));
  // What clients were told may come back in what they say.
  for (const auto& at : gateway->bases()) router->add_own_base(at);
  gateway->serve();
  if (authority) authority->on_change([this] { show_certificates(); });
  return {};
}

void Daemon::Parts::open(const std::string& controller, const std::string& host, const api::Identity& caller,
                         std::function<void(Result<env::UniqueFd>)> done) {
  recorded->console(controller, host, caller);
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
  net::HttpClientOptions http_options;
  http_options.tls = [this](std::string_view at) {
    return authority ? peer_of(partner_at(at), authority->credentials()) : net::TlsPeer();
  };
  http = net::HttpClient::make(std::move(http_options));
  soap::SoapTransportOptions soap_options;
  soap_options.token = [this](std::string_view at) { return token_for(at); };
  transport = std::make_unique<soap::SoapTransport>(*http, std::move(soap_options));
  // Whoever may ask this process for something is on its machine, unless it listens to others, too.
  strangers.loopback = settings.listen.empty();
  strangers.networks = settings.consumers;
  transports = std::make_unique<Transports>(*transport, strangers);
  OutsideOptions outside_options{base, NURAGHE_VERSION, {}, {}, {}, {}};
  outside_options.on_service = [this](const std::string& name, const auto* row) { tell_of(*notification, name, row); };
  outside_options.is_controller = [this](const std::string& name) {
    const auto is_so_called = [&](const auto& controller) { return controller.name == name; };
    return controller_bases.has(name) || std::ranges::any_of(settings.controllers, is_so_called);
  };
  outside_options.is_member = [this](const std::string& name) { return is_member(pki::Kind::kService, name); };
  outside_options.is_taken = [this](const std::string& at) {
    return at == base || at == unix_base || at == kContractBase || !controller_bases.name_of(at).empty();
  };
  outside = std::make_unique<OutsideServices>(std::move(outside_options));
  inner_router = exchange::make_router({transports.get(), settings.force_http, unix_base});
  router = outside->make_router(*inner_router, *transports);
  router->add_own_base(kContractBase);
  std::vector<std::string> own_bases{base, unix_base};
  if (!settings.public_url.empty()) own_bases.push_back(settings.public_url);
  for (const auto& at : own_bases) router->add_own_base(at);
  own_addresses = own_paths(own_bases, [this](std::string_view at) {
    auto name = controller_bases.name_of(at);
    return name.empty() ? outside->table().name_of(at) : name;
  });
  elsewhere = std::make_unique<soap::Elsewhere>("elsewhere", soap::Elsewhere::Resolver(), own_addresses);
  TRY_ASSIGN(images, images::ImageStore::open(settings.state + "/images"));
  bpel::EngineOptions engine_options;
  engine_options.own_base = settings.public_url.empty() ? base : settings.public_url;
  engine_options.others = bpel::OtherPackages::kRetire;
  engine_options.validate_messages = true;
  engine_options.history_retention = settings.retention.history;
  engine_options.history_limit = settings.retention.instances;
  engine = std::make_unique<bpel::Engine>(std::move(engine_options));
  const services::PastLimits past{settings.retention.past, settings.retention.past_of_vo};
  services::vhf::FactoryOptions host_options;
  host_options.past = past;
  host_options.weights = settings.weights;
  host_options.authority = "/services/ca";
  host_options.own_bases = own_bases;
  host_options.check_name = [this](const std::string& name) { return outside->check_controller(name); };
  host_options.on_controller = [this](const auto&... told) { controller_bases.set(told...); };
  host_options.is_member = [this](const std::string& name) { return is_member(pki::Kind::kHost, name); };
  vhf = std::make_unique<services::vhf::Factory>(std::move(host_options));
  vhir = std::make_unique<services::vhir::Repository>(*images);
  services::vcf::FactoryOptions cluster_options;
  cluster_options.seed_base = base + "/seeds";
  cluster_options.past = past;
  cluster_options.members = &member_keys;
  vcf = std::make_unique<services::vcf::Factory>(std::move(cluster_options));
  TRY_ASSIGN(machines, Machines::open(settings.machines, settings.state + "/machines", settings.sim_persisted, past,
                                      [this](store::Transaction& tx, const std::string& name) {
                                        return resources->forget(tx, "/services/hades/machines/" + name);
                                      }));
  workflow = std::make_unique<services::workflow::Administration>(*engine);
  TRY_ASSIGN(resources, wsrf::Resources::make({base}));
  make_tenant();
  TRY(open_oidc());
  notification = make_notification(strangers, {std::move(own_bases), settings.public_url, own_addresses},
                                   {tokens, &accounts, &outside->table()});
  services::ca::RegistryOptions ca_options;
  ca_options.roots = [this] { return authority ? authority->roots() : std::vector<contracts::ca::Root>(); };
  ca_options.on_certificate = [this](const contracts::ca::Certificate& certificate, bool counts) {
    if (authority) authority->set_certificate(certificate, counts);
    if (!counts) end_revoked();
  };
  ca_options.on_started = [this] {
    if (authority) authority->set_started();
  };
  ca = std::make_unique<services::ca::Registry>(std::move(ca_options));
  TRY(deploy_workflows());
  auto opened = settings.store.empty() ? store::open_sqlite(settings.state + "/control.db")
                                       : store::open_location(settings.store, settings.store_schema);
  TRY_ASSIGN(auto store, std::move(opened));
  exchange::ExchangeOptions options;
  options.name = "control";
  options.lanes = 32;
  // As many physical machines are worked on at once; controllers of theirs that hang keep nobody else's jobs waiting.
  options.own_lanes = {{"hades", 32}};
  options.event_retention = settings.retention.events;
  options.event_limit = settings.retention.events_of_vo;
  options.on_spans = spans.taker();
  options.clock = &env::system_clock();
  options.random = &env::system_random();
  options.recorder = tenant.get();
  open_remote();
  control = exchange::make_exchange(std::move(store), *remote_router, options);
  if (settings.deterministic) {
    drainer = std::make_unique<Drainer>();
    control = controller::make_drained(std::move(control), *drainer);
  }
  for (auto* actor : std::initializer_list<exchange::Actor*>{
           engine.get(), vhf.get(), vhir.get(), vcf.get(), workflow.get(), elsewhere.get(), resources.get(),
           tenant.get(), &outside->actor(), notification.get(), &spans.actor(), ca.get(), &machines->actor()})
    control->add_actor(*actor);
  spans.set_control(*control);
  control->set_conversation_probe(engine->conversation_probe());
  services::notification::follow_events(*control, *notification);
  TRY(control->open());
  seeds = std::make_unique<OwnSeeds>(*control, *vcf, settings.deterministic);
  recorded = std::make_unique<RecordedCalls>(*control, *tenant, controller::is_service_name,
                                             [this](const exchange::Message& request) -> std::optional<bool> {
                                               if (!outside->table().has(request.to)) return std::nullopt;
                                               return outside->reads(request);
                                             });
  door_router = recorded->make_router(*remote_router);
  answers = recorded->make_answers(*elsewhere);
  remote->on_ended([this](const exchange::Message& request, const Result<exchange::Message>& outcome) {
    recorded->ended(request, outcome);
  });
  return {};
}

void Daemon::Parts::make_tenant() {
  services::tenant::ServiceOptions options;
  options.board = &accounts;
  options.first_vo = settings.vo;
  options.audit_retention = settings.retention.audit;
  options.machines_of = [this](store::Transaction& tx, const std::string& vo) { return machines->machines_of(tx, vo); };
  options.reads = [](const exchange::Message& request) {
    const auto address = wsrf::find_address(request.to);
    if (!address || !request.body) return false;
    const auto methods = wsrf::methods_behind(*address, request.operation, request.body->root());
    return !methods.empty() &&
           std::all_of(methods.begin(), methods.end(), [](const auto* method) { return method->read_only; });
  };
  options.on_stale = [this] {
    control->post(
        "tenant", [this](exchange::Turn& turn) { return tenant->reload(turn); },
        [](const Status& status) {
          if (!status) log_warning("nuraghed", "the accounts were not read", {{"error", status.error().to_string()}});
        });
  };
  tenant = std::make_unique<services::tenant::Service>(std::move(options));
}

Status Daemon::Parts::open_oidc() {
  if (settings.oidc.empty()) return {};
  TRY_ASSIGN(auto providers, api::read_oidc_file(settings.oidc));
  oidc = std::make_unique<api::OidcVerifier>(std::move(providers), *http, env::system_clock());
  return {};
}

void Daemon::Parts::open_remote() {
  remote = std::make_unique<RemoteControllers>(
      *http, *transport, [this](std::string_view at) { return token_for(at); },
      [this](const std::string& name, std::function<void(Result<std::string>)> done) {
        if (auto service = outside->table().address_of("/services/" + name)) return done(std::move(*service));
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
  remote_router = remote->make_router(*router, [this](const std::string& service) {
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

// Every operation of a definition goes to the actor that is called as its service; those of workflows to the engine.
void Daemon::Parts::add_routes() {
  for (const auto& service : contracts::all_services()) {
    if (!service.instance_parameter.empty()) continue;  // of controllers, each with an exchange of its own
    for (const auto& operation : service.operations) {
      if (operation.by_workflow) continue;
      router->add_route(fmt::format("/services/{}", service.name), std::string(operation.name), *control,
                        std::string(service.name));
    }
  }
  wsrf::Resources::each_route([this](const std::string& path, const std::string& operation) {
    router->add_route(path, operation, *control, "wsrf");
  });
  add_notification_routes(*router, *control);
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
