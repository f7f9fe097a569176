// For the tests of the notification service: its actor in a world with a service that publishes events, and consumers
// behind a transport that the test scripts. Every message is validated against the OASIS schemas.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "exchange/test_world.hpp"
#include "net/address_rules.hpp"
#include "services/notification/names.hpp"
#include "services/notification/notification.hpp"
#include "soap/envelope.hpp"
#include "test_folders.hpp"
#include "xml/schema.hpp"

namespace nuraghe::services::notification::testing {

inline const std::string kBase = "http://127.0.0.1:8470";
inline const std::string kConsumer = "http://consumer.example/here";
inline const std::string kVcf = "urn:nuraghe:vcf:1";

inline std::string file_text(const std::string& path) {
  std::ifstream file(std::string(NURAGHE_SOURCE_DIR) + "/contracts/" + path);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

// What is wrong with an element by the schemas of WS-Notification, WSRF and the event; empty: nothing.
inline std::string findings(xml::Node element) {
  static const xml::Schema schema = [] {
    std::map<std::string, std::string> files;
    std::string main = "<xsd:schema xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">";
    const std::pair<const char*, const char*> parts[] = {
        {"http://docs.oasis-open.org/wsn/b-2", "standards/wsn/b-2.xsd"},
        {"http://docs.oasis-open.org/wsn/t-1", "standards/wsn/t-1.xsd"},
        {"http://docs.oasis-open.org/wsrf/r-2", "standards/wsrf/r-2.xsd"},
        {"http://docs.oasis-open.org/wsrf/bf-2", "standards/wsrf/bf-2.xsd"},
        {"http://docs.oasis-open.org/wsrf/rp-2", "standards/wsrf/rp-2.xsd"},
        {"http://www.w3.org/2005/08/addressing", "standards/wsa/ws-addr.xsd"},
        {"http://www.w3.org/XML/1998/namespace", "standards/wsdl/xml.xsd"},
        {"urn:nuraghe:event:1", "event.xsd"}};
    for (const auto& [ns, path] : parts) {
      files[path] = file_text(path);
      main += fmt::format("<xsd:import namespace=\"{}\" schemaLocation=\"{}\"/>", ns, path);
    }
    // The properties of the test's service.
    files["vcf.xsd"] = fmt::format(
        "<xsd:schema xmlns:xsd='http://www.w3.org/2001/XMLSchema' targetNamespace='{}'>"
        "<xsd:element name='Id' type='xsd:string'/><xsd:element name='State' type='xsd:string'/></xsd:schema>",
        kVcf);
    main += fmt::format("<xsd:import namespace=\"{}\" schemaLocation=\"vcf.xsd\"/>", kVcf);
    files["main.xsd"] = main + "</xsd:schema>";
    auto compiled = xml::Schema::compile("main.xsd", files);
    EXPECT_TRUE(compiled) << compiled.error().to_string();
    return std::move(*compiled);
  }();
  std::string all;
  for (const auto& finding : schema.validate(element)) all += finding.to_string() + "\n";
  return all;
}

inline xml::DocumentPtr document(const std::string& text) {
  auto parsed = xml::Document::parse(text);
  EXPECT_TRUE(parsed) << text;
  return std::move(*parsed).share();
}

// Consumers: each address takes what it gets, unless the script says otherwise.
struct Consumers : exchange::RemoteTransport {
  struct Got {
    std::string to, id;
    xml::DocumentPtr body;
    std::vector<std::string> texts;  // of the events in it, in order
  };
  std::vector<Got> got;
  std::map<std::string, std::deque<Error>> refusals;  // of an address's next messages
  std::set<std::string> away;                         // addresses that do not answer

  void send(const exchange::Message& request, std::function<void(Result<exchange::Message>)> done) override {
    EXPECT_TRUE(request.to_stranger);
    EXPECT_EQ(request.vo + request.caller + request.conversation, "") << "told to a stranger";
    if (away.contains(request.to)) return done(unavailable("connection refused"));
    const xml::Node element = soap::body_element(request.body);
    EXPECT_EQ(findings(element), "") << element.to_string();
    Got one{request.to, request.message_id, request.body, {}};
    if (element.is(kEvent, "event")) one.texts.push_back(element.child(kEvent, "text").text());
    for (const xml::Node message : element.children(kNotification, "NotificationMessage")) {
      const xml::Node told = message.child(kNotification, "Message").first_child();
      one.texts.push_back(told.is(kEvent, "event") ? told.child(kEvent, "text").text() : told.to_string());
    }
    auto& script = refusals[request.to];
    if (!script.empty()) {
      const Error error = script.front();
      script.pop_front();
      refused.push_back(std::move(one));
      return done(error);
    }
    got.push_back(std::move(one));
    exchange::Message taken;
    taken.relates_to = request.message_id;
    done(std::move(taken));
  }
  std::vector<Got> refused;
  // Every event that an address took, in order.
  std::vector<std::string> texts(const std::string& address = kConsumer) const {
    std::vector<std::string> all;
    for (const Got& one : got) {
      if (one.to == address) all.insert(all.end(), one.texts.begin(), one.texts.end());
    }
    return all;
  }
};

inline Producers producers() {
  TellingService vcf;
  vcf.name = "vcf";
  vcf.name_space = kVcf;
  vcf.kinds = {"cluster.running", "cluster.frozen", "cluster.destroyed", "cluster.failed"};
  vcf.resources = {
      {"Cluster", "clusters", "get_cluster", "cluster", "cluster", {{"Id", "id"}, {"State", "state"}}, false},
      {"Machine", "machines", "get_cluster", "cluster", "cluster", {{"Id", "id"}, {"State", "state"}}, true}};
  TellingService vhf;
  vhf.name = "vhf";
  vhf.name_space = "urn:nuraghe:vhf:1";
  vhf.kinds = {"host.booted", "physical_host.silent"};
  TellingService own;
  own.name = "notification";
  own.name_space = "urn:nuraghe:notification:1";
  own.kinds = {"subscription.lost", "subscription.dropped", "pull_point.lost"};
  TellingService vcm;
  vcm.name = "vcm";
  return Producers({vcf, vhf, own, vcm});
}

class NotificationTest : public ::testing::Test {
 protected:
  NotificationTest() {
    options_.base = kBase;
    net::AddressRules rules;
    options_.check_consumer = [rules](const std::string& url) { return net::check_url(rules, url); };
    vcf_.request = [this](exchange::Turn& turn, const exchange::Message& request) -> Status {
      EXPECT_EQ(request.operation, "get_cluster");
      const std::string key = request.body->root().child(kVcf, "cluster").text();
      if (!clusters_.contains({request.vo, key})) return not_found("there is no cluster " + key);
      return turn.reply(request.message_id,
                        document(fmt::format("<get_clusterResponse xmlns='{0}'><cluster><id>{1}</id><state>{2}</state>"
                                             "</cluster></get_clusterResponse>",
                                             kVcf, key, clusters_.at({request.vo, key}))));
    };
    open();
  }
  void open() {
    exchange::RouterOptions routing;
    routing.remote = &consumers_;
    world_.router = exchange::make_router(routing);
    world_.router->add_own_base(kBase);
    actor_ = std::make_unique<Notification>(producers(), options_);
    auto exchange_options = world_.options("control");
    exchange_options.crash_hook = crash_hook_;
    exchange_ = &world_.add(exchange_options, {&vcf_, actor_.get()});
    for (const auto& operation : Notification::standard_operations())
      world_.router->add_route("/services", operation, *exchange_, "notification");
    for (const auto& operation : Notification::standard_operations()) {
      // The test's service takes everything that has no route of its own.
      world_.router->add_route("/services/vcf", operation, *exchange_, "notification");
    }
    for (const auto& operation : api::Skeleton::operations())
      world_.router->add_route("/services/notification", operation, *exchange_, "notification");
    follow_events(*exchange_, *actor_);
    world_.drain();
  }
  void reopen() {
    world_.restart();
    open();
  }
  void advance(Duration span, Duration step = std::chrono::seconds(10)) {
    for (; span.count() > 0; span -= step) {
      world_.clock.advance(std::min(span, step));
      world_.drain();
    }
  }
  // Something happens.
  void happen(const std::string& text, const std::string& kind = "cluster.running", const std::string& cluster = "c1",
              const std::string& vo = "physics") {
    exchange_->post(
        "vcf",
        [=, machine = machine_](exchange::Turn& turn) {
          exchange::Event event;
          event.vo = vo;
          event.cluster = cluster;
          event.kind = kind;
          event.text = text;
          event.attributes["name"] = "mpi & <more>";
          if (!machine.empty()) event.attributes["machine"] = machine;
          return turn.publish(event);
        },
        [](const Status&) {});
    // A process that is to die while it works must not be waited for.
    if (crash_hook_)
      (void)exchange_->drain();
    else
      world_.drain();
  }
  exchange::Message ask(const std::string& to, const std::string& inner, const std::string& vo = "physics",
                        const std::string& id = {}) {
    exchange::Message message;
    message.to = to;
    message.body = document(inner);
    message.operation = message.body->root().local_name();
    message.message_id = id.empty() ? "urn:ask:" + std::to_string(++asked_) : id;
    message.vo = vo;
    message.caller = caller_;
    message.administrator = administrator_;
    message.reached_at = reached_at_;
    EXPECT_TRUE(findings(message.body->root()).empty() || !is_strict_) << findings(message.body->root());
    exchange::Message answer;
    bool is_answered = false;
    world_.router->deliver(message, [&](exchange::Message reply) {
      answer = std::move(reply);
      is_answered = true;
    });
    world_.drain();
    EXPECT_TRUE(is_answered) << inner;
    // What is the service's own is of its own schema.
    if (answer.body && answer.body->root().namespace_uri() != "urn:nuraghe:notification:1") {
      EXPECT_EQ(findings(answer.body->root()), "") << answer.body->to_string();
    }
    const xml::DocumentPtr detail = answer.fault ? answer.fault->detail : nullptr;
    if (detail && !detail->root().is("urn:nuraghe:fault:1", "fault")) {
      EXPECT_EQ(findings(detail->root()), "") << detail->to_string();
    }
    return answer;
  }
  static std::string fault_of(const exchange::Message& reply) {
    return reply.fault ? std::string(reply.fault->detail->root().local_name()) : std::string();
  }
  static std::string element(const std::string& name, const std::string& inner = {}) {
    return fmt::format(
        "<wsnt:{0} xmlns:wsnt='{1}' xmlns:wsa='{2}' xmlns:vcf='{3}' "
        "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>{4}</wsnt:{0}>",
        name, kNotification, kAddressing, kVcf, inner);
  }
  static std::string consumer(const std::string& address = kConsumer, const std::string& parameters = {}) {
    const std::string inner =
        parameters.empty() ? "" : "<wsa:ReferenceParameters>" + parameters + "</wsa:ReferenceParameters>";
    return fmt::format("<wsnt:ConsumerReference><wsa:Address>{}</wsa:Address>{}</wsnt:ConsumerReference>", address,
                       inner);
  }
  static std::string topic(const std::string& expression, std::string_view dialect = kFullDialect) {
    return fmt::format("<wsnt:TopicExpression Dialect='{}'>{}</wsnt:TopicExpression>", dialect, expression);
  }
  static std::string filter(const std::string& inner) { return "<wsnt:Filter>" + inner + "</wsnt:Filter>"; }
  // The path of the new subscription.
  std::string subscribe(const std::string& inner, const std::string& to = "/services/vcf",
                        const std::string& vo = "physics") {
    const auto reply = ask(to, element("Subscribe", inner), vo);
    EXPECT_FALSE(reply.fault) << reply.fault->reason;
    if (!reply.body) return {};
    const auto reference = reply.body->root().child(kNotification, "SubscriptionReference");
    return reference.child(kAddressing, "Address").text().substr(kBase.size());
  }
  std::string create_pull_point(const std::string& vo = "physics") {
    const auto reply = ask("/services/notification", element("CreatePullPoint"), vo);
    EXPECT_TRUE(reply.body);
    return reply.body->root()
        .child(kNotification, "PullPoint")
        .child(kAddressing, "Address")
        .text()
        .substr(kBase.size());
  }
  // The texts of the events that a pull point has.
  std::vector<std::string> pull(const std::string& point, const std::string& number = {}) {
    const auto reply = ask(
        point, element("GetMessages", number.empty() ? "" : "<wsnt:MaximumNumber>" + number + "</wsnt:MaximumNumber>"));
    EXPECT_TRUE(reply.body) << fault_of(reply);
    std::vector<std::string> texts;
    if (!reply.body) return texts;
    for (const xml::Node message : reply.body->root().children(kNotification, "NotificationMessage")) {
      const xml::Node told = message.child(kNotification, "Message").first_child();
      texts.push_back(told.is(kEvent, "event") ? told.child(kEvent, "text").text() : told.to_string());
    }
    return texts;
  }
  // The events of a kind that were published.
  int count_events(const std::string& kind) {
    int count = 0;
    exchange_->read_events(0, 10'000, [&](const std::vector<exchange::Event>& events) {
      for (const auto& event : events) count += event.kind == kind ? 1 : 0;
    });
    world_.drain();
    return count;
  }

  exchange::testing::World world_;
  Consumers consumers_;
  exchange::testing::FunctionActor vcf_{"vcf"};
  std::map<std::pair<std::string, std::string>, std::string> clusters_ = {{{"physics", "c1"}, "running"},
                                                                          {{"biology", "c9"}, "running"}};
  NotificationOptions options_;
  std::unique_ptr<Notification> actor_;
  exchange::Exchange* exchange_ = nullptr;
  std::function<bool(CrashPoint)> crash_hook_;
  bool is_strict_ = true;  // requests are valid by the schema, too
  int asked_ = 0;
  std::string caller_ = "token:marie";
  exchange::Administrator administrator_ = exchange::Administrator::kNo;
  std::string reached_at_;  // by which address requests come
  std::string machine_;     // to which it happens; empty: to none
};

}  // namespace nuraghe::services::notification::testing
