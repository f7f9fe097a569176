// ServiceActor: what the generated skeletons of all services have in common. A service implements name(), open() and
// one function per operation; the rest has defaults for a service without jobs, timers and requests of its own.
//
// Threading: as exchange::Actor.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "exchange/exchange.hpp"

namespace nuraghe::contracts {

class ServiceActor : public exchange::Actor {
 public:
  explicit ServiceActor(std::string originator) : originator_(std::move(originator)) {}
  // How the service names itself in its faults.
  const std::string& originator() const { return originator_; }

  Status on_start(exchange::Turn& turn) override;
  // A reply, timer or job that the service never asked for: kInternal.
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  Status on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) override;
  Result<std::string> run_job(const exchange::Job& job, exchange::JobContext& context) override;

 protected:
  // Answers a request by a fault, in the same or a later turn, and keeps what the turn changed (returning the error
  // from the operation's function undoes it).
  Status fail(exchange::Turn& turn, std::string_view request_id, const Error& error) const;

 private:
  std::string originator_;
};

}  // namespace nuraghe::contracts
