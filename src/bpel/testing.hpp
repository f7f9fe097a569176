// A small world for tests of the engine: an exchange over a store in memory, a scripted partner, a client, virtual
// time.
//
// Processes are written short: "@A" stands for <empty name="A"/>, "@call(A)" for a request-response invoke of the
// partner with the message <in>A</in> (answered <out>A</out> unless the script says otherwise), "@note(A)" for a
// one-way invoke. trace() tells in which order the named activities completed.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "base/crash_point.hpp"
#include "bpel/engine.hpp"
#include "env/sim.hpp"
#include "exchange/exchange.hpp"
#include "store/memory.hpp"

namespace nuraghe::bpel::testing {

inline constexpr std::string_view kWsdl = R"(<wsdl:definitions targetNamespace="urn:t" xmlns:t="urn:t"
  xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
  xmlns:plnk="http://docs.oasis-open.org/wsbpel/2.0/plnktype" xmlns:vprop="http://docs.oasis-open.org/wsbpel/2.0/varprop">
  <wsdl:types><xsd:schema targetNamespace="urn:t" elementFormDefault="qualified">
    <xsd:element name="in" type="xsd:anyType"/><xsd:element name="out" type="xsd:anyType"/>
    <xsd:element name="problem" type="xsd:anyType"/><xsd:element name="other" type="xsd:anyType"/>
    <xsd:element name="worse" type="xsd:anyType" substitutionGroup="t:problem"/>
  </xsd:schema></wsdl:types>
  <wsdl:message name="In"><wsdl:part name="p" element="t:in"/></wsdl:message>
  <wsdl:message name="Out"><wsdl:part name="p" element="t:out"/></wsdl:message>
  <wsdl:message name="Problem"><wsdl:part name="p" element="t:problem"/></wsdl:message>
  <wsdl:portType name="P">
    <wsdl:operation name="start"><wsdl:input message="t:In"/><wsdl:output message="t:Out"/><wsdl:fault name="bad" message="t:Problem"/></wsdl:operation>
    <wsdl:operation name="call"><wsdl:input message="t:In"/><wsdl:output message="t:Out"/><wsdl:fault name="bad" message="t:Problem"/></wsdl:operation>
    <wsdl:operation name="more"><wsdl:input message="t:In"/><wsdl:output message="t:Out"/></wsdl:operation>
    <wsdl:operation name="abort"><wsdl:input message="t:In"/><wsdl:output message="t:Out"/></wsdl:operation>
    <wsdl:operation name="note"><wsdl:input message="t:In"/></wsdl:operation>
  </wsdl:portType>
  <plnk:partnerLinkType name="L"><plnk:role name="service" portType="t:P"/></plnk:partnerLinkType>
  <vprop:property name="id" type="xsd:string"/><vprop:property name="code" type="xsd:string"/>
  <vprop:propertyAlias propertyName="t:code" messageType="t:In" part="p"><vprop:query>t:code</vprop:query></vprop:propertyAlias>
  <vprop:propertyAlias propertyName="t:id" messageType="t:In" part="p"><vprop:query>t:id</vprop:query></vprop:propertyAlias>
  <vprop:propertyAlias propertyName="t:id" messageType="t:Out" part="p"><vprop:query>t:id</vprop:query></vprop:propertyAlias>
</wsdl:definitions>)";

inline constexpr std::string_view kFaultSchema =
    R"(<xsd:schema targetNamespace="urn:nuraghe:fault:1" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <xsd:element name="fault" type="xsd:anyType"/></xsd:schema>)";

inline constexpr std::string_view kDeploy = R"(<deploy xmlns="urn:nuraghe:deploy:1">
  <partnerLink name="partner" address="/partner"/><myRole partnerLink="client" path="/svc"/></deploy>)";

// Replaces "@A", "@call(A)", "@note(A)".
inline std::string expand(const std::string& text, std::set<std::string>& messages) {
  static const std::regex kMacro(R"(@(call|note)\((\w+)\)|@(\w+))");
  std::string out;
  auto at = text.cbegin();
  std::smatch found;
  while (std::regex_search(at, text.cend(), found, kMacro)) {
    out.append(at, found[0].first);
    if (found[3].matched) {
      out += "<empty name=\"" + found[3].str() + "\"/>";
    } else {
      const std::string name = found[2];
      messages.insert(name);
      out += "<invoke name=\"" + name + "\" partnerLink=\"partner\" portType=\"t:P\" operation=\"" + found[1].str() +
             "\" inputVariable=\"in_" + name + "\"" +
             (found[1] == "call" ? " outputVariable=\"out_" + name + "\"" : std::string()) + "/>";
    }
    at = found[0].second;
  }
  out.append(at, text.cend());
  return out;
}

