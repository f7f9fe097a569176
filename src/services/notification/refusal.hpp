// Why a request of WS-BaseNotification is refused: the fault that the standard declares for it, or an Error of Nuraghe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "exchange/message.hpp"
#include "xml/xml.hpp"

namespace nuraghe::services::notification {

struct Refusal {
  Refusal(Error cause) : error(std::move(cause)) {}  // NOLINT: implicit by design
  Refusal(std::string_view declared, Error cause) : fault(declared), error(std::move(cause)) {}

  std::string fault;  // the local name, such as "InvalidFilterFault"; empty: no declared one
  Error error;        // its sentence and code
  // What the fault's own type adds to the base fault.
  std::string list;               // "UnknownFilter", "UnrecognizedPolicy"
  std::vector<xml::QName> names;  // of the list
  std::optional<TimePoint> minimum, maximum;
};

// The answer to a request, or its refusal.
template <class T>
class [[nodiscard]] Answer : public tl::expected<T, Refusal> {
 public:
  using tl::expected<T, Refusal>::expected;
  Answer(Refusal refusal) : tl::expected<T, Refusal>(tl::unexpect, std::move(refusal)) {}     // NOLINT: implicit
  Answer(Error error) : tl::expected<T, Refusal>(tl::unexpect, Refusal(std::move(error))) {}  // NOLINT: implicit
};

// A refusal with a declared fault, of an input that is wrong.
Refusal refuse(std::string_view fault, std::string reason);

// The SOAP fault: its detail is the declared fault, which extends the base fault of WS-BaseFaults 1.2 §2. `originator`:
// the address that answers.
exchange::Fault fault_of(const Refusal& refusal, TimePoint now, std::string_view originator);

}  // namespace nuraghe::services::notification
