// The doors of a Daemon: where it listens, with which certificates, who may come in.
#include <fmt/format.h>

#include "apps/controller/state_folder.hpp"
#include "apps/nuraghed/daemon_parts.hpp"
#include "apps/nuraghed/descriptions.hpp"
#include "base/log.hpp"
#include "env/posix.hpp"

namespace nuraghe::daemon {

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

}  // namespace nuraghe::daemon
