// Kills the engine at every commit (before it and after it) and at every message that it sends, starts it again over
// what the disk holds, and lets the client repeat what was not answered: what partner and client see must be what they
// see without a crash, but for repeats with the same message id; nothing may be left; every history must replay.
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

// Counts places where a process may die; dies at one of them: from then on nothing is stored and nothing is sent.
struct Doom {
  int at = 0;  // 0: never
  int passed = 0;
  bool dead = false;
  // True when the process dies here or is dead already.
  bool pass() {
    if (dead) return true;
    dead = ++passed == at;
    return dead;
  }
};

struct Scenario {
  std::string name;
  std::string process;
  std::vector<std::pair<std::string, std::string>> requests;  // operation, content
  std::string failing;                                        // contents that the partner answers by a fault
};

struct Outcome {
  std::map<std::string, std::string> sent;     // message id → operation and content
  std::map<std::string, std::string> answers;  // request id → answer
  std::vector<std::string> states;
  bool operator==(const Outcome&) const = default;
};
void PrintTo(const Outcome& outcome, std::ostream* out) {
  for (const auto& [id, what] : outcome.sent) *out << "\n  sent " << id << " " << what;
  for (const auto& [id, what] : outcome.answers) *out << "\n  answer " << id << " " << what;
  for (const auto& state : outcome.states) *out << "\n  " << state;
}

// Runs, and where the clock must go on, lets it.
void settle(World& world, const Doom& doom) {
  world.run();
  for (int i = 0;
       i < 50 && !doom.dead && world.next_timer && *world.next_timer < env::SimClock::kStart + std::chrono::hours(12);
       ++i) {
    if (*world.next_timer > world.clock.now()) world.clock.set(*world.next_timer);
    world.run();
  }
}

bool answered(const World& world, const std::string& id) {
  const auto found = world.answers.find(id);
  return found != world.answers.end() && !(found->second.fault && found->second.fault->code == ErrorCode::kUnavailable);
}

Outcome play(const Scenario& scenario, int at, int* places) {
  Doom doom;
  World world(scenario.process);
  world.script = [&](const std::string& content, const exchange::Message&) {
    return Answer{scenario.failing.find(content) != std::string::npos ? Answer::Kind::kProblem : Answer::Kind::kOut,
                  content};
  };
  world.crash_hook = [&](CrashPoint) { return doom.pass(); };
  world.run();
  doom.passed = 0;
  doom.at = at;
  int number = 0;
  const auto restart = [&] {
    if (!doom.dead) return;
    doom = {};
    world.close();
    world.open();
  };
  for (const auto& [operation, content] : scenario.requests) {
    const std::string id = "urn:request:" + std::to_string(++number);
    for (int attempt = 0; attempt < 3; ++attempt) {
      world.answers.erase(id);
      world.send(operation, content, id);
      settle(world, doom);
      if (!doom.dead) break;
      restart();
      settle(world, doom);
    }
  }
  restart();
  settle(world, doom);
  *places = doom.passed;
  for (int i = 1; i <= number; ++i) {  // the first request may have been answered while a later one was under way
    const std::string id = "urn:request:" + std::to_string(i);
    if (scenario.requests[static_cast<std::size_t>(i) - 1].first == "note" || answered(world, id)) continue;
    world.answers.erase(id);
    world.send(scenario.requests[static_cast<std::size_t>(i) - 1].first,
               scenario.requests[static_cast<std::size_t>(i) - 1].second, id);
    settle(world, doom);
  }
  Outcome outcome;
  for (const auto& message : world.log->requests) {
    outcome.sent[message.message_id] = message.operation + " " + message.body->root().text();
  }
  for (int i = 1; i <= number; ++i) {
    const std::string id = "urn:request:" + std::to_string(i);
    if (scenario.requests[static_cast<std::size_t>(i) - 1].first != "note") outcome.answers[id] = world.answer_text(id);
  }
  for (const auto& instance : world.instances()) outcome.states.push_back(instance.state);
  world.expect_clean();
  world.expect_replays();
  return outcome;
}

const std::string kSets = R"(<correlationSets><correlationSet name="c" properties="t:id"/></correlationSets>)";
const std::string kCreate =
    R"(<receive partnerLink="client" portType="t:P" operation="start" variable="request" createInstance="yes">
       <correlations><correlation set="c" initiate="yes"/></correlations></receive>)";
const std::string kMore =
    R"(<receive partnerLink="client" portType="t:P" operation="more" variable="request"><correlations><correlation set="c"/>
       </correlations></receive>)";
const std::string kReplyMore = R"(<reply partnerLink="client" portType="t:P" operation="more" variable="reply"/>)";
std::string undo(const std::string& mark) {
  return "<scope><compensationHandler>@call(Undo" + mark + ")</compensationHandler>@call(" + mark + ")</scope>";
}
const std::string kThrow = "<throw faultName=\"t:bad\"/>";
std::string branches(const std::string& parallel, const std::string& condition = {}) {
  return "<forEach counterName=\"i\" parallel=\"" + parallel +
         "\"><startCounterValue>1</startCounterValue><finalCounterValue>3</finalCounterValue>" + condition +
         R"(<scope><variables><variable name="m" element="t:in"><from><literal><t:in/></literal></from></variable>
            <variable name="o" element="t:out"/></variables><sequence><assign><copy><from>$i</from><to>$m</to></copy></assign>
            <invoke partnerLink="partner" portType="t:P" operation="call" inputVariable="m" outputVariable="o"/></sequence></scope></forEach>)";
}
std::string handled(const std::string& handler, const std::string& body) {
  return "<scope><faultHandlers><catchAll>" + handler + "</catchAll></faultHandlers>" + body + "</scope>";
}

