// Requests for services of other programs (api/outside_table.hpp): who may ask is decided here, by what the service's
// definition says; the request then goes to the program as it is, which knows this process and believes it who asks.
#pragma once

#include <memory>
#include <string_view>

#include "api/doors.hpp"
#include "api/outside_table.hpp"

namespace nuraghe::api {

// Whether somebody may call an operation of such a service by SOAP. Errors as api::may, and of OutsideTable.
Result<OutsideOperation> may_call_outside(const OutsideTable& table, const Identity& identity,
                                          const exchange::Message& request);

// Whether somebody may be told what happens at the request's address, where they subscribe (a message of
// WS-BaseNotification; any other passes): the changes of a WS-Resource's properties tell whatever the method shows that
// reads it. `table`: null when there are no services of other programs. Errors as api::may; kNotFound: a service of
// another program has no such resource.
Status may_be_told(const OutsideTable* table, const Identity& identity, const exchange::Message& request);

// Whether a path is of a REST route of such a service.
bool is_outside_path(const GatewayOptions& options, std::string_view path);
// A REST request for one.
void serve_outside(const GatewayOptions& options, HttpRequest request, const HttpResponder& responder);

}  // namespace nuraghe::api
