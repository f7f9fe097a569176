// ServiceHost: what the program of one service is made of: its exchange, its doors and, when it knows a nuraghed, what
// makes it known there. Threading: start(), tick() and the destructor are called by one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/gateway.hpp"
#include "apps/controller/member_door.hpp"
#include "apps/controller/membership.hpp"
#include "apps/controller/site.hpp"
#include "apps/controller/stranger_log.hpp"
#include "apps/service/service_program.hpp"
#include "base/units.hpp"
#include "env/posix.hpp"
#include "net/http_client.hpp"
#include "services/registry/herald.hpp"
#include "services/registry/registrant.hpp"
#include "soap/elsewhere.hpp"
#include "soap/transport.hpp"
#include "wsrf/resources.hpp"

namespace nuraghe::service {

struct Settings {
  std::string state;
  std::string listen;  // as controller::parse_door; empty: the UNIX socket alone
  std::string vo = "default";
  std::string nuraghed;    // as controller::nuraghed_base; empty: none
  std::string site_token;  // file with the site's token: registers by it, on nuraghed's machine
  std::string join_token;  // registers as a member of the site
  std::string token_file;  // the token for its own requests to nuraghed's services; empty: it makes none
  Duration renewal = std::chrono::seconds(10);
};

class ServiceHost {
 public:
  static Result<std::unique_ptr<ServiceHost>> start(const ServiceProgram& program, const Settings& settings);
  ~ServiceHost();
  // Where it serves: "http://127.0.0.1:8471".
  const std::string& base() const { return base_; }
  bool failed() const { return exchange_->failed(); }
  // Once a second: its certificate is renewed; with `reread` what stands in files is read again.
  void tick(bool reread);

 private:
  // Its requests to nuraghed: registration and spans as the process that it is, all else with the token for that.
  class Transport;
  ServiceHost(const ServiceProgram& program, Settings settings);
  Status open_identity();
  Status choose_addresses();
  void make_clients();
  Status make_registrant();
  Status make_resources();
  Result<std::string> description(const std::string& service, const std::string& file) const;
  Status open_exchange();
  Status open_doors();
  bool registers() const { return member_ || !site_.entries.empty(); }

  const ServiceProgram& program_;
  const std::string name_;
  Settings settings_;
  env::UniqueFd lock_;
  std::string nuraghed_;  // base; empty: none
  std::unique_ptr<controller::Membership> member_;
  controller::Site site_;  // without entries: it has no token of the site
  net::HttpServerOptions listen_;
  std::string base_;
  std::string socket_base_;
  std::vector<api::TokenEntry> tokens_;
  std::string token_for_nuraghed_;
  std::unique_ptr<net::HttpClient> http_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<exchange::Router> router_;
  std::unique_ptr<controller::SpanReport> spans_;
  std::unique_ptr<controller::StrangerLog> strangers_;
  std::unique_ptr<exchange::Actor> service_;
  std::unique_ptr<services::registry::Registrant> registrant_;
  std::unique_ptr<services::registry::Herald> herald_;  // null: it has nothing to tell, or nobody to tell it to
  std::unique_ptr<wsrf::Resources> resources_;          // null: it has none
  soap::Elsewhere elsewhere_{"elsewhere"};
  std::unique_ptr<exchange::Exchange> exchange_;
  std::unique_ptr<soap::AnswersElsewhere> answers_;
  std::unique_ptr<api::Gateway> gateway_;
};

}  // namespace nuraghe::service
