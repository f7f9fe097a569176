// Receiving, correlating, replying: WS-BPEL 2.0 §9 and §10.3 to §10.5; and messages that come too early.
#include <gtest/gtest.h>

#include "bpel/testing.hpp"

namespace nuraghe::bpel {
namespace {

using testing::Answer;
using testing::kReceive;
using testing::kReply;
using testing::process_text;
using testing::round_trip;
using testing::set_reply;
using testing::World;

const std::string kSets = R"(<correlationSets><correlationSet name="c" properties="t:id"/></correlationSets>)";
std::string receive(const std::string& operation, const std::string& initiate, const std::string& more = {}) {
  return "<receive partnerLink=\"client\" portType=\"t:P\" operation=\"" + operation + "\" variable=\"request\" " +
         more + "><correlations><correlation set=\"c\" initiate=\"" + initiate + "\"/></correlations></receive>";
}
const std::string kCreate = receive("start", "yes", "createInstance=\"yes\"");
const std::string kReplyMore = R"(<reply partnerLink="client" portType="t:P" operation="more" variable="reply"/>)";
std::string catching(const std::string& fault, const std::string& mark, const std::string& body) {
  return "<scope><faultHandlers><catch faultName=\"bpel:" + fault + "\">@" + mark + "</catch></faultHandlers>" + body +
         "</scope>";
}

TEST(Messages, InstancesAreToldApartByTheirValues) {
  World world(process_text("<sequence>" + kCreate + set_reply("'started'") + kReply + receive("more", "no") +
                               set_reply("concat('more ', $request.p)") + kReplyMore + "</sequence>",
                           kSets));
  for (const char* id : {"1", "2", "3"}) world.request("start", std::string("<id>") + id + "</id>");
  world.reopen();
  EXPECT_EQ(world.answer_text(world.request("more", "<id>2</id>")), "more 2");
  EXPECT_EQ(world.answer_text(world.request("more", "<id>1</id>")), "more 1");
  const auto none = world.request("more", "<id>2</id>");
  EXPECT_TRUE(world.answers[none].fault.has_value());
  EXPECT_EQ(world.answer_text(world.request("more", "<id>3</id>")), "more 3");
  world.expect_clean();
  world.expect_replays();
}

// What fails before the start activity takes the request is told to who sent it.
TEST(Messages, ARequestThatIsNeverTakenIsAnswered) {
  const std::string variables =
      "<variable name=\"unset\" type=\"xsd:string\"/><variable name=\"v\" "
      "type=\"xsd:string\"><from>$unset</from></variable>";
  World world(process_text(round_trip("@A"), "", variables));
  EXPECT_NE(world.answer_text(world.request("start", "x")).find("scopeInitializationFailure"), std::string::npos);
  EXPECT_EQ(world.instances()[0].state, "faulted");
  world.expect_clean();
  world.expect_replays();
  World inner(process_text("<scope><variables>" + variables + "</variables>" + round_trip("@A") + "</scope>",
                           "<faultHandlers><catchAll>@H</catchAll></faultHandlers>"));
  EXPECT_NE(inner.answer_text(inner.request("start", "x")).find("ended without a reply"), std::string::npos);
  EXPECT_EQ(inner.trace(), "H");
  EXPECT_EQ(inner.instances()[0].state, "completed");
  inner.expect_clean();
  inner.expect_replays();
}

TEST(Messages, EarlyOnesWaitForTheirReceive) {
  World world(process_text("<sequence>" + kCreate + "@call(A)" + receive("more", "no") +
                               set_reply("concat('more ', $request.p)") + kReplyMore + receive("more", "no") +
                               kReplyMore + kReply + "</sequence>",
                           kSets));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  world.request("start", "<id>1</id>");
  const auto first = world.request("more", "<id>1</id><n>a</n>");
  const auto second = world.request("more", "<id>1</id><n>b</n>");
  EXPECT_EQ(world.answer_text(first), "none");
  EXPECT_EQ(world.rows("bpel_early"), 2U);
  world.answer("A");
  EXPECT_EQ(world.answer_text(first), "more 1a");
  EXPECT_EQ(world.answer_text(second), "more 1a");
  EXPECT_EQ(world.instances()[0].state, "completed");
  world.expect_clean();
  world.expect_replays();
}

// Two processes with the same property, and instances with the same value of it.
TEST(Messages, EarlyOnesAreOfTheirOwnProcess) {
  const auto process = [](const std::string& name) {
    return process_text("<sequence>" + kCreate + "@call(" + name + ")" + receive("more", "no") +
                            set_reply("'" + name + "'") + kReplyMore + kReply + "</sequence>",
                        kSets, "", "", name);
  };
  World world(std::map<std::string, std::string>{{"a.bpel", process("A")}, {"b.bpel", process("B")}});
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  const std::string content = "<id>1</id>";
  for (const char* path : {"/processes/B/client", "/processes/A/client"}) world.send("start", content, {}, "vo1", path);
  world.run();
  const auto of_a = world.send("more", content, {}, "vo1", "/processes/A/client");
  const auto of_b = world.send("more", content, {}, "vo1", "/processes/B/client");
  world.run();
  EXPECT_EQ(world.rows("bpel_early"), 2U);
  world.answer("A");
  world.answer("B");
  EXPECT_EQ(world.answer_text(of_a), "A");
  EXPECT_EQ(world.answer_text(of_b), "B");
  world.expect_clean();
  world.expect_replays();
}

// No instance waits for them, or ever will.
TEST(Messages, EarlyOnesWithOtherValuesAreRefused) {
  const std::string both =
      "<correlations><correlation set=\"c\" initiate=\"@\"/><correlation set=\"d\" "
      "initiate=\"@\"/></correlations></receive>";
  const auto with = [&](const std::string& initiate) {
    std::string text = both;
    for (auto at = text.find('@'); at != std::string::npos; at = text.find('@')) text.replace(at, 1, initiate);
    return text;
  };
  const std::string begin = "<receive partnerLink=\"client\" portType=\"t:P\" variable=\"request\" operation=\"";
  World world(process_text("<sequence>" + begin + "start\" createInstance=\"yes\">" + with("yes") + "@call(A)" + begin +
                               "more\">" + with("no") + set_reply("'more'") + kReplyMore + kReply + "</sequence>",
                           "<correlationSets><correlationSet name=\"c\" properties=\"t:id\"/><correlationSet "
                           "name=\"d\" properties=\"t:code\"/></correlationSets>"));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  world.request("start", "<id>1</id><code>x</code>");
  for (const char* other : {"<id>1</id><code>y</code>", "<id>2</id><code>x</code>"}) {
    const auto refused = world.request("more", other);
    ASSERT_TRUE(world.answers[refused].fault.has_value()) << other;
    EXPECT_EQ(world.answers[refused].fault->code, ErrorCode::kNotFound);
  }
  const auto early = world.request("more", "<id>1</id><code>x</code>");
  world.answer("A");
  EXPECT_EQ(world.answer_text(early), "more");
  world.expect_clean();
  world.expect_replays();
}

TEST(Messages, EarlyOnesAreAnsweredWhenNobodyTakesThem) {
  World world(process_text("<sequence>" + kCreate + "@call(A)<if><condition>1=2</condition>" + receive("more", "no") +
                               "</if>" + set_reply("'done'") + kReply + "</sequence>",
                           kSets));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  world.request("start", "<id>1</id>");
  const auto early = world.request("more", "<id>1</id>");
  world.answer("A");
  ASSERT_TRUE(world.answers[early].fault.has_value());
  EXPECT_EQ(world.answers[early].fault->code, ErrorCode::kConflict);
  EXPECT_NE(world.answers[early].fault->reason.find("ended before it took the request more"), std::string::npos)
      << world.answers[early].fault->reason;
  world.expect_clean();
}

TEST(Messages, EarlyOnesAreBounded) {
  World world(
      process_text("<sequence>" + kCreate + "@call(A)" + receive("more", "no") + kReply + "</sequence>", kSets));
  world.options.limits.early_messages = 2;
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  world.request("start", "<id>1</id>");
  world.request("more", "<id>1</id>");
  world.request("more", "<id>1</id>");
  const auto third = world.request("more", "<id>1</id>");
  ASSERT_TRUE(world.answers[third].fault.has_value());
  EXPECT_EQ(world.answers[third].fault->code, ErrorCode::kExhausted);
  EXPECT_EQ(world.instances()[0].state, "running");
}

TEST(Messages, SeveralStartActivitiesJoin) {
  const auto join = [](const std::string& operation, const std::string& mark) {
    return "<sequence>" + receive(operation, "join", "createInstance=\"yes\"") + "@" + mark + "</sequence>";
  };
  World world(process_text("<sequence><flow>" + join("start", "S") + join("more", "M") + "</flow>" +
                               set_reply("'both'") + kReply + kReplyMore + "</sequence>",
                           kSets));
  const auto more = world.request("more", "<id>1</id>");
  const auto other = world.request("start", "<id>2</id>");
  EXPECT_EQ(world.instances().size(), 2U);
  const auto start = world.request("start", "<id>1</id>");
  EXPECT_EQ(world.answer_text(start), "both");
  EXPECT_EQ(world.answer_text(more), "both");
  EXPECT_EQ(world.answer_text(other), "none");
  EXPECT_EQ(world.trace(), "M S S");
}

TEST(Messages, CorrelationIsChecked) {
  World world(process_text(
      "<sequence>" + kCreate +
          catching(
              "correlationViolation", "V",
              R"(<invoke partnerLink="partner" portType="t:P" operation="call" inputVariable="in_A" outputVariable="out_A">
                      <correlations><correlation set="c" initiate="yes" pattern="response"/></correlations></invoke>)") +
          "@call(A)" + set_reply("'done'") + kReply + "</sequence>",
      kSets));
  world.script = [](const std::string&, const exchange::Message&) { return Answer{Answer::Kind::kOut, "<id>9</id>"}; };
  const auto id = world.request("start", "<id>1</id>");
  EXPECT_EQ(world.trace(), "V");
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
}

TEST(Messages, AnInvokeCanGiveTheSetItsValues) {
  World world(process_text(
      "<sequence>" + kReceive +
          R"(<invoke partnerLink="partner" portType="t:P" operation="call" inputVariable="in_A" outputVariable="out_A">
             <correlations><correlation set="c" initiate="yes" pattern="response"/></correlations></invoke>)" +
          receive("more", "no") + set_reply("'done'") + kReplyMore + kReply +
          "<if><condition>1=2</condition>@call(A)</if></sequence>",
      kSets));
  world.script = [](const std::string&, const exchange::Message&) { return Answer{Answer::Kind::kOut, "<id>9</id>"}; };
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.answer_text(world.request("more", "<id>9</id>")), "done");
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
  world.expect_replays();
}

