// Daemon: what one nuraghed is made of: the control exchange with the engine and the services, an exchange per Virtual
// Host Controller with its own database, the router between them, and the doors.
//
//   STATE/lock             held by the one nuraghed that works on the folder
//   STATE/token            who may enter (mode 0600)
//   STATE/site-token       the token that it shares with the vhcd beside it on the same machine (mode 0600)
//   STATE/segment-key      what the secrets of clusters' networks are made of (mode 0600)
//   STATE/ca/              the site's certificate authority (pki/authority_folder.hpp), made by 'nuraghe ca init'
//   STATE/nuraghed.sock    the UNIX socket
//   STATE/port             the TCP port on 127.0.0.1, kept from the first start on
//   STATE/control.db       engine, VHF, VHIR, VCF, where they are not in a database server
//   STATE/images/          the OCI image layout of the VHIR
//   STATE/machines/        what the drivers of physical machines keep (machines.hpp)
//   STATE/vhc/NAME/        one Virtual Host Controller: vhc.db, hosts/ (driver), seeds/, switch/
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/rate_limit.hpp"
#include "apps/controller/settings.hpp"
#include "apps/nuraghed/machines.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "net/address_rules.hpp"
#include "placement/placement.hpp"

namespace nuraghe::daemon {

// How long, and how much of, what is over is kept.
struct Retention {
  Duration events = std::chrono::hours(24 * 90);
  std::int64_t events_of_vo = 100'000;
  Duration history = std::chrono::hours(24 * 7);  // of ended workflow instances
  std::int64_t instances = 100'000;
  Duration past = std::chrono::hours(24 * 90);  // last states of clusters and single hosts; physical hosts not seen
  std::int64_t past_of_vo = 1000;
  Duration audit = std::chrono::hours(24 * 400);  // entries of the audit log
};

struct Settings {
  std::string state;
  std::string contracts;  // folder of WSDL and XSD files
  std::string workflows;  // folder of BPEL files
  std::string programs;   // folder of nuraghe-shim and nuraghe-switch
  std::string store;      // as store::open_location; empty: STATE/control.db
  std::string store_schema = "nuraghe";
  int port = 0;  // 0: as kept in the state folder, else any free one
  bool tcp = true;
  std::vector<std::string> listen;       // further addresses, for other machines: controller::parse_door
  bool allow_plain = false;              // some of them without TLS
  std::vector<std::string> names;        // by which other machines call this one, for its certificate
  std::string tls_certificate, tls_key;  // files of the operator's own certificate for the doors; empty: none
  std::string public_url;                // own_addresses.hpp; empty: clients are told what they came by
  Duration certificate_lifetime = std::chrono::hours(24 * 90);
  api::RateLimit caller_rate{1000.0, 2000.0};
  std::string oidc;                       // file with the OIDC providers that are trusted; empty: none
  std::string site_token;                 // file; empty: STATE/site-token
  std::vector<net::IpNetwork> consumers;  // networks of addresses that clients may name; empty: net/address_rules.hpp
  std::vector<controller::ControllerSettings> controllers;
  std::string vo = "default";
  std::string accelerator = "auto";
  bool force_http = false;  // services of this process call one another by SOAP over HTTP
  Duration renewal = std::chrono::seconds(10);
  Retention retention;
  placement::Weights weights;             // of the placement policy `optimise`
  std::vector<std::string> sim_failures;  // "VERB:PATTERN[:every=N]"
  std::vector<std::string> sim_delays;    // "VERB=DURATION"
  MachineSettings machines;
  bool deterministic = false;  // one thread does all work, jobs inline (drained_exchange.hpp)
  bool sim_persisted = true;
};

class Daemon {
 public:
  // Opens everything; serves when it returns.
  static Result<std::unique_ptr<Daemon>> start(Settings settings);
  ~Daemon();
  // Lets the work in hand finish and closes the doors. Virtual hosts go on running.
  void stop();
  int port() const;
  // Bases of the further addresses: "https://10.0.0.1:8470".
  std::vector<std::string> network_bases() const;
  // True when an exchange gave up (its database failed, or a newer nuraghed took over).
  bool failed() const;
  // Once a second; `reread`: what stands in files is read again.
  void tick(bool reread);
  // Store commits, and messages and replies that were sent, since it was opened.
  struct Work {
    std::int64_t commits = 0, sends = 0;
  };
  Work work() const;

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace nuraghe::daemon
