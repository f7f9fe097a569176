// The REST door: HTTP and JSON for every operation that has a route, by the table of all operations alone
// (contracts/operation.hpp). docs/rest.md tells clients what holds for all of them.
//
// A request becomes the same message as its SOAP form and is asked the same questions of access (api/access.hpp).
// Threading: as the gateway: called on io threads, answers are made on io threads.
#pragma once

#include <memory>
#include <string_view>

#include "api/doors.hpp"
#include "api/outside_table.hpp"
#include "api/request_metrics.hpp"
#include "api/rest_routes.hpp"

namespace nuraghe::api {

struct RestDoor {
  exchange::Router* router = nullptr;
  env::Random* random = nullptr;
  std::shared_ptr<RequestMetrics> metrics;
  std::shared_ptr<EventFeed> feed;  // tells what a request that is answered early will make; may be null
  // Told of requests that are refused because of who sent them; may be empty.
  std::function<void(const exchange::Message& request, const Error& error)> refused{};
  // With what addresses of this process are told (soap/addresses.hpp); empty: as they are.
  std::string base{};
  soap::SharedPathOf own_paths{};
};

// Whether an operation has a route at the path.
bool is_rest_path(std::string_view path);
void serve_rest(const RestDoor& door, const std::shared_ptr<net::HttpServer>& server, HttpRequest request,
                const HttpResponder& responder);
// GET /openapi.json: the document of all routes; `outside` may be null.
HttpResponse serve_openapi(const HttpRequest& request, const OutsideTable* outside);
// The answer to a request that the server itself refuses.
HttpResponse rest_refusal(int status, const std::string& reason, const HttpRequest& head);

}  // namespace nuraghe::api
