#include <gmock/gmock.h>

#include "base/record.hpp"
#include "exchange/rows.hpp"
#include "exchange/test_world.hpp"

namespace nuraghe::exchange {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::FunctionActor;
using testing::World;

// Events of two organisations, published one turn each.
class Trimming : public ::testing::Test {
 protected:
  void open() {
    auto options = world.options("one");
    options.event_retention = retention;
    options.event_limit = limit;
    exchange = &world.add(options, {&actor});
    world.drain();
  }
  void reopen() {
    world.restart();
    open();
  }
  void publish(const std::string& vo, int count) {
    for (int i = 0; i < count; ++i) {
      exchange->post(
          "chatter", [vo](Turn& turn) { return turn.publish({.vo = vo, .kind = "test.said"}); }, [](const Status&) {});
    }
    world.drain();
  }
  // Hour by hour, as events are looked at.
  void pass(std::chrono::hours span) {
    for (; span > 0h; span -= 1h) {
      world.clock.advance(1h);
      world.drain();
    }
  }
  std::vector<std::int64_t> kept(const std::string& vo) {
    std::vector<std::int64_t> sequences;
    for (const auto& row : world.rows("one", "exchange_events")) {
      const auto event = decode_record<Event>(row.value);
      if (event && event->vo == vo) sequences.push_back(event->sequence);
    }
    return sequences;
  }

  World world;
  FunctionActor actor{"chatter"};
  Exchange* exchange = nullptr;
  Duration retention = 24h * 365;
  std::int64_t limit = 1'000'000;
};

TEST_F(Trimming, OldEventsGo) {
  retention = 10h;
  open();
  publish("a", 600);
  pass(5h);
  publish("a", 2);
  pass(4h);
  EXPECT_EQ(kept("a").size(), 602U);
  pass(3h);
  EXPECT_THAT(kept("a"), ElementsAre(601, 602));
}

TEST_F(Trimming, TheNewestStaysAndTheNextFollowsIt) {
  retention = 1h;
  open();
  publish("a", 3);
  pass(10h);
  EXPECT_THAT(kept("a"), ElementsAre(3));
  reopen();
  publish("b", 1);
  EXPECT_THAT(kept("b"), ElementsAre(4));
  pass(1h);
  std::vector<Event> read;
  exchange->read_events(0, 10, [&](std::vector<Event> events) { read = std::move(events); });
  world.drain();
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].sequence, 4);
}

TEST_F(Trimming, EachOrganisationHasItsOwnLimit) {
  limit = 300;
  open();
  publish("quiet", 10);
  publish("loud", 1000);
  publish("quiet", 10);
  pass(1h);
  EXPECT_EQ(kept("quiet").size(), 20U);
  const auto loud = kept("loud");
  ASSERT_EQ(loud.size(), 300U);
  EXPECT_EQ(loud.front(), 711) << "the oldest went";
  EXPECT_EQ(loud.back(), 1010);
  publish("loud", 5);
  pass(1h);
  EXPECT_EQ(kept("loud").front(), 716);
}

// A page is a turn: what others want comes in between, and no transaction holds them all.
TEST_F(Trimming, GoesInPages) {
  limit = 100;
  open();
  publish("loud", 2000);
  const auto before = exchange->statistics().store.commits;
  pass(1h);
  EXPECT_EQ(kept("loud").size(), 100U);
  EXPECT_GE(exchange->statistics().store.commits - before, 1900 / 256);
}

}  // namespace
}  // namespace nuraghe::exchange
