#include "apps/service/service_host.hpp"

#include <fmt/format.h>

#include "apps/controller/state_folder.hpp"
#include "base/log.hpp"
#include "contracts/operation.hpp"
#include "contracts/texts.hpp"
#include "store/sqlite.hpp"
#include "wsrf/address.hpp"

namespace nuraghe::service {

namespace {

// What it asks as a process of the site.
bool is_of_process(const std::string& address, const std::string& nuraghed) {
  return address == nuraghed + "/services/registry" || address == nuraghed + "/services/trace";
}

}  // namespace

class ServiceHost::Transport final : public exchange::RemoteTransport {
 public:
  // Whatever address a message names: tokens go to the nuraghed of the options alone.
  Transport(net::HttpClient& http, std::string nuraghed, std::string site_token, std::string token)
      : nuraghed_(std::move(nuraghed)),
        as_process_(http, options(nuraghed_, std::move(site_token))),
        as_caller_(http, options(nuraghed_, std::move(token))) {}
  void send(const exchange::Message& request, std::function<void(Result<exchange::Message>)> done) override {
    const bool is_process = !nuraghed_.empty() && is_of_process(request.to, nuraghed_);
    (is_process ? as_process_ : as_caller_).send(request, std::move(done));
  }

 private:
  static soap::SoapTransportOptions options(const std::string& nuraghed, std::string token) {
    soap::SoapTransportOptions out;
    out.token = [nuraghed, token = std::move(token)](std::string_view base) {
      return !nuraghed.empty() && base == nuraghed ? token : std::string();
    };
    return out;
  }
  const std::string nuraghed_;
  soap::SoapTransport as_process_, as_caller_;
};

ServiceHost::ServiceHost(const ServiceProgram& program, Settings settings)
    : program_(program), name_(program.name), settings_(std::move(settings)) {}

ServiceHost::~ServiceHost() {
  if (gateway_) gateway_->stop();
  if (strangers_) strangers_->write(env::system_clock().now(), true);
  if (exchange_) exchange_->stop();
  http_.reset();  // what is under way ends before those that wait for it are gone
}

Status ServiceHost::open_identity() {
  TRY_ASSIGN(tokens_, api::ensure_token_file(settings_.state + "/token", settings_.vo, env::system_random()));
  if (!settings_.token_file.empty()) {
    TRY_ASSIGN(const auto entries, api::read_token_file(settings_.token_file));
    if (entries.empty()) return invalid(fmt::format("{} holds no token", settings_.token_file));
    token_for_nuraghed_ = entries.front().token;
  }
  if (settings_.nuraghed.empty()) return {};
  TRY_ASSIGN(nuraghed_, controller::nuraghed_base(settings_.nuraghed, "--nuraghed"));
  const controller::Member self{pki::Kind::kService, name_, name_};
  TRY_ASSIGN(member_, controller::Membership::open_or_join(settings_.state, self, nuraghed_, settings_.join_token));
  settings_.join_token.clear();
  if (member_) {
    if (nuraghed_.starts_with("https://")) return {};
    return invalid(
        fmt::format("--nuraghed {}: a service that has joined a site reaches it at https://…", settings_.nuraghed));
  }
  if (settings_.site_token.empty()) return {};
  if (!controller::is_local_base(nuraghed_))
    return invalid(
        fmt::format("--nuraghed {}: another machine is reached with TLS, by who has joined its site: have a token made "
                    "there (nuraghe service join-token {}) and give it with --join FILE",
                    settings_.nuraghed, name_));
  TRY_ASSIGN(site_.entries, api::read_token_file(settings_.site_token));
  if (site_.entries.empty()) return invalid(fmt::format("{} holds no token", settings_.site_token));
  return {};
}

Status ServiceHost::choose_addresses() {
  const std::string socket = fmt::format("{}/{}.sock", settings_.state, name_);
  listen_.listen.push_back("unix:" + socket);
  base_ = socket_base_ = net::unix_base(socket);
  if (settings_.listen.empty()) {
    if (!member_) return {};
    return invalid("--listen ADDRESS:PORT is missing: where nuraghed reaches a service that has joined its site");
  }
  const controller::MemberDoorOptions options{settings_.state, member_ != nullptr, name_,
                                              "nuraghe service join-token " + name_};
  TRY_ASSIGN(const auto door, controller::choose_member_door(settings_.listen, options));
  listen_.listen.push_back(door.listen);
  base_ = door.base;
  return {};
}

void ServiceHost::make_clients() {
  net::HttpClientOptions options;
  // Whatever address a message names: this program shows who it is to its nuraghed alone.
  options.tls = [this](std::string_view base) {
    return member_ && base == nuraghed_ ? member_->nuraghed_peer() : net::TlsPeer();
  };
  http_ = net::HttpClient::make(std::move(options));
  const std::string site_token = site_.entries.empty() ? std::string() : site_.token();
  transport_ = std::make_unique<Transport>(*http_, nuraghed_, site_token, token_for_nuraghed_);
  router_ = exchange::make_router({transport_.get(), false, socket_base_});
  router_->add_own_base(base_);
  router_->add_own_base(socket_base_);
}

Status ServiceHost::make_registrant() {
  if (!registers()) return {};
  services::registry::RegistrantOptions options;
  options.registry = nuraghed_ + "/services/registry";
  TRY_ASSIGN(options.offer, services::registry::offer_of(name_));
  options.offer.version = program_.version;
  options.offer.address = fmt::format("{}/services/{}", base_, name_);
  options.offer.interval = settings_.renewal;
  const auto kinds = contracts::find_service(name_)->resources;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    for (const auto* method : wsrf::lifecycle_of(kinds[i])) options.offer.resource[i].method.emplace_back(method->name);
  }
  if (!options.offer.topic.empty()) {
    services::registry::HeraldOptions herald{options.registry, name_, {}};
    herald.topics.insert(options.offer.topic.begin(), options.offer.topic.end());
    herald_ = std::make_unique<services::registry::Herald>(std::move(herald));
  }
  registrant_ = std::make_unique<services::registry::Registrant>(std::move(options));
  spans_ = std::make_unique<controller::SpanReport>(*router_, nuraghed_, "service:" + name_);
  return {};
}

