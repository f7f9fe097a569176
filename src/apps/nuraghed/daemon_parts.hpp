// What a Daemon is made of, and in which order it is put together: addresses and certificates, then the services with
// their exchange, then controllers, then the doors (daemon_doors.cpp, daemon_services.cpp).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/gateway.hpp"
#include "api/tokens.hpp"
#include "apps/controller/controller_node.hpp"
#include "apps/controller/door.hpp"
#include "apps/controller/drained_exchange.hpp"
#include "apps/controller/site.hpp"
#include "apps/nuraghed/daemon.hpp"
#include "apps/nuraghed/door_certificate.hpp"
#include "apps/nuraghed/frozen_states.hpp"
#include "apps/nuraghed/machines.hpp"
#include "apps/nuraghed/notifications.hpp"
#include "apps/nuraghed/outside_services.hpp"
#include "apps/nuraghed/own_addresses.hpp"
#include "apps/nuraghed/own_seeds.hpp"
#include "apps/nuraghed/partners.hpp"
#include "apps/nuraghed/recorded_calls.hpp"
#include "apps/nuraghed/remote_controllers.hpp"
#include "apps/nuraghed/site_authority.hpp"
#include "apps/nuraghed/spans.hpp"
#include "bpel/engine.hpp"
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
#include "wsrf/resources.hpp"

namespace nuraghe::daemon {

using controller::ControllerNode;
using controller::Drainer;

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
  std::vector<std::string> own_bases;                 // by which this process is reached
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
  std::unique_ptr<FrozenStates> frozen_states;
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
  void make_routers();
  Status make_factories();
  std::unique_ptr<FrozenStates> make_frozen_states();
  Status make_others();
  Status open_exchange();
  void make_tenant();
  Status open_oidc();
  void open_remote();
  Status deploy_workflows();
  Status open_controllers();
  void add_routes();
};

}  // namespace nuraghe::daemon
