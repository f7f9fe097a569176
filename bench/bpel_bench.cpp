// Measures the WS-BPEL engine in one process: durable steps, waiting instances, a wide forEach. bench/run bpel calls
// it.
//
//   bpel_bench steps    CLIENTS SECONDS DIRECTORY   a request, 5 invokes one after the other, a reply; closed loop
//   bpel_bench memory   CLIENTS SECONDS DIRECTORY   the same without a disk
//   bpel_bench waiting  INSTANCES DIRECTORY         instances that wait for a message; then some get it; then a restart
//   bpel_bench foreach  BRANCHES DIRECTORY          a parallel forEach of invokes
//   bpel_bench commits  ROWS BYTES SECONDS DIRECTORY    bare SQLite commits, synchronous=FULL, of so many rows
//
// Each prints one JSON object; times in seconds, sizes in bytes. The partner of every invoke is an actor of the same
// exchange that answers at once.
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <sstream>

#include "base/check.hpp"
#include "bpel/engine.hpp"
#include "env/posix.hpp"
#include "exchange/exchange.hpp"
#include "store/memory.hpp"
#include "store/sqlite.hpp"

namespace nuraghe {
namespace {

using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

double cpu_seconds() {
  rusage usage{};
  CHECK(::getrusage(RUSAGE_SELF, &usage) == 0);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// What the process occupies now, in bytes.
double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double resident = 0;
  file >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

constexpr std::string_view kWsdl = R"(<wsdl:definitions targetNamespace="urn:bench" xmlns:t="urn:bench"
  xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
  xmlns:plnk="http://docs.oasis-open.org/wsbpel/2.0/plnktype" xmlns:vprop="http://docs.oasis-open.org/wsbpel/2.0/varprop">
  <wsdl:types><xsd:schema targetNamespace="urn:bench" elementFormDefault="qualified">
    <xsd:element name="in" type="xsd:string"/><xsd:element name="out" type="xsd:string"/>
  </xsd:schema></wsdl:types>
  <wsdl:message name="In"><wsdl:part name="p" element="t:in"/></wsdl:message>
  <wsdl:message name="Out"><wsdl:part name="p" element="t:out"/></wsdl:message>
  <wsdl:portType name="P">
    <wsdl:operation name="start"><wsdl:input message="t:In"/><wsdl:output message="t:Out"/></wsdl:operation>
    <wsdl:operation name="more"><wsdl:input message="t:In"/><wsdl:output message="t:Out"/></wsdl:operation>
  </wsdl:portType>
  <plnk:partnerLinkType name="L"><plnk:role name="service" portType="t:P"/></plnk:partnerLinkType>
  <vprop:property name="id" type="xsd:string"/>
  <vprop:propertyAlias propertyName="t:id" messageType="t:In" part="p"><vprop:query>.</vprop:query></vprop:propertyAlias>
</wsdl:definitions>)";
constexpr std::string_view kDeploy = R"(<deploy xmlns="urn:nuraghe:deploy:1">
  <partnerLink name="partner" address="/partner"/><myRole partnerLink="client" path="/svc"/></deploy>)";
constexpr std::string_view kFrame = R"(<process name="bench" targetNamespace="urn:bench:process" xmlns:t="urn:bench"
  xmlns="http://docs.oasis-open.org/wsbpel/2.0/process/executable">
  <import namespace="urn:bench" location="t.wsdl" importType="http://schemas.xmlsoap.org/wsdl/"/>
  <partnerLinks>
    <partnerLink name="client" partnerLinkType="t:L" myRole="service"/>
    <partnerLink name="partner" partnerLinkType="t:L" partnerRole="service"/>
  </partnerLinks>
  <variables><variable name="request" element="t:in"/><variable name="reply" element="t:out"/></variables>
  {}
</process>)";

std::string five_steps() {
  std::string body =
      "<sequence><receive partnerLink='client' operation='start' variable='request' createInstance='yes'/>";
  for (int i = 0; i < 5; ++i)
    body += "<invoke partnerLink='partner' operation='start' inputVariable='request' outputVariable='reply'/>";
  return body + "<reply partnerLink='client' operation='start' variable='reply'/></sequence>";
}
constexpr std::string_view kWaiting = R"(
  <correlationSets><correlationSet name="id" properties="t:id"/></correlationSets>
  <sequence>
    <receive partnerLink="client" operation="start" variable="request" createInstance="yes">
      <correlations><correlation set="id" initiate="yes"/></correlations>
    </receive>
    <assign><copy><from><literal><t:out>waits</t:out></literal></from><to variable="reply"/></copy></assign>
    <reply partnerLink="client" operation="start" variable="reply"/>
    <receive partnerLink="client" operation="more" variable="request">
      <correlations><correlation set="id"/></correlations>
    </receive>
    <reply partnerLink="client" operation="more" variable="reply"/>
  </sequence>)";
