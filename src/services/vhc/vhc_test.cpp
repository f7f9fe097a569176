#include "services/vhc/vhc.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "hypervisor/sim/driver.hpp"
#include "services/testing.hpp"

namespace nuraghe::services::vhc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using World = services::testing::World;
using namespace std::chrono_literals;

const std::string kAddress = "/services/vhc";

// In the place of the factory: takes registrations and remembers what is reported.
class Book final : public exchange::Actor {
 public:
  struct Report {
    std::string kind, severity, text;
  };
  std::vector<Report> reports;
  std::vector<contracts::vhf::ShutOut> shut_out;
  Duration ahead{0};  // its clock, of the controller's
  std::string last_kind() const { return reports.empty() ? "" : reports.back().kind; }

  std::string_view name() const override { return "vhf"; }
  Status open(store::Store&) override { return {}; }
  Status on_start(exchange::Turn&) override { return {}; }
  Status on_request(exchange::Turn& turn, const exchange::Message& request) override {
    constexpr const char* kNamespace = "urn:nuraghe:vhf:1";
    if (request.operation == "register_physical_host") {
      std::string told;
      for (const auto& one : shut_out)
        told += "<shut_out><vo>" + one.vo + "</vo><login>" + one.login + "</login><until>" + one.until.to_string() +
                "</until></shut_out>";
      auto body =
          xml::Document::parse("<register_physical_hostResponse xmlns=\"" + std::string(kNamespace) + "\">" + told +
                               "<now>" + (turn.now() + ahead).to_string() + "</now></register_physical_hostResponse>");
      EXPECT_TRUE(body) << told;
      return turn.reply(request.message_id, std::move(*body).share());
    }
    const auto field = [&](const char* local) { return request.body->root().child(kNamespace, local).text(); };
    reports.push_back({field("kind"), field("severity"), field("text")});
    return {};
  }
  Status on_reply(exchange::Turn&, const exchange::Message&, std::string_view) override { return {}; }
  Status on_timer(exchange::Turn&, std::string_view) override { return {}; }
  Status on_job(exchange::Turn&, const exchange::Job&, const Result<std::string>&) override { return {}; }
  Result<std::string> run_job(const exchange::Job&, exchange::JobContext&) override { return std::string(); }
};

class NoSeeds final : public SeedSource {
 public:
  Result<std::string> fetch(const std::string&, const std::string&, Duration) override {
    return not_found("there are no seeds here");
  }
};

