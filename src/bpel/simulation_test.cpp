// Many instances of all crash-tested processes at once, in one thread and in virtual time, over a bad network and on a
// machine that dies: messages are lost, late, doubled and out of order, the process is killed at any commit or send,
// and SQLite's disk loses what was not synced. After every step: one MessageID is one message and has one answer. At
// the end: partners and clients have seen exactly what they see on a quiet day, nothing is left, every history replays.
//
// A seed decides everything. Seeds: those in tests/seeds/bpel.txt (each failed once), and the number NURAGHE_SEED with
// NURAGHE_RUNS - 1 that follow it. A failure prints the command that repeats it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "base/log.hpp"
#include "bpel/crash_scenarios.hpp"
#include "store/sqlite.hpp"
#include "store/volatile_disk.hpp"
#include "test_folders.hpp"

namespace nuraghe::bpel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Scenario;

// In percent, but for the crash.
struct Weather {
  std::uint64_t loses = 0, doubles = 0;
  milliseconds longest_delay{1};
  std::uint64_t crash_one_in = 0;  // of the places to die at; 0: never
};

// What one client with one instance causes and sees.
struct Seen {
  std::multiset<std::string> sent;  // operation and content, each message once
  std::vector<std::string> answers;
  bool operator==(const Seen&) const = default;
};
void PrintTo(const Seen& seen, std::ostream* out) {
  for (const auto& message : seen.sent) *out << "\n  sent " << message;
  for (const auto& answer : seen.answers) *out << "\n  answer " << answer;
}

// Whether what happens depends on what comes first: then only the end is compared.
bool is_a_race(const Scenario& scenario) {
  static const std::set<std::string> races = {"for_each_enough",         "exit",  "termination",
                                              "termination_compensates", "alarm", "pick_alarm_first"};
  return races.contains(scenario.name);
}

class Simulation : public exchange::RemoteTransport {
 public:
  Simulation(std::uint64_t seed, const Weather& weather) : weather_(weather), chance_(seed), random_(seed + 1) {}
  ~Simulation() override { close(); }

  void add_client(const Scenario& scenario) {
    auto client = std::make_unique<Client>();
    client->number = static_cast<int>(clients_.size()) + 1;
    client->scenario = &scenario;
    scenarios_.insert(&scenario);
    clients_.push_back(std::move(client));
  }

  // Runs to the end.
  void run() {
    open();
    for (const auto& client : clients_) later(delay(), [this, at = client.get()] { ask(*at); });
    for (int step = 0; step < 400'000 && !::testing::Test::HasFailure(); ++step) {
      drain();
      if (is_dead_) {
        revive();
        continue;
      }
      if (is_over()) break;
      if (!advance()) break;
    }
    EXPECT_TRUE(is_over()) << "it does not come to an end: " << situation();
    if (!::testing::Test::HasFailure()) check_what_is_left();
  }
  Seen seen(std::size_t client) const { return clients_[client]->seen; }
  std::string name_of(std::size_t client) const { return clients_[client]->scenario->name; }
  int crashes() const { return crashes_; }

