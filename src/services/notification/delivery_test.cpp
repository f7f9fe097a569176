// Consumers that refuse, stay away or are slow; crashes.
#include <gmock/gmock.h>

#include "services/notification/contract_producers.hpp"
#include "services/notification/testing.hpp"

namespace nuraghe::services::notification {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;
using testing::kBase;
using testing::kConsumer;
using testing::NotificationTest;

TEST_F(NotificationTest, WhatIsRefusedComesAgainUnderTheSameId) {
  subscribe(consumer());
  consumers_.refusals[kConsumer] = {internal("no"), invalid("still no")};
  happen("one");
  happen("two");
  EXPECT_THAT(consumers_.texts(), IsEmpty());
  advance(5min);
  EXPECT_THAT(consumers_.texts(), ElementsAre("one", "two"));
  ASSERT_EQ(consumers_.refused.size(), 2U);
  EXPECT_EQ(consumers_.refused[0].id, consumers_.refused[1].id);
  EXPECT_EQ(consumers_.refused[0].id, consumers_.got[0].id);
  EXPECT_THAT(consumers_.got[0].texts, ElementsAre("one"));
  EXPECT_NE(consumers_.got[0].id, consumers_.got[1].id);
}

TEST_F(NotificationTest, AConsumerThatStaysAwayLosesItsSubscription) {
  const std::string path = subscribe(consumer());
  subscribe(consumer("http://other.example/"));
  consumers_.away.insert(kConsumer);
  happen("one");
  advance(30min);
  happen("two");
  EXPECT_EQ(count_events("subscription.lost"), 0);
  advance(40min);
  EXPECT_EQ(count_events("subscription.lost"), 1);
  EXPECT_EQ(fault_of(ask(path, element("Unsubscribe"))), "ResourceUnknownFault");
  consumers_.away.clear();
  happen("three");
  EXPECT_THAT(consumers_.texts(), IsEmpty());
  EXPECT_THAT(consumers_.texts("http://other.example/"), ElementsAre("one", "two", "three"));
  EXPECT_THAT(world_.rows("control", "notification_queue"), IsEmpty());
}

// What it may hear is asked before each message, also of what was queued when it still might.
TEST_F(NotificationTest, WhoMayNotHearAnyMoreLosesTheSubscription) {
  bool may_hear = true;
  Subscriber asked;
  options_.may_hear = [&](const Subscriber& subscriber) {
    asked = subscriber;
    return may_hear || subscriber.path != "/services/vcf/clusters/c1";
  };
  reopen();
  const std::string path = subscribe(consumer(), "/services/vcf/clusters/c1");
  subscribe(consumer("http://other.example/"));
  happen("one");
  EXPECT_EQ(asked.caller + " " + asked.vo, "token:marie physics");
  EXPECT_FALSE(asked.is_administrator);
  EXPECT_LE(asked.since, world_.clock.now());
  EXPECT_FALSE(ask(path, element("PauseSubscription")).fault);
  happen("two");
  may_hear = false;
  EXPECT_FALSE(ask(path, element("ResumeSubscription")).fault);
  EXPECT_EQ(count_events("subscription.lost"), 1);
  happen("three");
  EXPECT_THAT(consumers_.texts(), ElementsAre("one"));
  EXPECT_THAT(consumers_.texts("http://other.example/"), ElementsAre("one", "two", "three"));
  EXPECT_EQ(fault_of(ask(path, element("Unsubscribe"))), "ResourceUnknownFault");
}

TEST_F(NotificationTest, ARefusedMessageIsNotTriedAgainForWhoMayNotHearIt) {
  bool may_hear = true;
  options_.may_hear = [&](const Subscriber&) { return may_hear; };
  reopen();
  subscribe(consumer());
  consumers_.refusals[kConsumer] = {internal("not now")};
  happen("one");
  may_hear = false;
  advance(5min);
  EXPECT_THAT(consumers_.texts(), IsEmpty());
  EXPECT_EQ(count_events("subscription.lost"), 1);
}

TEST_F(NotificationTest, WhatIsTheSitesOrAnotherVosIsToldToItsAdministratorsAlone) {
  using exchange::Administrator;
  subscribe(consumer("http://member.example/"));
  for (const auto& [who, address] : {std::pair(Administrator::kForVo, "http://for-vo.example/"),
                                     std::pair(Administrator::kForSite, "http://site.example/")}) {
    administrator_ = who;
    subscribe(consumer(address));
  }
  const std::string point = create_pull_point();
  subscribe(consumer(kBase + point), "/services/notification");
  happen("of the site", "cluster.failed", "", "");
  happen("of another VO", "cluster.failed", "", "biology");
  happen("of a physical host", "physical_host.silent", "", "");
  EXPECT_THAT(consumers_.texts("http://member.example/"), IsEmpty());
  EXPECT_THAT(consumers_.texts("http://for-vo.example/"), IsEmpty());
  EXPECT_THAT(consumers_.texts("http://site.example/"), ElementsAre("of the site", "of another VO"));
  EXPECT_THAT(pull(point), ElementsAre("of the site", "of another VO", "of a physical host"));
  // So with the newest message of a topic.
  const auto newest = [&] {
    return fault_of(ask("/services/vcf", element("GetCurrentMessage",
                                                 fmt::format("<wsnt:Topic Dialect='{}'>vcf:cluster.failed</wsnt:Topic>",
                                                             kConcreteDialect))));
  };
  EXPECT_EQ(newest(), "");
  administrator_ = Administrator::kNo;
  EXPECT_EQ(newest(), "NoCurrentMessageOnTopicFault");
  // After a restart, and when one of two such subscriptions has ended.
  administrator_ = Administrator::kForSite;
  const std::string second = subscribe(consumer("http://second.example/"));
  reopen();
  EXPECT_FALSE(ask(second, element("Unsubscribe")).fault);
  happen("of another VO again", "cluster.failed", "", "biology");
  EXPECT_THAT(consumers_.texts("http://second.example/"), IsEmpty());
  EXPECT_EQ(consumers_.texts("http://site.example/").back(), "of another VO again");
}

// Another VO may have one of the same name; what is the site's there is one alone, whosever it is now.
TEST_F(NotificationTest, AtAResourceAnAdministratorHearsOfThatOneAlone) {
  administrator_ = exchange::Administrator::kForSite;
  clusters_[{"physics", "m1"}] = "running";
  subscribe(consumer("http://cluster.example/"), "/services/vcf/clusters/m1");
  subscribe(consumer("http://machine.example/"), "/services/vcf/machines/m1");
  administrator_ = exchange::Administrator::kForVo;
  subscribe(consumer("http://for-vo.example/"), "/services/vcf/machines/m1");
  machine_ = "m1";
  happen("ours", "cluster.running", "m1", "physics");
  happen("theirs", "cluster.running", "m1", "biology");
  happen("nobody's", "cluster.running", "m1", "");
  EXPECT_THAT(consumers_.texts("http://cluster.example/"), ElementsAre("ours", "nobody's"));
  EXPECT_THAT(consumers_.texts("http://machine.example/"), ElementsAre("ours", "theirs", "nobody's"));
  EXPECT_THAT(consumers_.texts("http://for-vo.example/"), ElementsAre("ours"));
}

TEST(Producers, KnowWhatIsOneWhateverTheVo) {
  const Producers producers = producers_of_contracts();
  const auto is_site_wide = [&](const std::string& path) {
    const auto producer = producers.find(path);
    EXPECT_TRUE(producer) << path;
    const ResourceKind* kind = producer ? producers.kind_of(*producer) : nullptr;
    EXPECT_NE(kind, nullptr) << path;
    return kind != nullptr && kind->is_site_wide;
  };
  EXPECT_TRUE(is_site_wide("/services/hades/machines/m1"));
  for (const char* path : {"/services/hades/deployments/d1", "/services/vcf/clusters/c1", "/services/vhir/images/x"})
    EXPECT_FALSE(is_site_wide(path)) << path;
}

TEST_F(NotificationTest, AMemberByARuleSubscribesForADay) {
  caller_ = "member:ab~12";
  const auto asked = [&](const char* time) {
    return ask("/services/vcf", element("Subscribe", consumer() + fmt::format("<wsnt:InitialTerminationTime>{}"
                                                                              "</wsnt:InitialTerminationTime>",
                                                                              time)));
  };
  EXPECT_EQ(fault_of(asked("P2D")), "UnacceptableInitialTerminationTimeFault");
  EXPECT_FALSE(asked("PT23H").fault);
  const std::string path = subscribe(consumer());
  const std::string longer = "<wsnt:TerminationTime>P2D</wsnt:TerminationTime>";
  EXPECT_EQ(fault_of(ask(path, element("Renew", longer))), "UnacceptableTerminationTimeFault");
  caller_ = "token:marie";
  EXPECT_EQ(fault_of(ask(path, element("Renew", longer))), "UnacceptableTerminationTimeFault") << "it is not hers";
}

TEST_F(NotificationTest, AConsumerThatComesBackInTimeGetsAllInOrder) {
  subscribe(consumer());
  consumers_.away.insert(kConsumer);
  happen("one");
  advance(20min);
  for (const char* text : {"two", "three"}) happen(text);
  advance(20min);
  consumers_.away.clear();
  advance(10min);
  EXPECT_THAT(consumers_.texts(), ElementsAre("one", "two", "three"));
  EXPECT_EQ(count_events("subscription.lost"), 0);
}

TEST_F(NotificationTest, AConsumerThatRefusesForLongLosesItsSubscription) {
  subscribe(consumer());
  for (int i = 0; i < 1000; ++i) consumers_.refusals[kConsumer].push_back(internal("no"));
  happen("one");
  advance(2h, 30s);
  EXPECT_EQ(count_events("subscription.lost"), 1);
  EXPECT_LT(consumers_.refused.size(), 100U);
  EXPECT_EQ(world_.leftovers("control"), "");
}

TEST_F(NotificationTest, AFullQueueLosesItsOldest) {
  options_.queue_limit = 3;
  reopen();
  const std::string path = subscribe(consumer());
  const std::string point = create_pull_point();
  subscribe(consumer(kBase + point));
  ask(path, element("PauseSubscription"));
  for (int i = 1; i <= 6; ++i) happen(std::to_string(i));
  EXPECT_THAT(pull(point), ElementsAre("4", "5", "6"));
  // Each was told once that it loses some.
  EXPECT_EQ(count_events("subscription.dropped"), 2);
  ask(path, element("ResumeSubscription"));
  EXPECT_THAT(consumers_.texts(), ElementsAre("4", "5", "6"));
}

TEST_F(NotificationTest, WhatIsOnItsWayStaysInAFullQueue) {
  options_.queue_limit = 3;
  reopen();
  subscribe(consumer());
  consumers_.away.insert(kConsumer);
  for (int i = 1; i <= 6; ++i) happen(std::to_string(i));
  consumers_.away.clear();
  advance(10min);
  EXPECT_THAT(consumers_.texts(), ElementsAre("1", "5", "6"));
}

TEST_F(NotificationTest, AConditionThatTakesTooMuchWorkEndsItsSubscription) {
  std::string condition = "count(//*[count(//*) &gt; count(//*[count(//*[count(//*) = 1]) = 1])]) = 1";
  subscribe(consumer() + filter(fmt::format("<wsnt:MessageContent Dialect='{}'>{}</wsnt:MessageContent>", kXPathDialect,
                                            condition)));
  happen("one");
  EXPECT_EQ(count_events("subscription.lost"), 1);
  EXPECT_THAT(consumers_.texts(), IsEmpty());
}

TEST_F(NotificationTest, UnsubscribingEndsWhatIsUnderWay) {
  const std::string path = subscribe(consumer());
  consumers_.away.insert(kConsumer);
  happen("one");
  ask(path, element("Unsubscribe"));
  consumers_.away.clear();
  advance(10min);
  EXPECT_THAT(consumers_.got, IsEmpty());
  EXPECT_EQ(world_.leftovers("control"), "");
}

TEST_F(NotificationTest, GoesOnAfterARestart) {
  const std::string path = subscribe(consumer() + filter(topic("vcf:cluster.running")));
  const std::string point = create_pull_point();
  subscribe(consumer(kBase + point));
  consumers_.away.insert(kConsumer);
  happen("one");
  happen("not asked for", "cluster.frozen");
  reopen();
  consumers_.away.clear();
  happen("two");
  advance(2min);
  EXPECT_THAT(consumers_.texts(), ElementsAre("one", "two"));
  EXPECT_THAT(pull(point), ElementsAre("one", "not asked for", "two"));
  EXPECT_EQ(fault_of(ask(path, element("Unsubscribe"))), "");
}

// The process is killed at each point in turn where it can be: what happened is told in order, nothing is missing, and
// what comes twice has the same id.
TEST_F(NotificationTest, LosesNothingAtACrash) {
  std::int64_t points = 0;
  for (std::int64_t at = 0; at == 0 || at <= points; ++at) {
    world_.restart();
    world_.disks.clear();
    consumers_.got.clear();
    std::int64_t passed = 0;
    bool is_armed = false;
    crash_hook_ = [&](CrashPoint) { return is_armed && ++passed == at; };
    open();
    subscribe(consumer());
    is_armed = true;
    int told = 0;
    for (int i = 1; i <= 4; ++i) {
      happen(std::to_string(i));
      if (!exchange_->failed()) {
        told = i;
        continue;
      }
      is_armed = false;
      crash_hook_ = nullptr;
      reopen();
      advance(2min);
      // Published or not: it is known by what is stored.
      if (count_events("cluster.running") < i) happen(std::to_string(i));
      told = i;
    }
    points = std::max(points, passed);
    advance(2min);
    EXPECT_EQ(told, 4);
    std::map<std::string, std::vector<std::string>> by_id;
    std::vector<std::string> texts;
    for (const auto& one : consumers_.got) {
      const auto [known, is_new] = by_id.emplace(one.id, one.texts);
      EXPECT_EQ(known->second, one.texts) << "crash at " << at;
      if (is_new) texts.insert(texts.end(), one.texts.begin(), one.texts.end());
    }
    EXPECT_THAT(texts, ElementsAre("1", "2", "3", "4")) << "crash at " << at;
  }
  EXPECT_GT(points, 10);
}

}  // namespace
}  // namespace nuraghe::services::notification
