#include "bpel/crash_scenarios.hpp"

namespace nuraghe::bpel::testing {
namespace {

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

std::string copy(const std::string& from, const std::string& to) {
  return "<copy><from>" + from + "</from><to>" + to + "</to></copy>";
}
std::string literal(const std::string& xml, const std::string& to) {
  return "<copy><from><literal>" + xml + "</literal></from>" + to + "</copy>";
}
std::string receive(const std::string& operation, const std::string& initiate, const std::string& more = {}) {
  return "<receive partnerLink=\"client\" portType=\"t:P\" operation=\"" + operation + "\" variable=\"request\" " +
         more + "><correlations><correlation set=\"c\" initiate=\"" + initiate + "\"/></correlations></receive>";
}
std::string repeated(const std::string& mark) {
  return "<forEach counterName=\"i\" parallel=\"no\"><startCounterValue>1</startCounterValue><finalCounterValue>2"
         "</finalCounterValue><scope>" +
         undo(mark) + "</scope></forEach>";
}

// One request, `body`, one reply.
class Scenarios {
 public:
  void add(const std::string& name, const std::string& body, const std::string& failing = {}) {
    all.push_back({name, process_text(round_trip(body)), {{"start", "x"}}, failing});
  }
  void add_with(const std::string& name, const std::string& body, const std::string& variables,
                const std::string& failing = {}) {
    all.push_back({name, process_text(round_trip(body), "", variables), {{"start", "x"}}, failing});
  }
  std::vector<Scenario> all;
};

void add_activities(Scenarios& to) {
  const auto add = [&](const std::string& name, const std::string& body, const std::string& failing = {}) {
    to.add(name, body, failing);
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
}

void add_data(Scenarios& to) {
  const std::string number = "<variable name=\"n\" type=\"xsd:int\"><from>1</from></variable>";
  const std::string text = "<variable name=\"s\" type=\"xsd:string\"/>";
  to.add_with("if",
              "<if><condition>$n = 2</condition>@call(A)<elseif><condition>$n = 1</condition>@call(B)</elseif>"
              "<else>@call(C)</else></if>",
              number);
  to.add_with("while_true",
              "<while><condition>$n &lt; 4</condition><sequence>@call(A)<assign>" + copy("$n + 1", "$n") +
                  "</assign></sequence></while>",
              number);
  to.add_with("expressions", "<assign>" + copy("concat('a', $n * 3)", "$s") + copy("$s", "$in_A") + "</assign>@call(A)",
              number + text);
  to.add_with(
      "literals",
      "<assign>" + literal("<t:in><t:id>7</t:id></t:in>", "<to variable=\"in_A\"/>") +
          "<copy keepSrcElementName=\"yes\"><from><literal><t:other/></literal></from><to variable=\"any\"/></copy>"
          "</assign>@call(A)",
      "<variable name=\"any\" element=\"t:other\"/>");
  to.add_with("missing_data",
              "<assign>" + literal("<t:in><t:id>7</t:id></t:in>", "<to variable=\"in_A\"/>") +
                  "<copy ignoreMissingFromData=\"yes\"><from>$in_A/t:none</from><to>$s</to></copy></assign>@call(A)",
              text);
  to.add_with("properties",
              "<assign>" + literal("<t:in><t:id>7</t:id></t:in>", "<to variable=\"m\" part=\"p\"/>") +
                  "<copy><from variable=\"m\" property=\"t:id\"/><to>$s</to></copy><copy><from>concat($s, '1')</from>"
                  "<to variable=\"m\" property=\"t:id\"/></copy>" +
                  copy("bpel:getVariableProperty('m', 't:id')", "$in_A") + "</assign>@call(A)",
              text + "<variable name=\"m\" messageType=\"t:In\"/>");
  to.add_with(
      "parts",
      "<invoke partnerLink=\"partner\" portType=\"t:P\" operation=\"call\"><toParts><toPart part=\"p\" "
      "fromVariable=\"in_A\"/></toParts><fromParts><fromPart part=\"p\" toVariable=\"got\"/></fromParts></invoke>"
      "<assign>" +
          copy("concat('got ', $got)", "$in_A") + "</assign>@call(A)",
      "<variable name=\"got\" element=\"t:out\"/>");
  to.add("partner",
         "@call(A)<assign><copy><from partnerLink=\"partner\" endpointReference=\"partnerRole\"/>"
         "<to partnerLink=\"partner\"/></copy></assign>@call(B)");
  to.add_with(
      "validate",
      "<validate variables=\"n\"/>@call(A)<assign validate=\"yes\">" + copy("$n + 1", "$n") + "</assign>@call(B)",
      number);
  to.add_with(
      "invalid",
      handled("@call(F)", "<sequence>@call(A)<assign validate=\"yes\">" + copy("'no'", "$n") + "</assign></sequence>"),
      number);
  to.add("extension",
         "@call(A)<extensionActivity><x:nothing xmlns:x=\"urn:x\" name=\"u\"/></extensionActivity>@call(B)");
}

void add_handlers(Scenarios& to) {
  const std::string problem =
      "<variable name=\"why\" element=\"t:problem\"><from><literal><t:problem>why</t:problem>"
      "</literal></from></variable>";
  to.add_with(
      "throw_data",
      "<scope><faultHandlers><catch faultName=\"t:bad\" faultVariable=\"f\" faultElement=\"t:problem\"><sequence>"
      "<assign>" +
          copy("$f", "$in_A") +
          "</assign>@call(A)</sequence></catch></faultHandlers>"
          "<throw faultName=\"t:bad\" faultVariable=\"why\"/></scope>",
      problem);
  to.add("rethrow", handled("@call(G)", handled("<sequence>@call(F)<rethrow/></sequence>", "@call(A)")), "A");
  to.add(
      "inline_handlers",
      "<scope><faultHandlers><catchAll><sequence><compensate/>@call(F)</sequence></catchAll></faultHandlers><sequence>"
      "<invoke partnerLink=\"partner\" portType=\"t:P\" operation=\"call\" inputVariable=\"in_A\" "
      "outputVariable=\"out_A\">"
      "<compensationHandler>@call(U)</compensationHandler></invoke>"
      "<invoke partnerLink=\"partner\" portType=\"t:P\" operation=\"call\" inputVariable=\"in_B\" "
      "outputVariable=\"out_B\">"
      "<catch faultName=\"t:bad\">@call(C)</catch></invoke>@call(D)" +
          kThrow + "</sequence></scope><if><condition>1=2</condition><sequence>@call(A)@call(B)</sequence></if>",
      "B");
  to.add("compensate_repeated", handled("<sequence><compensate/>@call(F)</sequence>",
                                        "<sequence>" + repeated("A") + "@call(B)" + kThrow + "</sequence>"));
  to.add("compensate_nested", handled("<compensate/>", "<sequence><scope><sequence>" + undo("A") + undo("B") +
                                                           "</sequence></scope>" + undo("C") + kThrow + "</sequence>"));
  to.add("fault_in_compensation",
         handled("@call(G)", handled("<compensate/>", "<sequence><scope><compensationHandler><sequence>@call(U)" +
                                                          kThrow + "</sequence></compensationHandler>@call(A)</scope>" +
                                                          undo("B") + kThrow + "</sequence>")));
  to.add(
      "termination_compensates",
      handled(
          "@call(F)",
          "<flow><scope><terminationHandler><sequence><compensate/>@call(T)</sequence></terminationHandler><sequence>" +
              undo("A") + "<wait><for>'PT1H'</for></wait></sequence></scope><sequence><wait><for>'PT1S'</for></wait>" +
              kThrow + "</sequence></flow>"));
  to.add("exit_on_standard_fault",
         "@call(A)<scope exitOnStandardFault=\"yes\"><faultHandlers><catchAll>@call(F)</catchAll></faultHandlers>"
         "<throw faultName=\"bpel:selectionFailure\"/></scope>");
  to.add(
      "dead_path",
      "<flow suppressJoinFailure=\"yes\"><links><link name=\"a\"/><link name=\"b\"/><link name=\"c\"/></links>"
      "<sequence><sources><source linkName=\"a\"><transitionCondition>1 = 2</transitionCondition></source>"
      "<source linkName=\"b\"/></sources>@call(A)</sequence>"
      "<sequence><targets><target linkName=\"a\"/></targets><sources><source "
      "linkName=\"c\"/></sources>@call(B)</sequence>"
      "<sequence><targets><joinCondition>$b and not($c)</joinCondition><target linkName=\"b\"/><target linkName=\"c\"/>"
      "</targets>@call(C)</sequence></flow>");
  to.add("join_failure", handled("@call(F)",
                                 "<flow><links><link name=\"a\"/></links><empty><sources><source linkName=\"a\">"
                                 "<transitionCondition>1 = 2</transitionCondition></source></sources></empty>"
                                 "<sequence><targets><target linkName=\"a\"/></targets>@call(B)</sequence></flow>"));
  to.add("for_each_nested",
         "<forEach counterName=\"o\" parallel=\"yes\"><startCounterValue>1</startCounterValue><finalCounterValue>2"
         "</finalCounterValue><scope>" +
             branches("yes") + "</scope></forEach>");
  to.add("for_each_compensated",
         handled("<sequence><compensate/>@call(F)</sequence>",
                 "<sequence><forEach counterName=\"o\" parallel=\"yes\"><startCounterValue>1</startCounterValue>"
                 "<finalCounterValue>2</finalCounterValue><scope>" +
                     undo("A") + "</scope></forEach>" + kThrow + "</sequence>"));
  to.add("wait_until", "@call(A)<wait><until>'1970-01-02T00:00:00Z'</until></wait>@call(B)");
}

void add_messages(Scenarios& to) {
  auto& all = to.all;
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
  const std::vector<std::pair<std::string, std::string>> two{{"start", "<id>1</id>"}, {"more", "<id>1</id>"}};
  all.push_back(
      {"pick_message",
       process_text(
           "<sequence>" + kCreate + set_reply("'one'") + kReply +
               "<pick><onMessage partnerLink=\"client\" portType=\"t:P\" operation=\"more\" variable=\"request\">"
               "<correlations><correlation set=\"c\"/></correlations><sequence>@call(A)" +
               kReplyMore + "</sequence></onMessage><onAlarm><for>'PT24H'</for>@call(B)</onAlarm></pick></sequence>",
           kSets),
       two, ""});
  all.push_back(
      {"pick_alarm_first",
       process_text(
           "<sequence>" + kCreate +
               "<pick><onMessage partnerLink=\"client\" portType=\"t:P\" operation=\"more\" variable=\"request\">"
               "<correlations><correlation set=\"c\"/></correlations><sequence>" +
               set_reply("'no'") + kReplyMore +
               "</sequence></onMessage><onAlarm><for>'PT1S'</for>@call(B)</onAlarm></pick>" + set_reply("'late'") +
               kReply + "</sequence>",
           kSets),
       {{"start", "<id>1</id>"}},
       ""});
  all.push_back({"joined_starts",
                 process_text("<sequence><flow>" + receive("start", "join", "createInstance=\"yes\"") +
                                  receive("more", "join", "createInstance=\"yes\"") + "</flow>@call(A)" +
                                  set_reply("'both'") + kReply + kReplyMore + "</sequence>",
                              kSets),
                 {{"more", "<id>1</id>"}, {"start", "<id>1</id>"}},
                 ""});
  all.push_back({"one_way_messages",
                 process_text("<sequence>" + kCreate + set_reply("'one'") + kReply + receive("note", "no") +
                                  "@call(A)" + receive("note", "no") + "@call(B)</sequence>",
                              kSets),
                 {{"start", "<id>1</id>"}, {"note", "<id>1</id>"}, {"note", "<id>1</id>"}},
                 ""});
  all.push_back(
      {"fault_reply",
       process_text("<sequence>" + kReceive +
                        "@call(A)<reply partnerLink=\"client\" portType=\"t:P\" operation=\"start\" "
                        "faultName=\"t:bad\" variable=\"why\"/>@call(B)</sequence>",
                    "",
                    "<variable name=\"why\" element=\"t:problem\"><from><literal><t:problem>why</t:problem></literal>"
                    "</from></variable>"),
       {{"start", "x"}},
       ""});
  all.push_back({"missing_reply", process_text("<sequence>" + kReceive + "@call(A)</sequence>"), {{"start", "x"}}, ""});
}

// p asks b, b asks c, which is long at work; a second later p does not wait any more.
void add_nested(Scenarios& to) {
  const auto asks = [](const std::string& name, const std::string& address) {
    return "<process file=\"" + name + ".bpel\"><myRole partnerLink=\"client\" path=\"/" +
           (name == "p" ? "svc" : name) + "\"/><partnerLink name=\"asked\" address=\"" + address + "\"/></process>";
  };
  const std::string link =
      R"(<scope><partnerLinks><partnerLink name="asked" partnerLinkType="t:L" partnerRole="service"/></partnerLinks>)"
      R"(<invoke partnerLink="asked" portType="t:P" operation="start" inputVariable="request" outputVariable="reply"/></scope>)";
  const std::map<std::string, std::string> more = {
      {"b.bpel", process_text("<sequence>" + kReceive + undo("B") + link + kReply + "</sequence>", "", "", "", "b")},
      {"c.bpel",
       process_text(round_trip("<sequence>" + undo("C") + undo("D") + "<wait><for>'PT24H'</for></wait></sequence>"), "",
                    "", "", "c")},
      {"deploy.xml", R"(<deploy xmlns="urn:nuraghe:deploy:1"><partnerLink name="partner" address="/partner"/>)" +
                         asks("p", "/processes/b/client") + asks("b", "/processes/c/client") + asks("c", "/nowhere") +
                         "</deploy>"}};
  const auto add = [&](const std::string& name, const std::string& end) {
    const auto body = "<flow>" + link + "<sequence><wait><for>'PT1S'</for></wait>" + end + "</sequence></flow>";
    to.all.push_back({name,
                      process_text(round_trip(name == "nested_fault" ? handled("@call(F)", body) : body)),
                      {{"start", "x"}},
                      "",
                      more});
  };
  add("nested_fault", kThrow);
  add("nested_exit", "<exit/>");
}

}  // namespace

std::vector<Scenario> crash_scenarios() {
  Scenarios scenarios;
  add_activities(scenarios);
  add_data(scenarios);
  add_handlers(scenarios);
  add_messages(scenarios);
  add_nested(scenarios);
  return scenarios.all;
}

}  // namespace nuraghe::bpel::testing