class ControllerTest : public ::testing::Test {
 protected:
  explicit ControllerTest(const std::string& ready = "start") {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    std::filesystem::create_directory(folder_ + "/image");
    std::ofstream(folder_ + "/image/vhi.xml")
        << R"(<vhi xmlns="urn:nuraghe:image:1" name="tiny" version="1"><system type="none" name="tiny" version="1"
           architecture="x86_64"/><boot kernel="k"/><configuration min-memory="4MiB" ready=")" +
               ready + R"("/>
           <initial-conditions kind="cold"/></vhi>)";
    std::ofstream(folder_ + "/image/k") << "kernel";
    auto images = images::ImageStore::open(folder_ + "/images");
    const auto manifest = (*images)->import_folder(folder_ + "/image", "vo1", {});
    EXPECT_TRUE(manifest) << manifest.error().to_string();
    image_ = {"tiny", "1", manifest->digest, folder_ + "/images"};
    hypervisor::SimOptions sim;
    sim.root = folder_ + "/sim";
    sim.persisted = false;
    sim.clock = &world_.clock;
    sim.agent = [this](const std::string& id, const std::string& json) { return agent_answers(id, json); };
    driver_ = std::move(*hypervisor::open_sim_driver(std::move(sim)));
    WorkerOptions worker;
    worker.folder = folder_;
    worker.uses_files = false;
    worker_ = std::make_unique<Worker>(std::move(worker), *driver_, *fabric_, seeds_);
    open();
    create("vh-1");
  }
  ~ControllerTest() override {
    world_.close();
    std::filesystem::remove_all(folder_);
  }
  void open() {
    ControllerOptions options;
    options.name = "a";
    options.address = "http://127.0.0.1:1/services/a";
    options.factory = "/services/vhf";
    options.capacity.cpus = 64;
    options.capacity.memory = gib(1);
    options.capacity.disk = gib(1);
    controller_ = std::make_unique<Controller>(std::move(options), *worker_);
    world_.open({controller_.get(), &book_});
  }
  virtual Result<std::string> agent_answers(const std::string& /*id*/, const std::string& json) {
    if (json.find("\"guest-exec-status\"") != std::string::npos) return std::string(R"({"exited":true,"exitcode":0})");
    return std::string(json.find("\"guest-exec\"") != std::string::npos ? R"({"pid":1})" : "{}");
  }
  void reopen() {
    world_.close();
    open();
  }
  void create(const std::string& id) {
    api::CreateHostRequest input;
    input.id = id;
    auto fragment = xml::Document::parse(
        R"(<node xmlns="urn:nuraghe:node:1" name="one"><image name="tiny"/><cpus>1</cpus><memory>8MiB</memory></node>)");
    input.fragment = std::move(*fragment).share();
    input.image = image_;
    const auto created = world_.ask(contracts::vhc::make_create_host(kAddress, input));
    EXPECT_EQ(World::fault_of(created), "") << (created.fault ? created.fault->reason : "");
  }
  api::Host host(const std::string& id = "vh-1") {
    const auto got = contracts::vhc::parse_get_host_response(world_.ask(contracts::vhc::make_get_host(kAddress, {id})));
    EXPECT_TRUE(got);
    return got ? got->host : api::Host{};
  }
  // As the driver's observer does it.
  void stopped(const std::string& reason) {
    world_.post("vhc", [&](exchange::Turn& turn) { return controller_->host_stopped(turn, "vh-1", reason); });
  }

  std::string folder_ = "/tmp/nuraghe-vhc-XXXXXX";
  World world_;
  Book book_;
  NoSeeds seeds_;
  contracts::vhir::ImageReference image_;
  std::unique_ptr<hypervisor::SimDriver> driver_;
  std::unique_ptr<network::Fabric> fabric_ = network::make_simulated_fabric("a");
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Controller> controller_;
};

TEST_F(ControllerTest, AHostThatItsHypervisorPausedIsPausedUntilItIsResumed) {
  driver_->on_paused([&](const std::string& id, const hypervisor::HostCondition& condition) {
    EXPECT_EQ(id, "vh-1");
    stopped(condition.pause_reason);
  });
  ASSERT_TRUE(driver_->stop("vh-1", "no space left for its disk root"));
  EXPECT_EQ(host().state, HostState::kPaused);
  EXPECT_TRUE(host().stopped);
  EXPECT_EQ(host().condition, "paused by its hypervisor: no space left for its disk root");
  EXPECT_EQ(book_.last_kind(), "host.stopped");
  EXPECT_EQ(book_.reports.back().severity, "error");
  EXPECT_THAT(book_.reports.back().text, HasSubstr("nuraghe vh resume vh-1"));
  const auto told = book_.reports.size();
  reopen();  // its hypervisor says so again: nothing new
  EXPECT_EQ(book_.reports.size(), told);
  EXPECT_TRUE(host().stopped);
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_resume_host(kAddress, {"vh-1"}))), "");
  EXPECT_EQ(host().state, HostState::kRunning);
  EXPECT_FALSE(host().stopped);
  EXPECT_EQ(host().condition, "");
}

TEST_F(ControllerTest, WhatWasPausedWhileNobodyLookedIsFound) {
  world_.close();
  ASSERT_TRUE(driver_->stop("vh-1", "a transfer failed"));
  open();
  EXPECT_EQ(host().state, HostState::kPaused);
  EXPECT_THAT(host().condition, HasSubstr("a transfer failed"));
  EXPECT_EQ(book_.last_kind(), "host.stopped");
}