TEST(Messages, TwoReceivesForTheSameMessageConflict) {
  World world(process_text(
      "<sequence>" + kCreate +
          catching("conflictingReceive", "C", "<flow>" + receive("more", "no") + receive("more", "no") + "</flow>") +
          set_reply("'done'") + kReply + "</sequence>",
      kSets));
  EXPECT_EQ(world.answer_text(world.request("start", "<id>1</id>")), "done");
  EXPECT_EQ(world.trace(), "C");
  world.expect_clean();
  world.expect_replays();
}

TEST(Messages, ASecondOpenRequestConflicts) {
  World world(process_text("<sequence>" + kCreate + receive("more", "no") +
                               catching("conflictingRequest", "C", receive("more", "no")) + set_reply("'done'") +
                               kReplyMore + kReply + "</sequence>",
                           kSets));
  world.request("start", "<id>1</id>");
  const auto first = world.request("more", "<id>1</id>");
  const auto second = world.request("more", "<id>1</id>");
  EXPECT_EQ(world.trace(), "C");
  EXPECT_EQ(world.answer_text(first), "done");
  EXPECT_TRUE(world.answers[second].fault.has_value());
  world.expect_clean();
}

TEST(Messages, ARequestWithoutReplyIsAFault) {
  World world(process_text("<sequence>" + kReceive + "@A</sequence>",
                           "<faultHandlers><catch faultName=\"bpel:missingReply\"><sequence>@F" + set_reply("'late'") +
                               kReply + "</sequence></catch></faultHandlers>"));
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "late");
  EXPECT_EQ(world.trace(), "A F");
  world.expect_clean();
  World silent(process_text("<sequence>" + kReceive + "@A</sequence>"));
  EXPECT_NE(silent.answer_text(silent.request("start", "x")).find("missingReply"), std::string::npos);
  EXPECT_EQ(silent.instances()[0].state, "faulted");
  silent.expect_clean();
}

