// Gateway: the HTTP doors of a Nuraghe process, in front of its exchanges.
//
//   POST /services/NAME[/...]                 SOAP 1.1 request to the router's local routes
//   GET  /services/NAME[/...]?wsdl            the description, with live addresses; ?wsdl=FILE, ?xsd=FILE: its imports
//   GET  /services/CONTROLLER/hosts/ID/console            the console's last bytes
//   GET  /services/CONTROLLER/hosts/ID/console?follow=1   the live console as a stream; the header
//                                             Nuraghe-Console-Session names the session
//   POST /services/CONTROLLER/hosts/ID/console?session=S  bytes for the console of that session
//   GET  /events?after=N&wait=30s&cluster=ID&limit=1000   JSON lines (long poll; header Nuraghe-Next says where to go
//                                             on), or server-sent events with Accept: text/event-stream
//   GET  /seeds/CLUSTER/DIGEST                the bytes of a seed    } for controllers of the site, which may ask for
//   GET  /images/DIGEST                       a part of an image      } little else
//   GET  /healthz, /readyz, /metrics
//
// Every path needs a bearer token. A peer says with the header Nuraghe-VO for which organisation it asks. A request
// that is refused changes nothing. A request that was handed to the exchange goes on when its client goes away; a
// repeat with the same wsa:MessageID joins it. Threading: handlers run on the server's io threads, answers come from
// the exchanges' threads and are written out on the io threads. Stop the gateway before its exchanges are destroyed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "api/tokens.hpp"
#include "env/posix.hpp"
#include "exchange/exchange.hpp"
#include "net/http_server.hpp"

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

struct OperationInfo {
  std::string operation;
  bool one_way = false;
};

struct GatewayOptions {
  exchange::Router* router = nullptr;  // required; not owned
  env::Random* random = nullptr;       // required; not owned
  std::vector<TokenEntry> tokens;
  // The description of a service as it stands in contracts/ or workflows/: `file` empty = its WSDL, else an import of
  // it. kNotFound when there is none. Called on io threads: must not block.
  std::function<Result<std::string>(const std::string& service, const std::string& file)> description;
  // What a SOAP request asks for, where the WSDL says more than the envelope (soap::decode_request's rule is used
  // without it). kNotFound: no such service (404); kUnsupported: no such operation. Called on io threads.
  std::function<Result<OperationInfo>(std::string_view path, std::string_view action, const xml::QName& body)> lookup;
  exchange::Exchange* events = nullptr;                              // whose events /events shows; null: 404
  std::vector<std::pair<std::string, exchange::Exchange*>> metrics;  // name and exchange
  std::function<Status()> ready;                                     // besides that no exchange has failed
  ConsoleProvider* console = nullptr;                                // not owned; null: 404
  // The bytes of the seed CLUSTER/DIGEST; empty: 404. Called on io threads; `done` may be called from any thread, once.
  std::function<void(const std::string& path, std::function<void(Result<std::string>)> done)> seed;
  // The file with a part of an image, by digest; empty: 404. Called on io threads.
  std::function<Result<std::string>(const std::string& digest)> image_part;
  std::string public_base;  // base of addresses in WSDL for clients that come over a UNIX socket
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
