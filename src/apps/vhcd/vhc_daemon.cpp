#include "apps/vhcd/vhc_daemon.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "api/gateway.hpp"
#include "apps/controller/controller_node.hpp"
#include "apps/controller/member_door.hpp"
#include "apps/controller/membership.hpp"
#include "apps/controller/site.hpp"
#include "apps/controller/state_folder.hpp"
#include "apps/controller/stranger_log.hpp"
#include "base/log.hpp"
#include "client/site_files.hpp"
#include "contracts/texts.hpp"
#include "env/posix.hpp"
#include "images/image_store.hpp"
#include "net/http_client.hpp"
#include "soap/transport.hpp"

namespace nuraghe::vhcd {

using controller::ControllerNode;
using controller::Membership;

namespace {

// Besides its name: what does not depend on how a machine is called.
constexpr const char* kAlias = "vhc";

}  // namespace

struct VhcDaemon::Parts final : api::ConsoleProvider {
  Settings settings;
  env::UniqueFd lock;
  controller::MemberDoor door;
  std::string factory;
  std::unique_ptr<Membership> member;  // null: it stands beside its nuraghed, and both have the site's token
  controller::Site site;
  std::unique_ptr<net::HttpClient> http;
  std::unique_ptr<soap::SoapTransport> transport;
  std::unique_ptr<exchange::Router> router;
  std::unique_ptr<client::RemoteSeeds> seeds;
  std::unique_ptr<images::ImageStore> store;
  std::unique_ptr<services::vhc::ImageSource> images;
  soap::Elsewhere elsewhere{"elsewhere"};
  std::unique_ptr<controller::SpanReport> spans;
  std::unique_ptr<controller::StrangerLog> strangers;
  std::unique_ptr<ControllerNode> node;
  std::unique_ptr<soap::AnswersElsewhere> answers;
  std::unique_ptr<api::Gateway> gateway;