TEST(Messages, AReplyWithoutRequestIsAFault) {
  World world(process_text("<sequence>" + kReceive + set_reply("'done'") + kReply +
                           catching("missingRequest", "F", kReply) + "</sequence>"));
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "done");
  EXPECT_EQ(world.trace(), "F");
}

TEST(Messages, FaultsAreReplies) {
  World world(process_text(
      "<sequence>" + kReceive +
          R"(<reply partnerLink="client" portType="t:P" operation="start" faultName="t:bad" variable="problem"/></sequence>)",
      "",
      R"(<variable name="problem" element="t:problem"><from><literal><t:problem>why</t:problem></literal></from></variable>)"));
  const auto id = world.request("start", "x");
  ASSERT_TRUE(world.answers[id].fault.has_value());
  EXPECT_EQ(world.answers[id].fault->detail->root().text(), "why");
  EXPECT_EQ(world.instances()[0].state, "completed");
}

TEST(Messages, ThePartnerCanBeAssigned) {
  const std::string assign =
      R"(<assign><copy><from><literal><sref:service-ref xmlns:sref="http://docs.oasis-open.org/wsbpel/2.0/serviceref">
         <wsa:EndpointReference xmlns:wsa="http://www.w3.org/2005/08/addressing"><wsa:Address>/partner/second</wsa:Address>
         </wsa:EndpointReference></sref:service-ref></literal></from><to partnerLink="partner"/></copy></assign>)";
  World world(process_text(round_trip("@call(A)" + assign + "@call(B)")));
  world.script = [](const std::string& content, const auto&) {
    return Answer{content == "A" ? Answer::Kind::kDefer : Answer::Kind::kOut, content};
  };
  world.request("start", "x");
  world.answer("A");
  ASSERT_EQ(world.log->requests.size(), 2U);
  EXPECT_EQ(world.log->requests[0].to, "/partner");
  EXPECT_EQ(world.log->requests[1].to, "/partner/second");
  world.expect_clean();
  world.expect_replays();
}