// A whole process: `before` are declarations and handlers of the process scope behind its variables, `variables` more
// of them.
inline std::string process_text(const std::string& body, const std::string& before = {},
                                const std::string& variables = {}, const std::string& attributes = {},
                                const std::string& name = "p") {
  std::set<std::string> messages;
  const auto main = expand(body, messages);
  const auto handlers = expand(before, messages);
  std::string declared;
  for (const auto& message : messages) {
    declared += "<variable name=\"in_" + message + "\" element=\"t:in\"><from><literal><t:in>" + message +
                "</t:in></literal></from></variable><variable name=\"out_" + message + "\" element=\"t:out\"/>";
  }
  return "<process name=\"" + name +
         "\" targetNamespace=\"urn:p\" xmlns:t=\"urn:t\" "
         "xmlns=\"http://docs.oasis-open.org/wsbpel/2.0/process/executable\" "
         "xmlns:bpel=\"http://docs.oasis-open.org/wsbpel/2.0/process/executable\" "
         "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" " +
         attributes +
         "><import namespace=\"urn:t\" location=\"t.wsdl\" importType=\"http://schemas.xmlsoap.org/wsdl/\"/>"
         "<import namespace=\"urn:nuraghe:fault:1\" location=\"fault.xsd\" "
         "importType=\"http://www.w3.org/2001/XMLSchema\"/>"
         "<partnerLinks><partnerLink name=\"client\" partnerLinkType=\"t:L\" myRole=\"service\"/>"
         "<partnerLink name=\"partner\" partnerLinkType=\"t:L\" partnerRole=\"service\"/></partnerLinks>"
         "<variables><variable name=\"request\" messageType=\"t:In\"/><variable name=\"reply\" element=\"t:out\"/>" +
         declared + variables + "</variables>" + handlers + main + "</process>";
}

inline const std::string kReceive =
    R"(<receive partnerLink="client" portType="t:P" operation="start" variable="request" createInstance="yes"/>)";
inline std::string set_reply(const std::string& expression) {
  return "<assign><copy><from><literal><t:out/></literal></from><to variable=\"reply\"/></copy><copy><from>" +
         expression + "</from><to>$reply</to></copy></assign>";
}
inline const std::string kReply = R"(<reply partnerLink="client" portType="t:P" operation="start" variable="reply"/>)";
// Receives, does `body`, replies <out>done</out>.
inline std::string round_trip(const std::string& body) {
  return "<sequence>" + kReceive + body + set_reply("'done'") + kReply + "</sequence>";
}

inline xml::DocumentPtr document(const std::string& text) {
  auto parsed = xml::Document::parse(text);
  if (!parsed) ADD_FAILURE() << parsed.error().to_string() << "\n" << text;
  return parsed ? std::move(*parsed).share() : nullptr;
}
inline std::string in_text(const std::string& content) { return "<in xmlns=\"urn:t\">" + content + "</in>"; }
inline std::string out_text(const std::string& content) { return "<out xmlns=\"urn:t\">" + content + "</out>"; }

// What the partner does with a request: an answer, a fault, or nothing until answer() is called.
struct Answer {
  enum class Kind { kOut, kProblem, kFault, kDefer } kind = Kind::kOut;
  std::string content;
};

class Partner : public exchange::Actor {
 public:
  struct Log {
    std::vector<exchange::Message> requests;
    std::map<std::string, std::string> ids;  // content → message id of the newest
  };
  explicit Partner(std::shared_ptr<Log> log) : log_(std::move(log)) {}
  std::function<Answer(const std::string& content, const exchange::Message&)> script;
  std::string_view name() const override { return "partner"; }
  Status open(store::Store&) override { return {}; }
  Status on_start(exchange::Turn&) override { return {}; }
  Status on_request(exchange::Turn& turn, const exchange::Message& request) override {
    log_->requests.push_back(request);
    const auto content = request.body->root().text();
    log_->ids[content] = request.message_id;
    if (request.one_way) return {};
    Answer answer{Answer::Kind::kOut, content};
    if (script) answer = script(content, request);
    return give(turn, request.message_id, answer);
  }
  static Status give(exchange::Turn& turn, const std::string& id, const Answer& answer) {
    switch (answer.kind) {
      case Answer::Kind::kOut:
        return turn.reply(id, document(out_text(answer.content)));
      case Answer::Kind::kProblem: {
        exchange::Fault fault;
        fault.reason = "problem " + answer.content;
        fault.detail = document("<problem xmlns=\"urn:t\">" + answer.content + "</problem>");
        return turn.reply_fault(id, std::move(fault));
      }
      case Answer::Kind::kFault:
        return turn.reply_fault(
            id, exchange::fault_of(exhausted("no room for " + answer.content).with("placing"), "vhf", turn.now()));
      case Answer::Kind::kDefer:
        return {};
    }
    return {};
  }
  Status on_reply(exchange::Turn&, const exchange::Message&, std::string_view) override { return {}; }
  Status on_timer(exchange::Turn&, std::string_view) override { return {}; }
  Status on_job(exchange::Turn&, const exchange::Job&, const Result<std::string>&) override { return {}; }
  Result<std::string> run_job(const exchange::Job&, exchange::JobContext&) override { return std::string(); }

