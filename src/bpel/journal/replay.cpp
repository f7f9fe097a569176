// Replay: the history once more, on a store in memory, with a turn whose effects go nowhere.
#include <fmt/format.h>

#include "bpel/journal/history.hpp"
#include "store/memory.hpp"

namespace nuraghe::bpel::journal {
namespace {

// A step is deterministic: who draws a number here has a defect, and always gets the same one.
class NoRandom : public env::Random {
 public:
  void fill(std::span<std::uint8_t> out) override { std::fill(out.begin(), out.end(), std::uint8_t{0}); }
};

class ReplayTurn : public exchange::Turn {
 public:
  explicit ReplayTurn(store::Transaction& transaction) : transaction_(transaction) {}
  void set_now(TimePoint now) { now_ = now; }
  store::Transaction& transaction() override { return transaction_; }
  TimePoint now() const override { return now_; }
  std::int64_t newest_event() const override { return 0; }
  env::Random& random() override { return random_; }
  Status send(exchange::Message, std::string, TimePoint, Duration) override { return {}; }
  Status forget(std::string_view) override { return {}; }
  Status reply(std::string_view, xml::DocumentPtr) override { return {}; }
  Status reply_fault(std::string_view, exchange::Fault) override { return {}; }
  Status start_job(exchange::Job) override { return {}; }
  Status cancel_job(std::string_view) override { return {}; }
  Status set_timer(std::string_view, TimePoint) override { return {}; }
  Status cancel_timer(std::string_view) override { return {}; }
  Status publish(exchange::Event) override { return {}; }

 private:
  store::Transaction& transaction_;
  TimePoint now_;
  NoRandom random_;
};

}  // namespace

Result<Replay> replay(const std::vector<HistoryRow>& history, const std::string& id, const runtime::Program& program,
                      const runtime::Limits& limits, const std::string& own_base,
                      const std::function<void(const runtime::Progress&)>& observer,
                      const std::function<bool()>& goes_on) {
  auto store = store::open_memory(store::make_memory_disk());
  TRY_ASSIGN(const auto tables, runtime::Tables::open_all(*store));
  TRY_ASSIGN(auto transaction, store->begin());
  ReplayTurn turn(*transaction);
  runtime::Instance instance;
  Replay result;
  for (const auto& row : history) {
    if (row.version > kHistoryVersion) {
      return unsupported(fmt::format("the history has format {}, this engine knows {}", row.version, kHistoryVersion));
    }
    if (goes_on && !goes_on()) return Error(ErrorCode::kCancelled, "the replay was ended");
    turn.set_now(row.now);
    if (row.event.kind == EventKind::kCreate) {
      TRY_ASSIGN(instance.header, header_for(row.event, program, id, row.now));
    }
    runtime::Machine machine({tables, program, instance, turn, limits, own_base, observer});
    auto status = apply_event(machine, id, row.event);
    ++instance.header.next_history;
    machine.flush();
    if (status && machine.error()) status = *machine.error();
    ++result.steps;
    if (status && machine.digest() == row.digest) continue;
    result.same = false;
    result.different = result.steps;
    result.explanation =
        fmt::format("step {} ({} at {}) {}", result.steps, event_kind_name(row.event.kind), row.now.to_string(),
                    status ? "did something else than it did then" : "failed: " + status.error().to_string());
    break;
  }
  return result;
}

}  // namespace nuraghe::bpel::journal
