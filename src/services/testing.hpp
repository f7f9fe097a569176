// A small world for tests of the services: actors of one exchange over a store in memory, virtual time. What an actor
// sends to an address that nobody serves stays in its outbox.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "env/sim.hpp"
#include "exchange/exchange.hpp"
#include "store/memory.hpp"

namespace nuraghe::services::testing {

class World {
 public:
  // Opens over what the disk holds: at first, and after close(). Actors serve /services/NAME.
  void open(std::vector<exchange::Actor*> actors) {
    router_ = exchange::make_router({});
    exchange::ExchangeOptions options;
    options.name = "test";
    options.clock = &clock;
    options.random = &random;
    exchange_ = exchange::make_exchange(store::open_memory(disk), *router_, options);
    for (auto* actor : actors) {
      exchange_->add_actor(*actor);
      router_->add_route("/services/" + std::string(actor->name()), "*", *exchange_, std::string(actor->name()));
    }
    const auto opened = exchange_->open();
    ASSERT_TRUE(opened) << opened.error().to_string();
    run();
  }
  void close() {
    exchange_.reset();
    router_.reset();
  }
  void run() {
    const auto next = exchange_->drain();
    ASSERT_TRUE(next) << next.error().to_string();
  }
  // Lets time pass in steps, so that timers that are set again fire again.
  void advance(Duration span, Duration step) {
    for (; span.count() > 0; span -= step) {
      clock.advance(std::min(span, step));
      run();
    }
  }
  // Runs something in a turn of the actor.
  void post(const std::string& actor, const std::function<Status(exchange::Turn&)>& work) {
    exchange_->post(actor, work, [](const Status& status) { EXPECT_TRUE(status) << status.error().to_string(); });
    run();
  }
  // Those after a sequence number, oldest first.
  void read_events(std::int64_t after, const std::function<void(const exchange::Event&)>& each) {
    exchange_->read_events(after, 10'000, [&each](const std::vector<exchange::Event>& found) {
      for (const auto& event : found) each(event);
    });
    run();
  }
  // Sends a request and, unless told otherwise, works until nothing is to be done now; its id, by which `answers` has
  // the answer, if there is one.
  std::string send(exchange::Message request, const std::string& vo = "vo1", const std::string& id = {},
                   bool runs = true) {
    request.message_id = id.empty() ? "urn:test:" + std::to_string(++sent_) : id;
    request.vo = vo;
    const auto key = request.message_id;
    router_->deliver(std::move(request), [this, key](exchange::Message reply) { answers[key] = std::move(reply); });
    if (runs) run();
    return key;
  }
  exchange::Message ask(exchange::Message request, const std::string& vo = "vo1") {
    const auto id = send(std::move(request), vo);
    EXPECT_TRUE(answers.contains(id)) << "there is no answer yet";
    return answers[id];
  }
  // "invalid" or the like of a fault; empty for an answer.
  static std::string fault_of(const exchange::Message& reply) {
    return reply.fault ? std::string(error_code_name(reply.fault->code)) : std::string();
  }
  // The keys of a table's committed rows.
  std::vector<std::string> keys(const std::string& table) const {
    std::vector<std::string> found;
    auto store = store::open_memory(disk);
    const auto opened = store->table(table);
    const auto transaction = store->begin();
    if (!opened || !transaction) return found;
    const auto rows = (*transaction)->scan(*opened, {}, {}, 1'000'000);
    for (const auto& row : rows ? *rows : std::vector<store::Row>()) found.push_back(row.key);
    return found;
  }

  // And their values.
  std::vector<std::string> values(const std::string& table) const {
    std::vector<std::string> found;
    auto store = store::open_memory(disk);
    const auto opened = store->table(table);
    const auto transaction = store->begin();
    if (!opened || !transaction) return found;
    const auto rows = (*transaction)->scan(*opened, {}, {}, 1'000'000);
    for (const auto& row : rows ? *rows : std::vector<store::Row>()) found.push_back(row.value);
    return found;
  }

  std::shared_ptr<store::MemoryDisk> disk = store::make_memory_disk();
  env::SimClock clock;
  env::SimRandom random{1};
  std::map<std::string, exchange::Message> answers;

 private:
  std::unique_ptr<exchange::Router> router_;
  std::unique_ptr<exchange::Exchange> exchange_;
  int sent_ = 0;
};

}  // namespace nuraghe::services::testing
