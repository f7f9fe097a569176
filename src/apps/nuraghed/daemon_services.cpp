// The services of a Daemon, the exchange that they live in, and how messages find them.
#include <fmt/format.h>

#include <algorithm>

#include "apps/nuraghed/daemon_parts.hpp"
#include "apps/nuraghed/package_files.hpp"
#include "base/log.hpp"
#include "contracts/operation.hpp"
#include "store/location.hpp"
#include "store/sqlite.hpp"
#include "wsrf/address.hpp"

namespace nuraghe::daemon {

namespace {

// Where the contracts say their services are; the addresses of this process itself.
constexpr const char* kContractBase = "http://localhost";

}  // namespace

Status Daemon::Parts::open_control() {
  make_routers();
  TRY_ASSIGN(images, images::ImageStore::open(settings.state + "/images"));
  TRY(make_factories());
  TRY(make_others());
  TRY(deploy_workflows());
  return open_exchange();
}

// How messages find their way, within this process and out of it.
void Daemon::Parts::make_routers() {
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
  own_bases = {base, unix_base};
  if (!settings.public_url.empty()) own_bases.push_back(settings.public_url);
  for (const auto& at : own_bases) router->add_own_base(at);
  own_addresses = own_paths(own_bases, [this](std::string_view at) {
    auto name = controller_bases.name_of(at);
    return name.empty() ? outside->table().name_of(at) : name;
  });
  elsewhere = std::make_unique<soap::Elsewhere>("elsewhere", soap::Elsewhere::Resolver(), own_addresses);
}

// The engine, and the services that make virtual and physical hosts, images and clusters.
Status Daemon::Parts::make_factories() {
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
  // Of what has a name that another one may get.
  const auto forgetting = [this](std::string group) {
    return [this, group = std::move(group)](store::Transaction& tx, const std::string& name) {
      return resources->forget(tx, group, name);
    };
  };
  host_options.on_removed = forgetting("/services/vhf/physical-hosts");
  vhf = std::make_unique<services::vhf::Factory>(std::move(host_options));
  frozen_states = make_frozen_states();
  vhir = std::make_unique<services::vhir::Repository>(*images, frozen_states.get());
  vhir->on_removed([this](store::Transaction& tx, const std::string& vo, const std::string& reference) {
    return resources->forget(tx, "/services/vhir/images", reference, vo);
  });
  services::vcf::FactoryOptions cluster_options;
  cluster_options.seed_base = base + "/seeds";
  cluster_options.past = past;
  cluster_options.members = &member_keys;
  vcf = std::make_unique<services::vcf::Factory>(std::move(cluster_options));
  MachineHooks hooks;
  hooks.on_removed = forgetting("/services/hades/machines");
  hooks.has_vo = [this](store::Transaction& tx, const std::string& vo) { return tenant->has_vo(tx, vo); };
  TRY_ASSIGN(machines, Machines::open(settings.machines, settings.state + "/machines", settings.sim_persisted, past,
                                      std::move(hooks)));
  return {};
}

std::unique_ptr<FrozenStates> Daemon::Parts::make_frozen_states() {
  FrozenStates::Options options;
  options.own = [this](const std::string& controller, const std::string& host,
                       const std::string& digest) -> std::optional<Result<std::unique_ptr<images::ByteSource>>> {
    const auto* node = own(controller);
    if (node == nullptr) return std::nullopt;
    return node->exported(host, digest);
  };
  options.token = [this](std::string_view at) { return token_for(at); };
  return std::make_unique<FrozenStates>(*http, std::move(options));
}

// What stands beside them: who people are, what they are told, how resources end.
Status Daemon::Parts::make_others() {
  workflow = std::make_unique<services::workflow::Administration>(*engine);
  TRY_ASSIGN(resources, wsrf::Resources::make({base}));
  make_tenant();
  TRY(open_oidc());
  notification = make_notification(strangers, {own_bases, settings.public_url, own_addresses},
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
  return {};
}

Status Daemon::Parts::open_exchange() {
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

}  // namespace nuraghe::daemon