  Status open_identity();
  std::string factory_token() const { return member ? std::string() : site.token(); }
  Status open_sources();
  Status open_node();
  Status open_door();
  bool is_own(const std::string& name) const { return name == node->name() || name == kAlias; }
  void open(const std::string& controller, const std::string& host, const api::Identity& caller,
            std::function<void(Result<env::UniqueFd>)> done) override;
  void tail(const std::string& controller, const std::string& host, const api::Identity& caller, Bytes limit,
            std::function<void(Result<std::string>)> done) override;
};

void VhcDaemon::Parts::open(const std::string& controller, const std::string& host, const api::Identity& caller,
                            std::function<void(Result<env::UniqueFd>)> done) {
  if (!is_own(controller)) return done(not_found(fmt::format("there is no controller {} here", controller)));
  node->open_console(host, caller.vo, std::move(done));
}

void VhcDaemon::Parts::tail(const std::string& controller, const std::string& host, const api::Identity& caller,
                            Bytes limit, std::function<void(Result<std::string>)> done) {
  if (!is_own(controller)) return done(not_found(fmt::format("there is no controller {} here", controller)));
  node->console_tail(host, caller.vo, limit, std::move(done));
}

Status VhcDaemon::Parts::open_identity() {
  const std::string& state = settings.state;
  const std::string& name = settings.controller.name;
  const controller::Member self{pki::Kind::kHost, name, "vhcd"};
  TRY_ASSIGN(member, Membership::open_or_join(state, self, factory, settings.join_token));
  settings.join_token.clear();
  const std::string key_file = state + "/segment-key";
  if (member) {
    if (!factory.starts_with("https://"))
      return invalid(fmt::format("--factory {}: a vhcd that has joined a site reaches it at https://…", factory));
    TRY_ASSIGN(site.segment_key, controller::read_segment_key(key_file));
    return {};
  }
  if (!controller::is_local_base(factory))
    return invalid(
        fmt::format("--factory {}: another machine is reached with TLS, by who has joined its site: have a token "
                    "made there (nuraghe host join-token {}) and give it with --join FILE",
                    factory, name));
  TRY_ASSIGN(
      site, controller::open_site(settings.token_file.empty() ? state + "/site-token" : settings.token_file, key_file));
  return {};
}

Status VhcDaemon::Parts::open_sources() {
  net::HttpClientOptions http_options;
  // Whatever address a message names: this vhcd shows who it is to its nuraghed alone.
  http_options.tls = [this](std::string_view base) {
    return member && base == factory ? member->nuraghed_peer() : net::TlsPeer();
  };
  http = net::HttpClient::make(std::move(http_options));
  soap::SoapTransportOptions soap_options;
  // Whatever address a message names: the token goes to this site's nuraghed alone.
  soap_options.token = [this](std::string_view base) { return base == factory ? factory_token() : std::string(); };
  transport = std::make_unique<soap::SoapTransport>(*http, std::move(soap_options));
  router = exchange::make_router({transport.get(), false, door.base});
  client::SiteFilesOptions files;
  files.factory = factory;
  files.token = factory_token();
  seeds = std::make_unique<client::RemoteSeeds>(*http, files);
  if (!settings.images.empty()) {
    images = std::make_unique<client::SharedImages>(settings.images);
    return {};
  }
  TRY_ASSIGN(store, images::ImageStore::open(settings.state + "/images"));
  images = std::make_unique<client::RemoteImages>(*http, *store, files);
  return {};
}

Status VhcDaemon::Parts::open_node() {
  controller::NodeSettings node_settings;
  node_settings.folder = settings.state;
  node_settings.programs = settings.programs;
  node_settings.address = door.base;
  node_settings.factory = factory + "/services/vhf";
  node_settings.accelerator = settings.accelerator;
  node_settings.accelerator_cache = settings.state + "/accelerator";
  node_settings.renewal = settings.renewal;
  spans = std::make_unique<controller::SpanReport>(*router, factory, "vhc:" + settings.controller.name);
  node_settings.on_spans = spans->taker();
  node_settings.images = images.get();
  node_settings.segment_secret = [this](const std::string& key) { return site.segment_secret(key); };
  node_settings.sim_failures = settings.sim_failures;
  node_settings.sim_delays = settings.sim_delays;
  node_settings.sim_persisted = settings.sim_persisted;
  node_settings.beside = &elsewhere;
  auto offered = settings.controller;
  // Other machines cannot send to a UNIX socket.
  const std::string& address = door.where.address;
  if (!door.where.is_loopback && offered.tunnel.empty())
    offered.tunnel = fmt::format("udp:{}:0", address.find(':') == std::string::npos ? address : "[" + address + "]");
  TRY_ASSIGN(node, ControllerNode::open(node_settings, offered, *router, *seeds));
  for (const std::string& name : {offered.name, std::string(kAlias)})
    router->add_route("/services/" + name, "*", node->exchange(), "vhc");
  return {};
}

Status VhcDaemon::Parts::open_door() {
  api::GatewayOptions options;
  options.router = router.get();
  options.random = &env::system_random();
  strangers = std::make_unique<controller::StrangerLog>(settings.state + "/strangers.log");
  options.stranger = [this](api::Stranger stranger) {
    strangers->note(std::move(stranger), env::system_clock().now());
  };
  if (member) {
    options.certificate = controller::nuraghed_of;
  } else {
    options.tokens = site.as(api::Role::kPeer, "");
  }
  options.description = [this](const std::string& service, const std::string& file) -> Result<std::string> {
    const auto text = file.empty() ? contracts::wsdl_text(kAlias) : contracts::xsd_text(file);
    if (!is_own(service.substr(0, service.find('/'))) || text.empty()) return not_found("there is no such description");
    return std::string(text);
  };
  options.metrics.emplace_back(node->name(), &node->exchange());
  options.console = this;
  options.frozen_part = [this](const std::string& controller, const std::string& host,
                               const std::string& digest) -> Result<std::unique_ptr<images::ByteSource>> {
    if (!is_own(controller)) return not_found(fmt::format("there is no controller {} here", controller));
    return node->exported(host, digest);
  };
  options.public_base = door.base;
  answers = std::make_unique<soap::AnswersElsewhere>(node->exchange(), elsewhere);
  options.elsewhere = answers.get();
  options.strangers.loopback = door.where.is_loopback;
  net::HttpServerOptions listen;
  listen.listen.push_back(door.listen);
  if (member) {
    TRY_ASSIGN(listen.tls, net::TlsServerContext::make(*member->credentials()));
  }
  TRY_ASSIGN(gateway, api::Gateway::start(std::move(options), listen));
  if (!member) return {};
  member->on_change([this] {
    auto context = net::TlsServerContext::make(*member->credentials());
    if (!context)
      return log_error("tls", "the new certificate cannot be used", {{"error", context.error().to_string()}});
    gateway->server().set_tls(std::move(*context));
  });
  return {};
}

VhcDaemon::VhcDaemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Result<std::unique_ptr<VhcDaemon>> VhcDaemon::start(Settings settings) {
  auto parts = std::make_unique<Parts>();
  parts->settings = std::move(settings);
  const auto& given = parts->settings;
  TRY(controller::check_controller_name(given.controller.name));
  TRY_ASSIGN(parts->factory, controller::nuraghed_base(given.factory, "--factory"));
  TRY(env::make_directories(given.state, 0700));
  TRY_ASSIGN(parts->lock, controller::lock_state(given.state, "vhcd"));
  TRY(parts->open_identity());
  const controller::MemberDoorOptions door{given.state, parts->member != nullptr, "vhcd",
                                           "nuraghe host join-token NAME"};
  TRY_ASSIGN(parts->door, controller::choose_member_door(given.listen, door));
  TRY(parts->open_sources());
  TRY(parts->open_node());
  TRY(parts->open_door());
  parts->node->start();
  log_info("vhcd", "serving", {{"base", parts->door.base}, {"factory", parts->factory}, {"state", given.state}});
  return std::unique_ptr<VhcDaemon>(new VhcDaemon(std::move(parts)));
}

VhcDaemon::~VhcDaemon() { stop(); }

void VhcDaemon::stop() {
  if (!parts_) return;
  if (parts_->gateway) parts_->gateway->stop();
  if (parts_->strangers) parts_->strangers->write(env::system_clock().now(), true);
  if (parts_->seeds) parts_->seeds->stop();
  if (parts_->node) parts_->node->stop();
  parts_->http.reset();
}

void VhcDaemon::tick(bool reread) {
  if (parts_->member) parts_->member->tick(*parts_->http, reread);
  parts_->strangers->write(env::system_clock().now());
}

const std::string& VhcDaemon::base() const { return parts_->door.base; }

bool VhcDaemon::failed() const { return parts_->node->exchange().failed(); }

}  // namespace nuraghe::vhcd