 private:
  std::shared_ptr<Log> log_;
};

class World {
 public:
  explicit World(std::map<std::string, std::string> processes = {}) { add(std::move(processes)); }
  // One process, file "p.bpel".
  explicit World(const std::string& process) { add({{"p.bpel", process}}); }

  void add(std::map<std::string, std::string> processes) {
    files_ = std::move(processes);
    files_["t.wsdl"] = kWsdl;
    files_["fault.xsd"] = kFaultSchema;
    files_.try_emplace("deploy.xml", kDeploy);
  }
  // Opens everything over what the disk holds: at first, and after crash().
  void open() {
    EngineOptions wanted = options;
    wanted.observer = [this](const runtime::Progress& progress) { observe(progress); };
    engine = std::make_unique<Engine>(wanted);
    auto deployment = engine->deploy("package", {files_});
    for (const auto& diagnostic : deployment.diagnostics) {
      if (!diagnostic.warning) ADD_FAILURE() << diagnostic.to_string();
    }
    for (const auto& process : deployment.processes) definition = process.id;
    partner = std::make_unique<Partner>(log);
    partner->script = script;
    router = exchange::make_router({});
    exchange::ExchangeOptions exchange_options;
    exchange_options.name = "test";
    exchange_options.clock = &clock;
    exchange_options.random = &random;
    exchange_options.crash_hook = crash_hook;
    exchange_options.late_syncs = late_syncs;
    if (late_syncs) exchange_options.batch_limit = 2;
    control = exchange::make_exchange(open_store(false), *router, exchange_options);
    control->add_actor(*engine);
    control->add_actor(*partner);
    router->add_route("/svc", "*", *control, "engine");
    router->add_route("/processes", "*", *control, "engine");
    router->add_route("/partner", "*", *control, "partner");
    auto opened = control->open();
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().to_string());
  }
  void close() {
    control.reset();
    router.reset();
    engine.reset();
    partner.reset();
  }
  void reopen() {
    close();
    open();
    run();
  }
  // Works until nothing is to be done now.
  void run() {
    if (!control) open();
    auto next = control->drain();
    if (!next) {
      failed = true;
      return;
    }
    next_timer = *next;
  }
  void advance(Duration span) {
    clock.advance(span);
    run();
  }
  // Sends a request of the client; its answer is in `answers` under the id when there is one.
  std::string send(const std::string& operation, const std::string& content, std::string id = {},
                   std::string vo = "vo1", std::string to = "/svc") {
    if (!control) open();
    exchange::Message message;
    message.message_id = id.empty() ? "urn:test:" + std::to_string(++sent_) : id;
    message.to = std::move(to);
    message.operation = operation;
    message.body = document(in_text(content));
    message.one_way = operation == "note";
    message.vo = std::move(vo);
    message.caller = "tester";
    const auto key = message.message_id;
    router->deliver(message, [this, key](exchange::Message reply) { answers[key] = std::move(reply); });
    return key;
  }
  // send() and run().
  std::string request(const std::string& operation, const std::string& content) {
    auto id = send(operation, content);
    run();
    return id;
  }
  // Lets the partner answer a request that it deferred.
  void answer(const std::string& content, Answer answer) {
    const auto id = log->ids.at(content);
    control->post(
        "partner", [id, answer](exchange::Turn& turn) { return Partner::give(turn, id, answer); },
        [](Status status) { EXPECT_TRUE(status); });
    run();
  }
  void answer(const std::string& content) { answer(content, {Answer::Kind::kOut, content}); }
  // Runs something in a turn of the engine.
  void administer(const std::function<Status(exchange::Turn&)>& work) {
    control->post("engine", work,
                  [](Status status) { EXPECT_TRUE(status) << (status ? "" : status.error().to_string()); });
    run();
  }

  // "<out>…</out>" → its text; "fault REASON" for a fault; "none" without an answer.
  std::string answer_text(const std::string& id) const {
    const auto found = answers.find(id);
    if (found == answers.end()) return "none";
    if (found->second.fault) return "fault " + found->second.fault->reason;
    return found->second.body ? found->second.body->root().text() : "empty";
  }
  // Names of completed named activities, in order, joined by blanks.
  std::string trace() const {
    std::string joined;
    for (const auto& name : completed) joined += (joined.empty() ? "" : " ") + name;
    return joined;
  }
  // The contents of the partner's requests in order, repeats (equal id) left out.
  std::string partner_trace() const {
    std::string joined;
    std::set<std::string> seen;
    for (const auto& message : log->requests) {
      if (!seen.insert(message.message_id).second) continue;
      joined += (joined.empty() ? "" : " ") + message.body->root().text();
    }
    return joined;
  }
  std::vector<InstanceSummary> instances() {
    std::vector<InstanceSummary> found;
    administer([&](exchange::Turn& turn) -> Status {
      TRY_ASSIGN(found, engine->list(turn, {}));
      return {};
    });
    return found;
  }
  // Replays every instance; fails the test where one differs.
  void expect_replays() {
    for (const auto& instance : instances()) {
      administer([&](exchange::Turn& turn) -> Status {
        TRY_ASSIGN(const auto replayed, engine->replay(turn, instance.id));
        EXPECT_TRUE(replayed.same) << replayed.explanation;
        EXPECT_GT(replayed.steps, 0);
        return {};
      });
    }
  }
  // Rows of a table, counted.
  std::size_t rows(const std::string& table) {
    const auto store = open_store(true);
    return rows(*store, table);
  }
  static std::size_t rows(store::Store& store, const std::string& table) {
    std::size_t count = 0;
    auto found = store.table(table);
    auto transaction = store.begin();
    if (!found || !transaction) return 0;
    std::string after;
    for (;;) {
      auto page = (*transaction)->scan(*found, {}, after);
      if (!page || page->empty()) return count;
      count += page->size();
      after = page->back().key;
    }
  }
  // Every row of living instances must be gone when all have ended.
  void expect_clean() {
    const auto store = open_store(true);
    for (const char* table : {"bpel_scope", "bpel_subscription", "bpel_correlation", "bpel_open", "bpel_early",
                              "bpel_held", "bpel_running", "bpel_child", "bpel_isolation"}) {
      EXPECT_EQ(rows(*store, table), 0U) << table;
    }
  }

  EngineOptions options;
  std::function<Answer(const std::string&, const exchange::Message&)> script;
  std::function<bool(CrashPoint)> crash_hook;  // of the exchange
  bool late_syncs = false;                     // each commit is synced after the turns of the next two events
  std::shared_ptr<store::MemoryDisk> disk = store::make_memory_disk();
  // Where everything is stored; in memory unless a test says otherwise.
  std::function<std::unique_ptr<store::Store>(bool read_only)> open_store = [this](bool) {
    return store::open_memory(disk);
  };
  env::SimClock clock;
  env::SimRandom random{1};
  std::shared_ptr<Partner::Log> log = std::make_shared<Partner::Log>();
  std::map<std::string, exchange::Message> answers;
  std::vector<std::string> completed;
  std::optional<TimePoint> next_timer;
  bool failed = false;
  std::string definition;  // id of the last process
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Partner> partner;
  std::unique_ptr<exchange::Router> router;
  std::unique_ptr<exchange::Exchange> control;

 private:
  void observe(const runtime::Progress& progress) {
    if (progress.what != "completed" || progress.node == kNone || !engine) return;
    auto& parsed = parsed_[progress.process];
    if (!parsed) {
      for (const auto& process : engine->processes()) {
        if (auto known = engine->definition(process.id); known && known->name().local == progress.process)
          parsed = known;
      }
    }
    if (!parsed) return;
    const auto& node = parsed->node(progress.node);
    if (node.kind == NodeKind::kEmpty && !node.name.empty()) completed.push_back(node.name);
  }
  std::map<std::string, std::string> files_;
  std::map<std::string, std::shared_ptr<const ProcessDefinition>> parsed_;
  int sent_ = 0;
};

}  // namespace nuraghe::bpel::testing