std::string isolated(const std::string& mark) {
  return "<scope isolated=\"yes\"><sequence>@call(" + mark +
         ")<assign><copy><from>$v + 1</from><to>$v</to></copy></assign>@call(" + mark + "2)</sequence></scope>";
}

std::vector<Scenario> scenarios() {
  const std::vector<std::pair<std::string, std::string>> one{{"start", "x"}};
  std::vector<Scenario> all;
  const auto add = [&](const std::string& name, const std::string& body, const std::string& failing = {}) {
    all.push_back({name, process_text(round_trip(body)), one, failing});
  };
  add("reply", "@A");
  add("invoke", "@call(A)@call(B)");
  add("one_way", "@note(A)@call(B)@note(C)");
  add("flow", "<flow><sequence>@call(A)@note(B)</sequence>@call(C)</flow>");
  add("links",
      R"(<flow suppressJoinFailure="yes"><links><link name="a"/></links><sequence>@call(A)<empty><sources><source linkName="a"/>
         </sources></empty></sequence><sequence><targets><target linkName="a"/></targets>@call(B)</sequence></flow>)");
  add("for_each", branches("no"));
  add("for_each_parallel", branches("yes") + "@call(E)");
  add("for_each_enough", branches("yes", "<completionCondition><branches>2</branches></completionCondition>"));
  add("isolated",
      "<scope><variables><variable name=\"v\" type=\"xsd:int\"><from>0</from></variable></variables><flow>" +
          isolated("A") + isolated("B") + "</flow></scope>");
  add("wait", "@call(A)<wait><for>'PT5S'</for></wait>@call(B)");
  add("while",
      R"(<repeatUntil><sequence>@call(A)<assign><copy><from>concat($out_A, '!')</from><to>$in_A</to></copy></assign></sequence>
      <condition>string-length($in_A) &gt; 2</condition></repeatUntil>)");
  add("fault", handled("@call(F)", "@call(A)"), "A");
  add("unhandled", "@call(A)@call(B)", "B");
  add("compensation",
      handled("<sequence><compensate/>@call(F)</sequence>",
              "<sequence>" + undo("A") + undo("B") + "@call(C)</sequence>"),
      "C");
  add("default_compensation",
      handled("@call(F)", "<scope><sequence>" + undo("A") + undo("B") + kThrow + "</sequence></scope>"));
  add("compensate_scope", handled("<compensateScope target=\"S\"/>",
                                  "<sequence><scope "
                                  "name=\"S\"><compensationHandler><sequence>@call(U)@call(V)</sequence></"
                                  "compensationHandler>@call(A)</scope>" +
                                      kThrow + "</sequence>"));
  add("termination",
      handled("@call(F)",
              "<flow><scope><terminationHandler>@call(T)</terminationHandler><wait><for>'PT1H'</for></wait></scope>"
              "<sequence>@call(A)" +
                  kThrow + "</sequence></flow>"));
  add("alarm",
      "<scope><eventHandlers><onAlarm><for>'PT1S'</for><repeatEvery>'PT2S'</repeatEvery><scope>@call(E)</scope></"
      "onAlarm>"
      "</eventHandlers><wait><for>'PT4S'</for></wait></scope>@call(A)");
  add("pick_alarm", "<sequence>@call(A)<scope><wait><for>'PT1S'</for></wait></scope>@call(B)</sequence>");
  add("exit", "<flow>@call(A)<sequence>@call(B)<exit/></sequence></flow>");
  all.push_back({"correlation",
                 process_text("<sequence>" + kCreate + set_reply("'one'") + kReply + "@call(A)" + kMore +
                                  set_reply("'two'") + kReplyMore + "@call(B)</sequence>",
                              kSets),
                 {{"start", "<id>1</id>"}, {"more", "<id>1</id>"}},
                 ""});
  all.push_back(
      {"event_handler",
       process_text(
           "<sequence>" + kCreate + set_reply("'one'") + kReply + "<wait><for>'PT24H'</for></wait></sequence>",
           kSets +
               R"(<faultHandlers><catchAll>@call(F)</catchAll></faultHandlers><eventHandlers><onEvent partnerLink="client"
                                  portType="t:P" operation="more" messageType="t:In" variable="e"><correlations><correlation set="c"/>
                                  </correlations><scope><sequence>@call(E))" +
               kReplyMore + kThrow + "</sequence></scope></onEvent></eventHandlers>"),
       {{"start", "<id>1</id>"}, {"more", "<id>1</id>"}},
       ""});
  return all;
}

class Crash : public ::testing::TestWithParam<Scenario> {};

TEST_P(Crash, AtEveryCommitAndSend) {
  int places = 0;
  const auto expected = play(GetParam(), 0, &places);
  ASSERT_GT(places, 2);
  for (const auto& [id, text] : expected.answers) ASSERT_NE(text, "none");
  for (int at = 1; at <= places; ++at) {
    int ignored = 0;
    const auto seen = play(GetParam(), at, &ignored);
    EXPECT_EQ(seen, expected) << "killed at place " << at << " of " << places;
    if (HasFailure()) return;
  }
  std::printf("%s: %d places to die at\n", GetParam().name.c_str(), places);
}

INSTANTIATE_TEST_SUITE_P(All, Crash, ::testing::ValuesIn(scenarios()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace nuraghe::bpel
