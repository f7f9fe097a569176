#include "services/notification/subscriber.hpp"

#include <gmock/gmock.h>

#include "services/notification/testing.hpp"

namespace nuraghe::services::notification {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;
using testing::kBase;
using testing::kConsumer;
using testing::NotificationTest;

std::string text_of(const xml::DocumentPtr& body) { return body->to_string(); }

TEST_F(NotificationTest, WhatIsToldLaterLeadsWhereTheSubscriberCame) {
  subscribe(consumer("http://here.example/"));
  reached_at_ = "https://10.0.0.1:8470";
  const auto own = ask("/services/vcf", element("Subscribe", consumer("http://there.example/")));
  ASSERT_TRUE(own.body);
  reached_at_ = "https://10.9.9.9:1";  // what comes meanwhile from elsewhere changes nothing
  subscribe(consumer("http://other.example/"));
  reopen();
  happen("one");
  const std::map<std::string, std::string> bases = {{"http://here.example/", kBase},
                                                    {"http://there.example/", "https://10.0.0.1:8470"},
                                                    {"http://other.example/", "https://10.9.9.9:1"}};
  ASSERT_EQ(consumers_.got.size(), 3U);
  for (const auto& got : consumers_.got) {
    const xml::Node message = got.body->root().first_child();
    EXPECT_EQ(message.child(kNotification, "ProducerReference").text(), bases.at(got.to) + "/services/vcf");
    EXPECT_THAT(message.child(kNotification, "SubscriptionReference").text(), ::testing::StartsWith(bases.at(got.to)));
  }
}

TEST_F(NotificationTest, ThePublicUrlIsToldWhereThereIsOne) {
  reached_at_ = "https://10.0.0.1:8470";
  subscribe(consumer());
  options_.public_url = "https://site.example";
  reopen();
  happen("one");
  ASSERT_EQ(consumers_.got.size(), 1U);
  EXPECT_THAT(text_of(consumers_.got.front().body), HasSubstr(">https://site.example/services/vcf<"));
  EXPECT_THAT(text_of(consumers_.got.front().body), ::testing::Not(HasSubstr("10.0.0.1")));
}

TEST_F(NotificationTest, APullPointIsTheSameByEveryAddress) {
  const std::string point = create_pull_point();
  for (const std::string base : {"", "http://127.0.0.1:8470", "https://site.example", "https://10.0.0.1:8470"})
    subscribe(consumer(base + point));
  EXPECT_EQ(fault_of(ask("/services/vcf", element("Subscribe", consumer(kBase + point + "x")))),
            "SubscribeCreationFailedFault");
  happen("one");
  EXPECT_THAT(pull(point), ElementsAre("one", "one", "one", "one"));
  EXPECT_TRUE(consumers_.got.empty());
}

TEST_F(NotificationTest, EveryOrganisationHearsOfPhysicalHosts) {
  subscribe(consumer(), "/services/vhf");
  subscribe(consumer("http://biology.example/"), "/services/notification", "biology");
  subscribe(consumer("http://clusters.example/"), "/services/vcf");
  happen("b is silent", "physical_host.silent", "", "");
  EXPECT_THAT(consumers_.texts(), ElementsAre("b is silent"));
  EXPECT_THAT(consumers_.texts("http://biology.example/"), ElementsAre("b is silent"));
  EXPECT_THAT(consumers_.texts("http://clusters.example/"), ElementsAre());
}

TEST_F(NotificationTest, OneTerminationTimeHoweverItIsSet) {
  const std::string path = subscribe(consumer());
  const std::string id = path.substr(kSubscriptions.size());
  const auto shown = [&] {
    const auto reply = ask("/services/notification", "<get_subscription xmlns='urn:nuraghe:notification:1'><id>" + id +
                                                         "</id></get_subscription>");
    const auto parsed = contracts::notification::parse_get_subscription_response(reply);
    EXPECT_TRUE(parsed) << parsed.error().to_string();
    return parsed ? parsed->subscription.ends : std::optional<TimePoint>();
  };
  const auto set = [&](const std::string& ends) {
    is_strict_ = false;
    const auto reply = ask("/services/notification", "<set_subscription_end xmlns='urn:nuraghe:notification:1'><id>" +
                                                         id + "</id>" + ends + "</set_subscription_end>");
    return reply.fault ? std::string(error_code_name(reply.fault->code)) : std::string();
  };
  is_strict_ = false;
  EXPECT_EQ(set("<ends>" + (world_.clock.now() + 1h).to_string() + "</ends>"), "");
  EXPECT_EQ(shown(), world_.clock.now() + 1h);
  ask(path, element("Renew", "<wsnt:TerminationTime>PT2H</wsnt:TerminationTime>"));
  EXPECT_EQ(shown(), world_.clock.now() + 2h);
  EXPECT_EQ(set("<ends>" + (world_.clock.now() - 1h).to_string() + "</ends>"), "invalid");
  EXPECT_EQ(set("<ends>" + (world_.clock.now() + 24h * 367).to_string() + "</ends>"), "invalid");
  EXPECT_EQ(shown(), world_.clock.now() + 2h) << "what is refused changes nothing";
  EXPECT_EQ(set(""), "");
  EXPECT_EQ(shown(), std::nullopt);
  EXPECT_EQ(set("<ends>" + (world_.clock.now() + 1min).to_string() + "</ends>"), "");
  reopen();
  advance(2min);
  EXPECT_EQ(fault_of(ask(path, element("Unsubscribe"))), "ResourceUnknownFault");
  EXPECT_EQ(set(""), "not-found");
}

exchange::Message request(const std::string& operation, const std::string& to) {
  exchange::Message message;
  message.operation = operation;
  message.to = to;
  message.vo = "physics";
  message.caller = "token:marie";
  return message;
}

Result<xml::DocumentPtr> shown(const std::string& subscriber) {
  return testing::document("<r xmlns='urn:nuraghe:notification:1'><subscription><id>s</id><subscriber>" + subscriber +
                           "</subscriber></subscription></r>");
}

TEST(Subscriber, ManagesWhatIsItsOwn) {
  for (const char* operation : {"Renew", "Unsubscribe", "PauseSubscription", "ResumeSubscription"}) {
    const auto must = only_by_subscriber(request(operation, "/services/notification/subscriptions/sub-1"));
    ASSERT_NE(must, nullptr) << operation;
    EXPECT_EQ(must->question.operation, "get_subscription");
    EXPECT_EQ(must->question.body->root().text(), "sub-1");
    EXPECT_EQ(must->question.vo, "physics");
    EXPECT_TRUE(must->check(shown("token:marie")));
    const auto refused = must->check(shown("token:pierre"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kDenied);
    EXPECT_THAT(refused.error().message(), HasSubstr("token:pierre"));
    EXPECT_TRUE(must->check(not_found("it is gone"))) << "the operation tells that in its own words";
    EXPECT_FALSE(must->check(unavailable("later")));
    EXPECT_FALSE(must->check(testing::document("<r/>")));
  }
  for (const char* operation : {"GetMessages", "DestroyPullPoint"}) {
    const auto must = only_by_subscriber(request(operation, "/services/notification/pull-points/pull-1"));
    ASSERT_NE(must, nullptr) << operation;
    EXPECT_EQ(must->question.operation, "get_pull_point");
  }
}

TEST(Subscriber, NothingElseIsAsked) {
  for (const auto& [operation, to] : std::vector<std::pair<std::string, std::string>>{
           {"Subscribe", "/services/vcf"},
           {"Notify", "/services/notification/pull-points/pull-1"},
           {"GetResourceProperty", "/services/notification/subscriptions/sub-1"},
           {"Renew", "/services/vcf/clusters/vc-1"}})
    EXPECT_EQ(only_by_subscriber(request(operation, to)), nullptr) << operation;
}

TEST(Subscriber, AnIdStandsBehindItsFolderAlone) {
  EXPECT_EQ(id_at("/services/notification/subscriptions/sub-1", kSubscriptions), "sub-1");
  EXPECT_EQ(id_at("https://site.example:1/services/notification/subscriptions/sub-1?x", kSubscriptions), "sub-1");
  // An address that only ends like it would not be the one that was asked about.
  for (const char* address :
       {"/services/vcf/services/notification/subscriptions/sub-1", "sub-1", "", "/services/notification/subscriptions/",
        "urn:x", "http://site.example", "http://x/y/services/notification/subscriptions/sub-1"})
    EXPECT_EQ(id_at(address, kSubscriptions), std::nullopt) << address;
}

}  // namespace
}  // namespace nuraghe::services::notification
