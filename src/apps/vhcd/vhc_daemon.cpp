#include "apps/vhcd/vhc_daemon.hpp"

#include <fmt/format.h>

#include <charconv>

#include "api/gateway.hpp"
#include "apps/controller/controller_node.hpp"
#include "apps/controller/site.hpp"
#include "apps/controller/state_folder.hpp"
#include "base/log.hpp"
#include "client/site_files.hpp"
#include "contracts/texts.hpp"
#include "env/posix.hpp"
#include "images/image_store.hpp"
#include "net/http_client.hpp"
#include "soap/transport.hpp"

namespace nuraghe::vhcd {

using controller::ControllerNode;

namespace {

constexpr std::string_view kUnix = "unix:";
// Besides its name: what does not depend on how a machine is called.
constexpr const char* kAlias = "vhc";

struct Door {
  std::string listen;  // for the server
  std::string base;
  std::string address;  // of TCP; empty for a UNIX socket
  bool is_loopback = true;
};

// ADDRESS:PORT with an address in brackets when it has colons.
Result<Door> choose_door(const std::string& listen, const std::string& state) {
  Door door;
  if (listen.starts_with(kUnix)) {
    door.listen = listen;
    door.base = net::unix_base(listen.substr(kUnix.size()));
    return door;
  }
  const auto colon = listen.rfind(':');
  const std::string host = listen.substr(0, colon);
  int port = -1;
  if (colon != std::string::npos) {
    const char* end = listen.data() + listen.size();
    const auto read = std::from_chars(listen.data() + colon + 1, end, port);
    if (read.ptr != end || port > 65535) port = -1;
  }
  if (host.empty() || port < 0)
    return invalid(fmt::format("--listen {}: write ADDRESS:PORT, as 127.0.0.1:0, or unix:PATH", listen));
  door.address = host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
  if (door.address == "0.0.0.0" || door.address == "::")
    return invalid(fmt::format("--listen {}: name the address by which nuraghed reaches this machine", listen));
  door.is_loopback = door.address == "::1" || door.address.starts_with("127.");
  TRY_ASSIGN(port, controller::choose_port(state, door.address, port));
  door.listen = fmt::format("{}:{}", host, port);
  door.base = "http://" + door.listen;
  return door;
}

Result<std::string> factory_base(const std::string& text) {
  if (text.starts_with(kUnix)) return net::unix_base(text.substr(kUnix.size()));
  const auto url = net::parse_url(text);
  if (!url) return url.error().with("--factory");
  if (url->target != "/") return invalid(fmt::format("--factory {}: name nuraghed's base alone, without a path", text));
  return url->base();
}

}  // namespace

struct VhcDaemon::Parts final : api::ConsoleProvider {
  Settings settings;
  env::UniqueFd lock;
  Door door;
  std::string factory;
  controller::Site site;
  std::unique_ptr<net::HttpClient> http;
  std::unique_ptr<soap::SoapTransport> transport;
  std::unique_ptr<exchange::Router> router;
  std::unique_ptr<client::RemoteSeeds> seeds;
  std::unique_ptr<images::ImageStore> store;
  std::unique_ptr<services::vhc::ImageSource> images;
  std::unique_ptr<ControllerNode> node;
  std::unique_ptr<api::Gateway> gateway;

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

Status VhcDaemon::Parts::open_sources() {
  http = net::HttpClient::make();
  soap::SoapTransportOptions soap_options;
  // Whatever address a message names: the token goes to this site's nuraghed alone.
  soap_options.token = [this](std::string_view base) { return base == factory ? site.token() : std::string(); };
  transport = std::make_unique<soap::SoapTransport>(*http, std::move(soap_options));
  router = exchange::make_router({transport.get(), false, door.base});
  client::SiteFilesOptions files;
  files.factory = factory;
  files.token = site.token();
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
  node_settings.images = images.get();
  node_settings.segment_secret = [this](const std::string& key) { return site.segment_secret(key); };
  node_settings.sim_failures = settings.sim_failures;
  node_settings.sim_delays = settings.sim_delays;
  node_settings.sim_persisted = settings.sim_persisted;
  auto offered = settings.controller;
  // Other machines cannot send to a UNIX socket.
  if (!door.is_loopback && offered.tunnel.empty())
    offered.tunnel =
        fmt::format("udp:{}:0", door.address.find(':') == std::string::npos ? door.address : "[" + door.address + "]");
  TRY_ASSIGN(node, ControllerNode::open(node_settings, offered, *router, *seeds));
  for (const std::string& name : {offered.name, std::string(kAlias)})
    router->add_route("/services/" + name, "*", node->exchange(), "vhc");
  return {};
}

Status VhcDaemon::Parts::open_door() {
  api::GatewayOptions options;
  options.router = router.get();
  options.random = &env::system_random();
  options.tokens = site.as(api::Role::kPeer, "");
  options.description = [this](const std::string& service, const std::string& file) -> Result<std::string> {
    const auto text = file.empty() ? contracts::wsdl_text(kAlias) : contracts::xsd_text(file);
    if (!is_own(service) || text.empty()) return not_found("there is no such description");
    return std::string(text);
  };
  options.metrics.emplace_back(node->name(), &node->exchange());
  options.console = this;
  options.public_base = door.base;
  net::HttpServerOptions listen;
  listen.listen.push_back(door.listen);
  if (!door.is_loopback) {
    listen.allow_other_hosts = true;
    log_warning("vhcd", "others may listen to what travels here: there is no TLS", {{"address", door.listen}});
  }
  TRY_ASSIGN(gateway, api::Gateway::start(std::move(options), listen));
  return {};
}

VhcDaemon::VhcDaemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Result<std::unique_ptr<VhcDaemon>> VhcDaemon::start(Settings settings) {
  auto parts = std::make_unique<Parts>();
  parts->settings = std::move(settings);
  const auto& given = parts->settings;
  TRY(controller::check_controller_name(given.controller.name));
  TRY_ASSIGN(parts->factory, factory_base(given.factory));
  TRY(env::make_directories(given.state, 0700));
  TRY_ASSIGN(parts->lock, controller::lock_state(given.state, "vhcd"));
  TRY_ASSIGN(parts->site,
             controller::open_site(given.token_file.empty() ? given.state + "/site-token" : given.token_file));
  TRY_ASSIGN(parts->door, choose_door(given.listen, given.state));
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
  if (parts_->seeds) parts_->seeds->stop();
  if (parts_->node) parts_->node->stop();
  parts_->http.reset();
}

const std::string& VhcDaemon::base() const { return parts_->door.base; }

bool VhcDaemon::failed() const { return parts_->node->exchange().failed(); }

}  // namespace nuraghe::vhcd
