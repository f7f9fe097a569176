// Inside of the gateway: one door (handler) per kind of path. Not for other rooms.
#pragma once

#include <optional>
#include <string>

#include "api/event_feed.hpp"
#include "api/gateway.hpp"

namespace nuraghe::api {

using net::HttpRequest;
using net::HttpResponder;
using net::HttpResponse;

// The error as text, with its status.
HttpResponse error_response(const Error& error);
// Whose request it is: what the head hook attached.
const Identity& identity_of(const HttpRequest& request);
// A path of "/services/": "vhc-1" and "/hosts/x" of "/services/vhc-1/hosts/x". nullopt for any other path.
struct ServicePath {
  std::string service;
  std::string rest;
};
std::optional<ServicePath> service_path(std::string_view path);

// POST /services/...
void serve_soap(const GatewayOptions& options, HttpRequest request, const HttpResponder& responder);
// The fault envelope for a request that the server itself refuses.
HttpResponse soap_refusal(int status, const std::string& reason);

// GET /services/NAME?wsdl and ?xsd=FILE.
HttpResponse serve_description(const GatewayOptions& options, const HttpRequest& request);
// The text, which stands at `file` among its imports, with soap:address locations set to `address` and relative imports
// to `address`?xsd=FILE or ?wsdl=FILE.
Result<std::string> live_description(std::string_view text, const std::string& address, std::string_view file);

// GET /events.
struct EventsDoor {
  std::shared_ptr<EventFeed> feed;
  std::weak_ptr<net::HttpServer> server;
  exchange::Router* router = nullptr;  // who has a name is asked of the VCF
  env::Random* random = nullptr;
};
void serve_events(const EventsDoor& door, const HttpRequest& request, const HttpResponder& responder);

// GET /seeds/CLUSTER/DIGEST and /images/DIGEST.
bool is_file_path(std::string_view path);
void serve_file(const GatewayOptions& options, const HttpRequest& request, const HttpResponder& responder);

// GET /services/CONTROLLER/hosts/ID/frozen/DIGEST.
struct FrozenPath {
  std::string host, digest;
};
std::optional<FrozenPath> frozen_path(std::string_view rest);
void serve_frozen(const GatewayOptions& options, const HttpRequest& request, const std::string& controller,
                  const FrozenPath& path, const HttpResponder& responder);

// GET /metrics.
// `accept`: the request's header of that name.
HttpResponse serve_metrics(const GatewayOptions& options, const net::HttpServerStatistics& http,
                           std::string_view accept);

// Consoles: sessions of GET ?follow=1 and the POSTs that belong to them. Thread safe.
class Consoles : public std::enable_shared_from_this<Consoles> {
 public:
  Consoles(ConsoleProvider* provider, env::Random* random) : provider_(provider), random_(random) {}
  void serve(const std::shared_ptr<net::HttpServer>& server, const HttpRequest& request, const std::string& controller,
             const std::string& host, const HttpResponder& responder);

 private:
  struct Session {
    std::string path;
    std::shared_ptr<const Identity> identity;
    std::shared_ptr<net::Channel> channel;
  };
  void follow(const std::weak_ptr<net::HttpServer>& server, const HttpRequest& request, const std::string& controller,
              const std::string& host, const HttpResponder& responder);
  void begin(const std::shared_ptr<net::HttpServer>& server, Session session, env::UniqueFd socket,
             const HttpResponder& responder);
  HttpResponse input(const HttpRequest& request);
  void end(const std::string& id);

  ConsoleProvider* const provider_;
  env::Random* const random_;
  std::mutex mutex_;
  std::map<std::string, Session> sessions_;
};

}  // namespace nuraghe::api