// The guest ran for a moment only: what resumed it is over after the hypervisor told.
TEST_F(ControllerTest, AHostThatStopsAgainWhileItIsResumedIsPaused) {
  ASSERT_TRUE(driver_->stop("vh-1", "no space"));
  stopped("no space");
  world_.send(contracts::vhc::make_resume_host(kAddress, {"vh-1"}), "vo1", "urn:test:resume", false);
  stopped("no space again");
  world_.run();
  EXPECT_EQ(World::fault_of(world_.answers["urn:test:resume"]), "");
  EXPECT_EQ(host().state, HostState::kPaused);
  EXPECT_EQ(host().condition, "paused by its hypervisor: no space again");
}

TEST_F(ControllerTest, APauseThatWasAskedForIsNoStop) {
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_pause_host(kAddress, {"vh-1"}))), "");
  stopped("late news");
  EXPECT_EQ(host().state, HostState::kPaused);
  EXPECT_FALSE(host().stopped);
  EXPECT_EQ(host().condition, "");
}

// A message of its own for each: the abort may overtake the order that it is to end.
TEST_F(ControllerTest, AnOrderThatItsAbortOvertookIsRefused) {
  auto order = contracts::vhc::make_pause_host(kAddress, {"vh-1"});
  order.conversation = "wf-1";
  const auto before = book_.reports.size();
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_abort_host(kAddress, {"vh-1", "wf-1"}))), "");
  const auto late = world_.ask(order);
  EXPECT_EQ(World::fault_of(late), "cancelled");
  EXPECT_THAT(late.fault->reason, HasSubstr("pause of virtual host one was ended before it began"));
  EXPECT_EQ(host().state, HostState::kRunning);
  EXPECT_EQ(book_.reports.size(), before);
  reopen();
  EXPECT_EQ(World::fault_of(world_.ask(order)), "cancelled");
  // Nobody else's, and not where an abort names nobody.
  order.conversation = "wf-2";
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_abort_host(kAddress, {"vh-1", {}}))), "");
  EXPECT_EQ(World::fault_of(world_.ask(order)), "");
  EXPECT_EQ(host().state, HostState::kPaused);
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_resume_host(kAddress, {"vh-1"}))), "");
}

TEST_F(ControllerTest, ANetworkIsDestroyedAfterItWasMadeAndNeverMadeAgain) {
  api::Segment network;
  network.segment = 7;
  network.key = "segment-a";
  const auto make = contracts::vhc::make_create_network(kAddress, {network});
  const auto destroy = contracts::vhc::make_destroy_network(kAddress, {7, "segment-a"});
  EXPECT_EQ(World::fault_of(world_.ask(make)), "");
  EXPECT_THAT(fabric_->segments().value(), ElementsAre(7));
  EXPECT_EQ(World::fault_of(world_.ask(destroy)), "");
  EXPECT_THAT(fabric_->segments().value(), ElementsAre());
  EXPECT_EQ(World::fault_of(world_.ask(destroy)), "") << "repeating is no error";
  EXPECT_EQ(World::fault_of(world_.ask(make)), "conflict") << "it comes too late";
  // The segment's number may be used again, for a network of its own.
  network.key = "segment-b";
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_create_network(kAddress, {network}))), "");
  EXPECT_THAT(fabric_->segments().value(), ElementsAre(7));
}

TEST_F(ControllerTest, TheDestructionOfANetworkOvertakesItsCreation) {
  api::Segment network;
  network.segment = 7;
  network.key = "segment-a";
  const auto make = contracts::vhc::make_create_network(kAddress, {network});
  const auto destroy = contracts::vhc::make_destroy_network(kAddress, {7, "segment-a"});
  // While its creation is at work: two of them, and two destructions.
  for (const std::string id : {"urn:make:1", "urn:make:2"}) world_.send(make, "vo1", id, false);
  for (const std::string id : {"urn:destroy:1", "urn:destroy:2"}) world_.send(destroy, "vo1", id, false);
  world_.run();
  for (const auto& [id, reply] : world_.answers) EXPECT_EQ(World::fault_of(reply), "") << id;
  EXPECT_TRUE(world_.answers.contains("urn:destroy:2"));
  EXPECT_THAT(fabric_->segments().value(), ElementsAre());
  // Before it arrives.
  network.key = "segment-b";
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_destroy_network(kAddress, {7, "segment-b"}))), "");
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_create_network(kAddress, {network}))), "conflict");
  EXPECT_THAT(fabric_->segments().value(), ElementsAre());
}

