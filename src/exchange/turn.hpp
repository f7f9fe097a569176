// ActorTurn: one actor's turn within a batch. Writes rows and stages effects; the batch commits and releases them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "exchange/state.hpp"

namespace nuraghe::exchange {

class ActorTurn : public Turn {
 public:
  // `request`: the id of the request that the turn handles; empty for other events. The views outlive the turn.
  ActorTurn(State& state, Batch& batch, std::string_view actor, std::string_view request = {});
  ActorTurn(const ActorTurn&) = delete;
  ActorTurn& operator=(const ActorTurn&) = delete;
  // Sets the transaction's mark; first of all.
  Status begin() { return batch_.transaction->mark(); }
  // What the turn does is part of this piece of work, which outlives it; null: of none.
  void set_span(const OpenSpan* span) { span_ = span; }

  store::Transaction& transaction() override { return guarded_; }
  TimePoint now() const override { return now_; }
  std::int64_t newest_event() const override { return state_.last_sequence + batch_.published; }
  env::Random& random() override { return *state_.random; }
  using Turn::send;
  Status send(Message request, std::string token, TimePoint deadline, Duration patience) override;
  Status forget(std::string_view message_id) override;
  Status reply(std::string_view request_id, xml::DocumentPtr body) override;
  Status reply_fault(std::string_view request_id, Fault fault) override;
  Status reply_once(std::string_view request_id, xml::DocumentPtr body, xml::DocumentPtr kept) override;
  Status start_job(Job job) override;
  Status cancel_job(std::string_view key) override;
  Status set_timer(std::string_view key, TimePoint due) override;
  Status cancel_timer(std::string_view key) override;
  Status publish(Event event) override;

  // Undoes every change and effect of the turn.
  Status undo();
  // The row of the request that the turn handled: the first answer, pending, or none when nothing was written.
  Status write_request_row(bool one_way);
  // The answer to the request that the turn handled; null: it comes later.
  const Message* own_answer() const;
  // The same as it is kept and may be written down; none: the request is not answered yet.
  std::optional<Message> kept_answer() const;
  // True: all that the turn did was to answer its request, and what its actor knows is committed.
  bool is_clean_answer() const;

 private:
  // The actor's view of the transaction: notes writes, refuses what is the batch's business.
  class GuardedTransaction : public store::Transaction {
   public:
    GuardedTransaction(store::Transaction& transaction, ActorTurn& turn) : inner_(transaction), turn_(turn) {}
    Result<std::optional<std::string>> get(store::Table table, std::string_view key) override;
    Status put(store::Table table, std::string_view key, std::string_view value) override;
    Status insert(store::Table table, std::string_view key, std::string_view value) override;
    Status erase(store::Table table, std::string_view key) override;
    Status erase_prefix(store::Table table, std::string_view prefix) override;
    Result<std::vector<store::Row>> scan(store::Table table, std::string_view prefix, std::string_view after,
                                         std::size_t limit) override;
    Status mark() override;
    Status rollback_to_mark() override;
    Status commit() override;
    bool has_writes() const override { return turn_.wrote_; }

   private:
    store::Transaction& inner_;
    ActorTurn& turn_;
  };

  store::Transaction& rows() { return *batch_.transaction; }
  void note_write();
  Status answer(std::string_view request_id, xml::DocumentPtr body, std::optional<Fault> fault);
  // Who may still be answered: nullopt when nobody asked or the first answer stands.
  Result<std::optional<RequestContext>> unanswered(std::string_view request_id);
  Status write_answer_row(std::string_view request_id, const RequestContext& context, const Message& reply);
  Status write_inbox_row(std::string_view request_id, const RequestContext& context, std::string reply);
  Status erase_timer(std::string_view owned);

  State& state_;
  Batch& batch_;
  const std::string_view actor_;
  const std::string_view request_;
  const TimePoint now_;
  bool wrote_ = false;
  GuardedTransaction guarded_;
  std::optional<std::size_t> own_answer_;  // the effect that answers request_
  xml::DocumentPtr kept_answer_;           // what is stored instead of it; null: itself
  const OpenSpan* span_ = nullptr;
  const std::size_t effects_before_, answered_before_, spans_before_;
  const std::int64_t published_before_, jobs_before_;
};

}  // namespace nuraghe::exchange
