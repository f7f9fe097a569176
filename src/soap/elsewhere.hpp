// Elsewhere: the actor that has two-way requests answered at another address than their sender's connection
// (WS-Addressing 1.0 Core §3.4: wsa:ReplyTo and wsa:FaultTo).
//
// A request is accepted when a row of it is committed, together with the same request under an id of its own for the
// engine. When the engine has answered, the row becomes a one-way message to where the answer is wanted, which the
// exchange delivers as it does every other: so an answer survives every crash and comes at least once, related to the
// request's id. A request that is repeated while it is worked on changes nothing; later, its answer is sent again. Such
// an answer carries no token and nothing of who asked (SoapTransport).
//
// Threading: an actor's. The resolver is called in its turns, so it must be thread safe.
#pragma once

#include <functional>
#include <string>

#include "exchange/exchange.hpp"
#include "soap/addresses.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::soap {

// What is known of the request when its answer comes.
struct AnswerPlan {
  AnswerAddress reply_to, fault_to;  // "none", or no address for a fault's: no message
  std::string action;                // of the reply
  bool soap_12 = false;
  bool addressing_2004 = false;
  std::string base = {};  // with which addresses of this process are told; empty: as they are
};

class Elsewhere final : public exchange::Actor {
 public:
  // Gives an answer that goes to an address of this process the operation that takes it there.
  using Resolver = std::function<void(exchange::Message&)>;
  // `table` holds its rows. Without a resolver answers go to other processes only. `own_paths`: which addresses are
  // this process's.
  explicit Elsewhere(std::string table, Resolver resolver = {}, SharedPathOf own_paths = {})
      : table_name_(std::move(table)), resolver_(std::move(resolver)), own_paths_(std::move(own_paths)) {}

  // Hands the request to who is at its `to`; its message_id is what the answer relates to. kInternal when it has a
  // precondition: that is checked before.
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
  const std::string table_name_;
  const Resolver resolver_;
  const SharedPathOf own_paths_;
  store::Table table_{};
};

// An Elsewhere from other threads. Nothing is owned. Thread safe.
class AnswersElsewhere {
 public:
  AnswersElsewhere(exchange::Exchange& exchange, Elsewhere& actor) : exchange_(exchange), actor_(actor) {}
  virtual ~AnswersElsewhere() = default;
  // `done` comes when it is committed that the request is taken, or with the reason why not.
  virtual void take(exchange::Message request, AnswerPlan plan, std::function<void(Status)> done);
  // `done` comes when it is committed that the reply is sent.
  void answer(std::string request_id, AnswerPlan plan, exchange::Message reply, std::function<void(Status)> done);

 private:
  exchange::Exchange& exchange_;
  Elsewhere& actor_;
};

}  // namespace nuraghe::soap
