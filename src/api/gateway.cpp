#include "api/gateway.hpp"

#include <fmt/format.h>

#include "api/access.hpp"
#include "api/doors.hpp"
#include "base/check.hpp"

namespace nuraghe::api {

struct Gateway::Doors {
  explicit Doors(GatewayOptions given)
      : options(std::move(given)),
        tokens(options.tokens),
        consoles(std::make_shared<Consoles>(options.console, options.random)) {}

  std::optional<HttpResponse> authenticate(HttpRequest& head) const;
  void handle(HttpRequest request, const HttpResponder& responder);
  void handle_service(HttpRequest request, const ServicePath& path, const HttpResponder& responder);
  HttpResponse ready() const;

  GatewayOptions options;
  TokenTable tokens;
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

std::optional<HttpResponse> Gateway::Doors::authenticate(HttpRequest& head) const {
  const std::string_view authorization = head.header("Authorization");
  auto identity = tokens.authenticate(authorization);
  if (identity) {
    // Who asks on behalf of others says for whom; envelopes say it themselves.
    auto acting = acting_for(std::move(identity), head.header("Nuraghe-VO"));
    if (!acting) return error_response(acting.error());
    head.attachment = std::move(*acting);
    return std::nullopt;
  }
  HttpResponse response = net::text_response(401, "a bearer token is needed (Authorization: Bearer TOKEN)");
  response.headers.push_back({"WWW-Authenticate", authorization.empty()
                                                      ? "Bearer realm=\"nuraghe\""
                                                      : "Bearer realm=\"nuraghe\", error=\"invalid_token\""});
  return response;
}

void Gateway::Doors::handle(HttpRequest request, const HttpResponder& responder) {
  const std::string path(request.path());
  const auto service = service_path(path);
  // A SOAP request is looked at when its operation is known.
  const bool is_soap = request.method == "POST" && service && !console_host(service->rest);
  if (!is_soap) {
    if (const Status may = may_enter(identity_of(request), request.method, path); !may)
      return responder.respond(error_response(may.error()));
  }
  if (is_file_path(path)) return serve_file(options, request, responder);
  if (service) return handle_service(std::move(request), *service, responder);
  const bool known = path == "/events" || path == "/healthz" || path == "/readyz" || path == "/metrics";
  if (!known) return responder.respond(net::text_response(404, "nothing is served at " + path));
  if (!is_read(request)) return responder.respond(method_not_allowed("GET"));
  const auto http = server.lock();
  if (!http) return;
  if (path == "/healthz") return responder.respond(net::text_response(200, "ok"));
  if (path == "/readyz") return responder.respond(ready());
  if (path == "/metrics") return responder.respond(serve_metrics(options, http->statistics()));
  if (!feed) return responder.respond(net::text_response(404, "this process keeps no events"));
  serve_events(feed, http, request, responder);
}

void Gateway::Doors::handle_service(HttpRequest request, const ServicePath& path, const HttpResponder& responder) {
  if (const auto host = console_host(path.rest)) {
    const auto http = server.lock();
    if (http) consoles->serve(http, request, path.service, *host, responder);
    return;
  }
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
  auto doors = std::make_shared<Doors>(std::move(options));
  listen.on_head = [doors](HttpRequest& head) { return doors->authenticate(head); };
  listen.on_refused = [](int status, const std::string& reason, const HttpRequest& head) {
    const bool soap = head.method == "POST" && service_path(head.path());
    return soap ? soap_refusal(status, reason) : net::text_response(status, reason);
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
