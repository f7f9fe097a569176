#include "api/rest_door.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "api/access.hpp"
#include "api/conditional.hpp"
#include "api/problem.hpp"
#include "api/rest_early.hpp"
#include "api/rest_headers.hpp"
#include "api/rest_list.hpp"
#include "api/trace.hpp"
#include "contracts/json.hpp"
#include "contracts/texts.hpp"
#include "images/digest.hpp"

namespace nuraghe::api {

namespace {

using exchange::Message;

constexpr int kPreconditionFailed = 412;

// What is known of a request while it is being worked on.
struct Call {
  const RestRoute* route = nullptr;
  std::string method, path, target, traceparent;
  std::vector<std::string> values;  // of the path's parameters
  QueryParameters query;            // all
  ListQuery list;
  Conditions conditions;
  xml::DocumentPtr input;
  Preferences preferences;
  std::string vo;
  std::shared_ptr<RequestMetrics> metrics;
  std::chrono::steady_clock::time_point arrived;
  bool precondition_failed = false;  // set in the turn that refused it, read when its answer is there
  std::shared_ptr<EarlyAnswer> early;
  std::string base;
  soap::SharedPathOf own_paths;

  xml::DocumentPtr told(const xml::DocumentPtr& answer) const { return soap::told_with(answer, own_paths, base); }

