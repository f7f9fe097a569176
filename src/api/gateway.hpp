// Gateway: the HTTP doors of a Nuraghe process, in front of its exchanges.
//
//   POST /services/NAME[/...]                 SOAP request to the router's local routes
//   GET  /services/NAME[/...]?wsdl            the description, with live addresses; ?wsdl=FILE, ?xsd=FILE: its imports
//   GET  /services/CONTROLLER/hosts/ID/console            the console's last bytes
//   GET  /services/CONTROLLER/hosts/ID/console?follow=1   the live console as a stream; the header
//                                             Nuraghe-Console-Session names the session
//   POST /services/CONTROLLER/hosts/ID/console?session=S  bytes for the console of that session
//   GET  /services/CONTROLLER/hosts/ID/frozen/DIGEST      a part of a frozen host's state, for the site's repository
//   GET  /events?after=N&wait=30s&cluster=ID&limit=1000   JSON lines (long poll; header Nuraghe-Next says where to go
//                                             on), or server-sent events with Accept: text/event-stream
//   GET  /seeds/CLUSTER/DIGEST                the bytes of a seed    } for controllers of the site, which may ask for
//   GET  /images/DIGEST                       a part of an image      } little else
//   GET  /openapi.json                        the OpenAPI document of the REST routes
//   GET  /healthz, /readyz, /metrics
//   the paths of the operations' REST routes (docs/rest.md): JSON requests to the same local routes
//   /services/NAME and the REST routes of services of other programs (docs/services.md): passed on to them
//
// Every path needs a bearer token. A peer says with the header Nuraghe-VO for which organisation it asks, and
// with Nuraghe-Caller for whom. A request that is refused changes nothing. A request that was handed to the exchange
// goes on when its client goes away; a repeat with the same wsa:MessageID joins it. Threading: handlers run on the
// server's io threads, answers come from the exchanges' threads and are written out on the io threads. Stop the gateway
// before its exchanges are destroyed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "api/authentication.hpp"
#include "api/outside_table.hpp"
#include "api/rate_limit.hpp"
#include "api/request_metrics.hpp"
#include "api/strangers.hpp"
#include "api/tokens.hpp"
#include "env/posix.hpp"
#include "exchange/exchange.hpp"
#include "images/byte_source.hpp"
#include "net/address_rules.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "soap/addresses.hpp"
#include "soap/elsewhere.hpp"

