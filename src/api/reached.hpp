// By which addresses a client reaches this process. Pure.
//
// The site's public URL, where there is one. Else what the client itself used: scheme and address of the listener that
// it came to, by the name in its Host header (RFC 9110 §7.2). That name is the client's word: it is told to that client
// in that answer and to nobody else, and never kept.
#pragma once

#include <string>

#include "api/gateway.hpp"

namespace nuraghe::api {

// The base of addresses in the answer to a request: "https://site.example:8470".
std::string base_for(const GatewayOptions& options, const net::HttpRequest& request);
// The base of addresses that are told later, of what the request begins: the public URL, else the listener's address,
// whatever the client calls it.
std::string lasting_base(const GatewayOptions& options, const net::HttpRequest& request);

}  // namespace nuraghe::api
