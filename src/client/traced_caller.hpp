// TracedCaller: gives every request of a program the same W3C traceparent. It travels through every hop, and the first
// event of what a request makes carries it (docs/doors.md): so the program finds its own among all events.
// Threading: as the caller that it uses.
#pragma once

#include <string>

#include "contracts/caller.hpp"

namespace nuraghe::client {

class TracedCaller : public contracts::Caller {
 public:
  // `caller` must outlive this.
  explicit TracedCaller(contracts::Caller& caller);
  // Trace Context §3.2: 00-TRACE-PARENT-01, random.
  const std::string& traceparent() const { return traceparent_; }
  Result<exchange::Message> call(exchange::Message request, Duration timeout) override;

 private:
  contracts::Caller* caller_;
  std::string traceparent_;
};

}  // namespace nuraghe::client
