#include "services/registry/registry.hpp"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "contracts/operation.hpp"
#include "services/registry/herald.hpp"
#include "services/registry/registrant.hpp"
#include "services/testing.hpp"

namespace nuraghe::services::registry {
namespace {

using World = services::testing::World;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

const std::string kAddress = "/services/registry";

class ServiceRegistry : public ::testing::Test {
 protected:
  ServiceRegistry() { open(); }
  void open() {
    RegistryOptions options;
    options.base = "http://here";
    options.version = "9";
    options.is_member = [this](const std::string& name) { return members_.contains(name); };
    options.check_address = [](const std::string& /*name*/, const std::string& address, bool by_certificate) -> Status {
      if (address.starts_with("https://") || (address.starts_with("http+unix://") && !by_certificate)) return {};
      return denied("not there");
    };
    options.is_controller = [this](const std::string& name) { return name == controller_; };
    options.on_service = [this](const std::string& name, const ServiceRow* row) {
      if (row != nullptr)
        told_[name] = row->address, by_certificate_[name] = row->by_certificate, documents_[name] = row->documents;
      else
        told_.erase(name);
    };
    registry_ = std::make_unique<Registry>(std::move(options));
    world_.open({registry_.get()});
  }
  static api::RegisterServiceRequest greeting(const std::string& program = "p1") {
    api::RegisterServiceRequest out;
    out.name = "greeting";
    out.title = "Greeting";
    out.namespace_ = "urn:example:greeting:1";
    out.version = "1.2";
    out.address = "https://10.0.0.3:8471/services/greeting";
    out.program = program;
    out.interval = 10s;
    out.operation.push_back({"greet", api::Access::kOperator, false, false, "POST", "/greetings/{name}"});
    out.operation.push_back({"list_greeted", api::Access::kViewer, true, false, "GET", "/greetings"});
    out.document.push_back({"greeting.wsdl", "<definitions/>"});
    return out;
  }
  static api::RegisterServiceRequest with_topics() {
    auto out = greeting();
    out.operation.push_back({"get_guest", api::Access::kViewer, true, false, {}, {}});
    out.topic = {"greeting.greeted"};
    out.resource = {
        {"Guest", "guests", "get_guest", "name", "guest", "list_greeted", {}, {{"Mood", "mood", "greet"}}, {}}};
    return out;
  }
  exchange::Message ask(exchange::Message message, const std::string& caller = "service:greeting") {
    message.caller = caller;
    message.reached_at = reached_at_;
    return world_.ask(std::move(message));
  }
  // The words of the fault; empty: it was taken.
  std::string offer(const api::RegisterServiceRequest& input, const std::string& caller = "service:greeting") {
    const auto reply = ask(contracts::registry::make_register_service(kAddress, input), caller);
    return reply.fault ? World::fault_of(reply) + ": " + reply.fault->reason : "";
  }
  std::string renew(const std::string& program = "p1") {
    return World::fault_of(
        ask(contracts::registry::make_renew_service(kAddress, {.name = "greeting", .program = program})));
  }
  std::vector<api::Service> others() {
    auto list = contracts::registry::parse_list_services_response(
        ask(contracts::registry::make_list_services(kAddress, {}), "token:x"));
    EXPECT_TRUE(list) << list.error().to_string();
    std::vector<api::Service> out;
    for (auto& service : list->service) {
      if (!service.own) out.push_back(std::move(service));
    }
    return out;
  }
  std::vector<std::string> kinds() {
    std::vector<std::string> out;
    world_.read_events(0, [&](const exchange::Event& event) { out.push_back(event.kind); });
    return out;
  }