  // ---- the network between the engine and its partner ----
  void send(const exchange::Message& request, std::function<void(Result<exchange::Message>)> done) override {
    // Each try is answered once, whatever arrives.
    auto answered = std::make_shared<bool>(false);
    const auto answer = [answered, done = std::move(done)](Result<exchange::Message> outcome) {
      if (!std::exchange(*answered, true)) done(std::move(outcome));
    };
    later(seconds(30), [answer] { answer(timed_out("no answer came")); });
    const int copies = happens(weather_.doubles) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (happens(weather_.loses)) continue;
      later(delay(), [this, request, answer] {
        auto reply = serve(request);
        if (!happens(weather_.loses)) later(delay(), [answer, reply = std::move(reply)] { answer(reply); });
      });
    }
  }

 private:
  struct Client {
    int number = 0;
    const Scenario* scenario = nullptr;
    std::size_t next = 0;  // of the scenario's requests
    std::string waits_for;
    Seen seen;
    bool is_done() const { return next == scenario->requests.size() && waits_for.empty(); }
  };

  bool happens(std::uint64_t percent) { return percent > 0 && chance_.below(100) < percent; }
  Duration delay() {
    return Duration(static_cast<std::int64_t>(
        chance_.below(static_cast<std::uint64_t>(Duration(weather_.longest_delay).count()) + 1)));
  }
  void later(Duration span, std::function<void()> act) { events_.emplace(clock_.now() + span, std::move(act)); }

  // ---- the partner: its first answer to a message stands ----
  exchange::Message serve(const exchange::Message& request) {
    const std::string content = request.body->root().text();
    const std::string what = request.operation + " " + content;
    const auto [known, is_new] = served_.emplace(request.message_id, what);
    EXPECT_EQ(known->second, what) << "two messages have one id";
    Client& client = *clients_.at(static_cast<std::size_t>(owner_of(request)) - 1);
    if (is_new) client.seen.sent.insert(what);
    exchange::Message reply;
    reply.relates_to = request.message_id;
    if (request.one_way) return reply;
    if (client.scenario->failing.find(content) != std::string::npos) {
      exchange::Fault fault;
      fault.reason = "problem " + content;
      fault.detail = testing::document("<problem xmlns=\"urn:t\">" + content + "</problem>");
      reply.fault = std::move(fault);
    } else {
      reply.body = testing::document(testing::out_text(content));
    }
    return reply;
  }
  // Each client's instance acts for an organisation of its own: so it is known whose message this is.
  static int owner_of(const exchange::Message& request) { return std::stoi(request.vo.substr(2)); }

  // ---- clients: ask until there is an answer, then go on ----
  void ask(Client& client) {
    if (client.waits_for.empty()) {
      if (client.next == client.scenario->requests.size()) return;
      client.waits_for = fmt::format("urn:client:{}:{}", client.number, client.next++);
    }
    const std::string id = client.waits_for;
    const int copies = happens(weather_.doubles) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (!happens(weather_.loses)) later(delay(), [this, &client, id] { submit(client, id); });
    }
    later(seconds(60), [this, &client, id] {
      if (client.waits_for == id) ask(client);
    });
  }
  void submit(Client& client, const std::string& id) {
    if (!control_) return;
    const auto& [operation, content] = client.scenario->requests[client.next - 1];
    if (client.waits_for != id) return;
    exchange::Message message;
    message.message_id = id;
    message.to = "/svc/" + client.scenario->name;
    message.operation = operation;
    message.one_way = operation == "note";
    message.vo = fmt::format("vo{}", client.number);
    message.caller = "client";
    // Whom a message is for is told by the value that it is correlated by.
    std::string unique = content;
    if (const auto at = unique.find(">1<"); at != std::string::npos) unique.replace(at + 1, 1, message.vo);
    message.body = testing::document(testing::in_text(unique));
    router_->accept(message, [this, &client, id](Result<exchange::Message> outcome) {
      if (!outcome) return;  // it asks again
      if (outcome->fault && outcome->fault->code == ErrorCode::kUnavailable) return;
      std::string text = outcome->fault  ? "fault " + outcome->fault->reason.substr(0, 40)
                         : outcome->body ? outcome->body->root().text()
                                         : "accepted";
      later(delay(), [this, &client, id, text] { receive(client, id, text); });
    });
  }
  void receive(Client& client, const std::string& id, const std::string& text) {
    const auto [known, is_new] = answers_.emplace(id, text);
    EXPECT_EQ(known->second, text) << id << " has two answers";
    if (!is_new) return;
    client.seen.answers.push_back(text);
    client.waits_for.clear();
    later(delay(), [this, &client] { ask(client); });
  }

  // ---- the process and its machine ----
  void open() {
    engine_ = std::make_unique<Engine>();
    for (const Scenario* scenario : scenarios_) {
      Package package;
      package.files = {{"p.bpel", scenario->process},
                       {"t.wsdl", std::string(testing::kWsdl)},
                       {"fault.xsd", std::string(testing::kFaultSchema)},
                       {"deploy.xml", fmt::format(R"(<deploy xmlns="urn:nuraghe:deploy:1"><partnerLink name="partner"
                         address="http://partner/"/><myRole partnerLink="client" path="/svc/{}"/></deploy>)",
                                                  scenario->name)}};
      const auto deployment = engine_->deploy(scenario->name, package);
      ASSERT_TRUE(deployment.accepted) << scenario->name;
    }
    router_ = exchange::make_router({.remote = this});
    exchange::ExchangeOptions options;
    options.name = "sim";
    options.clock = &clock_;
    options.random = &random_;
    options.batch_limit = 1 + chance_.below(8);
    options.late_syncs = chance_.below(2) == 0;
    options.crash_hook = [this](CrashPoint) {
      if (is_dead_) return true;
      is_dead_ = weather_.crash_one_in > 0 && chance_.below(weather_.crash_one_in) == 0;
      if (is_dead_) disk_.fail();
      return is_dead_;
    };
    control_ = exchange::make_exchange(open_store(false), *router_, options);
    control_->add_actor(*engine_);
    router_->add_route("/svc", "*", *control_, "engine");
    const auto opened = control_->open();
    ASSERT_TRUE(opened) << opened.error().to_string();
  }
  std::unique_ptr<store::Store> open_store(bool read_only) {
    store::SqliteOptions options;
    options.vfs = disk_.name();
    options.read_only = read_only;
    options.recent = kib(64);
    return store::open_sqlite("sim.db", options).value();
  }
  void close() {
    control_.reset();
    router_.reset();
    engine_.reset();
  }
  void drain() {
    if (is_dead_) return;
    const auto next = control_->drain();
    next_timer_ = next ? *next : std::nullopt;
    if (is_dead_) return;
    EXPECT_TRUE(next) << next.error().to_string();
  }
  void revive() {
    ++crashes_;
    close();
    disk_.restore([this] { return chance_.below(2) == 0; });
    is_dead_ = false;
    open();
  }
  // To the next thing that happens; false: nothing will.
  bool advance() {
    std::optional<TimePoint> due = next_timer_;
    if (!events_.empty() && (!due || events_.begin()->first < *due)) due = events_.begin()->first;
    if (!due) return false;
    if (*due > clock_.now()) clock_.set(*due);
    while (!events_.empty() && events_.begin()->first <= clock_.now() && !is_dead_) {
      const auto act = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      act();
    }
    return true;
  }
  bool is_over() {
    if (is_dead_) return false;
    for (const auto& client : clients_) {
      if (!client->is_done()) return false;
    }
    return rows("bpel_running") == 0 && rows("exchange_outbox") == 0;
  }
  std::string situation() {
    std::string text;
    for (const auto& client : clients_) {
      if (!client->is_done()) text += fmt::format("{} waits for {}; ", client->scenario->name, client->waits_for);
    }
    return text + fmt::format("{} instances run, {} messages are to be sent, {} s have passed", rows("bpel_running"),
                              rows("exchange_outbox"),
                              (clock_.now().micros - env::SimClock::kStart.micros) / 1'000'000);
  }
  std::size_t rows(const std::string& table) {
    const auto store = open_store(true);
    const auto found = store->table(table);
    if (!found) return 0;
    return store->begin().value()->scan(*found, {}, {}, 10).value().size();
  }
  void check_what_is_left() {
    for (const char* table : {"bpel_scope", "bpel_subscription", "bpel_correlation", "bpel_open", "bpel_early",
                              "bpel_held", "exchange_jobs"}) {
      EXPECT_EQ(rows(table), 0U) << table;
    }
    weather_.crash_one_in = 0;
    control_->post(
        "engine",
        [this](exchange::Turn& turn) -> Status {
          TRY_ASSIGN(const auto instances, engine_->list(turn, {}));
          EXPECT_EQ(instances.size(), clients_.size());
          for (const auto& instance : instances) {
            TRY_ASSIGN(const auto replayed, engine_->replay(turn, instance.id));
            EXPECT_TRUE(replayed.same) << instance.process << ": " << replayed.explanation;
          }
          return {};
        },
        [](const Status& status) { EXPECT_TRUE(status); });
    drain();
  }

  Weather weather_;
  env::SimClock clock_;
  env::SimRandom chance_, random_;
  store::VolatileDisk disk_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::set<const Scenario*> scenarios_;
  std::multimap<TimePoint, std::function<void()>> events_;
  std::map<std::string, std::string> served_;   // MessageID → what it was
  std::map<std::string, std::string> answers_;  // request → its answer
  std::optional<TimePoint> next_timer_;
  bool is_dead_ = false;
  int crashes_ = 0;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<exchange::Router> router_;
  std::unique_ptr<exchange::Exchange> control_;
};