namespace nuraghe::api {

// Gives consoles of virtual hosts. Implemented by who owns the drivers; called on io threads: must not block; `done`
// may be called from any thread, once.
class ConsoleProvider {
 public:
  virtual ~ConsoleProvider() = default;
  // A connected stream socket to the live console; its new owner closes it.
  virtual void open(const std::string& controller, const std::string& host, const Identity& caller,
                    std::function<void(Result<env::UniqueFd>)> done) = 0;
  virtual void tail(const std::string& controller, const std::string& host, const Identity& caller, Bytes limit,
                    std::function<void(Result<std::string>)> done) = 0;
};

// Doors that a process adds, open to who shows neither token nor certificate: each asks for its own proof. At most 64
// KiB may be sent to them. Called on io threads: must not block.
class SiteDoors {
 public:
  virtual ~SiteDoors() = default;
  virtual bool has(std::string_view path) const = 0;
  virtual void serve(net::HttpRequest request, const net::HttpResponder& responder) = 0;
};

struct RequestedOperation {
  std::string operation;
  bool one_way = false;
};

struct GatewayOptions {
  exchange::Router* router = nullptr;  // required; not owned
  env::Random* random = nullptr;       // required; not owned
  std::vector<TokenEntry> tokens;
  const services::tenant::AccountBoard* accounts = nullptr;  // members and their tokens; not owned; null: none
  const OidcVerifier* oidc = nullptr;                        // providers that the site trusts; not owned; null: none
  std::string default_vo;                                    // that administrators act for who name none
  // Told of requests that are refused because of who sent them. Called on io threads: must not block.
  std::function<void(const exchange::Message& request, const Error& error)> refused;
  // Told of everybody who shows nothing, or what nobody is known by. As above.
  std::function<void(Stranger stranger)> stranger;
  // The description of what is at /services/WHAT ("vcf", "vcf/clusters/vc-1") as it stands in contracts/ or workflows/:
  // `file` empty = its WSDL, else an import of it. kNotFound when there is none. Called on io threads: must not block.
  std::function<Result<std::string>(const std::string& service, const std::string& file)> description;
  // What a SOAP request asks for, where the WSDL says more than the envelope (soap::decode_request's rule is used
  // without it). kNotFound: no such service (404); kUnsupported: no such operation. Called on io threads.
  std::function<Result<RequestedOperation>(std::string_view path, std::string_view action, const xml::QName& body)>
      lookup;
  exchange::Exchange* events = nullptr;                              // whose events /events shows; null: 404
  std::vector<std::pair<std::string, exchange::Exchange*>> metrics;  // name and exchange
  std::function<Status()> ready;                                     // besides that no exchange has failed
  ConsoleProvider* console = nullptr;                                // not owned; null: 404
  // The bytes of the seed CLUSTER/DIGEST; empty: 404. Called on io threads; `done` may be called from any thread, once.
  std::function<void(const std::string& path, std::function<void(Result<std::string>)> done)> seed;
  // The file with a part of an image, by digest; empty: 404. Called on io threads.
  std::function<Result<std::string>(const std::string& digest)> image_part;
  // A part of a frozen host's state on a controller of this process; empty: 404. Called on io threads.
  std::function<Result<std::unique_ptr<images::ByteSource>>(const std::string& controller, const std::string& host,
                                                            const std::string& digest)>
      frozen_part;
  std::shared_ptr<RequestMetrics> request_metrics;  // what /metrics tells of requests; null: the gateway makes one
  SiteDoors* site = nullptr;                        // not owned; null: none
  // Whose a client certificate is that its TLS handshake found good; kDenied: it does not count (any more). Empty:
  // certificates let nobody in. Called on io threads: must not block.
  std::function<Result<std::shared_ptr<const Identity>>(const net::PeerCertificate& certificate)> certificate;
  // Services of other programs that stand behind these doors; not owned; null: there are none.
  const OutsideTable* outside = nullptr;
  // Hands a REST request for one of them on to its program, having it recorded if that is due: `what` tells what it is.
  // Called on io threads: must not block; `done` may be called from any thread, once.
  std::function<void(exchange::Message what, net::ClientRequest request,
                     std::function<void(Result<net::ClientResponse>)> done)>
      pass_on;
  RateLimit caller_rate;                 // of each identity but peers; by itself none
  RateLimit stranger_rate{20.0, 200.0};  // of each address that shows nothing, or what is wrong
  std::string public_base;               // the process's own base: what it calls itself by, and who comes over a
                                         // UNIX socket is told
  std::string public_url;                // the base that everybody is told (api/reached.hpp); empty: there is none
  // Which addresses lead to this process; null: those below public_base.
  soap::SharedPathOf own_paths;
  // Sends answers where wsa:ReplyTo and wsa:FaultTo want them; not owned. Null: only over the connection.
  soap::AnswersElsewhere* elsewhere = nullptr;
  net::AddressRules strangers;  // where that may be
};

class Gateway {
 public:
  // Binds and begins to serve. Errors as HttpServer::bind.
  static Result<std::unique_ptr<Gateway>> start(GatewayOptions options, net::HttpServerOptions listen);
  // In two steps, for who needs the port (router bases, addresses) before the first request may come in.
  static Result<std::unique_ptr<Gateway>> bind(GatewayOptions options, net::HttpServerOptions listen);
  void serve();
  ~Gateway();  // stops, waiting for nobody

  net::HttpServer& server() { return *server_; }
  int port() const { return server_->port(); }
  const std::vector<std::string>& bases() const { return server_->bases(); }
  void stop(Duration grace = std::chrono::seconds(5)) { server_->stop(grace); }

 private:
  struct Doors;
  explicit Gateway(std::shared_ptr<Doors> doors) : doors_(std::move(doors)) {}
  std::shared_ptr<Doors> doors_;
  std::shared_ptr<net::HttpServer> server_;
};

}  // namespace nuraghe::api