  World world_;
  std::unique_ptr<Registry> registry_;
  std::string controller_;
  std::map<std::string, std::string> told_;
  std::map<std::string, std::optional<bool>> by_certificate_;
  std::map<std::string, std::vector<api::Document>> documents_;
  std::set<std::string> members_;
  std::string reached_at_;  // by which address requests come
};

TEST_F(ServiceRegistry, WhoCameByCertificateIsRegisteredAsLongAsThatCounts) {
  auto local = greeting();
  local.address = "http+unix://%2Fx.sock/services/greeting";
  EXPECT_EQ(offer(local), "");
  EXPECT_EQ(by_certificate_["greeting"], std::optional(false));
  reached_at_ = "https://10.0.0.1:8470";
  members_ = {"greeting"};
  EXPECT_THAT(offer(local), HasSubstr("denied"));
  EXPECT_EQ(offer(greeting()), "");
  EXPECT_EQ(by_certificate_["greeting"], std::optional(true));
  const auto end_revoked = [&] {
    world_.post("registry", [&](exchange::Turn& turn) { return registry_->end_revoked(turn); });
  };
  end_revoked();
  world_.close();
  told_.clear(), by_certificate_.clear();
  open();
  EXPECT_EQ(by_certificate_["greeting"], std::optional(true)) << "it is stored";
  ASSERT_EQ(others().size(), 1U);
  members_.clear();
  end_revoked();
  EXPECT_TRUE(others().empty());
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(kinds().back(), "service.gone");
  EXPECT_EQ(renew(), "not-found");
  EXPECT_THAT(offer(greeting()), HasSubstr("denied: the certificates of greeting were withdrawn"));
  EXPECT_TRUE(told_.empty());
  // Who came by the site's token has none that could be withdrawn.
  reached_at_.clear();
  EXPECT_EQ(offer(local), "");
  end_revoked();
  EXPECT_EQ(others().size(), 1U);
}

TEST_F(ServiceRegistry, ARowOfAnOlderNuragheIsRegisteredAnew) {
  EXPECT_EQ(offer(greeting()), "");
  world_.close();
  {
    auto row = decode_record<ServiceRow>(world_.values("registry_service").front());
    ASSERT_TRUE(row) << row.error().to_string();
    row->by_certificate.reset();
    auto store = store::open_memory(world_.disk);
    const auto table = store->table("registry_service");
    ASSERT_TRUE(table);
    auto transaction = store->begin();
    ASSERT_TRUE(transaction);
    ASSERT_TRUE((*transaction)->put(*table, "greeting", encode_record(*row)));
    ASSERT_TRUE((*transaction)->commit());
  }
  told_.clear();
  open();
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(renew(), "not-found");
}

TEST_F(ServiceRegistry, AServiceIsListedUntilItStopsRenewing) {
  EXPECT_EQ(offer(greeting()), "");
  ASSERT_EQ(others().size(), 1U);
  EXPECT_EQ(others()[0].address, "http://here/services/greeting");
  EXPECT_EQ(others()[0].wsdl, "http://here/services/greeting?wsdl");
  EXPECT_EQ(others()[0].program, "https://10.0.0.3:8471/services/greeting");
  EXPECT_EQ(others()[0].operation.size(), 2U);
  EXPECT_EQ(told_.count("greeting"), 1U);
  for (int i = 0; i < 10; ++i) {
    world_.advance(10s, 1s);
    EXPECT_EQ(renew(), "");
  }
  world_.advance(29s, 1s);
  EXPECT_EQ(others().size(), 1U);
  world_.advance(2s, 1s);
  EXPECT_TRUE(others().empty());
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(renew(), "not-found");
  EXPECT_EQ(kinds(), (std::vector<std::string>{"service.registered", "service.gone"}));
}

TEST_F(ServiceRegistry, ARenewalWritesNothingThatIsLarge) {
  auto input = greeting();
  input.document[0].text = std::string(Registry::kMostText - 100, 'x');
  EXPECT_EQ(offer(input), "");
  const auto service = world_.values("registry_service");
  const auto texts = world_.values("registry_text");
  const auto lease = world_.values("registry_lease");
  ASSERT_EQ(service.size() + texts.size() + lease.size(), 3U);
  EXPECT_LT(service[0].size(), 1000U);
  EXPECT_LT(lease[0].size(), 100U);
  world_.advance(10s, 1s);
  EXPECT_EQ(renew(), "");
  EXPECT_EQ(world_.values("registry_service"), service);
  EXPECT_EQ(world_.values("registry_text"), texts);
  EXPECT_NE(world_.values("registry_lease"), lease);
  // What it was told of before is told again.
  world_.close();
  documents_.clear();
  open();
  EXPECT_EQ(documents_["greeting"], input.document);
  world_.advance(1min, 1s);
  for (const std::string table : {"registry_service", "registry_text", "registry_lease"})
    EXPECT_TRUE(world_.values(table).empty()) << table;
}

TEST_F(ServiceRegistry, ARestartGivesEverybodyTheTimeToRenew) {
  EXPECT_EQ(offer(greeting()), "");
  world_.advance(25s, 1s);
  world_.close();
  told_.clear();
  world_.clock.advance(100s);
  open();
  EXPECT_EQ(told_.count("greeting"), 1U);
  EXPECT_EQ(others().size(), 1U);
  EXPECT_EQ(renew(), "");
  world_.advance(31s, 1s);
  EXPECT_TRUE(others().empty());
}

TEST_F(ServiceRegistry, ANameBelongsToOneProgramThatIsAlive) {
  EXPECT_EQ(offer(greeting("p1")), "");
  EXPECT_EQ(offer(greeting("p1")), "");  // a restart
  EXPECT_THAT(offer(greeting("p2")), HasSubstr("conflict: the service greeting is served by another program already"));
  EXPECT_EQ(renew("p2"), "conflict");
  world_.advance(31s, 1s);
  EXPECT_EQ(offer(greeting("p2")), "");
  EXPECT_EQ(renew("p1"), "conflict");
}

TEST_F(ServiceRegistry, WhatIsNuraghesOwnIsNotGivenAway) {
  auto input = greeting();
  input.document.clear();
  for (const auto& service : contracts::all_services()) {
    input.name = service.name;
    EXPECT_THAT(offer(input, "service:" + input.name), HasSubstr("conflict")) << service.name;
    for (const auto& operation : service.operations) {
      if (operation.rest_path.empty()) continue;
      auto taking = greeting();
      taking.operation[0].rest_path = std::string(operation.rest_path);
      EXPECT_THAT(offer(taking), HasSubstr("conflict: REST paths that begin with")) << operation.rest_path;
    }
  }
  // As whose topics its own would be told.
  for (const std::string name : {"cluster", "host", "member", "image", "machine", "vo", "physical_host"}) {
    auto taking = with_topics();
    taking.document.clear();
    taking.name = name;
    taking.topic = {name + ".destroyed"};
    EXPECT_THAT(offer(taking, "service:" + name), HasSubstr("conflict: Nuraghe's own topics begin with")) << name;
  }
  for (const std::string path : {"/services/x", "/events", "/join", "/openapi.json", "/seeds/a/b", "/metrics/x"}) {
    auto taking = greeting();
    taking.operation[0].rest_path = path;
    EXPECT_THAT(offer(taking), HasSubstr("belong to")) << path;
  }
  controller_ = "greeting";
  EXPECT_THAT(offer(greeting()), HasSubstr("conflict: greeting is a controller"));
  EXPECT_TRUE(others().empty());
}

TEST_F(ServiceRegistry, TwoServicesDoNotShareTheBeginningOfAPath) {
  EXPECT_EQ(offer(greeting()), "");
  auto other = greeting("p2");
  other.name = "welcome";
  other.address = "https://10.0.0.4:1/services/welcome";
  other.document.clear();
  EXPECT_THAT(offer(other, "service:welcome"), HasSubstr("/greetings belong to the service greeting"));
  for (auto& operation : other.operation) operation.rest_path = "/welcomes";
  EXPECT_EQ(offer(other, "service:welcome"), "");
}

TEST_F(ServiceRegistry, OnlyItsProgramSpeaksForAService) {
  for (const std::string caller : {"", "token:admin", "vhc:greeting", "service:other", "service:greeting2"}) {
    EXPECT_THAT(offer(greeting(), caller), HasSubstr("denied")) << caller;
  }
  EXPECT_EQ(offer(greeting()), "");
  EXPECT_EQ(
      World::fault_of(ask(contracts::registry::make_renew_service(kAddress, {.name = "greeting", .program = "p1"}),
                          "service:other")),
      "denied");
}

TEST_F(ServiceRegistry, BadInputIsRefusedAndChangesNothing) {
  const auto refused = [&](const std::function<void(api::RegisterServiceRequest&)>& change) {
    auto input = greeting();
    change(input);
    const auto words = offer(input, "service:" + input.name);
    EXPECT_THAT(words, ::testing::AnyOf(HasSubstr("invalid"), HasSubstr("denied")));
    return words;
  };
  for (const std::string name : {"", "Greeting", "gree-ting", "1a", "a/b", "..", "grüße"}) {
    refused([&](auto& input) { input.name = name; });
  }
  for (const std::string path : {"", "/", "greetings", "/{x}/a", "/a//b", "/a/", "/a?b", "/a b", "/\n"}) {
    refused([&](auto& input) { input.operation[0].rest_path = path; });
  }
  refused([](auto& input) { input.operation[0].rest_verb = "CONNECT"; });
  refused([](auto& input) { input.operation[0].name.clear(); });
  refused([](auto& input) { input.interval = 999ms; });
  refused([](auto& input) { input.interval = 2h; });
  refused([](auto& input) { input.program.clear(); });
  refused([](auto& input) { input.address = "http://10.0.0.3:1/services/greeting"; });
  for (const std::string file : {"vcf.wsdl", "fault.xsd", "greeting-../x.wsdl", "../greeting.wsdl", "greeting-a.xsd"}) {
    refused([&](auto& input) { input.document[0].name = file; });
  }
  refused([](auto& input) { input.document[0].text = std::string(Registry::kMostText + 1, ' '); });
  EXPECT_TRUE(others().empty());
  EXPECT_TRUE(told_.empty());
  EXPECT_TRUE(kinds().empty());
}

TEST_F(ServiceRegistry, ResourcesAndTopicsAreOfTheServiceAlone) {
  const auto refused = [&](const std::function<void(api::RegisterServiceRequest&)>& change) {
    auto input = with_topics();
    change(input);
    return offer(input);
  };
  EXPECT_THAT(refused([](auto& input) { input.topic = {"cluster.frozen"}; }), HasSubstr("no topic of the service"));
  EXPECT_THAT(refused([](auto& input) { input.topic = {"greeting."}; }), HasSubstr("no topic of the service"));
  EXPECT_THAT(refused([](auto& input) { input.resource[0].get = "greet"; }), HasSubstr("no operation that only reads"));
  EXPECT_THAT(refused([](auto& input) { input.resource[0].list = "absent"; }), HasSubstr("no operation that only"));
  EXPECT_THAT(refused([](auto& input) { input.resource[0].destroy = "absent"; }), HasSubstr("no operation of it"));
  EXPECT_THAT(refused([](auto& input) { input.resource[0].property[0].set = "x"; }), HasSubstr("no operation of it"));
  EXPECT_THAT(refused([](auto& input) { input.resource[0].path = "a/b"; }), HasSubstr("invalid"));
  EXPECT_TRUE(others().empty());
  EXPECT_EQ(offer(with_topics()), "");
}

TEST_F(ServiceRegistry, WhatAServicePublishesIsToldOnceAndInItsVo) {
  const auto publish = [&](std::vector<api::Event> events, const std::string& program = "p1",
                           const std::string& caller = "service:greeting") {
    return World::fault_of(
        ask(contracts::registry::make_publish_events(kAddress, {"greeting", program, std::move(events)}), caller));
  };
  const api::Event one{1, "physics", "greeting.greeted", "info", "Ada was greeted", {{"guest", "Ada"}}};
  EXPECT_EQ(publish({one}), "not-found");
  EXPECT_EQ(offer(with_topics()), "");
  EXPECT_EQ(publish({one}, "p2"), "conflict");
  EXPECT_EQ(publish({one}, "p1", "service:other"), "denied");
  EXPECT_EQ(publish({one}), "");
  auto two = one;
  two.sequence = 2;
  EXPECT_EQ(publish({one, two}), "") << "the answer to the first was lost";
  EXPECT_EQ(offer(with_topics()), "") << "it was restarted";
  EXPECT_EQ(publish({two}), "");
  for (const auto& change : std::vector<std::function<void(api::Event&)>>{
           [](auto& event) { event.vo.clear(); }, [](auto& event) { event.severity = "loud"; },
           [](auto& event) { event.text = std::string(20000, 'x'); },
           [](auto& event) { event.kind = "cluster.frozen"; }}) {
    auto wrong = one;
    wrong.sequence = 9;
    change(wrong);
    auto three = one;
    three.sequence = 3;
    // A topic may be of a definition that registers only now: its program tries again.
    EXPECT_EQ(publish({three, wrong}), wrong.kind == one.kind ? "invalid" : "not-found")
        << "of all of them none is told";
  }
  std::vector<exchange::Event> told;
  world_.read_events(0, [&](const exchange::Event& event) {
    if (event.kind == "greeting.greeted") told.push_back(event);
  });
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].vo, "physics");
  EXPECT_EQ(told[0].text, "Ada was greeted");
  EXPECT_EQ(told[0].attributes.at("guest"), "Ada");
  EXPECT_EQ(told[0].attributes.at("service"), "greeting");
}

