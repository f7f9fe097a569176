#include "services/tenant/usage.hpp"

#include <gmock/gmock.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "services/tenant/quotas.hpp"
#include "store/memory.hpp"

namespace nuraghe::services::tenant {
namespace {

using ::testing::HasSubstr;

TimePoint at(const std::string& text) { return parse_time(text).value(); }

class Books {
 public:
  Books() : store_(store::open_memory(store::make_memory_disk())) {
    EXPECT_TRUE(ledger.open(*store_));
    EXPECT_TRUE(usage.open(*store_));
    EXPECT_TRUE(quotas.open(*store_));
    transaction_ = std::move(*store_->begin());
  }
  store::Transaction& tx() { return *transaction_; }
  Ledger ledger;
  UsageBook usage;
  Quotas quotas;

 private:
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<store::Transaction> transaction_;
};

TEST(Usage, AnIntervalIsDividedAtTheEndOfAMonth) {
  api::UsageInterval interval;
  interval.begin = at("2026-11-30T23:00:00Z");
  interval.end = at("2027-01-01T00:30:00Z");
  interval.cpus = 2;
  interval.memory = mib(3);
  const auto sums = sums_of(interval);
  ASSERT_EQ(sums.size(), 3U);
  EXPECT_EQ(sums[0].first, "2026-11");
  EXPECT_EQ(sums[0].second.host_ms, 3'600'000);
  EXPECT_EQ(sums[1].first, "2026-12");
  EXPECT_EQ(sums[1].second.host_ms, 31LL * 24 * 3'600'000);
  EXPECT_EQ(sums[2].first, "2027-01");
  EXPECT_EQ(sums[2].second.cpu_ms, 3'600'000);
  EXPECT_EQ(sums[2].second.memory_mib_ms, 3 * 1'800'000);
}

TEST(Usage, IsTheRequestersByStateUntilNow) {
  Books books;
  HostUse use{"physics", "vh-1", "vc-1", "member:marie", "running", 4, gib(2), {}};
  const auto begin = at("2026-11-10T10:00:00Z");
  ASSERT_TRUE(books.usage.change(books.tx(), books.ledger, use, begin));
  use.state = "frozen";
  use.cpus = 0;
  use.frozen = gib(2);
  use.memory = {};
  ASSERT_TRUE(books.usage.change(books.tx(), books.ledger, use, begin + std::chrono::hours(3)));
  const auto lines = books.usage.lines(books.tx(), "physics", "2026-11", begin + std::chrono::hours(5));
  ASSERT_TRUE(lines);
  ASSERT_EQ(lines->size(), 2U);
  EXPECT_EQ((*lines)[0].state, api::UsageState::kFrozen);
  EXPECT_DOUBLE_EQ((*lines)[0].frozen_gib_hours, 4.0);
  EXPECT_DOUBLE_EQ((*lines)[0].cpu_hours, 0.0);
  EXPECT_EQ((*lines)[1].member, "member:marie");
  EXPECT_EQ((*lines)[1].cluster, "vc-1");
  EXPECT_DOUBLE_EQ((*lines)[1].cpu_hours, 12.0);
  EXPECT_DOUBLE_EQ((*lines)[1].memory_gib_hours, 6.0);
  EXPECT_TRUE(books.usage.lines(books.tx(), "physics", "2026-10", begin)->empty());
  EXPECT_TRUE(books.usage.lines(books.tx(), "physic", "", begin)->empty());
  const auto csv = csv_of(*lines);
  EXPECT_THAT(csv, HasSubstr("month,member,cluster,state,host_hours"));
  EXPECT_THAT(csv, HasSubstr("2026-11,member:marie,vc-1,running,3.000000,12.000000,6.000000,0.000000\r\n"));
}

// The sums of the audit log's entries, computed from nothing else.
std::map<std::string, UsageSum> sums_of_log(Books& books) {
  std::map<std::string, UsageSum> sums;
  std::int64_t after = 0;
  while (true) {
    const auto page = books.ledger.page(books.tx(), "", after, 7);
    EXPECT_TRUE(page);
    if (!page || page->empty()) return sums;
    for (const auto& record : *page) {
      after = record.sequence;
      if (!record.usage) continue;
      for (const auto& [month, sum] : sums_of(*record.usage))
        sums[record.vo + "/" + month + "/" + record.who + "/" + record.usage->cluster + "/" + record.usage->state] +=
            sum;
    }
  }
}

RC_GTEST_PROP(Usage, EqualsTheSumsOfTheAuditLog, ()) {
  Books books;
  TimePoint now = at("2026-11-29T00:00:00Z");
  const auto steps = *rc::gen::inRange(1, 60);
  std::map<std::string, HostUse> last;
  for (int i = 0; i < steps; ++i) {
    // Clocks are set back now and then.
    now = now + std::chrono::microseconds(*rc::gen::inRange<std::int64_t>(-1'000'000, 400'000'000'000));
    const auto number = *rc::gen::inRange(0, 5);
    HostUse use;
    use.vo = number < 2 ? "chemistry" : "physics";
    use.host = "vh-" + std::to_string(number);
    use.cluster = number % 2 == 0 ? "" : "vc-1";
    use.who = *rc::gen::element<std::string>("member:marie", "member:otto", "token:admin");
    use.state = *rc::gen::element<std::string>("", "running", "paused", "frozen");
    use.cpus = *rc::gen::inRange(0, 64);
    use.memory = {*rc::gen::inRange<std::int64_t>(0, 1LL << 40)};
    use.frozen = {*rc::gen::inRange<std::int64_t>(0, 1LL << 40)};
    RC_ASSERT(books.usage.change(books.tx(), books.ledger, use, now).has_value());
    last[use.host] = use;
  }
  // All is given back: nothing is in use any more that the log has not.
  for (auto& [host, use] : last) {
    use.state.clear();
    RC_ASSERT(books.usage.change(books.tx(), books.ledger, use, now).has_value());
  }
  const auto expected = sums_of_log(books);
  std::map<std::string, UsageSum> found;
  for (const std::string vo : {"physics", "chemistry"}) {
    const auto sums = books.usage.sums(books.tx(), vo);
    RC_ASSERT(sums.has_value());
    for (const auto& [key, sum] : *sums) found[vo + "/" + key] = sum;
  }
  RC_ASSERT(found == expected);
  const auto verified = books.ledger.verify(books.tx(), 0, 1000);
  RC_ASSERT(verified && !verified->broken);
}

TEST(Quota, ARefusalNamesEveryLimitThatIsPassed) {
  api::Quota quota;
  quota.hosts = 4;
  quota.memory = gib(8);
  Holding used;
  used.hosts = 3;
  used.memory = gib(6);
  Holding asked;
  asked.hosts = 1;
  asked.memory = gib(2);
  EXPECT_TRUE(check_quota(quota, "physics", used, asked));
  asked.hosts = 2;
  asked.memory = gib(3);
  asked.cpus = 1000;  // has no limit
  const auto refused = check_quota(quota, "physics", used, asked);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kExhausted);
  EXPECT_THAT(refused.error().message(), HasSubstr("hosts: the limit is 4, 3 are used, 2 more are asked for"));
  EXPECT_THAT(refused.error().message(),
              HasSubstr("memory: the limit is 8GiB, 6GiB are used, 3GiB more are asked for"));
  // Whoever is over a limit that was lowered may go on with what asks for nothing of it.
  used.hosts = 9;
  asked = {};
  asked.memory = gib(1);
  EXPECT_TRUE(check_quota(quota, "physics", used, asked));
  // Nothing overflows.
  asked.memory = {std::numeric_limits<std::int64_t>::max()};
  EXPECT_FALSE(check_quota(quota, "physics", used, asked));
}

TEST(Quota, LeasesHaveALongestLength) {
  Books books;
  EXPECT_TRUE(books.quotas.check_lease(books.tx(), "physics", Duration(0)));
  api::Quota quota;
  quota.longest_lease = std::chrono::hours(24);
  ASSERT_TRUE(books.quotas.set_quota(books.tx(), "physics", quota));
  EXPECT_TRUE(books.quotas.check_lease(books.tx(), "physics", std::chrono::hours(24)));
  EXPECT_EQ(books.quotas.check_lease(books.tx(), "physics", std::chrono::hours(25)).error().code(),
            ErrorCode::kExhausted);
  EXPECT_EQ(books.quotas.check_lease(books.tx(), "physics", Duration(0)).error().code(), ErrorCode::kExhausted);
  EXPECT_TRUE(books.quotas.check_lease(books.tx(), "chemistry", Duration(0)));
}

}  // namespace
}  // namespace nuraghe::services::tenant