constexpr std::string_view kForEach = R"(
  <sequence>
    <receive partnerLink="client" operation="start" variable="request" createInstance="yes"/>
    <forEach counterName="i" parallel="yes">
      <startCounterValue>1</startCounterValue><finalCounterValue>number($request)</finalCounterValue>
      <scope><variables><variable name="answer" element="t:out"/></variables>
        <invoke partnerLink="partner" operation="start" inputVariable="request" outputVariable="answer"/></scope>
    </forEach>
    <assign><copy><from><literal><t:out>done</t:out></literal></from><to variable="reply"/></copy></assign>
    <reply partnerLink="client" operation="start" variable="reply"/>
  </sequence>)";

xml::DocumentPtr message_body(std::string_view element, const std::string& text) {
  auto document = xml::Document::create({"urn:bench", std::string(element)}, "t");
  document.root().set_text(text);
  return std::move(document).share();
}

class Partner : public exchange::Actor {
 public:
  std::string_view name() const override { return "partner"; }
  Status open(store::Store&) override { return {}; }
  Status on_start(exchange::Turn&) override { return {}; }
  Status on_request(exchange::Turn& turn, const exchange::Message& request) override {
    return turn.reply(request.message_id, message_body("out", request.body->root().text()));
  }
  Status on_reply(exchange::Turn&, const exchange::Message&, std::string_view) override { return {}; }
  Status on_timer(exchange::Turn&, std::string_view) override { return {}; }
  Status on_job(exchange::Turn&, const exchange::Job&, const Result<std::string>&) override { return {}; }
  Result<std::string> run_job(const exchange::Job&, exchange::JobContext&) override { return std::string(); }
};

// An engine with one process, its partner and its store.
class World {
 public:
  World(std::string_view process, const std::string& directory, bool in_memory) {
    bpel::EngineOptions options;
    engine_ = std::make_unique<bpel::Engine>(options);
    bpel::Package package;
    package.files["p.bpel"] = fmt::format(fmt::runtime(kFrame), process);
    package.files["t.wsdl"] = kWsdl;
    package.files["deploy.xml"] = kDeploy;
    const auto deployment = engine_->deploy("bench", package);
    for (const auto& diagnostic : deployment.diagnostics) std::fputs((diagnostic.to_string() + "\n").c_str(), stderr);
    CHECK(deployment.accepted);
    router_ = exchange::make_router({});
    exchange::ExchangeOptions exchange_options;
    exchange_options.name = "bench";
    exchange_options.clock = &clock_;
    exchange_options.random = &random_;
    exchange_options.mailbox_limit = 1'000'000;
    auto store =
        in_memory ? store::open_memory(store::make_memory_disk()) : store::open_sqlite(directory + "/bench.db").value();
    exchange_ = exchange::make_exchange(std::move(store), *router_, exchange_options);
    exchange_->add_actor(*engine_);
    exchange_->add_actor(partner_);
    router_->add_route("/svc", "*", *exchange_, "engine");
    router_->add_route("/partner", "*", *exchange_, "partner");
    CHECK(exchange_->open());
    exchange_->start();
  }
  ~World() { exchange_->stop(); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void send(const std::string& operation, const std::string& text, exchange::ReplyHandler handler) {
    exchange::Message message;
    message.message_id = env::make_uuid_urn(random_);
    message.to = "/svc";
    message.operation = operation;
    message.vo = "bench";
    message.caller = "bench";
    message.body = message_body("in", text);
    router_->deliver(std::move(message), std::move(handler));
  }
  // Sends and waits; the seconds that it took.
  double request(const std::string& operation, const std::string& text) {
    std::mutex mutex;
    std::condition_variable changed;
    bool answered = false;
    const auto start = SteadyClock::now();
    send(operation, text, [&](const exchange::Message& reply) {
      if (reply.fault) std::fputs((reply.fault->reason + "\n").c_str(), stderr);
      CHECK(!reply.fault);
      const std::lock_guard lock(mutex);
      answered = true;
      changed.notify_one();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return answered; });
    return seconds_since(start);
  }
  exchange::ExchangeStatistics statistics() const { return exchange_->statistics(); }

 private:
  env::Clock& clock_ = env::system_clock();
  env::Random& random_ = env::system_random();
  Partner partner_;
  std::unique_ptr<bpel::Engine> engine_;
  std::unique_ptr<exchange::Router> router_;
  std::unique_ptr<exchange::Exchange> exchange_;
};

// Clients that send the next request when they have the last one's answer.
class ClosedLoop {
 public:
  explicit ClosedLoop(World& world) : world_(world) {}
  // Runs for a time; the number of answers, the latencies beside.
  std::size_t run(int clients, double seconds) {
    end_ =
        SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
    running_ = clients;
    for (int i = 0; i < clients; ++i) next();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return running_ == 0; });
    std::sort(latencies_.begin(), latencies_.end());
    return latencies_.size();
  }
  double median() const { return latencies_.empty() ? 0 : latencies_[latencies_.size() / 2]; }

 private:
  void next() {
    const auto start = SteadyClock::now();
    world_.send("start", "hello", [this, start](const exchange::Message& reply) {
      CHECK(!reply.fault);
      {
        const std::lock_guard lock(mutex_);
        latencies_.push_back(seconds_since(start));
        if (SteadyClock::now() >= end_) {
          --running_;
          changed_.notify_one();
          return;
        }
      }
      next();
    });
  }
  World& world_;
  SteadyClock::time_point end_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<double> latencies_;
  int running_ = 0;
};