Status ServiceHost::make_resources() {
  const auto* info = contracts::find_service(name_);
  if (info == nullptr || info->resources.empty()) return {};
  TRY_ASSIGN(resources_, wsrf::Resources::make({base_}));
  return {};
}

Status ServiceHost::open_exchange() {
  TRY_ASSIGN(auto store, store::open_sqlite(fmt::format("{}/{}.db", settings_.state, name_)));
  exchange::ExchangeOptions options;
  options.name = name_;
  options.lanes = 2;
  options.clock = &env::system_clock();
  options.random = &env::system_random();
  if (spans_) options.on_spans = spans_->taker();
  exchange_ = exchange::make_exchange(std::move(store), *router_, options);
  service_ = program_.make();
  exchange_->add_actor(*service_);
  exchange_->add_actor(elsewhere_);
  if (registrant_) exchange_->add_actor(*registrant_);
  if (resources_) exchange_->add_actor(*resources_);
  if (herald_) {
    exchange_->add_actor(*herald_);
    follow_events(*exchange_, *herald_);
  }
  TRY(exchange_->open());
  answers_ = std::make_unique<soap::AnswersElsewhere>(*exchange_, elsewhere_);
  for (const auto& operation : *program_.operations)
    router_->add_route("/services/" + name_, operation, *exchange_, name_);
  if (resources_)
    wsrf::Resources::each_route([this](const std::string& path, const std::string& operation) {
      router_->add_route(path, operation, *exchange_, std::string(resources_->name()));
    });
  return {};
}

Result<std::string> ServiceHost::description(const std::string& service, const std::string& file) const {
  const auto resource = wsrf::find_address("/services/" + service);
  constexpr std::string_view kWsdl = ".wsdl";
  const auto text = file.empty()            ? contracts::wsdl_text(resource ? wsrf::description_of(*resource) : name_)
                    : file.ends_with(kWsdl) ? contracts::wsdl_text(file.substr(0, file.size() - kWsdl.size()))
                                            : contracts::xsd_text(file);
  if ((service != name_ && !resource) || text.empty()) return not_found("there is no such description");
  return std::string(text);
}

Status ServiceHost::open_doors() {
  api::GatewayOptions options;
  options.router = router_.get();
  options.random = &env::system_random();
  strangers_ = std::make_unique<controller::StrangerLog>(settings_.state + "/strangers.log");
  options.stranger = [this](api::Stranger one) { strangers_->note(std::move(one), env::system_clock().now()); };
  options.tokens = tokens_;
  for (auto& entry : site_.as(api::Role::kPeer, "")) options.tokens.push_back(std::move(entry));
  if (member_) options.certificate = controller::nuraghed_of;
  options.default_vo = settings_.vo;
  options.description = [this](const std::string& service, const std::string& file) {
    return description(service, file);
  };
  options.events = exchange_.get();
  options.metrics.emplace_back(name_, exchange_.get());
  options.public_base = base_;
  options.elsewhere = answers_.get();
  // Who can ask is on this machine, and could reach by itself what listens on it alone.
  options.strangers.loopback = !member_;
  if (member_) {
    TRY_ASSIGN(listen_.tls, net::TlsServerContext::make(*member_->credentials()));
  }
  TRY_ASSIGN(gateway_, api::Gateway::start(std::move(options), listen_));
  if (!member_) return {};
  member_->on_change([this] {
    auto context = net::TlsServerContext::make(*member_->credentials());
    if (!context)
      return log_error("tls", "the new certificate cannot be used", {{"error", context.error().to_string()}});
    gateway_->server().set_tls(std::move(*context));
  });
  return {};
}

void ServiceHost::tick(bool reread) {
  if (member_) member_->tick(*http_, reread);
  strangers_->write(env::system_clock().now());
}

Result<std::unique_ptr<ServiceHost>> ServiceHost::start(const ServiceProgram& program, const Settings& settings) {
  std::unique_ptr<ServiceHost> host(new ServiceHost(program, settings));
  TRY(env::make_directories(settings.state, 0700));
  TRY_ASSIGN(host->lock_, controller::lock_state(settings.state, host->name_));
  TRY(host->open_identity());
  TRY(host->choose_addresses());
  host->make_clients();
  TRY(host->make_registrant());
  TRY(host->make_resources());
  TRY(host->open_exchange());
  // What nuraghed passes on finds the doors open.
  TRY(host->open_doors());
  host->exchange_->start();
  return host;
}

}  // namespace nuraghe::service