const std::vector<Scenario>& scenarios() {
  static const auto all = [] {
    auto found = testing::crash_scenarios();
    // Its first request is answered when the second has come; these clients wait for one answer after the other.
    // A package of several processes is not what they deploy.
    std::erase_if(found,
                  [](const Scenario& scenario) { return scenario.name == "joined_starts" || !scenario.more.empty(); });
    return found;
  }();
  return all;
}

// What each scenario looks like on a quiet day, alone.
const std::map<std::string, Seen>& expectations() {
  static const auto all = [] {
    std::map<std::string, Seen> found;
    for (const Scenario& scenario : scenarios()) {
      SCOPED_TRACE("on a quiet day: " + scenario.name);
      Simulation quiet(1, {});
      quiet.add_client(scenario);
      quiet.run();
      found[scenario.name] = quiet.seen(0);
    }
    return found;
  }();
  return all;
}

void simulate(std::uint64_t seed) {
  const std::string again =
      fmt::format("NURAGHE_SEED={} NURAGHE_RUNS=1 build/bin/test_bpel --gtest_filter='Simulation.*'", seed);
  SCOPED_TRACE("to see it again: " + again);
  env::SimRandom dice(seed);
  Weather weather;
  weather.loses = dice.below(25);
  weather.doubles = dice.below(25);
  weather.longest_delay = milliseconds(1 + dice.below(3000));
  weather.crash_one_in = dice.below(4) == 0 ? 0 : 4 + dice.below(80);
  Simulation simulation(seed, weather);
  std::vector<const Scenario*> chosen;
  for (std::uint64_t i = 0; i < 12 + dice.below(12); ++i)
    chosen.push_back(&scenarios()[dice.below(scenarios().size())]);
  for (const Scenario* scenario : chosen) simulation.add_client(*scenario);
  simulation.run();
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const Seen& expected = expectations().at(chosen[i]->name);
    if (is_a_race(*chosen[i])) {
      EXPECT_EQ(simulation.seen(i).answers.size(), expected.answers.size()) << chosen[i]->name;
    } else {
      EXPECT_EQ(simulation.seen(i), expected) << chosen[i]->name;
    }
  }
  std::printf("seed %llu: %zu instances, %d crashes\n", static_cast<unsigned long long>(seed), chosen.size(),
              simulation.crashes());
}

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Simulation, SeedsThatFailedOnce) {
  set_log_level(LogLevel::kError);
  std::ifstream file(NURAGHE_SOURCE_DIR "/tests/seeds/bpel.txt");
  ASSERT_TRUE(file) << "tests/seeds/bpel.txt is not there";
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    simulate(std::stoull(line));
    if (HasFailure()) return;
  }
}

TEST(Simulation, BadNetworksAndDyingMachines) {
  set_log_level(LogLevel::kError);
  const std::uint64_t first = number_of("NURAGHE_SEED", 1);
  for (std::uint64_t i = 0; i < number_of("NURAGHE_RUNS", 20); ++i) {
    simulate(first + i);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace nuraghe::bpel
