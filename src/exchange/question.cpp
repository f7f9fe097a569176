#include "exchange/question.hpp"

#include <fmt/format.h>

namespace nuraghe::exchange {

namespace {

Status refused() { return internal("a question wanted to change something: its operation is not read-only"); }

class Reading final : public store::Transaction {
 public:
  explicit Reading(store::Transaction& inner) : inner_(inner) {}
  Result<std::optional<std::string>> get(store::Table table, std::string_view key) override {
    return inner_.get(table, key);
  }
  Result<std::vector<store::Row>> scan(store::Table table, std::string_view prefix, std::string_view after,
                                       std::size_t limit) override {
    return inner_.scan(table, prefix, after, limit);
  }
  Status put(store::Table, std::string_view, std::string_view) override { return refused(); }
  Status erase(store::Table, std::string_view) override { return refused(); }
  Status erase_prefix(store::Table, std::string_view) override { return refused(); }
  Status mark() override { return refused(); }
  Status rollback_to_mark() override { return refused(); }
  Status commit() override { return refused(); }
  bool has_writes() const override { return false; }

 private:
  store::Transaction& inner_;
};

class Question final : public Turn {
 public:
  explicit Question(Turn& turn) : turn_(turn), reading_(turn.transaction()) {}
  store::Transaction& transaction() override { return reading_; }
  TimePoint now() const override { return turn_.now(); }
  env::Random& random() override { return turn_.random(); }
  std::int64_t newest_event() const override { return turn_.newest_event(); }
  using Turn::send;
  Status send(Message, std::string, TimePoint, Duration) override { return refused(); }
  Status forget(std::string_view) override { return refused(); }
  Status reply(std::string_view, xml::DocumentPtr body) override {
    if (!answer) answer = std::move(body);
    return {};
  }
  Status reply_fault(std::string_view, Fault fault) override {
    if (!answer) answer = error_of(fault);
    return {};
  }
  Status start_job(Job) override { return refused(); }
  Status cancel_job(std::string_view) override { return refused(); }
  Status set_timer(std::string_view, TimePoint) override { return refused(); }
  Status cancel_timer(std::string_view) override { return refused(); }
  Status publish(Event) override { return refused(); }

  std::optional<Result<xml::DocumentPtr>> answer;

 private:
  Turn& turn_;
  Reading reading_;
};

}  // namespace

Result<xml::DocumentPtr> answer_within(Turn& turn, Actor& actor, const Message& request) {
  Question question(turn);
  TRY(actor.on_request(question, request));
  if (question.answer) return std::move(*question.answer);
  return unsupported(fmt::format("{} does not answer {} at once", actor.name(), request.operation));
}

}  // namespace nuraghe::exchange