// Sessions of people who were shut out: what guests' agents are to run.
class LoginsTest : public ControllerTest {
 protected:
  LoginsTest() : ControllerTest("agent") {}
  // What the simulated guests were told while the time passes, a renewal at a time.
  std::size_t told(Duration span, const std::string& id = "") {
    asked_.clear();
    world_.advance(span, 10s);
    return static_cast<std::size_t>(
        std::ranges::count_if(asked_, [&](const auto& one) { return id.empty() || one.first == id; }));
  }
  Result<std::string> agent_answers(const std::string& id, const std::string& json) override {
    if (json.find("\"guest-exec\"") != std::string::npos) asked_.emplace_back(id, json);
    std::size_t at_work = 0;
    for (const auto& value : world_.values("vhc_host")) {
      const auto row = decode_record<HostRow>(value);
      if (row && row->logins_at_work) ++at_work;
    }
    most_at_work_ = std::max(most_at_work_, at_work);
    if (hung_.contains(id)) return timed_out("the guest agent does not answer");
    return ControllerTest::agent_answers(id, json);
  }
  void shut_out(const std::string& name, const std::string& vo = "vo1") {
    book_.shut_out.push_back({vo, "member:" + name + "@" + vo, world_.clock.now() + book_.ahead + 40s});
  }
  std::vector<std::pair<std::string, std::string>> asked_;  // host, command
  std::set<std::string> hung_;                              // their agents do not answer
  std::size_t most_at_work_ = 0;
};

TEST_F(LoginsTest, GuestsAreLookedAtUntilTheLastCertificateIsOver) {
  EXPECT_EQ(told(1min), 0U);
  shut_out("olga");
  ASSERT_GE(told(10s), 1U);
  EXPECT_THAT(asked_[0].second, HasSubstr("member:olga@vo1"));
  EXPECT_GE(told(40s), 3U) << "somebody may have come in by a certificate of before";
  EXPECT_EQ(told(5min), 0U) << "once is enough after that";
  shut_out("otto", "vo2");
  EXPECT_EQ(told(1min), 0U) << "it is another VO's";
  reopen();
  EXPECT_EQ(told(1min), 0U) << "what was done is remembered";
}

TEST_F(LoginsTest, TheClocksOfFactoryAndControllerMayDiffer) {
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_destroy_host(kAddress, {"vh-1"}))), "");
  for (const Duration ahead : {Duration(-2min), Duration(2min)}) {
    book_.ahead = ahead;
    const std::string host = ahead < Duration(0) ? "vh-early" : "vh-late";
    EXPECT_EQ(told(1min), 0U);
    create(host);
    shut_out("olga");
    EXPECT_GE(told(10s), 1U);
    EXPECT_GE(told(40s), 3U) << "until the last certificate is over";
    EXPECT_EQ(told(5min), 0U) << "and not until the controller's clock says so";
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_destroy_host(kAddress, {host}))), "");
    // One that was created afterwards has no session of hers.
    create(host + "-2");
    EXPECT_EQ(told(1min), 0U);
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_destroy_host(kAddress, {host + "-2"}))), "");
  }
}

TEST_F(LoginsTest, GuestsWhoseAgentsHangAreAskedEverLater) {
  create("vh-2");
  hung_ = {"vh-1"};
  shut_out("olga");
  EXPECT_EQ(told(10s, "vh-1"), 1U);
  EXPECT_GE(told(50s, "vh-2"), 3U);
  // After 10, 20, 40, 80 s, and so on: not at each of the 360 renewals of an hour.
  EXPECT_LE(told(1h, "vh-1"), 12U);
  EXPECT_EQ(std::ranges::count_if(book_.reports, [](const auto& one) { return one.kind == "host.failed"; }), 1);
  hung_.clear();
  EXPECT_EQ(told(15min, "vh-1"), 1U) << "it catches up";
  EXPECT_EQ(told(1h), 0U);
}

