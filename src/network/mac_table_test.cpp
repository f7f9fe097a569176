#include "network/mac_table.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <utility>
#include <vector>

namespace nuraghe::network {
namespace {

using namespace std::chrono_literals;

// The same table, written for clarity: a list of all, searched and sorted at each call.
class Model {
 public:
  Model(std::size_t capacity, Duration lifetime) : capacity_(capacity), lifetime_(lifetime) {}
  void learn(Mac mac, SwitchLink link, Duration now) {
    std::erase_if(rows_, [&](const Row& row) { return row.mac == mac || now - row.seen >= lifetime_; });
    if (rows_.size() == capacity_) rows_.erase(rows_.begin());
    rows_.push_back({mac, link, now});
  }
  std::optional<SwitchLink> find(Mac mac, Duration now) const {
    for (const Row& row : rows_) {
      if (row.mac == mac && now - row.seen < lifetime_) return row.link;
    }
    return std::nullopt;
  }
  void forget(SwitchLink link) {
    std::erase_if(rows_, [&](const Row& row) { return row.link == link; });
  }

 private:
  struct Row {
    Mac mac;
    SwitchLink link;
    Duration seen;
  };
  std::size_t capacity_;
  Duration lifetime_;
  std::vector<Row> rows_;  // the one silent longest first
};

TEST(MacTable, AgreesWithItsModel) {
  EXPECT_TRUE(rc::check("any sequence of learning, forgetting and waiting", [] {
    const auto capacity = *rc::gen::inRange<std::size_t>(1, 6);
    const Duration lifetime(*rc::gen::inRange(1, 50));
    MacTable table(capacity, lifetime);
    Model model(capacity, lifetime);
    Duration now{};
    const auto steps = *rc::gen::container<std::vector<std::tuple<int, int, int, int>>>(rc::gen::tuple(
        rc::gen::inRange(0, 10), rc::gen::inRange(1, 9), rc::gen::inRange(0, 4), rc::gen::inRange(0, 12)));
    for (const auto& [what, mac, number, waited] : steps) {
      now += Duration(waited);
      const SwitchLink link{number % 2 == 0 ? SwitchLink::Kind::kPort : SwitchLink::Kind::kTunnel,
                            static_cast<std::uint32_t>(number / 2)};
      if (what == 0) {
        table.forget(link);
        model.forget(link);
      } else {
        table.learn(static_cast<Mac>(mac), link, now);
        model.learn(static_cast<Mac>(mac), link, now);
      }
      RC_ASSERT(table.size() <= capacity);
      for (Mac any = 1; any < 9; ++any) RC_ASSERT(table.find(any, now) == model.find(any, now));
    }
  }));
}

TEST(MacTable, ForgetsTheStationSilentLongestWhenItIsFull) {
  MacTable table(2, 10s);
  const SwitchLink link{SwitchLink::Kind::kPort, 1};
  table.learn(1, link, 0s);
  table.learn(2, link, 1s);
  table.learn(1, link, 2s);
  table.learn(3, link, 3s);
  EXPECT_TRUE(table.find(1, 3s));
  EXPECT_FALSE(table.find(2, 3s));
  EXPECT_TRUE(table.find(3, 3s));
  EXPECT_FALSE(table.find(1, 12s)) << "ten seconds after it was seen";
}

}  // namespace
}  // namespace nuraghe::network
