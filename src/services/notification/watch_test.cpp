// Changes of properties, and filters that ask for properties.
#include <gmock/gmock.h>

#include "services/notification/testing.hpp"

namespace nuraghe::services::notification {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;
using testing::kConsumer;
using testing::kVcf;
using testing::NotificationTest;

const std::string kCluster = "/services/vcf/clusters/c1";

class WatchTest : public NotificationTest {
 protected:
  void becomes(const std::string& state) { clusters_[{"physics", "c1"}] = state; }
  // "old>new" of every change that the consumer was told.
  std::vector<std::string> changes() const {
    std::vector<std::string> all;
    for (const auto& one : consumers_.got) {
      for (const xml::Node message : one.body->root().children(kNotification, "NotificationMessage")) {
        const xml::Node told = message.child(kNotification, "Message").first_child();
        if (told.is(kEvent, "event")) continue;
        EXPECT_TRUE(told.is(kResourceProperties, "ResourcePropertyValueChangeNotification"));
        all.push_back(told.child(kResourceProperties, "OldValues").text() + ">" +
                      told.child(kResourceProperties, "NewValues").text());
        const xml::Node topic = message.child(kNotification, "Topic");
        EXPECT_EQ(topic.resolve_qname(topic.text()).value(), (xml::QName{kVcf, "State"}));
      }
    }
    return all;
  }
};

TEST_F(WatchTest, TellsWhatChanged) {
  subscribe(consumer() + filter(topic("vcf:State", kSimpleDialect)), kCluster);
  happen("nothing new");
  EXPECT_THAT(changes(), IsEmpty());
  becomes("frozen");
  happen("it froze", "cluster.frozen");
  EXPECT_THAT(changes(), ElementsAre("running>frozen"));
  becomes("running");
  happen("of another", "cluster.running", "c2");
  EXPECT_THAT(changes(), ElementsAre("running>frozen"));
  EXPECT_THAT(consumers_.texts().size(), 1U);
}

TEST_F(WatchTest, SeesChangesThatMakeNoEvent) {
  const std::string path = subscribe(consumer() + filter(topic("vcf:State")), kCluster);
  becomes("broken");
  advance(1min);
  EXPECT_THAT(changes(), ElementsAre("running>broken"));
  EXPECT_EQ(fault_of(ask(path, element("Unsubscribe"))), "");
  advance(1min);
  EXPECT_THAT(world_.rows("control", "notification_watch"), IsEmpty());
  EXPECT_EQ(world_.leftovers("control"), "");
}

TEST_F(WatchTest, GoesOnAfterARestart) {
  subscribe(consumer() + filter(topic("vcf:State")), kCluster);
  becomes("paused");
  reopen();
  advance(1min);
  EXPECT_THAT(changes(), ElementsAre("running>paused"));
}

TEST_F(WatchTest, AFilterSeesThePropertiesAsTheyAre) {
  const std::string condition = filter(fmt::format(
      "<wsnt:ProducerProperties Dialect='{}'>vcf:State = 'frozen'</wsnt:ProducerProperties>", kXPathDialect));
  const std::string no_change = "<wsnt:MessageContent Dialect='" + std::string(kXPathDialect) +
                                "' xmlns:e='urn:nuraghe:event:1'>e:text</wsnt:MessageContent>";
  std::string both = condition;
  both.insert(both.find("</wsnt:Filter>"), no_change);
  subscribe(consumer() + both, kCluster);
  happen("not frozen");
  EXPECT_THAT(consumers_.texts(), IsEmpty());
  becomes("frozen");
  happen("frozen");
  happen("still frozen");
  EXPECT_THAT(consumers_.texts(), ElementsAre("frozen", "still frozen"));
  becomes("running");
  happen("again not");
  EXPECT_THAT(consumers_.texts(), ElementsAre("frozen", "still frozen"));
}

TEST_F(WatchTest, AServicesOwnPropertiesAreItsTopics) {
  const auto condition = [](const std::string& text) {
    return filter(
        fmt::format("<wsnt:ProducerProperties Dialect='{}'>{}</wsnt:ProducerProperties>", kXPathDialect, text));
  };
  subscribe(consumer() + condition("wsnt:FixedTopicSet = 'true'"));
  subscribe(consumer("http://other.example/") + condition("wsnt:FixedTopicSet = 'false'"));
  happen("one");
  EXPECT_THAT(consumers_.texts(), ElementsAre("one"));
  EXPECT_THAT(consumers_.texts("http://other.example/"), IsEmpty());
}

}  // namespace
}  // namespace nuraghe::services::notification
