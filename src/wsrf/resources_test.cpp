#include "wsrf/test_world.hpp"

namespace nuraghe::wsrf {
namespace {

using namespace std::chrono_literals;
using exchange::Turn;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kVc1;
using ::testing::Not;
using testing::rl;
using testing::rp;
using ::testing::StartsWith;

class Properties : public testing::ResourcesTest {};

TEST_F(Properties, OneIsAnswered) {
  EXPECT_THAT(say_valid(kVc1, rp("GetResourceProperty", "c:State")), AllOf(HasSubstr("State"), HasSubstr(">running<")));
  const auto reply = ask(kVc1, rp("GetResourceProperty", " c:Member "));
  ASSERT_FALSE(reply.fault) << reply.fault->reason;
  ASSERT_TRUE(reply.body);
  EXPECT_EQ(reply.body->root().children("urn:nuraghe:vcf:1", "Member").size(), 3U);
  EXPECT_EQ(reply.body->root().first_child().first_child().name(), (xml::QName{"urn:nuraghe:vcf:1", "name"}));
  // A property without a value now is none the less one.
  EXPECT_THAT(say_valid(kVc1, rp("GetResourceProperty", "c:Network")), HasSubstr("GetResourcePropertyResponse"));
}

TEST_F(Properties, SeveralAreAnsweredInTheOrderAsked) {
  const auto reply = ask(kVc1, rp("GetMultipleResourceProperties",
                                  "<p:ResourceProperty>c:Name</p:ResourceProperty>"
                                  "<p:ResourceProperty>rl:TerminationTime</p:ResourceProperty>"
                                  "<p:ResourceProperty>c:Id</p:ResourceProperty>"));
  ASSERT_TRUE(reply.body);
  std::vector<std::string> names;
  for (const auto child : reply.body->root().children()) names.emplace_back(child.local_name());
  EXPECT_THAT(names, ElementsAre("Name", "TerminationTime", "Id"));
}

TEST_F(Properties, TheDocumentHasThemAll) {
  const auto reply = ask(kVc1, rp("GetResourcePropertyDocument", ""));
  ASSERT_TRUE(reply.body);
  const auto document = reply.body->root().first_child();
  EXPECT_EQ(document.name(), (xml::QName{"urn:nuraghe:vcf:1", "ClusterProperties"}));
  EXPECT_EQ(document.child("urn:nuraghe:vcf:1", "Vo").text(), "physics");
  EXPECT_EQ(document.child(kLifetime, "CurrentTime").text(), world.clock.now().to_string());
}

TEST_F(Properties, AResourceSaysWhatItTells) {
  const auto reply = ask(kVc1, rp("GetResourcePropertyDocument", ""));
  ASSERT_TRUE(reply.body);
  const auto document = reply.body->root().first_child();
  std::vector<std::string> topics;
  for (const auto one : document.children(kNotification, "TopicExpression"))
    topics.push_back(one.resolve_qname(one.text())->to_string());
  EXPECT_THAT(topics, ::testing::IsSupersetOf({"{urn:nuraghe:vcf:1}cluster.frozen", "{urn:nuraghe:vcf:1}State",
                                               "{urn:nuraghe:vcf:1}LeaseEnd"}));
  EXPECT_EQ(document.child(kNotification, "FixedTopicSet").text(), "true");
  EXPECT_EQ(document.children(kNotification, "TopicExpressionDialect").size(), 3U);
  EXPECT_EQ(document.child(kTopics, "TopicSet")
                .child("urn:nuraghe:vcf:1", "cluster.frozen")
                .attribute_or("topic", "", kTopics),
            "true");
  const auto named = [this](const std::string& ns, const std::string& name) {
    return say_valid(kVc1, "<p:GetResourceProperty xmlns:p='http://docs.oasis-open.org/wsrf/rp-2' xmlns:t='" + ns +
                               "'>t:" + name + "</p:GetResourceProperty>");
  };
  EXPECT_THAT(named(std::string(kTopics), "TopicSet"), HasSubstr("cluster.destroyed"));
  EXPECT_THAT(named(std::string(kNotification), "FixedTopicSet"), HasSubstr(">true<"));
  EXPECT_THAT(named(std::string(kNotification), "Topic"), StartsWith("InvalidResourcePropertyQNameFault"));
  EXPECT_THAT(say_valid(kVc1, rp("DeleteResourceProperties",
                                 "<p:Delete xmlns:t='" + std::string(kTopics) + "' ResourceProperty='t:TopicSet'/>")),
              StartsWith("UnableToModifyResourcePropertyFault"));
}

TEST_F(Properties, WhatIsNoPropertyIsNamed) {
  EXPECT_THAT(say_valid(kVc1, rp("GetResourceProperty", "c:Colour")),
              AllOf(StartsWith("InvalidResourcePropertyQNameFault"), HasSubstr("Colour"), HasSubstr("State")));
  EXPECT_THAT(say(kVc1, rp("GetResourceProperty", "State")), StartsWith("InvalidResourcePropertyQNameFault"));
  EXPECT_THAT(say(kVc1, rp("GetResourceProperty", "unbound:State")), StartsWith("InvalidResourcePropertyQNameFault"));
  EXPECT_THAT(say(kVc1, rp("GetMultipleResourceProperties",
                           "<p:ResourceProperty>c:Id</p:ResourceProperty>"
                           "<p:ResourceProperty>c:id</p:ResourceProperty>")),
              StartsWith("InvalidResourcePropertyQNameFault"));
}

std::string query(const std::string& expression, const std::string& dialect = std::string(kXPath)) {
  return rp("QueryResourceProperties",
            "<p:QueryExpression Dialect='" + dialect + "'>" + expression + "</p:QueryExpression>");
}

TEST_F(Properties, AreQueriedWithXPath) {
  EXPECT_THAT(say_valid(kVc1, query("c:Member[c:cpus &gt; 1]/c:host")),
              AllOf(HasSubstr("vh-1"), HasSubstr("vh-2"), Not(HasSubstr("vh-0"))));
  EXPECT_THAT(say_valid(kVc1, query("/c:ClusterProperties/c:Name")), HasSubstr(">mpi<"));
  EXPECT_THAT(say_valid(kVc1, query("sum(c:Member/c:cpus)")), AllOf(HasSubstr("number"), HasSubstr(">6<")));
  EXPECT_THAT(say_valid(kVc1, query("c:State = 'running'")), AllOf(HasSubstr("boolean"), HasSubstr(">true<")));
  EXPECT_THAT(say_valid(kVc1, query("string(c:Vo)")), HasSubstr(">physics<"));
  EXPECT_THAT(say_valid(kVc1, query("c:Member/c:name/text()")), HasSubstr(">node2<"));
  EXPECT_THAT(say_valid(kVc1, query("c:Member[c:cpus = 99]")), HasSubstr("nothing"));
}

TEST_F(Properties, QueriesFailWithTheirOwnFaults) {
  EXPECT_THAT(say_valid(kVc1, query("1", "http://www.w3.org/TR/xquery")),
              StartsWith("UnknownQueryExpressionDialectFault"));
  EXPECT_THAT(say_valid(kVc1, query("c:Member[")), StartsWith("InvalidQueryExpressionFault"));
  EXPECT_THAT(say_valid(kVc1, query("z:Member")), StartsWith("InvalidQueryExpressionFault"));
  EXPECT_THAT(say_valid(kVc1, query("$secret")), StartsWith("QueryEvaluationErrorFault"));
  EXPECT_THAT(say_valid(kVc1, query("c:open('/etc/passwd')")), StartsWith("QueryEvaluationErrorFault"));
}

TEST_F(Properties, QueriesThatWorkTooLongAreStopped) {
  for (int i = 0; i < 200; ++i) clusters["vc-1"].member.push_back(clusters["vc-1"].member.front());
  EXPECT_THAT(say_valid(kVc1, query("count(//*[count(//*[count(//*) &gt; 0]) &gt; 0])")),
              StartsWith("QueryEvaluationErrorFault"));
}

TEST_F(Properties, WhatIsNotThereIsUnknown) {
  for (const char* path : {"/services/vcf/clusters/vc-2", "/services/vcf/clusters/vc-9"})
    EXPECT_THAT(say_valid(path, rp("GetResourceProperty", "c:State")), StartsWith("ResourceUnknownFault")) << path;
  EXPECT_THAT(say(kVc1, rp("GetResourceProperty", "c:State"), "chemistry"), StartsWith("ResourceUnknownFault"))
      << "another organisation's is not there";
  unavailable_ = true;
  EXPECT_THAT(say_valid(kVc1, rp("GetResourceProperty", "c:State")), StartsWith("ResourceUnavailableFault"));
}

TEST_F(Properties, NobodySetsWhatFollowsFromWhatHappens) {
  const std::string update = "<p:Update><c:State>frozen</c:State></p:Update>";
  EXPECT_THAT(say_valid(kVc1, rp("SetResourceProperties", update)), StartsWith("UnableToModifyResourcePropertyFault"));
  EXPECT_THAT(say_valid(kVc1, rp("UpdateResourceProperties", update)),
              StartsWith("UnableToModifyResourcePropertyFault"));
  EXPECT_THAT(say_valid(kVc1, rp("DeleteResourceProperties", "<p:Delete ResourceProperty='c:State'/>")),
              StartsWith("UnableToModifyResourcePropertyFault"));
  EXPECT_THAT(
      say_valid(kVc1, rp("InsertResourceProperties", "<p:Insert><c:Colour xmlns:c='urn:x'>red</c:Colour></p:Insert>")),
      StartsWith("InvalidResourcePropertyQNameFault"));
  EXPECT_THAT(say(kVc1, rp("SetResourceProperties", "")), StartsWith("InvalidModificationFault"));
  EXPECT_TRUE(calls.empty());
}

TEST_F(Properties, ADocumentThatIsPutBackUnchangedChangesNothing) {
  const auto reply = ask(kVc1, rp("GetResourcePropertyDocument", ""));
  ASSERT_TRUE(reply.body);
  std::string document = reply.body->root().first_child().to_string();
  EXPECT_THAT(say_valid(kVc1, rp("PutResourcePropertyDocument", document)),
              HasSubstr("PutResourcePropertyDocumentResponse"));
  document.replace(document.find(">running<"), 9, ">frozen<");
  EXPECT_THAT(say_valid(kVc1, rp("PutResourcePropertyDocument", document)),
              AllOf(StartsWith("UnableToPutResourcePropertyDocumentFault"), HasSubstr("State")));
  EXPECT_TRUE(calls.empty());
}

TEST_F(Properties, LifecycleOperationsStandAtTheResource) {
  EXPECT_THAT(say(kVc1, "<freeze_vc xmlns='urn:nuraghe:vcm:1'><cluster>vc-1</cluster></freeze_vc>"),
              HasSubstr("freeze_vcResponse"));
  EXPECT_THAT(calls, ElementsAre("freeze_vc vc-1 of physics by token:marie"));
  EXPECT_THAT(say(kVc1, "<freeze_vc xmlns='urn:nuraghe:vcm:1'><cluster>vc-2</cluster></freeze_vc>"),
              AllOf(StartsWith("fault"), HasSubstr("vc-2")));
  refusal = "it is being thawed";
  EXPECT_THAT(say(kVc1, "<freeze_vc xmlns='urn:nuraghe:vcm:1'><cluster>vc-1</cluster></freeze_vc>"),
              HasSubstr("it is being thawed"));
}

TEST_F(Properties, ARequestIsAnsweredAfterARestart) {
  std::string waiting;
  vcf.request = [&](Turn&, const exchange::Message& request) {
    waiting = request.message_id;
    return Status();
  };
  const std::string id = send(kVc1, rp("GetResourceProperty", "c:State"));
  EXPECT_FALSE(answers.contains(id));
  vcf.request = [this](Turn& turn, const exchange::Message& request) { return serve_vcf(turn, request); };
  restart();
  world.exchanges[0]->post(
      "vcf",
      [&](Turn& turn) {
        return turn.reply(waiting, contracts::vcf::document_of(contracts::vcf::GetClusterResponse{clusters["vc-1"]}));
      },
      [](const Status& status) { EXPECT_TRUE(status); });
  world.drain();
  EXPECT_EQ(world.rows("control", "wsrf_work").size(), 0U);
  EXPECT_EQ(world.leftovers("control"), "");
}

class Lifetimes : public testing::ResourcesTest {
 protected:
  std::string set(const std::string& content) { return say_valid(kVc1, rl("SetTerminationTime", content)); }
  std::string in(Duration span) {
    return set("<p:RequestedTerminationTime>" + (world.clock.now() + span).to_string() +
               "</p:RequestedTerminationTime>");
  }
  std::string end() { return say_valid(kVc1, rp("GetResourceProperty", "rl:TerminationTime")); }
};

TEST_F(Lifetimes, DestroyAnswersWhenItIsDone) {
  EXPECT_THAT(say_valid(kVc1, rl("Destroy")), HasSubstr("DestroyResponse"));
  EXPECT_THAT(calls, ElementsAre("destroy_vc vc-1 of physics by token:marie"));
  EXPECT_THAT(say_valid(kVc1, rl("Destroy")), StartsWith("ResourceUnknownFault"));
  EXPECT_EQ(world.rows("control", "wsrf_work").size(), 0U);
}

TEST_F(Lifetimes, ARefusedDestructionSaysWhy) {
  refusal = "another operation is at work";
  EXPECT_THAT(say_valid(kVc1, rl("Destroy")),
              AllOf(StartsWith("ResourceNotDestroyedFault"), HasSubstr("another operation")));
}

TEST_F(Lifetimes, ATerminationTimeDestroysAlsoAfterARestart) {
  const TimePoint then = world.clock.now() + 1h;
  EXPECT_THAT(in(1h), AllOf(HasSubstr(then.to_string()), HasSubstr(world.clock.now().to_string())));
  EXPECT_THAT(end(), HasSubstr(then.to_string()));
  restart();
  EXPECT_THAT(end(), HasSubstr(then.to_string()));
  world.clock.set(then - 1s);
  world.drain();
  EXPECT_TRUE(calls.empty());
  world.clock.set(then);
  world.drain();
  EXPECT_THAT(calls, ElementsAre("destroy_vc vc-1 of physics by token:marie"));
  EXPECT_THAT(end(), StartsWith("ResourceUnknownFault"));
  EXPECT_EQ(world.rows("control", "wsrf_lifetimes").size(), 0U);
  EXPECT_EQ(world.leftovers("control"), "");
}

TEST_F(Lifetimes, WhatIsGoneByAnotherWayLeavesNoTimeToWhoGetsItsName) {
  const auto gone = [&](const std::string& key, const std::string& vo) {
    world.exchanges[0]->post(
        "vcf", [&](Turn& turn) { return resources->forget(turn.transaction(), "/services/vcf/clusters", key, vo); },
        [](const Status& status) { EXPECT_TRUE(status); });
    world.drain();
  };
  in(1h);
  gone("vc-2", "");
  gone("vc-2", "physics");
  gone("vc-1", "chemistry");
  EXPECT_THAT(end(), Not(HasSubstr("nil=\"true\"")));
  gone("vc-1", "physics");
  EXPECT_THAT(end(), HasSubstr("nil=\"true\""));
  in(1h);
  gone("vc-1", "");
  EXPECT_THAT(end(), HasSubstr("nil=\"true\""));
  world.clock.advance(2h);
  world.drain();
  EXPECT_TRUE(calls.empty());
  EXPECT_EQ(world.rows("control", "wsrf_lifetimes").size(), 0U);
  EXPECT_EQ(world.leftovers("control"), "");
}

TEST_F(Lifetimes, TheEndThatATimeBringsIsToldAlsoWhenItsServiceForgetsTheTime) {
  std::vector<std::string> told;
  const auto look = [&] {
    told.clear();
    world.exchanges[0]->read_events(0, 100, [&](const std::vector<exchange::Event>& events) {
      for (const auto& event : events) told.push_back(event.kind);
    });
    world.drain();
  };
  vcm.request = [this](Turn& turn, const exchange::Message& request) -> Status {
    // Also where the service forgets it and refuses in the end.
    TRY(resources->forget(turn.transaction(), "/services/vcf/clusters", "vc-1"));
    return serve_vcm(turn, request);
  };
  in(1h);
  refusal = "another operation is at work";
  world.clock.advance(1h);
  world.drain();
  EXPECT_EQ(calls.size(), 1U);
  refusal.clear();
  world.clock.advance(1min);
  world.drain();
  look();
  EXPECT_THAT(told, ElementsAre("resource.not-terminated", "resource.terminated"));
  EXPECT_EQ(world.rows("control", "wsrf_lifetimes").size(), 0U);
  EXPECT_EQ(world.leftovers("control"), "");
}

TEST_F(Lifetimes, ItCanBePutOffAndTakenAway) {
  in(1h);
  EXPECT_THAT(set("<p:RequestedLifetimeDuration>PT2H</p:RequestedLifetimeDuration>"),
              HasSubstr((world.clock.now() + 2h).to_string()));
  world.clock.advance(90min);
  world.drain();
  EXPECT_TRUE(calls.empty());
  EXPECT_THAT(set("<p:RequestedTerminationTime xsi:nil='true'/>"), HasSubstr("nil=\"true\""));
  EXPECT_THAT(end(), HasSubstr("nil=\"true\""));
  world.clock.advance(24h);
  world.drain();
  EXPECT_TRUE(calls.empty());
  EXPECT_EQ(world.leftovers("control"), "");
}

TEST_F(Lifetimes, ATimeThatIsOverIsRefused) {
  EXPECT_THAT(in(-1s), StartsWith("UnableToSetTerminationTimeFault"));
  EXPECT_THAT(say(kVc1, rl("SetTerminationTime", "<p:RequestedTerminationTime>soon</p:RequestedTerminationTime>")),
              StartsWith("UnableToSetTerminationTimeFault"));
  EXPECT_THAT(say(kVc1, rl("SetTerminationTime")), StartsWith("UnableToSetTerminationTimeFault"));
  for (const char* span : {"P2000Y", "P999999999Y", "-PT1S"}) {
    EXPECT_THAT(set("<p:RequestedLifetimeDuration>" + std::string(span) + "</p:RequestedLifetimeDuration>"),
                StartsWith("UnableToSetTerminationTimeFault"))
        << span;
  }
}

TEST_F(Lifetimes, WhatCannotBeDestroyedYetIsTriedAgain) {
  in(1h);
  refusal = "another operation is at work";
  world.clock.advance(1h);
  world.drain();
  EXPECT_EQ(calls.size(), 1U);
  world.clock.advance(5s);
  world.drain();
  EXPECT_EQ(calls.size(), 2U);
  refusal.clear();
  world.clock.advance(10s);
  world.drain();
  EXPECT_EQ(calls.size(), 3U);
  EXPECT_EQ(clusters["vc-1"].state, contracts::vcf::ClusterState::kDestroyed);
  EXPECT_EQ(world.leftovers("control"), "");
}

TEST_F(Lifetimes, OfAnotherOrganisationAreNotTouched) {
  EXPECT_THAT(say(kVc1, rl("Destroy"), "chemistry"), StartsWith("ResourceUnknownFault"));
  EXPECT_THAT(say(kVc1, rl("SetTerminationTime", "<p:RequestedLifetimeDuration>PT1S</p:RequestedLifetimeDuration>"),
                  "chemistry"),
              StartsWith("ResourceUnknownFault"));
  world.clock.advance(1h);
  world.drain();
  EXPECT_TRUE(calls.empty());
}

// A subscription ends by itself, and by wsnt:Renew: its service keeps the one time.
class OwnTermination : public testing::ResourcesTest {
 protected:
  void SetUp() override {
    subscription_.id = "sub-1";
    notification_.request = [this](Turn& turn, const exchange::Message& request) -> Status {
      if (request.operation == "get_subscription")
        return turn.reply(request.message_id, contracts::notification::document_of(
                                                  contracts::notification::GetSubscriptionResponse{subscription_}));
      TRY_ASSIGN(const auto input, contracts::notification::parse_set_subscription_end_request(request));
      if (input.ends && *input.ends > turn.now() + 24h) return invalid("that is too far away");
      subscription_.ends = input.ends;
      return turn.reply(request.message_id, contracts::notification::document_of(
                                                contracts::notification::SetSubscriptionEndResponse{input.ends}));
    };
    more = &notification_;
    ResourcesTest::SetUp();
  }
  exchange::testing::FunctionActor notification_{"notification"};
  contracts::notification::Subscription subscription_;
  const std::string path_ = "/services/notification/subscriptions/sub-1";
};

TEST_F(OwnTermination, IsSetAndShownWhereItIsKept) {
  const std::string time =
      "<p:GetResourceProperty xmlns:p='http://docs.oasis-open.org/wsrf/rp-2' "
      "xmlns:rl='http://docs.oasis-open.org/wsrf/rl-2'>rl:TerminationTime</p:GetResourceProperty>";
  const auto set = [&](const std::string& span) {
    return say_valid(
        path_, rl("SetTerminationTime", "<p:RequestedLifetimeDuration>" + span + "</p:RequestedLifetimeDuration>"));
  };
  EXPECT_THAT(say_valid(path_, time), HasSubstr("nil=\"true\""));
  EXPECT_THAT(set("PT1H"), HasSubstr((world.clock.now() + 1h).to_string()));
  EXPECT_EQ(subscription_.ends, world.clock.now() + 1h);
  subscription_.ends = world.clock.now() + 2h;  // by wsnt:Renew
  EXPECT_THAT(say_valid(path_, time), HasSubstr((world.clock.now() + 2h).to_string()));
  EXPECT_THAT(set("P2D"), StartsWith("UnableToSetTerminationTimeFault"));
  EXPECT_EQ(subscription_.ends, world.clock.now() + 2h);
  EXPECT_THAT(say_valid(path_, rl("SetTerminationTime", "<p:RequestedTerminationTime xsi:nil='true'/>")),
              HasSubstr("nil=\"true\""));
  EXPECT_EQ(subscription_.ends, std::nullopt);
  EXPECT_EQ(world.leftovers("control"), "") << "no second time is kept";
}

class Groups : public testing::ResourcesTest {
 protected:
  std::string add(const std::string& stay, const std::string& epr = "http://10.0.0.2/services/a") {
    return say("/services/vhf/physical-hosts",
               "<s:Add xmlns:s='http://docs.oasis-open.org/wsrf/sg-2' xmlns:a='http://www.w3.org/2005/08/addressing'>"
               "<s:MemberEPR><a:Address>" +
                   epr +
                   "</a:Address></s:MemberEPR><s:Content>"
                   "<register_physical_host xmlns='urn:nuraghe:vhf:1'><name>a</name><site>s</site>"
                   "<address>http://10.0.0.2/services/a</address><tunnel/><driver>sim</driver><accelerator/><total>"
                   "<cpus xmlns='urn:nuraghe:vhc:1'>4</cpus><memory xmlns='urn:nuraghe:vhc:1'>4096</memory>"
                   "<disk xmlns='urn:nuraghe:vhc:1'>1</disk></total><interval>PT10S</interval></register_physical_host>"
                   "</s:Content>" +
                   stay + "</s:Add>");
  }
  std::string entries() { return say_valid("/services/vhf/physical-hosts", rp("GetResourceProperty", "sg:Entry")); }
  const std::string entry_ = "/services/vhf/physical-hosts/a/entry";
};

TEST_F(Groups, AMemberComesRenewsAndVanishes) {
  EXPECT_THAT(add("<s:InitialTerminationTime>PT1M</s:InitialTerminationTime>"),
              AllOf(HasSubstr("http://127.0.0.1:8470" + entry_), HasSubstr((world.clock.now() + 1min).to_string())));
  EXPECT_THAT(calls.front(), HasSubstr("PT20.000000S"));
  EXPECT_EQ(reached_at, "https://10.0.0.1:8470") << "what is refused there is not let in by this way";
  EXPECT_THAT(entries(), AllOf(HasSubstr(entry_), HasSubstr("http://127.0.0.1:8470/services/vhf/physical-hosts/a<"),
                               HasSubstr("register_physical_host")));
  world.clock.advance(50s);
  EXPECT_THAT(
      say_valid(entry_, rl("SetTerminationTime", "<p:RequestedLifetimeDuration>PT1M</p:RequestedLifetimeDuration>")),
      HasSubstr((world.clock.now() + 1min).to_string()));
  world.clock.advance(50s);
  EXPECT_THAT(say_valid(entry_, rp("GetResourcePropertyDocument", "")),
              AllOf(HasSubstr("MemberEPR"), HasSubstr("TerminationTime"), HasSubstr("Content")));
  world.clock.advance(11s);
  EXPECT_THAT(entries(), Not(HasSubstr("Entry>")));
  EXPECT_THAT(say_valid(entry_, rp("GetResourceProperty", "sg:MemberEPR")), StartsWith("ResourceUnknownFault"));
  EXPECT_THAT(say_valid("/services/vhf/physical-hosts/a", rp("GetResourceProperty", "rl:CurrentTime")),
              HasSubstr("CurrentTime"))
      << "the physical host itself is known for longer";
}

TEST_F(Groups, AMemberCanBeTakenOut) {
  add("");
  EXPECT_THAT(say_valid(entry_, rl("Destroy")), HasSubstr("DestroyResponse"));
  EXPECT_THAT(entries(), Not(HasSubstr("Entry>")));
}

TEST_F(Groups, WhatIsNoMemberIsRefused) {
  EXPECT_THAT(add("", "http://10.0.0.3/services/other"), StartsWith("AddRefusedFault"));
  EXPECT_THAT(add("<s:InitialTerminationTime>2001-01-01T00:00:00Z</s:InitialTerminationTime>"),
              StartsWith("AddRefusedFault"));
  EXPECT_TRUE(hosts.empty());
  refusal = "only a's own token may register it";
  EXPECT_THAT(add(""), AllOf(StartsWith("AddRefusedFault"), HasSubstr("only a's own")));
  EXPECT_THAT(
      say("/services/vhf/physical-hosts",
          "<s:Add xmlns:s='http://docs.oasis-open.org/wsrf/sg-2' xmlns:a='http://www.w3.org/2005/08/addressing'>"
          "<s:MemberEPR><a:Address>http://x/</a:Address></s:MemberEPR><s:Content/></s:Add>"),
      StartsWith("ContentCreationFailedFault"));
}

TEST_F(Groups, AllOfAKindAreAGroupOfWhatOneSees) {
  clusters["vc-8"] = testing::a_cluster("vc-8", "frozen");
  clusters["vc-8"].vo = "chemistry";
  const std::string all = say_valid("/services/vcf/clusters", rp("GetResourcePropertyDocument", ""));
  EXPECT_THAT(all, AllOf(HasSubstr("ServiceGroupRP"), HasSubstr("http://127.0.0.1:8470/services/vcf/clusters/vc-1<"),
                         HasSubstr("ClusterProperties"), Not(HasSubstr("vc-8"))));
  EXPECT_THAT(say_valid("/services/vcf/clusters", query("count(sg:Entry)")), HasSubstr(">1<"));
  EXPECT_THAT(say("/services/vcf/clusters", rl("Destroy")), AllOf(StartsWith("fault"), HasSubstr("Destroy")));
}

}  // namespace
}  // namespace nuraghe::wsrf
