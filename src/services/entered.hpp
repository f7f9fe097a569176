// How a process of the site came in that speaks for itself (a controller, the program of a service).
#pragma once

#include "exchange/message.hpp"

namespace nuraghe::services {

// By a certificate of the site: not by the site's token, which counts without TLS alone (api/entrance.hpp). False for
// what this process itself asks.
inline bool came_by_certificate(const exchange::Message& request) { return request.reached_at.starts_with("https://"); }

}  // namespace nuraghe::services