TEST_F(LoginsTest, GuestsWhoseAgentsHangLeaveLanesToTheOthers) {
  hung_ = {"vh-1"};
  for (int n = 2; n <= 30; ++n) {
    create("vh-" + std::to_string(n));
    if (n % 2 == 0) hung_.insert("vh-" + std::to_string(n));
  }
  shut_out("olga");
  EXPECT_GE(told(20s), 30U) << "every one is looked at";
  std::set<std::string> seen;
  for (const auto& [id, command] : asked_) seen.insert(id);
  EXPECT_EQ(seen.size(), 30U);
  EXPECT_EQ(most_at_work_, Controller::kMostEnding);
  // Those that answer come first from now on.
  told(10s);
  std::size_t last_good = 0, first_hung = asked_.size();
  for (std::size_t at = 0; at < asked_.size(); ++at) {
    if (hung_.contains(asked_[at].first))
      first_hung = std::min(first_hung, at);
    else
      last_good = at;
  }
  EXPECT_LT(last_good, first_hung + 1);
}

TEST_F(LoginsTest, APausedGuestIsLookedAtWhenItRuns) {
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_pause_host(kAddress, {"vh-1"}))), "");
  shut_out("olga");
  EXPECT_EQ(told(5min), 0U);
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_resume_host(kAddress, {"vh-1"}))), "");
  EXPECT_EQ(told(10s), 1U);
  EXPECT_EQ(told(5min), 0U);
  // One that was created afterwards has no session of hers.
  create("vh-2");
  EXPECT_EQ(told(1min), 0U);
}

TEST_F(ControllerTest, TombstonesGoInTime) {
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_destroy_network(kAddress, {7, "segment-a"}))), "");
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_destroy_host(kAddress, {"vh-1"}))), "");
  world_.advance(47h, 1h);
  EXPECT_THAT(world_.keys("vhc_host"), ElementsAre("vh-1"));
  EXPECT_THAT(world_.keys("vhc_network"), ElementsAre("segment-a"));
  world_.advance(3h, 1h);
  EXPECT_THAT(world_.keys("vhc_host"), ElementsAre());
  EXPECT_THAT(world_.keys("vhc_network"), ElementsAre());
}

class MovingHostTest : public ControllerTest {
 protected:
  std::string freeze() { return World::fault_of(world_.ask(contracts::vhc::make_freeze_host(kAddress, {"vh-1"}))); }
  std::string thaw(bool paused) {
    return World::fault_of(world_.ask(contracts::vhc::make_thaw_host(kAddress, {"vh-1", paused})));
  }
  Result<api::ExportHostResponse> export_host(const std::string& vo = "vo1") {
    return contracts::vhc::parse_export_host_response(
        world_.ask(contracts::vhc::make_export_host(kAddress, {"vh-1"}), vo));
  }
  // What the repository does with an export: all its parts into the layout.
  void store(const std::string& digest) {
    auto images = images::ImageStore::open_existing(folder_ + "/images");
    ASSERT_TRUE(images);
    const auto take = [&](const std::string& part) {
      auto source = worker_->exported("vh-1", part);
      ASSERT_TRUE(source) << source.error().to_string();
      Bytes at;
      ASSERT_TRUE((*images)->take_blob(part, gib(1), [&]() -> Result<std::string> {
        if (at >= (*source)->size()) return std::string();
        auto piece = (*source)->read(at, mib(1));
        if (piece) at.count += static_cast<std::int64_t>(piece->size());
        return piece;
      }));
    };
    ASSERT_NO_FATAL_FAILURE(take(digest));
    const auto manifest = (*images)->manifest(digest);
    ASSERT_TRUE(manifest);
    ASSERT_NO_FATAL_FAILURE(take(manifest->config.digest));
    for (const auto& part : manifest->parts) ASSERT_NO_FATAL_FAILURE(take(part.digest));
  }
  std::string import_host(const std::string& digest) {
    api::ImportHostRequest input;
    input.host = {"vh-1", "one", "", 1, mib(8), Bytes{}, {".frozen/vh-1", "1", digest, folder_ + "/images"}};
    return World::fault_of(world_.ask(contracts::vhc::make_import_host(kAddress, input)));
  }
  void destroy() { EXPECT_EQ(World::fault_of(world_.ask(contracts::vhc::make_destroy_host(kAddress, {"vh-1"}))), ""); }
};

