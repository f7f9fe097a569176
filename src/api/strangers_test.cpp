#include "api/strangers.hpp"

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

namespace nuraghe::api {
namespace {

using namespace std::chrono_literals;

const TimePoint kStart{1'700'000'000'000'000};

std::int64_t sum(const std::vector<StrangerEntry>& entries) {
  std::int64_t total = 0;
  for (const auto& entry : entries) total += entry.times;
  return total;
}

TEST(Strangers, TheFirstIsToldAtOnceAndWhatFollowsOnceAMinute) {
  Strangers strangers;
  EXPECT_TRUE(strangers.take(kStart).empty());
  strangers.note({"rest 192.0.2.7", "GET /clusters", "nothing"}, kStart);
  auto told = strangers.take(kStart + 1s);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].times, 1);
  EXPECT_EQ(told[0].stranger.request, "GET /clusters");
  for (int i = 0; i < 500; ++i) strangers.note({"rest 192.0.2.7", "GET /hosts", "nothing"}, kStart + 2s);
  strangers.note({"rest 192.0.2.7", "GET /hosts", "marie of https://id.example"}, kStart + 2s);
  told = strangers.take(kStart + 3s);
  ASSERT_EQ(told.size(), 1U) << "another claim is another stranger";
  EXPECT_EQ(told[0].stranger.claim, "marie of https://id.example");
  EXPECT_TRUE(strangers.take(kStart + 59s).empty());
  told = strangers.take(kStart + 62s);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].times, 500);
  EXPECT_EQ(told[0].first, kStart + 2s);
  EXPECT_TRUE(strangers.take(kStart + 10min).empty());
}

TEST(Strangers, AFloodBecomesFewEntries) {
  Strangers strangers;
  std::vector<StrangerEntry> told;
  constexpr int kSeconds = 3600, kEach = 50;
  int number = 0;
  for (int second = 0; second < kSeconds; ++second) {
    for (int i = 0; i < kEach; ++i)
      strangers.note({"soap 192.0.2." + std::to_string(number++), "POST /services/vcf", "x"}, kStart + second * 1s);
    for (auto& entry : strangers.take(kStart + second * 1s)) told.push_back(std::move(entry));
  }
  EXPECT_LE(told.size(), 161U);
  for (auto& entry : strangers.take(kStart + kSeconds * 1s, true)) told.push_back(std::move(entry));
  EXPECT_EQ(sum(told), kSeconds * kEach) << "some were not counted";
}

// Whatever comes, each request is counted in one entry, and there are no more of them than may be.
RC_GTEST_PROP(Strangers, EachIsCountedOnce, ()) {
  Strangers strangers;
  std::int64_t noted = 0;
  std::vector<StrangerEntry> told;
  TimePoint now = kStart;
  const auto steps = *rc::gen::inRange(1, 400);
  for (int i = 0; i < steps; ++i) {
    const auto count = *rc::gen::inRange(0, 20);
    for (int j = 0; j < count; ++j, ++noted)
      strangers.note({std::to_string(*rc::gen::inRange(0, 400)), "GET /", std::to_string(*rc::gen::inRange(0, 3))},
                     now);
    now = now + *rc::gen::inRange(0, 100) * 1s;
    for (auto& entry : strangers.take(now)) told.push_back(std::move(entry));
  }
  const double hours = static_cast<double>((now - kStart).count()) / 3600e6;
  RC_ASSERT(static_cast<double>(told.size()) <= Strangers::kEntriesAtOnce + hours * Strangers::kEntriesPerHour + 1);
  for (auto& entry : strangers.take(now, true)) told.push_back(std::move(entry));
  RC_ASSERT(sum(told) == noted);
}

}  // namespace
}  // namespace nuraghe::api