TEST_F(ServiceRegistry, OwnServicesAreListedToo) {
  const auto get = [&](const std::string& name) {
    return contracts::registry::parse_get_service_response(
        ask(contracts::registry::make_get_service(kAddress, {.name = name}), "token:x"));
  };
  const auto vcf = get("vcf");
  ASSERT_TRUE(vcf) << vcf.error().to_string();
  EXPECT_TRUE(vcf->service.own);
  EXPECT_EQ(vcf->service.version, "9");
  EXPECT_EQ(get("greeting").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(offer(greeting()), "");
  EXPECT_EQ(get("greeting")->service.version, "1.2");
}

// The registry and who registers, in one world.
class Registering : public ServiceRegistry {
 protected:
  void run_with(bool is_registry_there) {
    world_.close();
    RegistrantOptions options;
    options.registry = kAddress;
    options.offer = greeting("");
    options.on_registered = [this] { ++registered_; };
    registrant_ = std::make_unique<Registrant>(std::move(options));
    registry_ = is_registry_there ? std::make_unique<Registry>(RegistryOptions{}) : nullptr;
    std::vector<exchange::Actor*> actors{registrant_.get()};
    if (registry_) actors.push_back(registry_.get());
    world_.open(actors);
  }
  std::unique_ptr<Registrant> registrant_;
  std::unique_ptr<Herald> herald_;
  int registered_ = 0;
};

TEST_F(Registering, ItRegistersRenewsAndRegistersAnewWhenItWasForgotten) {
  run_with(true);
  EXPECT_EQ(registered_, 1);
  world_.advance(120s, 1s);
  ASSERT_EQ(others().size(), 1U);
  EXPECT_GE(*others()[0].alive_until, world_.clock.now() + 20s);
  EXPECT_EQ(kinds().size(), 1U);
  // It is restarted, and nuraghed with it: another start of the same program.
  run_with(true);
  EXPECT_EQ(others().size(), 1U);
  EXPECT_EQ(kinds().size(), 1U);
  EXPECT_EQ(world_.keys("registry_program").size(), 1U);
  // It was away for so long that it was forgotten.
  world_.close();
  world_.open({registry_.get()});
  world_.advance(60s, 1s);
  EXPECT_TRUE(others().empty());
  run_with(true);
  EXPECT_EQ(others().size(), 1U);
}

// In the place of nuraghed's registry: keeps what it is told, while it takes it.
class Taker final : public exchange::Actor {
 public:
  std::vector<std::string> told;
  std::optional<Error> refuses;
  std::string never;  // the text of an event that is never taken
  std::string_view name() const override { return "registry"; }
  Status open(store::Store&) override { return {}; }
  Status on_start(exchange::Turn&) override { return {}; }
  Status on_request(exchange::Turn& turn, const exchange::Message& request) override {
    const xml::Node root = request.body->root();
    if (request.operation != "publish_events") {  // registered, renewed
      auto body = xml::Document::parse("<" + request.operation +
                                       "Response xmlns='urn:nuraghe:registry:1'><alive_until>2030-01-01T00:00:00Z"
                                       "</alive_until></" +
                                       request.operation + "Response>");
      return turn.reply(request.message_id, std::move(*body).share());
    }
    if (refuses) return *refuses;
    for (const xml::Node event : root.children(root.namespace_uri(), "event")) {
      if (event.child(root.namespace_uri(), "text").text() == never) return invalid("that has an unknown severity");
    }
    EXPECT_NE(root.child(root.namespace_uri(), "program").text(), "");
    for (const xml::Node event : root.children(root.namespace_uri(), "event")) {
      const long sequence = std::stol(event.child(root.namespace_uri(), "sequence").text());
      if (sequence <= last_) continue;  // as the registry: a repeat says nothing new
      last_ = sequence;
      told.push_back(event.child(root.namespace_uri(), "text").text());
    }
    auto body = xml::Document::parse("<publish_eventsResponse xmlns='urn:nuraghe:registry:1'/>");
    return turn.reply(request.message_id, std::move(*body).share());
  }
  Status on_reply(exchange::Turn&, const exchange::Message&, std::string_view) override { return {}; }
  Status on_timer(exchange::Turn&, std::string_view) override { return {}; }
  Status on_job(exchange::Turn&, const exchange::Job&, const Result<std::string>&) override { return {}; }
  Result<std::string> run_job(const exchange::Job&, exchange::JobContext&) override { return std::string(); }

 private:
  long last_ = 0;
};

class HeraldTest : public Registering {
 protected:
  void run_herald() {
    world_.close();
    HeraldOptions options;
    options.registry = kAddress;
    options.service = "greeting";
    options.topics = {"greeting.greeted"};
    herald_ = std::make_unique<Herald>(std::move(options));
    RegistrantOptions registrant;
    registrant.registry = kAddress;
    registrant.offer = greeting("");
    registrant_ = std::make_unique<Registrant>(std::move(registrant));
    world_.open({registrant_.get(), herald_.get(), &taker_});
  }
  void happen(const std::string& text, const std::string& kind = "greeting.greeted") {
    world_.post("herald", [&](exchange::Turn& turn) -> Status {
      exchange::Event event;
      event.vo = "physics";
      event.kind = kind;
      event.text = text;
      TRY(turn.publish(std::move(event)));
      return {};
    });
    world_.post("herald", [&](exchange::Turn& turn) { return herald_->pump(turn); });
  }
  Taker taker_;
};

TEST_F(HeraldTest, WhatItsProgramPublishesIsToldOnceAndInOrder) {
  run_herald();
  happen("one");
  happen("not for others", "internal.thing");
  for (int n = 0; n < 150; ++n) happen("other " + std::to_string(n), "internal.thing");
  happen("two");
  EXPECT_THAT(taker_.told, ::testing::ElementsAre("one", "two"));
  taker_.refuses = unavailable("nuraghed is starting");
  happen("three");
  happen("four");
  EXPECT_EQ(taker_.told.size(), 2U);
  run_herald();
  EXPECT_EQ(taker_.told.size(), 2U);
  taker_.refuses.reset();
  world_.advance(2min, 1s);
  EXPECT_THAT(taker_.told, ::testing::ElementsAre("one", "two", "three", "four"));
  // What is never taken does not stop what comes after it.
  taker_.never = "five";
  happen("five");
  world_.advance(1s, 1s);
  happen("six");
  EXPECT_EQ(taker_.told.back(), "six");
  run_herald();
  world_.advance(2min, 1s);
  EXPECT_EQ(taker_.told.size(), 5U);
}

TEST_F(HeraldTest, WhatIsNeverTakenIsLeftOutAlone) {
  run_herald();
  taker_.refuses = unavailable("nuraghed is starting");
  std::vector<std::string> good;
  for (int n = 0; n < 60; ++n) {
    happen(n == 30 ? "bad" : std::to_string(n));
    if (n != 30) good.push_back(std::to_string(n));
  }
  taker_.refuses = not_found("that is no topic that greeting has registered");
  world_.advance(1min, 1s);
  EXPECT_TRUE(taker_.told.empty());
  taker_.refuses.reset();
  taker_.never = "bad";
  world_.advance(1min, 1s);
  EXPECT_EQ(taker_.told, good) << "before it, and behind it";
  happen("new");
  EXPECT_EQ(taker_.told.back(), "new");
}

TEST_F(Registering, ItGoesOnTryingWhileNobodyTakesIt) {
  run_with(false);
  world_.advance(120s, 1s);
  EXPECT_EQ(registered_, 0);
  run_with(true);
  EXPECT_EQ(registered_, 1);
}

}  // namespace
}  // namespace nuraghe::services::registry
