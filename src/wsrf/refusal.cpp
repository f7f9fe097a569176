#include "wsrf/refusal.hpp"

namespace nuraghe::wsrf {

Refusal refusal_of(Error error) {
  switch (error.code()) {
    case ErrorCode::kNotFound:
      return {name_of(kResource, "ResourceUnknownFault"), std::move(error)};
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
    case ErrorCode::kExhausted:
      return {name_of(kResource, "ResourceUnavailableFault"), std::move(error)};
    default:
      return {name_of(exchange::kFaultNamespace, "fault"), std::move(error)};
  }
}

exchange::Fault fault_of(const Refusal& refusal, std::string_view originator, TimePoint at) {
  exchange::Fault fault = exchange::fault_of(refusal.error, originator, at, refusal.name);
  if (refusal.extra == nullptr) return fault;
  xml::Document detail = fault.detail->clone();
  detail.root().append_copy(refusal.extra->root());
  fault.detail = std::move(detail).share();
  return fault;
}

}  // namespace nuraghe::wsrf
