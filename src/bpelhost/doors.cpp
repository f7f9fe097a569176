#include "bpelhost/doors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "bpelhost/drawing.hpp"
#include "bpelhost/json.hpp"

namespace nuraghe::bpelhost {
namespace {

using net::HttpRequest;
using net::HttpResponder;
using net::HttpResponse;

constexpr std::size_t kInstancesAtOnce = 1000;

// `said`: what to do instead; empty: use one of the methods.
HttpResponse use(const std::string& methods, const std::string& said = "") {
  auto response = json_response(
      405, fmt::format("{{\"error\":\"use {}\",\"code\":\"unsupported\"}}", said.empty() ? methods : said));
  response.headers.push_back({"Allow", methods});
  return response;
}

bool is_read(const HttpRequest& request) { return request.method == "GET" || request.method == "HEAD"; }

std::size_t limit_of(const HttpRequest& request) {
  const auto text = request.query("limit").value_or("");
  std::size_t limit = 0;
  std::from_chars(text.data(), text.data() + text.size(), limit);
  return limit == 0 ? kInstancesAtOnce : std::min(limit, kInstancesAtOnce);
}

// Compares all bytes, so that the time tells nothing.
bool same_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) different |= static_cast<unsigned char>(a[i] ^ b[i]);
  return different == 0;
}

void show_instance(Host& host, const std::string& id, bool drawing, const HttpResponder& responder) {
  host.show(id, Host::Detail::kWithHistory, [drawing, responder](Result<InstanceView> view) {
    if (!view) return responder.respond(json_error(view.error()));
    if (!drawing) return responder.respond(json_response(200, instance_json(*view)));
    if (!view->definition)
      return responder.respond(json_error(not_found("the process of this instance is not known any more")));
    HttpResponse response;
    response.content_type = "image/svg+xml";
    response.body = draw(*view->definition, &view->nodes);
    responder.respond(std::move(response));
  });
}

}  // namespace

HttpResponse json_response(int status, std::string json) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::move(json) + "\n";
  return response;
}

HttpResponse json_error(const Error& error) { return json_response(net::http_status(error.code()), error_json(error)); }

std::string base_of(const HttpRequest& request) {
  const std::string_view host = request.header("Host");
  const bool plain = !host.empty() && host.size() < 256 && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == ':' || c == '[' || c == ']';
  });
  return plain ? fmt::format("http://{}", host) : "http://localhost";
}

Doors::Doors(Host& host) : host_(host) {}

std::optional<HttpResponse> Doors::authenticate(const std::string& token, const HttpRequest& head) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view given = head.header("Authorization");
  if (token.empty() || (given.starts_with(kBearer) && same_secret(given.substr(kBearer.size()), token))) return {};
  auto response = json_response(401, "{\"error\":\"a bearer token is needed\",\"code\":\"denied\"}");
  response.headers.push_back({"WWW-Authenticate", "Bearer realm=\"bpel\""});
  return response;
}

void Doors::handle(HttpRequest request, const HttpResponder& responder) const {
  const auto catalogue = host_.catalogue();
  const std::string path(request.path());
  if (const auto* services = catalogue->at(path)) {
    if (request.method == "POST") return serve_soap(host_, *services, request, responder);
    // Clients of some products ask in capital letters.
    if (!is_read(request) || !(request.query("wsdl") || request.query("xsd") || request.query("WSDL")))
      return responder.respond(use("GET, HEAD, POST", "POST with SOAP, or GET " + path + "?wsdl"));
    return responder.respond(serve_description(*services->front(), request));
  }
  if (path == "/deployments" || path.starts_with("/deployments/"))
    return handle_deployments(std::move(request), responder);
  if (path == "/instances" || path.starts_with("/instances/")) return handle_instances(request, responder);
  if (path == "/healthz" && is_read(request)) {
    return responder.respond(host_.failed() ? json_response(503, "{\"state\":\"failed\"}")
                                            : json_response(200, "{\"state\":\"serving\"}"));
  }
  responder.respond(json_error(not_found("nothing is served at " + path)));
}

