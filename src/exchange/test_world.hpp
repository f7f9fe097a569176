// For the tests of this room: an actor made of functions, and a world of exchanges in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "env/sim.hpp"
#include "exchange/exchange.hpp"
#include "store/memory.hpp"

namespace nuraghe::exchange::testing {

// Each function may be left out.
struct FunctionActor : Actor {
  explicit FunctionActor(std::string name) : name_(std::move(name)) {}
  std::function<Status(Turn&)> start = [](Turn&) { return Status(); };
  std::function<Status(Turn&, const Message&)> request = [](Turn&, const Message&) { return Status(); };
  std::function<Status(Turn&, const Message&, std::string_view)> reply = [](Turn&, const Message&, std::string_view) {
    return Status();
  };
  std::function<Status(Turn&, std::string_view)> timer = [](Turn&, std::string_view) { return Status(); };
  std::function<Status(Turn&, const Job&, const Result<std::string>&)> job =
      [](Turn&, const Job&, const Result<std::string>&) { return Status(); };
  std::function<Result<std::string>(const Job&, JobContext&)> work = [](const Job& todo, JobContext&) {
    return Result<std::string>("done " + todo.payload);
  };
  std::vector<std::string> table_names = {"rows"};
  std::vector<store::Table> tables;
  int rollbacks = 0;

  std::string_view name() const override { return name_; }
  Status open(store::Store& store) override {
    tables.clear();
    for (const auto& table : table_names) {
      TRY_ASSIGN(const store::Table opened, store.table(table));
      tables.push_back(opened);
    }
    return {};
  }
  Status on_start(Turn& turn) override { return start(turn); }
  Status on_request(Turn& turn, const Message& message) override { return request(turn, message); }
  Status on_reply(Turn& turn, const Message& message, std::string_view token) override {
    return reply(turn, message, token);
  }
  Status on_timer(Turn& turn, std::string_view key) override { return timer(turn, key); }
  Status on_job(Turn& turn, const Job& finished, const Result<std::string>& result) override {
    return job(turn, finished, result);
  }
  Result<std::string> run_job(const Job& todo, JobContext& context) override { return work(todo, context); }
  void on_rollback() override { ++rollbacks; }

  // ---- shorthands for turns ----
  std::string get(Turn& turn, std::string_view key) const {
    return turn.transaction().get(tables[0], key).value().value_or("");
  }
  Status put(Turn& turn, std::string_view key, std::string_view value) const {
    return turn.transaction().put(tables[0], key, value);
  }
  std::int64_t add(Turn& turn, std::string_view key, std::int64_t amount = 1) const {
    const std::string before = get(turn, key);
    const std::int64_t sum = (before.empty() ? 0 : std::stoll(before)) + amount;
    EXPECT_TRUE(put(turn, key, std::to_string(sum)));
    return sum;
  }

 private:
  std::string name_;
};

inline xml::DocumentPtr body_of(const std::string& text) {
  xml::Document document = xml::Document::create({"urn:test", "body"});
  document.root().set_text(text);
  return std::move(document).share();
}

inline Message request_to(const std::string& to, const std::string& operation, const std::string& id,
                          const std::string& text = "x") {
  Message message;
  message.message_id = id;
  message.to = to;
  message.operation = operation;
  message.body = body_of(text);
  return message;
}

inline std::string text_of(const Message& message) {
  if (message.fault) return "fault: " + message.fault->reason;
  return message.body ? message.body->root().text() : "(empty)";
}

// One process: a router, a clock, exchanges over disks that outlive it.
struct World {
  env::SimClock clock;
  env::SimRandom random{1};
  std::unique_ptr<Router> router = make_router({});
  std::map<std::string, std::shared_ptr<store::MemoryDisk>> disks;
  std::vector<std::unique_ptr<Exchange>> exchanges;

  ExchangeOptions options(const std::string& name) {
    ExchangeOptions options;
    options.name = name;
    options.clock = &clock;
    options.random = &random;
    return options;
  }
  std::shared_ptr<store::MemoryDisk> disk(const std::string& name) {
    auto& disk = disks[name];
    if (!disk) disk = store::make_memory_disk();
    return disk;
  }
  Exchange& add(ExchangeOptions options, const std::vector<Actor*>& actors) {
    const std::string name = options.name;
    exchanges.push_back(make_exchange(store::open_memory(disk(name)), *router, std::move(options)));
    Exchange& exchange = *exchanges.back();
    for (Actor* actor : actors) {
      exchange.add_actor(*actor);
      router->add_route("/services/" + std::string(actor->name()), "*", exchange, std::string(actor->name()));
    }
    const Status opened = exchange.open();
    EXPECT_TRUE(opened);
    return exchange;
  }
  Exchange& add(const std::string& name, const std::vector<Actor*>& actors) { return add(options(name), actors); }
  // Ends the process in an orderly way; add() again to restart it.
  void restart() {
    exchanges.clear();
    router = make_router({});
  }
  std::optional<TimePoint> drain() {
    std::vector<Exchange*> all;
    for (auto& exchange : exchanges) all.push_back(exchange.get());
    auto drained = drain_all(all);
    EXPECT_TRUE(drained) << drained.error().to_string();
    return drained.value_or(std::nullopt);
  }
  // Drains and lets the time pass until no timer is left.
  void run() {
    while (const auto next = drain()) clock.set(std::max(*next, clock.now()));
  }
  // The rows of a table of a disk.
  std::vector<store::Row> rows(const std::string& name, const std::string& table) {
    auto store = store::open_memory(disk(name));
    const store::Table opened = store->table(table).value();
    return store->begin().value()->scan(opened, "", "", 1'000'000).value();
  }
  // Rows of unfinished business: requests, jobs, timers.
  std::string leftovers(const std::string& name) {
    std::string text;
    for (const char* table : {"exchange_outbox", "exchange_jobs", "exchange_timers", "exchange_timer_index"}) {
      for (const auto& row : rows(name, table)) text += std::string(table) + ":" + row.key + " ";
    }
    return text;
  }
};

}  // namespace nuraghe::exchange::testing
