#include "api/gateway.hpp"

#include <fmt/format.h>

#include "api/access.hpp"
#include "api/doors.hpp"
#include "api/entrance.hpp"
#include "api/outside_door.hpp"
#include "api/problem.hpp"
#include "api/reached.hpp"
#include "api/rest_door.hpp"
#include "base/check.hpp"

namespace nuraghe::api {

struct Gateway::Doors {
  explicit Doors(GatewayOptions given)
      : options(std::move(given)),
        authenticator(options.tokens, options.accounts, options.oidc, env::system_clock(), options.default_vo),
        entrance(options),
        consoles(std::make_shared<Consoles>(options.console, options.random)) {
    if (!options.request_metrics) options.request_metrics = std::make_shared<RequestMetrics>();
  }

  std::optional<HttpResponse> authenticate(HttpRequest& head);
  void tell_of_stranger(const HttpRequest& head, std::string claim) const;
  void handle(HttpRequest request, const HttpResponder& responder);
  void handle_service(HttpRequest request, const ServicePath& path, const HttpResponder& responder);
  HttpResponse ready() const;

  GatewayOptions options;
  Authenticator authenticator;
  Entrance entrance;
  std::shared_ptr<Consoles> consoles;
  std::shared_ptr<EventFeed> feed;
  std::weak_ptr<net::HttpServer> server;
};

namespace {

HttpResponse method_not_allowed(const std::string& allowed) {
  HttpResponse response = net::text_response(405, "use " + allowed);
  response.headers.push_back({"Allow", allowed});
  return response;
}

// "ID" of "/hosts/ID/console".
std::optional<std::string> console_host(const std::string& rest) {
  constexpr std::string_view kHosts = "/hosts/";
  constexpr std::string_view kConsole = "/console";
  if (!rest.starts_with(kHosts) || !rest.ends_with(kConsole)) return std::nullopt;
  if (rest.size() <= kHosts.size() + kConsole.size()) return std::nullopt;
  std::string host = rest.substr(kHosts.size(), rest.size() - kHosts.size() - kConsole.size());
  if (host.find('/') != std::string::npos) return std::nullopt;
  return host;
}

// Services and files tell programs of Nuraghe in plain text; all else tells in a form for any program.
HttpResponse refusal(const HttpRequest& request, const Error& error) {
  const std::string_view path = request.path();
  if (service_path(path) || is_file_path(path)) return error_response(error);
  return problem_response(error, {path, request.header("traceparent")});
}

std::optional<HttpResponse> refusal(const HttpRequest& request, const std::optional<EntranceRefusal>& refused) {
  if (!refused) return std::nullopt;
  HttpResponse response = service_path(request.path()) || is_file_path(request.path())
                              ? net::text_response(refused->status, refused->reason)
                              : rest_refusal(refused->status, refused->reason, request);
  if (refused->retry_after > Duration(0))
    response.headers.push_back({"Retry-After", whole_seconds(refused->retry_after)});
  return response;
}

// Of a certificate that does not count.
std::string claim_of(const net::PeerCertificate& certificate) {
  const std::string name =
      certificate.uris.empty() ? "nobody" : xml::printable(certificate.uris.front().substr(0, 100));
  return fmt::format("a certificate of {}, serial {}", name, certificate.serial);
}

bool is_read(const HttpRequest& request) { return request.method == "GET" || request.method == "HEAD"; }

}  // namespace

HttpResponse error_response(const Error& error) {
  return net::text_response(net::http_status(error.code()), error.to_string());
}

const Identity& identity_of(const HttpRequest& request) {
  CHECK(request.attachment != nullptr);
  return *static_cast<const Identity*>(request.attachment.get());
}

std::optional<ServicePath> service_path(std::string_view path) {
  constexpr std::string_view kPrefix = "/services/";
  if (!path.starts_with(kPrefix)) return std::nullopt;
  path.remove_prefix(kPrefix.size());
  const std::size_t slash = path.find('/');
  if (path.empty() || slash == 0) return std::nullopt;
  ServicePath out;
  out.service = path.substr(0, slash);
  if (slash != std::string_view::npos) out.rest = path.substr(slash);
  return out;
}

void Gateway::Doors::tell_of_stranger(const HttpRequest& head, std::string claim) const {
  constexpr std::size_t kLongest = 100;
  if (!options.stranger) return;
  const std::string_view path = head.path();
  const bool is_soap = head.method == "POST" && service_path(path);
  const std::string_view address = std::string_view(head.peer).substr(0, head.peer.rfind(':'));
  options.stranger({fmt::format("{} {}", is_soap ? "soap" : "rest", address),
                    xml::printable(fmt::format("{} {}", head.method.substr(0, kLongest), path.substr(0, kLongest))),
                    std::move(claim)});
}

std::optional<HttpResponse> Gateway::Doors::authenticate(HttpRequest& head) {
  if (entrance.is_open_door(head)) return refusal(head, entrance.at_open_door(head));
  const std::string_view authorization = head.header("Authorization");
  auto certified = entrance.certified(head);
  if (!certified) {
    if (!certified.error().is_transient()) tell_of_stranger(head, claim_of(*head.certificate));
    return refusal(head, certified.error());
  }
  auto identity = *certified ? std::move(certified) : authenticator.authenticate(authorization);
  if (!identity) {
    if (!identity.error().is_transient()) tell_of_stranger(head, authenticator.claim(authorization));
    if (auto refused = refusal(head, entrance.unknown(head))) return refused;
    const int status = unauthenticated_status(identity.error());
    const std::string& reason = identity.error().message();
    HttpResponse response =
        service_path(head.path()) ? net::text_response(status, reason) : rest_refusal(status, reason, head);
    response.headers.push_back(unauthenticated_header(identity.error(), authorization));
    return response;
  }
  if (auto refused = refusal(head, entrance.known(head, **identity))) return refused;
  // Who asks on behalf of others says for whom; envelopes say it themselves.
  auto acting = acting_for(std::move(*identity), head.header("Nuraghe-VO"));
  if (!acting) return refusal(head, acting.error());
  const std::string_view caller = head.header("Nuraghe-Caller");
  if ((*acting)->role == Role::kPeer && !caller.empty()) {
    auto named = std::make_shared<Identity>(**acting);
    named->certified = caller;
    acting = std::shared_ptr<const Identity>(std::move(named));
  }
  head.attachment = std::move(*acting);
  return std::nullopt;
}

void Gateway::Doors::handle(HttpRequest request, const HttpResponder& responder) {
  const std::string path(request.path());
  if (entrance.is_open_door(request)) return options.site->serve(std::move(request), responder);
  const auto service = service_path(path);
  const bool describes = request.query("wsdl") || request.query("xsd");
  // What the list of services tells of one is asked for where that one stands.
  const bool is_told = service && is_read(request) && !describes && !frozen_path(service->rest);
  const bool is_rest = (!service || is_told) && !is_file_path(path) && is_rest_path(path);
  const bool is_outside = !service && !is_rest && !is_file_path(path) && is_outside_path(options, path);
  // A request for an operation is looked at when that is known.
  const bool is_soap =
      request.method == "POST" && service && !console_host(service->rest) && !frozen_path(service->rest);
  if (is_outside) return serve_outside(options, std::move(request), responder);
  if (!is_soap && !is_rest) {
    if (const Status may = may_enter(identity_of(request), request.method, path); !may)
      return responder.respond(refusal(request, may.error()));
  }
  if (is_rest) {
    const bool is_peer = identity_of(request).role == Role::kPeer;
    const RestDoor rest{options.router,          options.random,
                        options.request_metrics, feed,
                        options.refused,         is_peer ? std::string() : base_for(options, request),
                        options.own_paths};
    if (const auto http = server.lock()) serve_rest(rest, http, std::move(request), responder);
    return;
  }
  if (is_file_path(path)) return serve_file(options, request, responder);
  if (service) return handle_service(std::move(request), *service, responder);
  const bool known =
      path == "/events" || path == "/healthz" || path == "/readyz" || path == "/metrics" || path == "/openapi.json";
  if (!known) {
    return responder.respond(
        problem_response(not_found("nothing is served at " + path), {path, request.header("traceparent")}));
  }
  if (!is_read(request)) {
    HttpResponse response = problem_response(invalid("use GET"), {path, request.header("traceparent")}, 405);
    response.headers.push_back({"Allow", "GET, HEAD"});
    return responder.respond(std::move(response));
  }
  const auto http = server.lock();
  if (!http) return;
  if (path == "/openapi.json") return responder.respond(serve_openapi(request, options.outside));
  if (path == "/healthz") return responder.respond(net::text_response(200, "ok"));
  if (path == "/readyz") return responder.respond(ready());
  if (path == "/metrics")
    return responder.respond(serve_metrics(options, http->statistics(), request.header("Accept")));
  if (!feed) {
    return responder.respond(problem_response(not_found("this process keeps no events"), {path, {}}));
  }
  serve_events({feed, http, options.router, options.random}, request, responder);
}

void Gateway::Doors::handle_service(HttpRequest request, const ServicePath& path, const HttpResponder& responder) {
  if (const auto host = console_host(path.rest)) {
    const auto http = server.lock();
    if (http) consoles->serve(http, request, path.service, *host, responder);
    return;
  }
  if (const auto frozen = frozen_path(path.rest))
    return serve_frozen(options, request, path.service, *frozen, responder);
  if (request.method == "POST") return serve_soap(options, std::move(request), responder);
  const bool describes = is_read(request) && (request.query("wsdl") || request.query("xsd"));
  if (describes) return responder.respond(serve_description(options, request));
  responder.respond(method_not_allowed("POST"));
}

HttpResponse Gateway::Doors::ready() const {
  for (const auto& [name, exchange] : options.metrics) {
    if (exchange->failed()) return net::text_response(503, fmt::format("the exchange {} has failed", name));
  }
  if (options.ready) {
    if (const Status status = options.ready(); !status) return net::text_response(503, status.error().to_string());
  }
  return net::text_response(200, "ready");
}

Result<std::unique_ptr<Gateway>> Gateway::bind(GatewayOptions options, net::HttpServerOptions listen) {
  CHECK(options.router != nullptr && options.random != nullptr);
  if (!options.own_paths) {
    options.own_paths = std::make_shared<const soap::PathOf>(
        [base = options.public_base](std::string_view address) { return soap::path_below(base, address); });
  }
  auto doors = std::make_shared<Doors>(std::move(options));
  listen.on_head = [doors](HttpRequest& head) { return doors->authenticate(head); };
  listen.on_refused = [](int status, const std::string& reason, const HttpRequest& head) {
    const bool soap = head.method == "POST" && service_path(head.path());
    return soap ? soap_refusal(status, reason) : rest_refusal(status, reason, head);
  };
  TRY_ASSIGN(std::shared_ptr<net::HttpServer> server, net::HttpServer::bind(std::move(listen)));
  doors->server = server;
  if (doors->options.events != nullptr) {
    doors->feed = EventFeed::make(*doors->options.events, [weak = doors->server](std::function<void()> work) {
      if (const auto http = weak.lock()) http->post(std::move(work));
    });
  }
  std::unique_ptr<Gateway> gateway(new Gateway(std::move(doors)));
  gateway->server_ = std::move(server);
  return gateway;
}

void Gateway::serve() {
  server_->serve([doors = doors_](HttpRequest request, const HttpResponder& responder) {
    doors->handle(std::move(request), responder);
  });
}

Result<std::unique_ptr<Gateway>> Gateway::start(GatewayOptions options, net::HttpServerOptions listen) {
  TRY_ASSIGN(auto gateway, bind(std::move(options), std::move(listen)));
  gateway->serve();
  return gateway;
}

Gateway::~Gateway() {
  if (server_) server_->stop(Duration(0));
}

}  // namespace nuraghe::api
