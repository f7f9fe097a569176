// Herald: tells the registry of nuraghed what the program of a service publishes, so that it is told behind nuraghed's
// doors: at /events, and to who subscribed to the service's topics (docs/services.md).
//
// Events are told in their order, each until the registry has it: a cursor is a row, the registry knows what it has by
// the sequence. Table: registry_herald "told" → CursorRow. Threading: as exchange::Actor.
#pragma once

#include <atomic>
#include <set>
#include <string>

#include "contracts/registry.hpp"
#include "services/registry/registrant.hpp"
#include "services/rows.hpp"

namespace nuraghe::services::registry {

namespace api = contracts::registry;

struct CursorRow {
  std::int64_t sequence = 0;  // of the last event that was told or is nobody's to know
  template <class V>
  void fields(V& v) {
    v(1, sequence);
  }
};

struct HeraldOptions {
  std::string registry;                       // address of nuraghed's
  std::string service;                        // whose events these are
  std::set<std::string> topics;               // the kinds that are told: those of its definition
  Duration retry = std::chrono::seconds(10);  // after nuraghed did not take them
};

class Herald final : public exchange::Actor {
 public:
  explicit Herald(HeraldOptions options) : options_(std::move(options)) {}
  std::string_view name() const override { return "herald"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override { return pump(turn); }
  Status on_request(exchange::Turn& turn, const exchange::Message& request) override;
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  Status on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) override;
  Result<std::string> run_job(const exchange::Job& job, exchange::JobContext& context) override;
  void on_rollback() override { is_telling_ = false; }

  // Tells what is new, unless the last is still on its way. Within a turn of this actor.
  Status pump(exchange::Turn& turn);
  // Whether an event just published needs a pump(): true once until that ran. Thread safe.
  bool note_published() { return !pump_is_due_.exchange(true); }

 private:
  Status have_told(exchange::Turn& turn, std::int64_t last);

  const HeraldOptions options_;
  RowTable<CursorRow> cursor_;
  RowTable<ProgramRow> programs_;
  store::Table events_;
  bool is_telling_ = false;
  // Up to this sequence one event is told at a time, for nuraghed refused a page that ends there.
  std::int64_t alone_until_ = 0;
  std::atomic<bool> pump_is_due_ = false;
};

// Has the exchange's events told as they are published. Both outlive the exchange's threads.
void follow_events(exchange::Exchange& exchange, Herald& herald);

}  // namespace nuraghe::services::registry
