#include "services/notification/notification.hpp"

#include <gmock/gmock.h>

#include <set>

#include "services/notification/testing.hpp"

namespace nuraghe::services::notification {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;
using testing::kBase;
using testing::kConsumer;
using testing::kVcf;
using testing::NotificationTest;

TEST_F(NotificationTest, TellsWhatHappens) {
  happen("before");
  const std::string path = subscribe(consumer());
  happen("one");
  happen("two", "cluster.frozen");
  happen("of no topic", "unheard.of");
  EXPECT_THAT(consumers_.texts(), ElementsAre("one", "two"));
  const xml::Node message = consumers_.got.back().body->root().first_child();
  EXPECT_EQ(message.child(kNotification, "SubscriptionReference").text(), kBase + path);
  EXPECT_EQ(message.child(kNotification, "ProducerReference").text(), kBase + "/services/vcf");
  const xml::Node topic = message.child(kNotification, "Topic");
  EXPECT_EQ(topic.resolve_qname(topic.text()).value(), (xml::QName{kVcf, "cluster.frozen"}));
  EXPECT_EQ(topic.attribute_or("Dialect", ""), kConcreteDialect);
  const xml::Node event = message.child(kNotification, "Message").first_child();
  EXPECT_EQ(event.child(kEvent, "attribute").text(), "mpi & <more>");
}

TEST_F(NotificationTest, TellsNobodyOfAnotherOrganisation) {
  subscribe(consumer());
  subscribe(consumer("http://biology.example/"), "/services/notification", "biology");
  happen("ours");
  happen("theirs", "cluster.running", "c9", "biology");
  happen("the site's", "cluster.running", "", "");
  EXPECT_THAT(consumers_.texts(), ElementsAre("ours"));
  EXPECT_THAT(consumers_.texts("http://biology.example/"), ElementsAre("theirs"));
  EXPECT_EQ(fault_of(ask("/services/vcf", element("Subscribe", consumer()), "")), "fault");
}

TEST_F(NotificationTest, AResourceTellsOfItselfAlone) {
  clusters_[{"physics", "c2"}] = "running";
  const std::string path = subscribe(consumer(), "/services/vcf/clusters/c1");
  happen("of c1");
  happen("of c2", "cluster.running", "c2");
  EXPECT_THAT(consumers_.texts(), ElementsAre("of c1"));
  // What is not there and what is another's cannot be told apart.
  for (const std::string key : {"c9", "c3"}) {
    const auto reply = ask("/services/vcf/clusters/" + key, element("Subscribe", consumer()));
    EXPECT_EQ(fault_of(reply), "ResourceUnknownFault");
    EXPECT_THAT(reply.fault->reason, HasSubstr("there is no cluster " + key));
  }
  // The last that a resource tells is that it is gone.
  happen("gone", "cluster.destroyed");
  EXPECT_THAT(consumers_.texts(), ElementsAre("of c1", "gone"));
  EXPECT_EQ(fault_of(ask(path, element("Unsubscribe"))), "ResourceUnknownFault");
}

TEST_F(NotificationTest, FiltersByTopicAndContent) {
  const auto hears = [this](const std::string& inner) {
    const std::string address = fmt::format("http://consumer.example/{}", consumers_.got.size() + asked_);
    const std::string path = subscribe(consumer(address) + filter(inner));
    happen("a");
    happen("b", "cluster.frozen");
    ask(path, element("Unsubscribe"));
    happen("c");
    return fmt::format("{}", fmt::join(consumers_.texts(address), " "));
  };
  const auto content = [](const std::string& condition) {
    return fmt::format("<wsnt:MessageContent Dialect='{}' xmlns:e='{}'>{}</wsnt:MessageContent>", kXPathDialect, kEvent,
                       xml::escape_text(condition));
  };
  EXPECT_EQ(hears(topic("vcf:cluster.frozen", kSimpleDialect)), "b");
  EXPECT_EQ(hears(topic("vcf:cluster.frozen", kConcreteDialect)), "b");
  EXPECT_EQ(hears(topic("vcf:*")), "a b");
  EXPECT_EQ(hears(topic("vcf:*") + topic("vcf:cluster.running")), "a");
  EXPECT_EQ(hears(content("e:text = 'a'")), "a");
  EXPECT_EQ(hears(content("/e:event/e:severity = 'info' and not(//e:text = 'a')")), "b");
  EXPECT_EQ(hears(content("e:attribute[@name='name'] = 'none'")), "");
  EXPECT_EQ(hears(topic("vcf:cluster.frozen") + content("e:text = 'a'")), "");
}

TEST_F(NotificationTest, RefusesWithTheFaultThatTheStandardDeclares) {
  const auto refusal = [this](const std::string& inner, const std::string& to = "/services/vcf") {
    return fault_of(ask(to, element("Subscribe", inner)));
  };
  const auto condition = [](const std::string& name, const std::string& text, std::string_view dialect) {
    return filter(fmt::format("<wsnt:{0} Dialect='{2}'>{1}</wsnt:{0}>", name, text, dialect));
  };
  const auto time = [](const std::string& text) {
    return "<wsnt:InitialTerminationTime>" + text + "</wsnt:InitialTerminationTime>";
  };
  EXPECT_EQ(refusal(consumer() + filter(topic("vcf:*", "urn:dialect"))), "TopicExpressionDialectUnknownFault");
  EXPECT_EQ(refusal(consumer() + filter(topic("none:x"))), "InvalidTopicExpressionFault");
  EXPECT_EQ(refusal(consumer() + filter(topic("vcf:cluster.melted"))), "TopicNotSupportedFault");
  EXPECT_EQ(refusal(consumer() + filter(topic("vcf:State"))), "TopicNotSupportedFault");
  EXPECT_EQ(refusal(consumer() + condition("MessageContent", "a[", kXPathDialect)),
            "InvalidMessageContentExpressionFault");
  EXPECT_EQ(refusal(consumer() + condition("MessageContent", "$a", kXPathDialect)),
            "InvalidMessageContentExpressionFault");
  EXPECT_EQ(refusal(consumer() + condition("MessageContent", "a", "urn:sql")), "InvalidMessageContentExpressionFault");
  EXPECT_EQ(refusal(consumer() + condition("ProducerProperties", ")", kXPathDialect)),
            "InvalidProducerPropertiesExpressionFault");
  EXPECT_EQ(refusal(consumer() + time("2001-01-01T00:00:00Z")), "UnacceptableInitialTerminationTimeFault");
  EXPECT_EQ(refusal(consumer() + time("-PT1S")), "UnacceptableInitialTerminationTimeFault");
  EXPECT_EQ(refusal(consumer() + time("P20Y")), "UnacceptableInitialTerminationTimeFault");
  EXPECT_EQ(refusal(consumer("http+unix://%2Fx/y")), "SubscribeCreationFailedFault");
  EXPECT_EQ(refusal(consumer("/services/vhf")), "SubscribeCreationFailedFault");
  EXPECT_EQ(refusal(consumer(kBase + "/services/notification/pull-points/none")), "SubscribeCreationFailedFault");
  EXPECT_EQ(refusal(consumer(kConsumer, "<wsa:To>urn:x</wsa:To>")), "SubscribeCreationFailedFault");
  EXPECT_EQ(refusal(consumer(kConsumer, "<c:caller xmlns:c='urn:nuraghe:context:1'>me</c:caller>")),
            "SubscribeCreationFailedFault");
  EXPECT_EQ(refusal(consumer() + "<wsnt:SubscriptionPolicy><vcf:Gently/></wsnt:SubscriptionPolicy>"),
            "UnrecognizedPolicyRequestFault");
  EXPECT_EQ(refusal(consumer(), "/services/vcm"), "ResourceUnknownFault");
  EXPECT_EQ(refusal(consumer(), "/services/vcf/cabbages/1"), "ResourceUnknownFault");
  is_strict_ = false;
  const auto unknown = ask("/services/vcf", element("Subscribe", consumer() + filter("<vcf:Sieve/><wsnt:UseRaw/>")));
  EXPECT_EQ(fault_of(unknown), "InvalidFilterFault");
  EXPECT_EQ(unknown.fault->detail->root().children(kNotification, "UnknownFilter").size(), 2U);
  EXPECT_EQ(refusal(""), "SubscribeCreationFailedFault");
  EXPECT_EQ(refusal(consumer() + time("tomorrow")), "UnacceptableInitialTerminationTimeFault");
  EXPECT_EQ(refusal(consumer() + time("5m")), "UnacceptableInitialTerminationTimeFault");
  happen("nobody hears it");
  EXPECT_THAT(consumers_.got, IsEmpty());
}

TEST_F(NotificationTest, GivesAConsumerItsReferenceParameters) {
  subscribe(consumer(kConsumer, "<k:key xmlns:k='urn:k'>42</k:key><k:more xmlns:k='urn:k'/>"));
  happen("one");
  const xml::Node parts = consumers_.got.at(0).body->root();
  const xml::Node key = parts.child(soap::kParts, "header").first_child();
  EXPECT_TRUE(key.is("urn:k", "key"));
  EXPECT_EQ(key.text(), "42");
  EXPECT_EQ(key.attribute_or("IsReferenceParameter", "", kAddressing), "true");
  EXPECT_TRUE(key.next_sibling().is("urn:k", "more"));
}

TEST_F(NotificationTest, TellsItBareWhereThatIsAskedFor) {
  subscribe(consumer() + "<wsnt:SubscriptionPolicy><wsnt:UseRaw/></wsnt:SubscriptionPolicy>");
  happen("one");
  happen("two");
  EXPECT_THAT(consumers_.texts(), ElementsAre("one", "two"));
  EXPECT_TRUE(consumers_.got.at(1).body->root().is(kEvent, "event"));
}

TEST_F(NotificationTest, PausesAndResumes) {
  const std::string path = subscribe(consumer());
  EXPECT_EQ(fault_of(ask(path, element("PauseSubscription"))), "");
  happen("one");
  happen("two");
  EXPECT_THAT(consumers_.texts(), IsEmpty());
  EXPECT_EQ(fault_of(ask(path, element("ResumeSubscription"))), "");
  happen("three");
  EXPECT_THAT(consumers_.texts(), ElementsAre("one", "two", "three"));
}

TEST_F(NotificationTest, EndsAtItsTerminationTime) {
  const std::string path = subscribe(consumer() + "<wsnt:InitialTerminationTime>PT10M</wsnt:InitialTerminationTime>");
  advance(9min);
  happen("one");
  const auto renew = [&](const std::string& time) {
    return ask(path, element("Renew", "<wsnt:TerminationTime>" + time + "</wsnt:TerminationTime>"));
  };
  EXPECT_EQ(fault_of(renew("PT0S")), "UnacceptableTerminationTimeFault");
  const auto renewed = renew("PT20M");
  ASSERT_TRUE(renewed.body);
  EXPECT_EQ(renewed.body->root().child(kNotification, "TerminationTime").text(),
            (world_.clock.now() + 20min).to_string());
  advance(19min);
  happen("two");
  advance(2min);
  happen("three");
  EXPECT_THAT(consumers_.texts(), ElementsAre("one", "two"));
  EXPECT_EQ(fault_of(renew("PT5M")), "ResourceUnknownFault");
  EXPECT_THAT(world_.rows("control", "notification_subscription"), IsEmpty());
  EXPECT_THAT(world_.rows("control", "notification_cursor"), IsEmpty());
}

TEST_F(NotificationTest, ATermAtNoTimeIsForEver) {
  const std::string nil = "<wsnt:{} xsi:nil='true'/>";
  subscribe(consumer() + "<wsnt:InitialTerminationTime xsi:nil='true'/>");
  const std::string other = subscribe(consumer("http://other.example/"));
  EXPECT_EQ(fault_of(ask(other, element("Renew", "<wsnt:TerminationTime xsi:nil='true'/>"))), "");
  world_.clock.advance(24h * 300);
  world_.drain();
  happen("late");
  EXPECT_THAT(consumers_.texts(), ElementsAre("late"));
  EXPECT_THAT(consumers_.texts("http://other.example/"), ElementsAre("late"));
}

TEST_F(NotificationTest, AnotherOrganisationsSubscriptionIsNotThere) {
  const std::string path = subscribe(consumer());
  for (const char* operation : {"Unsubscribe", "PauseSubscription", "ResumeSubscription"})
    EXPECT_EQ(fault_of(ask(path, element(operation), "biology")), "ResourceUnknownFault");
  happen("still told");
  EXPECT_THAT(consumers_.texts(), ElementsAre("still told"));
  EXPECT_EQ(fault_of(ask("/services/vcf", element("Unsubscribe"))), "ResourceUnknownFault");
}

TEST_F(NotificationTest, ARepeatedSubscribeMakesOneSubscription) {
  const std::string body = element("Subscribe", consumer());
  const auto first = ask("/services/vcf", body, "physics", "urn:same");
  const auto second = ask("/services/vcf", body, "physics", "urn:same");
  EXPECT_TRUE(xml::equivalent(first.body->root(), second.body->root()));
  happen("once");
  EXPECT_THAT(consumers_.texts(), ElementsAre("once"));
}

TEST_F(NotificationTest, ShowsTheCurrentMessage) {
  const auto current = [this](const std::string& expression, const std::string& to = "/services/vcf",
                              const std::string& vo = "physics") {
    return ask(
        to,
        element("GetCurrentMessage", fmt::format("<wsnt:Topic Dialect='{}'>{}</wsnt:Topic>", kFullDialect, expression)),
        vo);
  };
  EXPECT_EQ(fault_of(current("vcf:cluster.running")), "NoCurrentMessageOnTopicFault");
  happen("old");
  happen("new");
  happen("frozen", "cluster.frozen");
  happen("of another", "cluster.running", "c2");
  happen("of others", "cluster.running", "c9", "biology");
  const auto text = [](const exchange::Message& reply) {
    return reply.body ? reply.body->root().first_child().child(kEvent, "text").text() : fault_of(reply);
  };
  EXPECT_EQ(text(current("vcf:cluster.running")), "of another");
  EXPECT_EQ(text(current("vcf:cluster.running", "/services/vcf/clusters/c1")), "new");
  EXPECT_EQ(text(current("vcf:cluster.running", "/services/vcf", "biology")), "of others");
  EXPECT_EQ(fault_of(current("vcf:cluster.failed")), "NoCurrentMessageOnTopicFault");
  EXPECT_EQ(fault_of(current("vcf:*")), "MultipleTopicsSpecifiedFault");
  EXPECT_EQ(fault_of(current("vcf:none")), "TopicNotSupportedFault");
  EXPECT_EQ(fault_of(current("vcf:[")), "InvalidTopicExpressionFault");
}

TEST_F(NotificationTest, HasALimitOfSubscriptionsAndPullPoints) {
  options_.most_of_vo = 2;
  reopen();
  subscribe(consumer());
  subscribe(consumer());
  EXPECT_EQ(fault_of(ask("/services/vcf", element("Subscribe", consumer()))), "SubscribeCreationFailedFault");
  subscribe(consumer(), "/services/vcf", "biology");
  create_pull_point();
  create_pull_point();
  EXPECT_EQ(fault_of(ask("/services/notification", element("CreatePullPoint"))), "UnableToCreatePullPointFault");
}

TEST_F(NotificationTest, AProducerHasItsTopicsAsAProperty) {
  const auto all = producer_properties(testing::producers(), {"notification", "", ""});
  const auto of_cluster = producer_properties(testing::producers(), {"vcf", "clusters", "c1"});
  for (const auto& properties : {all, of_cluster}) EXPECT_EQ(testing::findings(properties->root()), "");
  const xml::Node set = of_cluster->root().child(kTopics, "TopicSet");
  const xml::Node frozen = set.child(kVcf, "cluster.frozen");
  ASSERT_TRUE(frozen);
  EXPECT_EQ(frozen.attribute_or("topic", "", kTopics), "true");
  EXPECT_FALSE(set.child(kVcf, "State"));
  const auto expressions = [](const xml::DocumentPtr& properties) {
    std::set<xml::QName> meant;
    for (const xml::Node one : properties->root().children(kNotification, "TopicExpression"))
      meant.insert(one.resolve_qname(one.text()).value());
    return meant;
  };
  EXPECT_TRUE(expressions(of_cluster).contains({kVcf, "State"}));
  EXPECT_FALSE(expressions(all).contains({kVcf, "State"}));
  EXPECT_TRUE(expressions(all).contains({kVcf, "cluster.frozen"}));
}

TEST_F(NotificationTest, AServiceShowsItsTopics) {
  const auto rp = [](const std::string& name, const std::string& text) {
    return fmt::format("<rp:{0} xmlns:rp='{1}' xmlns:wstop='{2}' xmlns:wsnt='{3}'>{4}</rp:{0}>", name,
                       kResourceProperties, kTopics, kNotification, text);
  };
  const auto document = ask("/services/vcf", rp("GetResourcePropertyDocument", ""));
  ASSERT_TRUE(document.body);
  EXPECT_TRUE(document.body->root().first_child().is(kNotification, "NotificationProducerRP"));
  const auto set = ask("/services/vcf", rp("GetResourceProperty", "wstop:TopicSet"));
  ASSERT_TRUE(set.body);
  EXPECT_TRUE(set.body->root().first_child().child(kVcf, "cluster.frozen"));
  EXPECT_EQ(fault_of(ask("/services/vcf", rp("GetResourceProperty", "wsnt:Nothing"))),
            "InvalidResourcePropertyQNameFault");
  EXPECT_EQ(fault_of(ask("/services/vcm", rp("GetResourcePropertyDocument", ""))), "ResourceUnknownFault");
}

// ---- pull points ----

TEST_F(NotificationTest, APullPointKeepsWhatIsToldUntilItIsFetched) {
  const std::string point = create_pull_point();
  const std::string path = subscribe(consumer(kBase + point));
  for (const char* text : {"one", "two", "three"}) happen(text);
  EXPECT_THAT(pull(point, "2"), ElementsAre("one", "two"));
  EXPECT_THAT(pull(point, "0"), IsEmpty());
  EXPECT_THAT(pull(point), ElementsAre("three"));
  EXPECT_THAT(pull(point), IsEmpty());
  EXPECT_EQ(fault_of(ask(path, element("PauseSubscription"))), "");
  happen("four");
  EXPECT_THAT(pull(point), IsEmpty());
  EXPECT_EQ(fault_of(ask(path, element("ResumeSubscription"))), "");
  EXPECT_THAT(pull(point), ElementsAre("four"));
  EXPECT_EQ(fault_of(ask(point, element("GetMessages"), "biology")), "ResourceUnknownFault");
  EXPECT_EQ(fault_of(ask("/services/vcf", element("Subscribe", consumer(kBase + point)), "biology")),
            "SubscribeCreationFailedFault");
  EXPECT_EQ(fault_of(ask(point, element("DestroyPullPoint"))), "");
  EXPECT_EQ(fault_of(ask(point, element("GetMessages"))), "ResourceUnknownFault");
  EXPECT_EQ(fault_of(ask(path, element("Unsubscribe"))), "ResourceUnknownFault");
  EXPECT_THAT(world_.rows("control", "notification_queue"), IsEmpty());
  EXPECT_THAT(consumers_.got, IsEmpty());
}

TEST_F(NotificationTest, APullPointTakesWhatOthersTell) {
  const std::string point = create_pull_point();
  const std::string told =
      "<wsnt:NotificationMessage><wsnt:Message><x:y xmlns:x='urn:x'/></wsnt:Message>"
      "</wsnt:NotificationMessage>";
  EXPECT_EQ(fault_of(ask(point, element("Notify", told + told))), "");
  EXPECT_EQ(fault_of(ask(point, element("Notify", told), "biology")), "ResourceUnknownFault");
  EXPECT_EQ(pull(point).size(), 2U);
  EXPECT_EQ(fault_of(ask("/services/vcf", element("Notify", told))), "ResourceUnknownFault");
}

TEST_F(NotificationTest, APullPointThatNobodyAsksIsLost) {
  const std::string point = create_pull_point();
  const std::string path = subscribe(consumer(kBase + point) + "<wsnt:InitialTerminationTime xsi:nil='true'/>");
  for (int day = 0; day < 10; ++day) {
    advance(24h, 24h);
    pull(point);
  }
  advance(24h * 8, 24h);
  EXPECT_EQ(count_events("pull_point.lost"), 1);
  EXPECT_EQ(fault_of(ask(path, element("Unsubscribe"))), "ResourceUnknownFault");
  EXPECT_THAT(world_.rows("control", "notification_pull_point"), IsEmpty());
  EXPECT_EQ(world_.leftovers("control"), "");
}

}  // namespace
}  // namespace nuraghe::services::notification