TEST(Messages, SeveralProcessesShareOnePath) {
  const auto serving = [](const std::string& operation, const std::string& name) {
    const std::string in =
        "<receive partnerLink=\"client\" portType=\"t:P\" operation=\"" + operation +
        "\" variable=\"request\" createInstance=\"yes\"><correlations><correlation set=\"c\" initiate=\"yes\"/>"
        "</correlations></receive>";
    const std::string out =
        "<reply partnerLink=\"client\" portType=\"t:P\" operation=\"" + operation + "\" variable=\"reply\"/>";
    const std::string events =
        R"(<eventHandlers><onEvent partnerLink="client" portType="t:P" operation="abort" messageType="t:In" variable="e">
           <correlations><correlation set="c"/></correlations><scope><sequence>)" +
        set_reply("'" + name + " aborted'") +
        R"(<reply partnerLink="client" portType="t:P" operation="abort" variable="reply"/><exit/></sequence></scope></onEvent></eventHandlers>)";
    return process_text("<sequence>" + in + "@call(A)" + set_reply("'" + name + "'") + out + "</sequence>",
                        kSets + events, "", "", name);
  };
  World world(std::map<std::string, std::string>{{"a.bpel", serving("start", "a")}, {"b.bpel", serving("more", "b")}});
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  const auto one = world.request("start", "<id>1</id>");
  const auto two = world.request("more", "<id>2</id>");
  EXPECT_EQ(world.answer_text(world.request("abort", "<id>2</id>")), "b aborted");
  EXPECT_TRUE(world.answers[two].fault.has_value());
  EXPECT_EQ(world.answer_text(one), "none");
  EXPECT_EQ(world.answer_text(world.request("abort", "<id>1</id>")), "a aborted");
  world.expect_clean();
}

}  // namespace
}  // namespace nuraghe::bpel
