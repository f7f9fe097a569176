// Refusal: a fault of the WSRF specifications on its way to whoever asked.
#pragma once

#include <tl/expected.hpp>

#include "exchange/fault.hpp"
#include "wsrf/names.hpp"

namespace nuraghe::wsrf {

struct Refusal {
  xml::QName name;  // of the fault's element, whose type extends wsrf-bf:BaseFaultType
  Error error;
  xml::DocumentPtr extra{};  // what that type has besides: a ResourcePropertyChangeFailure; null: nothing
};
template <class T>
using Answer = tl::expected<T, Refusal>;

inline tl::unexpected<Refusal> refuse(std::string_view ns, std::string_view fault, Error error) {
  return tl::unexpected(Refusal{name_of(ns, fault), std::move(error)});
}
// The faults that every operation on a resource may answer (WS-Resource 1.2 §4): it is not there, or its service does
// not answer now; any other error is a fault of Nuraghe's own.
Refusal refusal_of(Error error);

exchange::Fault fault_of(const Refusal& refusal, std::string_view originator, TimePoint at);

}  // namespace nuraghe::wsrf
