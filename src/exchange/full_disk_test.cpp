// What becomes of what was committed ahead when the disk refuses it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "base/log.hpp"
#include "env/posix.hpp"
#include "exchange/test_world.hpp"
#include "store/sqlite.hpp"

namespace nuraghe::exchange::testing {
namespace {

constexpr Duration kPatience = std::chrono::seconds(60);

// Keeps a row of the request's size, counts them, and tells of it.
struct Keeper : FunctionActor {
  Keeper() : FunctionActor("keeper") {
    request = [this](Turn& turn, const Message& message) -> Status {
      if (message.operation == "erase") {
        TRY(turn.transaction().erase_prefix(tables[0], "row"));
        TRY(put(turn, "count", "0"));
        return turn.reply(message.message_id, body_of("erased"));
      }
      TRY(put(turn, "row" + message.message_id, std::string(6000, 'x')));
      add(turn, "count");
      TRY(turn.publish({.kind = "kept", .text = message.message_id}));
      return turn.reply(message.message_id, body_of("kept"));
    };
  }
};

struct Place {
  std::string folder = ::testing::TempDir() + "full-XXXXXX";
  Place() { EXPECT_NE(::mkdtemp(folder.data()), nullptr); }
  ~Place() { EXPECT_TRUE(env::remove_tree(folder)); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  std::unique_ptr<store::Store> open(std::int64_t pages) const {
    store::SqliteOptions options;
    options.max_pages = pages;
    return store::open_sqlite(folder + "/a.db", options).value();
  }
};

struct Running {
  std::unique_ptr<Router> router = make_router({});
  Keeper keeper;
  std::unique_ptr<Exchange> exchange;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::string> answers;

  Running(std::unique_ptr<store::Store> store, bool late_syncs) {
    ExchangeOptions options;
    options.name = "one";
    options.clock = &env::system_clock();
    options.random = &env::system_random();
    options.late_syncs = late_syncs;
    options.batch_limit = 32;
    exchange = make_exchange(std::move(store), *router, options);
    exchange->add_actor(keeper);
    EXPECT_TRUE(exchange->open());
  }
  void ask(const std::string& operation, const std::string& id) {
    exchange->submit("keeper", request_to("/services/keeper", operation, id), [this, id](const Message& reply) {
      const std::lock_guard lock(mutex);
      answers[id] = text_of(reply);
      changed.notify_one();
    });
  }
  void await(std::size_t count) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, kPatience, [&] { return answers.size() >= count; })) << answers.size();
  }
};

struct FullDisk : ::testing::TestWithParam<bool> {};

TEST_P(FullDisk, WhatIsAnsweredIsKeptAndWhatIsRefusedIsNot) {
  const bool late = GetParam();
  set_log_level(LogLevel::kError);
  constexpr std::size_t kMany = 400;
  constexpr std::int64_t kPages = 250;  // about 160 rows
  const Place place;
  std::size_t kept = 0;
  std::map<std::string, std::string> answers;
  {
    Running running(place.open(kPages), late);
    for (std::size_t i = 0; i < kMany; ++i) running.ask("keep", fmt::format("urn:{:03}", i));
    if (late) {
      ASSERT_TRUE(running.exchange->drain());
    } else {
      running.exchange->start();
    }
    running.await(kMany);
    answers = running.answers;
    for (const auto& [id, answer] : answers) {
      EXPECT_TRUE(answer == "kept" || answer.starts_with("fault: ")) << answer;
      kept += answer == "kept" ? 1 : 0;
    }
    EXPECT_GT(kept, 30U);
    EXPECT_LT(kept, 250U);
    EXPECT_FALSE(running.exchange->failed());
    // Events have no gap: those of undone turns are not counted.
    EXPECT_EQ(running.exchange->statistics().newest_event, static_cast<std::int64_t>(kept));
    // Room is made on the full disk, and it goes on.
    running.ask("erase", "urn:erase");
    if (late) {
      ASSERT_TRUE(running.exchange->drain());
    }
    running.await(kMany + 1);
    EXPECT_EQ(running.answers.at("urn:erase"), "erased");
    running.ask("keep", "urn:again");
    if (late) {
      ASSERT_TRUE(running.exchange->drain());
    }
    running.await(kMany + 2);
    EXPECT_EQ(running.answers.at("urn:again"), "kept");
  }
  // Who asks again gets the first answer; who was refused is a new one.
  Running again(place.open(0), true);
  for (const auto& [id, answer] : answers) again.ask("keep", id);
  ASSERT_TRUE(again.exchange->drain());
  std::int64_t count = 0;
  again.exchange->post("keeper",
                       [&](Turn& turn) -> Status {
                         count = std::stoll(again.keeper.get(turn, "count"));
                         return {};
                       },
                       {});
  ASSERT_TRUE(again.exchange->drain());
  EXPECT_EQ(count, static_cast<std::int64_t>(1 + kMany - kept));
  for (const auto& [id, answer] : again.answers) EXPECT_EQ(answer, "kept") << id;
}

INSTANTIATE_TEST_SUITE_P(Exchange, FullDisk, ::testing::Bool(),
                         [](const auto& late) { return late.param ? "late" : "threads"; });

}  // namespace
}  // namespace nuraghe::exchange::testing