TEST_F(MovingHostTest, AFrozenHostIsExportedOnceAndImportedWhereItIsNot) {
  EXPECT_EQ(export_host().error().code(), ErrorCode::kConflict) << "it runs";
  ASSERT_EQ(freeze(), "");
  const auto exported = export_host();
  ASSERT_TRUE(exported) << exported.error().to_string();
  EXPECT_EQ(export_host()->state, exported->state);
  EXPECT_GT(exported->size.count, 0);
  EXPECT_EQ(export_host("vo2").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(host().state, HostState::kFrozen);
  ASSERT_NO_FATAL_FAILURE(store(exported->state));
  EXPECT_EQ(import_host(exported->state), "conflict") << "it is here";
  destroy();
  EXPECT_EQ(worker_->exported("vh-1", exported->state).error().code(), ErrorCode::kNotFound);
  // What it remembers of the one that was destroyed is no obstacle.
  EXPECT_EQ(import_host(exported->state), "");
  EXPECT_EQ(import_host(exported->state), "") << "a repeat";
  EXPECT_EQ(host().state, HostState::kFrozen);
  EXPECT_EQ(host().image, "tiny");
  EXPECT_TRUE(host().ready) << "as it was";
  reopen();
  EXPECT_EQ(thaw(true), "");
  EXPECT_EQ(host().state, HostState::kPaused);
  EXPECT_EQ(export_host().error().code(), ErrorCode::kConflict);
}

TEST_F(MovingHostTest, ThawedItIsNotWhatWasExportedAnyMore) {
  ASSERT_EQ(freeze(), "");
  const auto first = export_host();
  ASSERT_TRUE(first);
  ASSERT_EQ(thaw(false), "");
  EXPECT_EQ(worker_->exported("vh-1", first->state).error().code(), ErrorCode::kNotFound);
  world_.advance(10s, 1s);
  ASSERT_EQ(freeze(), "");
  const auto second = export_host();
  ASSERT_TRUE(second);
  EXPECT_NE(second->state, first->state);
}

TEST_F(MovingHostTest, WhatCannotBeImportedLeavesNothing) {
  ASSERT_EQ(freeze(), "");
  const auto exported = export_host();
  ASSERT_TRUE(exported);
  destroy();
  EXPECT_EQ(import_host("sha256:" + std::string(64, '0')), "not-found");
  world_.run();
  const auto listed =
      contracts::vhc::parse_list_hosts_response(world_.ask(contracts::vhc::make_list_hosts(kAddress, {})));
  ASSERT_TRUE(listed);
  EXPECT_TRUE(listed->host.empty());
  EXPECT_EQ(import_host(image_.digest), "invalid") << "an image is no frozen state";
}

TEST_F(MovingHostTest, OnlyWhatWasExportedIsServed) {
  ASSERT_EQ(freeze(), "");
  ASSERT_TRUE(export_host());
  for (const char* id : {"vh-1", "vh-2", "../exports/vh-1", "", "/etc/passwd"}) {
    const auto part = worker_->exported(id, "sha256:" + std::string(64, '0'));
    ASSERT_FALSE(part) << id;
    EXPECT_EQ(part.error().code(), ErrorCode::kNotFound) << id;
  }
}

}  // namespace
}  // namespace nuraghe::services::vhc
