// Any bytes as a REST request: the first line is its target, the second a header's value, the rest its body. What is
// taken must be a payload that can be written, read and shown again; a difference is a defect and aborts, as does
// everything that the sanitizers see.
#include <cstddef>
#include <cstdint>

#include "api/conditional.hpp"
#include "api/problem.hpp"
#include "api/rest_headers.hpp"
#include "api/rest_list.hpp"
#include "api/rest_routes.hpp"
#include "base/check.hpp"
#include "contracts/json.hpp"
#include "exchange/trace.hpp"

namespace {

using namespace nuraghe;  // NOLINT: a program of its own
using namespace nuraghe::api;

std::string_view take_line(std::string_view& input) {
  const std::string_view line = input.substr(0, input.find('\n'));
  input.remove_prefix(std::min(line.size() + 1, input.size()));
  return line;
}

void check_headers(std::string_view text) {
  (void)accepts(text, "application/json");
  (void)is_json(text);
  (void)preferences_of(text);
  (void)exchange::parse_traceparent(text);
  net::HttpRequest request;
  request.headers.push_back({"Idempotency-Key", std::string(text)});
  if (const auto key = idempotency_key(request); key) CHECK(key->has_value() && !(*key)->empty());
  if (const auto condition = TagCondition::parse(text)) {
    CHECK(condition->is_any() || !condition->matches_strongly("none of these"));
  }
  const auto problem = problem_response(invalid(std::string(text)).with(std::string(text)), {text, text});
  CHECK(problem.status == 400 && problem.body.back() == '}');
}

void check_route(const RestRoute& route, const RestPlace& place, QueryParameters query, std::string_view body) {
  if (route.items != nullptr) {
    auto list = take_list_query(route, query);
    if (!list) return;
    CHECK(list->limit >= 1 && list->limit <= 10'000);
  }
  std::vector<contracts::Parameter> parameters;
  for (std::size_t i = 0; i < route.parameters.size(); ++i) {
    if (route.parameters[i] != route.service->instance_parameter) {
      parameters.push_back({route.parameters[i], place.values[i]});
    }
  }
  for (const auto& [name, text] : query) parameters.push_back({name, text});
  const auto input = contracts::json_request(*route.operation, body, parameters);
  if (!input) return;
  const auto again = xml::Document::parse((*input)->to_string());
  CHECK(again.has_value());
  CHECK(xml::equivalent((*input)->root(), again->root()));
  CHECK(contracts::json_of(*route.operation->request, again->root()).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view body(reinterpret_cast<const char*>(data), size);
  const std::string_view target = take_line(body);
  check_headers(take_line(body));
  const auto query = query_of(target);
  const auto place = RestRoutes::all().at(target.substr(0, target.find('?')));
  if (!place || !query) return 0;
  CHECK(!place->allow().empty());
  for (const auto& [verb, route] : place->verbs) check_route(*route, *place, *query, body);
  return 0;
}