void steps(int clients, double seconds, const std::string& directory, bool in_memory) {
  World world(five_steps(), directory, in_memory);
  ClosedLoop(world).run(clients, seconds / 5);  // warms up
  const auto before = world.statistics();
  const double cpu = cpu_seconds();
  const auto start = SteadyClock::now();
  ClosedLoop loop(world);
  const auto done = static_cast<double>(loop.run(clients, seconds));
  const double wall = seconds_since(start);
  const auto after = world.statistics();
  fmt::print(R"({{"workflows": {}, "per_second": {:.1f}, "cpu_each": {:.7f}, "median_latency": {:.7f}, )"
             R"("commits_each": {:.3f}, "rows_each": {:.2f}, "bytes_each": {:.0f}, "journal_bytes_each": {:.0f}}})"
             "\n",
             done, done / wall, (cpu_seconds() - cpu) / done, loop.median(),
             static_cast<double>(after.store.commits - before.store.commits) / done,
             static_cast<double>(after.store.rows_written - before.store.rows_written) / done,
             static_cast<double>(after.store.bytes_written - before.store.bytes_written) / done,
             static_cast<double>(after.store.journal_bytes - before.store.journal_bytes) / done);
}

double disk_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  return file ? static_cast<double>(file.tellg()) : 0;
}

void waiting(int instances, const std::string& directory) {
  double memory = 0;
  double disk = 0;
  double create = 0;
  int all = 0;
  std::vector<double> answers;
  {
    World world(kWaiting, directory, false);
    const auto create_all = [&world](int from, int to) {
      std::mutex mutex;
      std::condition_variable changed;
      int open = 0;
      for (int i = from; i < to; ++i) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return open < 1000; });
        ++open;
        lock.unlock();
        world.send("start", fmt::format("i{}", i), [&](const exchange::Message& reply) {
          CHECK(!reply.fault);
          const std::lock_guard guard(mutex);
          --open;
          changed.notify_one();
        });
      }
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return open == 0; });
      lock.unlock();
      // The exchange gives memory back when it has had nothing to do for a second.
      ::sleep(3);
    };
    // What the process needs for its work does not count: others wait before.
    constexpr int kFirst = 20'000;
    create_all(-kFirst, 0);
    const double before = resident_bytes();
    const auto start = SteadyClock::now();
    create_all(0, instances);
    create = seconds_since(start) - 3;
    memory = (resident_bytes() - before) / instances;
    all = instances + kFirst;
    for (int i = 0; i < 200; ++i) answers.push_back(world.request("more", fmt::format("i{}", i * (instances / 200))));
    std::sort(answers.begin(), answers.end());
    ::sleep(2);
  }
  disk = disk_bytes(directory + "/bench.db") / all;
  const auto start = SteadyClock::now();
  World world(kWaiting, directory, false);
  world.request("start", "after");
  fmt::print(R"({{"create_seconds": {:.3f}, "memory_each": {:.1f}, "disk_each": {:.1f}, "answer_median": {:.6f}, )"
             R"("answer_worst": {:.6f}, "restart_seconds": {:.3f}}})"
             "\n",
             create, memory, disk, answers[answers.size() / 2], answers.back(), seconds_since(start));
}

