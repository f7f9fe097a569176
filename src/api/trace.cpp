#include "api/trace.hpp"

#include "contracts/operation.hpp"
#include "exchange/trace.hpp"

namespace nuraghe::api {
namespace {

bool changes_something(const exchange::Message& message) {
  const auto* known = contracts::operation_at(message.to, message.operation);
  // What controllers and workflows tell of their own accord is of no request.
  return known != nullptr && !known->read_only && known->access != contracts::Access::kController &&
         known->access != contracts::Access::kInternal;
}

}  // namespace

std::string traceparent_of(std::string_view header, env::Random& random, bool is_sampled) {
  auto parent = exchange::parse_traceparent(header);
  if (!parent) {
    parent = exchange::begin_trace(random);
    parent->is_sampled = is_sampled;
  }
  return exchange::to_string(*parent);
}

std::string tracestate_of(const net::HttpHeaders& headers) {
  if (!exchange::parse_traceparent(net::find_header(headers, "traceparent"))) return {};
  std::string joined;
  for (const auto& header : headers) {
    if (!net::equal_without_case(header.name, "tracestate") || header.value.empty()) continue;
    joined += (joined.empty() ? "" : ",") + header.value;
  }
  return std::string(exchange::checked_tracestate(joined));
}

void set_trace(exchange::Message& message, const net::HttpHeaders& headers, env::Random& random) {
  if (message.traceparent.empty()) message.traceparent = net::find_header(headers, "traceparent");
  message.tracestate = tracestate_of(headers);
  if (!message.traceparent.empty() || changes_something(message))
    message.traceparent = traceparent_of(message.traceparent, random);
}

}  // namespace nuraghe::api