  bool reads() const { return method == "GET" || method == "HEAD"; }
  ProblemSource source() const { return {path, traceparent}; }
};
using CallPtr = std::shared_ptr<Call>;

// An error that stands for a status of its own.
struct Refusal {
  Error error;
  int status = 0;  // 0: that of the error's code
  net::HttpHeaders headers{};
};
template <class T>
using Checked = tl::expected<T, Refusal>;
tl::unexpected<Refusal> refuse(Error error, int status = 0, net::HttpHeaders headers = {}) {
  return tl::unexpected<Refusal>(Refusal{std::move(error), status, std::move(headers)});
}

// ---- answers ----

HttpResponse finished(const Call& call, HttpResponse response) {
  response.headers.push_back({"traceparent", call.traceparent});
  const auto took = std::chrono::steady_clock::now() - call.arrived;
  call.metrics->count(Door::kRest, call.route != nullptr ? call.route->operation : nullptr, outcome_of(response.status),
                      std::chrono::duration_cast<Duration>(took));
  return response;
}

HttpResponse refused(const Call& call, const Refusal& refusal) {
  HttpResponse response = problem_response(refusal.error, call.source(), refusal.status);
  response.headers.insert(response.headers.end(), refusal.headers.begin(), refusal.headers.end());
  return finished(call, std::move(response));
}

HttpResponse refused(const Call& call, const Error& error, int status = 0) {
  return refused(call, Refusal{error, status});
}

struct Representation {
  std::string body;
  std::string next;  // target of the next page; empty: none
  std::string tag;
};

// `call` holds the query by which the representation is chosen.
Result<Representation> represent(const RestRoute& route, const ListQuery& list, const QueryParameters& query,
                                 std::string_view path, const xml::DocumentPtr& answer) {
  Representation made;
  if (route.items != nullptr) {
    TRY_ASSIGN(Page page, page_of(route, list, answer));
    made.body = std::move(page.body);
    if (!page.cursor.empty()) made.next = next_target(path, query, page.cursor);
  } else {
    TRY_ASSIGN(made.body, contracts::json_response(*route.operation, answer));
  }
  made.tag = entity_tag(made.body);
  return made;
}

HttpResponse read_response(const Call& call, const xml::DocumentPtr& answer) {
  auto made = represent(*call.route, call.list, call.query, call.path, answer);
  if (!made) return refused(call, made.error());
  HttpResponse response;
  response.headers.push_back({"ETag", made->tag});
  // Whoever keeps it asks again whether it still holds.
  response.headers.push_back({"Cache-Control", "private, no-cache"});
  response.headers.push_back({"Vary", "Authorization, Accept, Nuraghe-VO"});
  if (!made->next.empty()) response.headers.push_back({"Link", fmt::format("<{}>; rel=\"next\"", made->next)});
  const auto& [if_match, if_none_match] = call.conditions;
  if (if_match && !if_match->matches_strongly(made->tag)) {
    return refused(call, conflict(fmt::format("If-Match: its entity tag is {}", made->tag)), kPreconditionFailed);
  }
  if (if_none_match && if_none_match->matches_weakly(made->tag)) {
    response.status = 304;
    return finished(call, std::move(response));
  }
  response.content_type = "application/json";
  response.body = std::move(made->body);
  return finished(call, std::move(response));
}

// The text of the element that "image.name" names below another, whatever the namespaces; nullopt: there is none.
std::optional<std::string> text_at(xml::Node element, std::string_view names) {
  while (element && !names.empty()) {
    const std::string_view name = names.substr(0, names.find('.'));
    names.remove_prefix(std::min(name.size() + 1, names.size()));
    xml::Node child = element.first_child();
    while (child && child.local_name() != name) child = child.next_sibling();
    element = child;
  }
  return element ? std::optional(element.text()) : std::nullopt;
}

std::optional<std::string> location_value(const Call& call, std::string_view name, const xml::DocumentPtr& answer) {
  const auto content = [](xml::Node root, std::string_view field) {
    return field.empty() || !root.first_child() ? root : root.first_child();
  };
  const contracts::OperationInfo& operation = *call.route->operation;
  if (answer) {
    if (auto text = text_at(content(answer->root(), operation.rest_answer_field), name)) return text;
  }
  for (std::size_t i = 0; i < call.values.size(); ++i) {
    if (call.route->parameters[i] == name) return call.values[i];
  }
  if (!call.input) return std::nullopt;
  if (auto text = text_at(call.input->root(), name)) return text;
  return text_at(call.input->root().child(operation.request->name_space, operation.rest_body_field), name);
}

// Where what was made, or what is being changed, is found; empty: that is not known.
template <class ValueOf>
std::string location_by(std::string_view path, const ValueOf& value_of) {
  std::string out;
  while (!path.empty()) {
    if (path.front() != '{') {
      const std::string_view literal = path.substr(0, path.find('{'));
      out += literal;
      path.remove_prefix(literal.size());
      continue;
    }
    const std::size_t end = path.find('}');
    const std::optional<std::string> value = value_of(path.substr(1, end - 1));
    if (!value || value->empty()) return {};
    out += net::percent_encode(*value);
    path.remove_prefix(end + 1);
  }
  return out;
}

HttpResponse changed_response(const Call& call, const xml::DocumentPtr& answer) {
  const contracts::OperationInfo& operation = *call.route->operation;
  HttpResponse response;
  if (operation.response == nullptr) {
    response.status = 202;
    return finished(call, std::move(response));
  }
  auto body = contracts::json_response(operation, answer);
  if (!body) return refused(call, body.error());
  if (operation.creates) {
    response.status = 201;
    const std::string location =
        location_by(operation.rest_location, [&](std::string_view name) { return location_value(call, name, answer); });
    if (!location.empty()) response.headers.push_back({"Location", location});
  }
  response.headers.push_back({"Cache-Control", "no-store"});
  if (operation.response->fields.empty()) {
    if (response.status == 200) response.status = 204;
    return finished(call, std::move(response));
  }
  response.content_type = "application/json";
  response.body = std::move(*body);
  return finished(call, std::move(response));
}

HttpResponse early_response(const Call& call, const std::string& location) {
  HttpResponse response;
  response.status = 202;
  response.headers.push_back({"Location", location});
  response.headers.push_back({"Preference-Applied", "respond-async"});
  response.headers.push_back({"Cache-Control", "no-store"});
  return finished(call, std::move(response));
}

HttpResponse outcome_response(const Call& call, const Result<Message>& outcome) {
  const int status = call.precondition_failed ? kPreconditionFailed : 0;
  if (!outcome) return refused(call, outcome.error(), status);
  if (outcome->fault) return refused(call, exchange::error_of(*outcome->fault), status);
  const auto answer = call.told(outcome->body);
  return call.reads() ? read_response(call, answer) : changed_response(call, answer);
}

// ---- requests ----

// The address of who serves the route; an instance must not be another service's name.
Checked<std::string> address_of(const RestRoute& route, const std::vector<std::string>& values) {
  const std::string_view parameter = route.service->instance_parameter;
  if (parameter.empty()) return fmt::format("/services/{}", route.service->name);
  const auto at = std::ranges::find(route.parameters, parameter);
  if (at == route.parameters.end()) return refuse(internal("the route does not say which instance is meant"));
  const std::string& instance = values[static_cast<std::size_t>(at - route.parameters.begin())];
  if (contracts::find_service(instance) != nullptr || instance.find('/') != std::string::npos) {
    return refuse(not_found(fmt::format("there is no {} {}", parameter, instance)));
  }
  return fmt::format("/services/{}", instance);
}

// The operation's payload out of path, query and body.
Result<xml::DocumentPtr> input_of(const RestRoute& route, const std::vector<std::string>& values,
                                  const QueryParameters& query, std::string_view body) {
  std::vector<contracts::Parameter> parameters;
  for (std::size_t i = 0; i < route.parameters.size() && i < values.size(); ++i) {
    if (route.parameters[i] != route.service->instance_parameter)
      parameters.push_back({route.parameters[i], values[i]});
  }
  for (const auto& [name, text] : query) parameters.push_back({name, text});
  return contracts::json_request(*route.operation, body, parameters);
}

Result<Conditions> conditions_of(const HttpRequest& request) {
  Conditions conditions;
  if (const auto header = request.header("If-Match"); !header.empty()) {
    TRY_ASSIGN(conditions.if_match, TagCondition::parse(header));
  }
  if (const auto header = request.header("If-None-Match"); !header.empty()) {
    TRY_ASSIGN(conditions.if_none_match, TagCondition::parse(header));
  }
  return conditions;
}

// Content negotiation; the method is one that the path has.
Checked<void> negotiate(const HttpRequest& request, const Call& call) {
  const std::string_view accept = request.header("Accept");
  if (!accepts(accept, "application/json") && !accepts(accept, "application/problem+json")) {
    return refuse(unsupported("answers are application/json: the Accept header must take it"), 406);
  }
  const bool has_body = !request.body.empty();
  if (has_body && (call.reads() || call.method == "DELETE")) {
    return refuse(invalid(fmt::format("{} takes its input from the path and the query, not from a body", call.method)));
  }
  if (has_body && !is_json(request.header("Content-Type"))) {
    return refuse(unsupported("the body must have the Content-Type application/json, in UTF-8"), 415,
                  {{"Accept", "application/json"}});
  }
  return {};
}

Checked<void> read_input(const HttpRequest& request, Call& call) {
  auto query = query_of(request.target);
  if (!query) return refuse(query.error());
  call.query = std::move(*query);
  QueryParameters own = call.query;
  if (call.route->items != nullptr) {
    auto list = take_list_query(*call.route, own);
    if (!list) return refuse(list.error());
    call.list = std::move(*list);
  }
  auto input = input_of(*call.route, call.values, own, request.body);
  if (!input) return refuse(input.error());
  call.input = std::move(*input);
  auto conditions = conditions_of(request);
  if (!conditions) return refuse(conditions.error());
  call.conditions = std::move(*conditions);
  call.preferences = preferences_of(request.header("Prefer"));
  return {};
}

// What makes a repeat a repeat: the same caller says the same.
Status set_idempotency(const HttpRequest& request, const Identity& identity, const Call& call, Message& message) {
  TRY_ASSIGN(const auto key, idempotency_key(request));
  if (!key || call.reads()) return {};
  const auto digest = [](std::string_view text) { return images::digest_of(text).substr(7); };
  message.message_id = fmt::format("urn:nuraghe:idempotency:{}",
                                   digest(fmt::format("{}\n{}\n{}", identity.vo, identity.caller(), *key)));
  message.fingerprint = digest(fmt::format("{} {}\n{}", call.method, call.path, call.input->shared_text()));
  message.is_first_try = false;
  return {};
}

// The resource's own GET, to be asked in the turn that takes the change.
Checked<void> set_precondition(const RestPlace& place, const Identity& identity, const CallPtr& call,
                               Message& message) {
  if (call->reads() || !call->conditions.any()) return {};
  const RestRoute* resource = place.resource;
  if (resource == nullptr) {
    return refuse(
        invalid(fmt::format("nothing at or above {} has an entity tag: leave out the condition", call->path)));
  }
  auto precondition = std::make_shared<exchange::Precondition>();
  Message& question = precondition->question;
  auto to = address_of(*resource, call->values);
  if (!to) return tl::unexpected<Refusal>(to.error());
  auto input = input_of(*resource, call->values, {}, {});
  if (!input) return refuse(input.error());
  question.to = std::move(*to);
  question.operation = std::string(resource->operation->name);
  question.body = std::move(*input);
  question.vo = message.vo;
  question.caller = message.caller;
  question.traceparent = message.traceparent;
  if (const Status may = may_call(identity, question.to, question.operation); !may) return refuse(may.error());
  precondition->check = [call, resource](const Result<xml::DocumentPtr>& answer) -> Status {
    std::optional<std::string> tag;
    if (!answer && answer.error().code() != ErrorCode::kNotFound) return answer.error();
    if (answer) {
      ListQuery first_page;
      TRY_ASSIGN(first_page, [&]() -> Result<ListQuery> {
        QueryParameters none;
        if (resource->items == nullptr) return ListQuery{};
        return take_list_query(*resource, none);
      }());
      TRY_ASSIGN(const Representation now, represent(*resource, first_page, {}, {}, call->told(*answer)));
      tag = now.tag;
    }
    Status may = call->conditions.allow_change(tag);
    if (!may) call->precondition_failed = true;
    return may;
  };
  message.precondition = std::move(precondition);
  return {};
}

// ---- the way of a request ----

std::string location_of_event(const Call& call, const exchange::Event& event) {
  return location_by(call.route->operation->rest_location, [&](std::string_view name) -> std::optional<std::string> {
    if (name == "cluster") return event.cluster;
    if (name == "host") return event.host;
    return std::nullopt;
  });
}

std::string resource_path(const RestPlace& place, const CallPtr& call) {
  if (place.resource == nullptr) return {};
  std::size_t next = 0;
  return location_by(place.resource->operation->rest_path,
                     [&](std::string_view) -> std::optional<std::string> { return call->values[next++]; });
}

void prepare_early(const RestDoor& door, net::HttpServer& server, const RestPlace& place, const CallPtr& call,
                   const HttpResponder& responder) {
  const contracts::OperationInfo& operation = *call->route->operation;
  if (!call->preferences.respond_async || call->reads() || operation.response == nullptr) return;
  EarlyAnswerOptions options;
  if (!operation.creates) options.location = resource_path(place, call);
  if (options.location.empty() && !door.feed) return;
  options.vo = call->vo;
  options.traceparent = call->traceparent;
  options.wait = call->preferences.wait;
  options.feed = door.feed;
  options.location_of = [call = std::weak_ptr(call)](const exchange::Event& event) {
    const auto known = call.lock();
    return known ? location_of_event(*known, event) : std::string();
  };
  // Whoever waits for the operation's own answer keeps the call.
  options.answer = [weak = std::weak_ptr(call), responder](const std::string& location) {
    responder.respond_with(
        [call = weak.lock(), location] { return call ? early_response(*call, location) : HttpResponse{}; });
  };
  call->early = std::make_shared<EarlyAnswer>(std::move(options));
  call->early->begin(server);
}

// The VO in the path of a request to the tenant service, for which it acts; empty: another one.
std::string vo_in_path(const RestRoute& route, const std::vector<std::string>& values) {
  if (route.operation->service != "tenant") return "";
  const auto found = std::find(route.parameters.begin(), route.parameters.end(), "vo");
  const auto number = static_cast<std::size_t>(found - route.parameters.begin());
  return number < values.size() ? values[number] : std::string();
}

// As whom the request acts, and whether it may.
Result<std::shared_ptr<const Identity>> acting_of(const RestDoor& door, const HttpRequest& request, const CallPtr& call,
                                                  Message& message) {
  auto identity = std::static_pointer_cast<const Identity>(request.attachment);
  message.vo = identity->vo;
  message.caller = identity->caller();
  message.traceparent = call->traceparent;
  message.origin = origin_of(*identity, "rest", request.peer);
  const auto refuse_and_tell = [&](const Error& error) {
    if (door.refused && !message.origin.empty()) door.refused(message, error);
    return error;
  };
  if (const std::string vo = vo_in_path(*call->route, call->values); !vo.empty()) {
    auto acting = acting_about(identity, vo);
    if (!acting) return refuse_and_tell(acting.error());
    identity = std::move(*acting);
    message.vo = identity->vo;
    message.caller = identity->caller();
  }
  if (const Status may = may_call(*identity, message.to, message.operation); !may) return refuse_and_tell(may.error());
  return identity;
}

Checked<Message> message_of(const RestDoor& door, const RestPlace& place, const HttpRequest& request,
                            const CallPtr& call) {
  if (auto good = negotiate(request, *call); !good) return tl::unexpected<Refusal>(good.error());
  Message message;
  auto to = address_of(*call->route, call->values);
  if (!to) return tl::unexpected<Refusal>(to.error());
  message.to = std::move(*to);
  message.operation = std::string(call->route->operation->name);
  message.message_id = env::make_uuid_urn(*door.random);
  const auto acting = acting_of(door, request, call, message);
  if (!acting) return refuse(acting.error());
  const Identity& identity = **acting;
  if (auto read = read_input(request, *call); !read) return tl::unexpected<Refusal>(read.error());
  message.body = call->input;
  message.one_way = call->route->operation->one_way;
  call->vo = message.vo;
  message.tracestate = tracestate_of(request.headers);
  message.is_first_try = true;  // nobody else has this id
  if (const Status set = set_idempotency(request, identity, *call, message); !set) return refuse(set.error());
  if (auto set = set_precondition(place, identity, call, message); !set) return tl::unexpected<Refusal>(set.error());
  return message;
}

HttpResponse options_response(const RestPlace& place) {
  HttpResponse response;
  response.status = 204;
  response.headers.push_back({"Allow", place.allow()});
  return response;
}

}  // namespace

bool is_rest_path(std::string_view path) { return RestRoutes::all().at(path).has_value(); }

HttpResponse serve_openapi(const HttpRequest& request, const OutsideTable* outside) {
  static const std::string own_tag = entity_tag(contracts::openapi_text());
  const bool is_own = outside == nullptr || outside->empty();
  std::string text = is_own ? std::string(contracts::openapi_text()) : outside->openapi(contracts::openapi_text());
  const std::string tag = is_own ? own_tag : entity_tag(text);
  HttpResponse response;
  response.headers.push_back({"ETag", tag});
  const auto condition = TagCondition::parse(request.header("If-None-Match"));
  if (condition && condition->matches_weakly(tag)) {
    response.status = 304;
    return response;
  }
  response.content_type = "application/json";
  response.body = std::move(text);
  return response;
}

HttpResponse rest_refusal(int status, const std::string& reason, const HttpRequest& head) {
  ErrorCode code = status >= 500 ? ErrorCode::kUnavailable : ErrorCode::kInvalid;
  if (status == 401) code = ErrorCode::kDenied;
  if (status == 408) code = ErrorCode::kTimeout;
  if (status == 413 || status == 431 || status == 429) code = ErrorCode::kExhausted;
  return problem_response(Error(code, reason), {head.path(), head.header("traceparent")}, status);
}

void serve_rest(const RestDoor& door, const std::shared_ptr<net::HttpServer>& server, HttpRequest request,
                const HttpResponder& responder) {
  auto place = RestRoutes::all().at(request.path());
  const auto call = std::make_shared<Call>();
  call->arrived = std::chrono::steady_clock::now();
  call->metrics = door.metrics;
  call->base = door.base;
  call->own_paths = door.own_paths;
  call->method = request.method;
  call->path = std::string(request.path());
  call->traceparent = traceparent_of(request.header("traceparent"), *door.random, !call->reads());
  if (!place) return responder.respond(refused(*call, not_found(fmt::format("nothing is served at {}", call->path))));
  if (request.method == "OPTIONS") return responder.respond(finished(*call, options_response(*place)));
  call->route = place->find(request.method);
  if (call->route == nullptr) {
    const std::string allow = place->allow();
    return responder.respond(
        refused(*call, Refusal{invalid(fmt::format("{} has {}", call->path, allow)), 405, {{"Allow", allow}}}));
  }
  call->values = std::move(place->values);
  auto message = message_of(door, *place, request, call);
  if (!message) return responder.respond(refused(*call, message.error()));
  message->is_among_many = request.is_among_many;
  request = {};  // the text is not needed while the operation takes its minutes
  prepare_early(door, *server, *place, call, responder);
  door.router->accept(std::move(*message), [call, responder](Result<Message> outcome) {
    if (call->early) call->early->end();
    auto shared = std::make_shared<Result<Message>>(std::move(outcome));
    // Encoded on the io thread: the exchange's thread is the one that all wait for.
    responder.respond_with([call, shared] { return outcome_response(*call, *shared); });
  });
}

}  // namespace nuraghe::api
