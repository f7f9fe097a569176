// How a request that comes in by HTTP gets its trace context: headers in, what exchange/trace.hpp reads and writes out
// (docs/traces.md).
#pragma once

#include <string>
#include <string_view>

#include "env/env.hpp"
#include "exchange/message.hpp"
#include "net/http.hpp"

namespace nuraghe::api {

// What a request goes on with: its own when that can be used, else a new trace (§4.3: a broken header is as none), of
// which spans are kept when it is sampled.
std::string traceparent_of(std::string_view header, env::Random& random, bool is_sampled = true);
// What goes with it: several headers of the name are one list (§3.3.1.2). Empty when the traceparent cannot be used.
std::string tracestate_of(const net::HttpHeaders& headers);

// For a message that came in an envelope: takes the headers over, unless it has a traceparent of its own. One that
// cannot be used is replaced. Without any a request begins a trace if it changes something, so that it can be followed;
// `to` and `operation` must be set.
void set_trace(exchange::Message& message, const net::HttpHeaders& headers, env::Random& random);

}  // namespace nuraghe::api
