// RecordedCalls: the audit of what comes in from outside and is not answered by the control exchange, which records its
// own requests in their transactions: orders to controllers and calls of other programs' services, whose
// databases are others; consoles; refusals at the doors. An order is handed on when it stands in the log; its outcome
// follows.
//
// Thread safe. The exchange and the service outlive it, and all that calls it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/strangers.hpp"
#include "api/tokens.hpp"
#include "env/posix.hpp"
#include "exchange/exchange.hpp"
#include "services/tenant/tenant.hpp"
#include "soap/elsewhere.hpp"

namespace nuraghe::daemon {

class RecordedCalls {
 public:
  // Recorded here are requests whose service `is_control` does not know, unless they are read-only ones of a controller
  // or `reads` says that they change nothing.
  RecordedCalls(exchange::Exchange& control, services::tenant::Service& tenant,
                std::function<bool(const std::string& service)> is_control,
                std::function<std::optional<bool>(const exchange::Message&)> reads)
      : control_(control), tenant_(tenant), is_control_(std::move(is_control)), reads_(std::move(reads)) {}
  // A request that a door refused. So many wait at most; beyond that the daemon's log has it.
  void refused(const exchange::Message& request, const Error& error);
  // Somebody whom nobody knows was at a door; may be called from any thread, must not block.
  void stranger(api::Stranger stranger) { strangers_.note(std::move(stranger), env::system_clock().now()); }
  // Writes down what is to be told of them: once a second; `all`: at the end.
  void write_strangers(bool all = false);
  // Somebody opens the live console of a host.
  void console(const std::string& controller, const std::string& host, const api::Identity& caller);
  // A request that goes another way than a router's: `work` is called when it stands in the log, or with the error for
  // which it does not; it says by `finish`, once, what it came to.
  void around(const exchange::Message& request,
              std::function<void(const Status& written, std::function<void(const Status& outcome)> finish)> work);
  // A router that takes requests in as `inner` does (which outlives it), and records those that are recorded here.
  std::unique_ptr<exchange::Router> make_router(exchange::Router& inner);
  // As above, of requests whose answers go elsewhere.
  std::unique_ptr<soap::AnswersElsewhere> make_answers(soap::Elsewhere& actor);
  // What came of such a request.
  void ended(const exchange::Message& request, const Result<exchange::Message>& outcome);

 private:
  class Recording;
  class Answers;
  bool is_recorded_here(const exchange::Message& request) const;
  void write(contracts::tenant::AuditRecord record, std::function<void(const Status&)> done);
  exchange::Exchange& control_;
  services::tenant::Service& tenant_;
  const std::function<bool(const std::string&)> is_control_;
  const std::function<std::optional<bool>(const exchange::Message&)> reads_;
  std::atomic<int> waiting_{0};
  api::Strangers strangers_;
};

}  // namespace nuraghe::daemon