void Doors::handle_deployments(HttpRequest request, const HttpResponder& responder) const {
  constexpr std::string_view kFolder = "/deployments/";
  const std::string path(request.path());
  const auto base = base_of(request);
  if (path == "/deployments") {
    if (is_read(request)) return responder.respond(json_response(200, packages_json(*host_.catalogue(), base)));
    if (request.method != "POST") return responder.respond(use("GET, POST"));
    auto files = read_zip(request.body);
    if (!files) {
      return responder.respond(json_response(422, diagnostics_json({{"", "", {}, files.error().message(), false}})));
    }
    const auto name = request.query("name").value_or("");
    return host_.deploy(name.empty() ? "" : deployment_name(name), std::move(*files),
                        [this, base, responder](Result<DeployOutcome> outcome) {
                          if (!outcome) return responder.respond(json_error(outcome.error()));
                          if (!outcome->accepted)
                            return responder.respond(json_response(422, diagnostics_json(outcome->diagnostics)));
                          const auto catalogue = host_.catalogue();
                          const auto* package = catalogue->package(outcome->id);
                          if (package == nullptr)
                            return responder.respond(json_error(conflict(outcome->id + " was replaced meanwhile")));
                          auto response = json_response(201, package_json(*package, base, outcome->diagnostics));
                          response.headers.push_back({"Location", "/deployments/" + package->id});
                          responder.respond(std::move(response));
                        });
  }
  const auto id = path.substr(kFolder.size());
  if (request.method == "DELETE") {
    return host_.undeploy(id, [responder](const Status& status) {
      if (!status) return responder.respond(json_error(status.error()));
      HttpResponse done;
      done.status = 204;
      responder.respond(std::move(done));
    });
  }
  if (!is_read(request)) return responder.respond(use("GET, DELETE"));
  const auto catalogue = host_.catalogue();
  const auto* package = catalogue->package(id);
  if (package == nullptr) return responder.respond(json_error(not_found("there is no deployment " + id)));
  responder.respond(json_response(200, package_json(*package, base)));
}

void Doors::handle_instances(const HttpRequest& request, const HttpResponder& responder) const {
  constexpr std::string_view kFolder = "/instances/";
  const std::string path(request.path());
  if (path == "/instances") {
    if (!is_read(request)) return responder.respond(use("GET"));
    bpel::Engine::Filter filter;
    filter.process = request.query("process").value_or("");
    filter.running_only = request.query("running").has_value();
    filter.after = request.query("after").value_or("");
    filter.limit = limit_of(request);
    return host_.list(filter, [limit = filter.limit, responder](Result<std::vector<bpel::InstanceSummary>> found) {
      if (!found) return responder.respond(json_error(found.error()));
      responder.respond(json_response(200, instances_json(*found, found->size() == limit)));
    });
  }
  const auto rest = path.substr(kFolder.size());
  const auto slash = rest.find('/');
  const auto id = rest.substr(0, slash);
  const auto verb = slash == std::string::npos ? "" : rest.substr(slash + 1);
  if (verb.empty() || verb == "drawing") {
    if (!is_read(request)) return responder.respond(use("GET"));
    return show_instance(host_, id, !verb.empty(), responder);
  }
  const bool known = verb == "suspend" || verb == "resume" || verb == "terminate" || verb == "replay";
  if (!known) return responder.respond(json_error(not_found("nothing is served at " + path)));
  if (request.method != "POST") return responder.respond(use("POST"));
  if (verb == "replay") {
    return host_.replay(id, [responder](Result<bpel::journal::Replay> replayed) {
      responder.respond(replayed ? json_response(200, replay_json(*replayed)) : json_error(replayed.error()));
    });
  }
  const auto meant = verb == "suspend"  ? Host::Verb::kSuspend
                     : verb == "resume" ? Host::Verb::kResume
                                        : Host::Verb::kTerminate;
  host_.change(id, meant, request.query("reason").value_or(""), [this, id, responder](const Status& status) {
    if (!status) return responder.respond(json_error(status.error()));
    host_.show(id, Host::Detail::kNow, [responder](Result<InstanceView> view) {
      responder.respond(view ? json_response(200, instance_json(*view)) : json_error(view.error()));
    });
  });
}

}  // namespace nuraghe::bpelhost
