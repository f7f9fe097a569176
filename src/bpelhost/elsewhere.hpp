// Elsewhere: the actor that has two-way requests answered at another address than their sender's connection
// (WS-Addressing 1.0 Core §3.4: wsa:ReplyTo and wsa:FaultTo).
//
// A request is accepted when a row of it is committed, together with the same request under an id of its own for the
// engine. When the engine has answered, the row becomes a one-way message to where the answer is wanted, which the
// exchange delivers as it does every other: so an answer survives every crash and comes at least once, related to the
// request's id. A request that is repeated while it is worked on changes nothing; later, its answer is sent again.
//
// Threading: an actor's. The resolver is called in its turns, so it must be thread safe.
#pragma once

#include <functional>
#include <string>

#include "exchange/exchange.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::bpelhost {

// What is known of the request when its answer comes.
struct AnswerPlan {
  soap::AnswerAddress reply_to, fault_to;  // "none", or no address for a fault's: no message
  std::string action;                      // of the reply
  bool soap_12 = false;
};

class Elsewhere final : public exchange::Actor {
 public:
  // Gives an answer that goes to an address of this process the operation that takes it there.
  using Resolver = std::function<void(exchange::Message&)>;
  explicit Elsewhere(Resolver resolver) : resolver_(std::move(resolver)) {}

  // Hands the request to who is at its `to`; its message_id is what the answer relates to.
  Status take(exchange::Turn& turn, exchange::Message request, const AnswerPlan& plan);
  // Sends what answers `request_id`; nothing when nobody wants it.
  Status answer(exchange::Turn& turn, const std::string& request_id, const AnswerPlan& plan,
                const exchange::Message& reply);

  std::string_view name() const override { return "elsewhere"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_request(exchange::Turn& turn, const exchange::Message& request) override;
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  Status on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) override;
  Result<std::string> run_job(const exchange::Job& job, exchange::JobContext& context) override;

 private:
  const Resolver resolver_;
  store::Table table_{};
};

}  // namespace nuraghe::bpelhost
