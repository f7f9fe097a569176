#include "api/outside_door.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "api/access.hpp"
#include "api/problem.hpp"
#include "api/trace.hpp"
#include "contracts/operation.hpp"
#include "services/registry/registry.hpp"

namespace nuraghe::api {

namespace {

// What a REST request says besides path, query and body.
constexpr std::array kRequestHeaders{"Accept", "If-Match", "If-None-Match", "Idempotency-Key", "Prefer"};
constexpr std::array kResponseHeaders{
    "ETag", "Location", "Link", "Vary", "Cache-Control", "Allow", "Accept", "Retry-After", "Preference-Applied"};
constexpr std::string_view kNotification = "http://docs.oasis-open.org/wsn/b-2";
constexpr Duration kLongestAnswer = std::chrono::minutes(15);  // as of SOAP: operations take minutes

struct Call {
  std::string path, traceparent, service;
  std::shared_ptr<RequestMetrics> metrics;
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();

  HttpResponse finished(HttpResponse response) const {
    response.headers.push_back({"traceparent", traceparent});
    const auto took = std::chrono::steady_clock::now() - arrived;
    if (metrics)
      metrics->count(Door::kRest, nullptr, outcome_of(response.status), std::chrono::duration_cast<Duration>(took));
    return response;
  }
  HttpResponse refused(const Error& error, int status = 0) const {
    return finished(problem_response(error, {path, traceparent}, status));
  }
};

HttpResponse answer_of(const Call& call, Result<net::ClientResponse> outcome) {
  if (!outcome)
    return call.refused(std::move(outcome).error().with(fmt::format("asking the program of {}", call.service)));
  if (outcome->status == 401)
    return call.refused(
        unavailable(fmt::format("the program of the service {} does not know this nuraghed", call.service)));
  HttpResponse response;
  response.status = outcome->status;
  response.content_type = outcome->header("Content-Type");
  for (const char* name : kResponseHeaders) {
    if (const auto value = outcome->header(name); !value.empty())
      response.headers.push_back({name, std::string(value)});
  }
  response.body = std::move(outcome->body);
  return call.finished(std::move(response));
}

std::string allow_of(const std::vector<OutsideOperation>& routes) {
  std::string out;
  for (const auto& route : routes) out += route.verb + ", " + (route.verb == "GET" ? "HEAD, " : "");
  return out + "OPTIONS";
}

exchange::Message message_of(const HttpRequest& request, const Identity& identity, const OutsideOperation& operation,
                             const std::string& traceparent) {
  exchange::Message message;
  message.to = "/services/" + operation.service;
  message.operation = operation.name;
  message.vo = identity.vo;
  message.caller = identity.caller();
  message.traceparent = traceparent;
  message.origin = origin_of(identity, "rest", request.peer);
  return message;
}

net::ClientRequest handed_on(HttpRequest request, const std::string& base, const exchange::Message& message) {
  net::ClientRequest out;
  out.method = std::move(request.method);
  out.url = base + request.target;
  for (const char* name : kRequestHeaders) {
    if (const auto value = request.header(name); !value.empty()) out.headers.push_back({name, std::string(value)});
  }
  out.headers.push_back({"traceparent", message.traceparent});
  if (auto state = tracestate_of(request.headers); !state.empty())
    out.headers.push_back({"tracestate", std::move(state)});
  out.headers.push_back({"Nuraghe-VO", message.vo});
  out.headers.push_back({"Nuraghe-Caller", message.caller});
  out.content_type = request.header("Content-Type");
  out.body = std::move(request.body);
  out.timeout = kLongestAnswer;
  return out;
}

// Of the method that shows a WS-Resource of Nuraghe's own; kViewer: nothing of it is at that path.
contracts::Access access_of_own_news(const std::string& path) {
  const auto place = service_path(path);
  const auto* service = place ? contracts::find_service(place->service) : nullptr;
  if (service == nullptr) return contracts::Access::kViewer;
  const auto kind = services::registry::first_segment(place->rest);
  const auto resource = std::ranges::find(service->resources, kind, &contracts::ResourceInfo::path);
  const auto* get = resource == service->resources.end() ? nullptr : contracts::find_operation(*service, resource->get);
  return get == nullptr ? contracts::Access::kViewer : get->access;
}

}  // namespace

Status may_be_told(const OutsideTable* table, const Identity& identity, const exchange::Message& request) {
  if (request.body->root().namespace_uri() != kNotification) return {};
  auto access = access_of_own_news(request.to);
  if (table != nullptr && table->has(request.to)) {
    TRY_ASSIGN(access, table->access_of_news(request.to));
  }
  return may(identity, access, fmt::format("{} at {}", request.operation, request.to));
}

Result<OutsideOperation> may_call_outside(const OutsideTable& table, const Identity& identity,
                                          const exchange::Message& request) {
  const auto known = table.operation_at(request.to, request.operation, request.body->root());
  const auto operation = known ? std::optional(*known) : table.operation_at(request.to, request.operation);
  const std::string what = fmt::format("{} of {}", request.operation, request.to);
  TRY(may(identity, operation ? operation->access : contracts::Access::kViewer, what));
  return table.operation_at(request.to, request.operation, request.body->root());
}

bool is_outside_path(const GatewayOptions& options, std::string_view path) {
  return options.outside != nullptr && !options.outside->routes_at(path).empty();
}

void serve_outside(const GatewayOptions& options, HttpRequest request, const HttpResponder& responder) {
  const auto routes = options.outside->routes_at(request.path());
  const bool reads = request.method == "GET" || request.method == "HEAD";
  auto call = std::make_shared<Call>();
  call->path = std::string(request.path());
  call->traceparent = traceparent_of(request.header("traceparent"), *options.random, !reads);
  call->metrics = options.request_metrics;
  if (routes.empty())
    return responder.respond(call->refused(not_found(fmt::format("nothing is served at {}", call->path))));
  const std::string allow = allow_of(routes);
  if (request.method == "OPTIONS") {
    HttpResponse response;
    response.status = 204;
    response.headers.push_back({"Allow", allow});
    return responder.respond(call->finished(std::move(response)));
  }
  const std::string verb = request.method == "HEAD" ? "GET" : request.method;
  const auto route = std::ranges::find(routes, verb, &OutsideOperation::verb);
  if (route == routes.end()) {
    HttpResponse response = call->refused(invalid(fmt::format("{} has {}", call->path, allow)), 405);
    response.headers.push_back({"Allow", allow});
    return responder.respond(std::move(response));
  }
  call->service = route->service;
  const Identity& identity = identity_of(request);
  auto message = message_of(request, identity, *route, call->traceparent);
  const std::string what = fmt::format("{} of {}", message.operation, message.to);
  if (const Status may_call = may(identity, route->access, what); !may_call) {
    if (options.refused && !message.origin.empty()) options.refused(message, may_call.error());
    return responder.respond(call->refused(may_call.error()));
  }
  const std::string base = options.outside->base_of(route->service);
  if (base.empty() || !options.pass_on)
    return responder.respond(call->refused(unavailable(fmt::format("the service {} is gone", route->service))));
  auto onward = handed_on(std::move(request), base, message);
  options.pass_on(std::move(message), std::move(onward), [call, responder](Result<net::ClientResponse> outcome) {
    auto shared = std::make_shared<Result<net::ClientResponse>>(std::move(outcome));
    responder.respond_with([call, shared] { return answer_of(*call, std::move(*shared)); });
  });
}

}  // namespace nuraghe::api