void for_each(int branches, const std::string& directory) {
  World world(kForEach, directory, false);
  world.request("start", "10");
  const auto before = world.statistics();
  const double cpu = cpu_seconds();
  const double wall = world.request("start", std::to_string(branches));
  const auto after = world.statistics();
  fmt::print(R"({{"seconds": {:.4f}, "cpu_each": {:.7f}, "rows_each": {:.2f}, "bytes_each": {:.0f}, )"
             R"("journal_bytes_each": {:.0f}}})"
             "\n",
             wall, (cpu_seconds() - cpu) / branches,
             static_cast<double>(after.store.rows_written - before.store.rows_written) / branches,
             static_cast<double>(after.store.bytes_written - before.store.bytes_written) / branches,
             static_cast<double>(after.store.journal_bytes - before.store.journal_bytes) / branches);
}

void commits(int rows, int bytes, double seconds, const std::string& directory) {
  sqlite3* database = nullptr;
  CHECK(sqlite3_open((directory + "/bare.db").c_str(), &database) == SQLITE_OK);
  const auto execute = [&](const char* sql) {
    CHECK(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  };
  execute(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
      "CREATE TABLE t (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID");
  sqlite3_stmt* insert = nullptr;
  CHECK(sqlite3_prepare_v2(database, "INSERT INTO t VALUES (?1, ?2)", -1, &insert, nullptr) == SQLITE_OK);
  const std::string value(static_cast<std::size_t>(bytes), 'x');
  std::int64_t number = 0;
  std::vector<double> latencies;
  const double cpu = cpu_seconds();
  const auto start = SteadyClock::now();
  while (seconds_since(start) < seconds) {
    const auto begin = SteadyClock::now();
    execute("BEGIN");
    for (int i = 0; i < rows; ++i) {
      const std::string key = fmt::format("{:016}", ++number);
      sqlite3_bind_blob(insert, 1, key.data(), static_cast<int>(key.size()), SQLITE_TRANSIENT);
      sqlite3_bind_blob(insert, 2, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
      CHECK(sqlite3_step(insert) == SQLITE_DONE);
      sqlite3_reset(insert);
    }
    execute("COMMIT");
    latencies.push_back(seconds_since(begin));
  }
  const double wall = seconds_since(start);
  std::sort(latencies.begin(), latencies.end());
  const auto done = static_cast<double>(latencies.size());
  fmt::print(R"({{"per_second": {:.1f}, "median_latency": {:.7f}, "cpu_each": {:.7f}}})"
             "\n",
             done / wall, latencies[latencies.size() / 2], (cpu_seconds() - cpu) / done);
  sqlite3_finalize(insert);
  sqlite3_close(database);
}

int run(const std::vector<std::string>& arguments) {
  const auto number = [&](std::size_t index) { return std::stod(arguments.at(index)); };
  const auto whole = [&](std::size_t index) { return static_cast<int>(number(index)); };
  const std::string& name = arguments.at(0);
  if ((name == "steps" || name == "memory") && arguments.size() == 4)
    steps(whole(1), number(2), arguments[3], name == "memory");
  else if (name == "waiting" && arguments.size() == 3)
    waiting(whole(1), arguments[2]);
  else if (name == "foreach" && arguments.size() == 3)
    for_each(whole(1), arguments[2]);
  else if (name == "commits" && arguments.size() == 5)
    commits(whole(1), whole(2), number(3), arguments[4]);
  else
    return 2;
  return 0;
}

}  // namespace
}  // namespace nuraghe

int main(int count, char** values) {
  const std::vector<std::string> arguments(values + 1, values + count);
  const int status = arguments.empty() ? 2 : nuraghe::run(arguments);
  if (status != 0)
    std::fputs("usage: bpel_bench steps|memory|waiting|foreach|commits ... (see the source's head)\n", stderr);
  return status;
}
