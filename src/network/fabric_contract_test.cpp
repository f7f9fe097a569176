// The contract of a fabric (fabric.hpp): one suite over every kind.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>

#include "network/namespace_world.hpp"
#include "test_folders.hpp"

namespace nuraghe::network {
namespace {

using namespace testing_world;
using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kMacA = 0x525400000001, kMacB = 0x525400000002, kMacC = 0x525400000003;

// Physical hosts with fabrics of one kind. What is asked for may fail: then the test has failed.
class World {
 public:
  virtual ~World() = default;
  // Empty when the machine can run this world.
  virtual std::string why_not() { return {}; }
  virtual std::unique_ptr<Fabric> open(const std::string& host) = 0;
  virtual std::unique_ptr<Nic> nic(const std::string& host, const Port& port) = 0;
  // What the fabrics of a host have made and not removed.
  virtual std::vector<std::string> leftovers(const std::string& host) = 0;
  virtual std::string foreign_address() const = 0;  // of a peer of another kind
};

class SwitchWorld : public World {
 public:
  explicit SwitchWorld(std::string listen) : listen_(std::move(listen)) {
    std::string pattern = "/tmp/nuraghe-sw-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  ~SwitchWorld() override {
    const auto names = env::list_directory(root_);
    for (const auto& name : names ? *names : std::vector<std::string>()) {
      const auto bytes = env::read_file(SwitchFiles{root_ + "/" + name}.process());
      const auto record = bytes ? decode_record<SwitchProcess>(*bytes) : Result<SwitchProcess>(bytes.error());
      if (record) ::kill(static_cast<pid_t>(record->pid), SIGKILL);
    }
    EXPECT_TRUE(env::remove_tree(root_));
  }
  std::unique_ptr<Fabric> open(const std::string& host) override {
    SwitchOptions options;
    options.folder = root_ + "/" + host;
    options.program = std::string(NURAGHE_BUILD_DIR) + "/bin/nuraghe-switch";
    options.listen = listen_;
    options.timeout = 50s;
    auto fabric = open_switch_fabric(options);
    if (!fabric) ADD_FAILURE() << fabric.error().to_string();
    return fabric ? std::move(*fabric) : nullptr;
  }
  std::unique_ptr<Nic> nic(const std::string&, const Port& port) override {
    return std::make_unique<SocketNic>(sockets_of(port));
  }
  std::vector<std::string> leftovers(const std::string& host) override {
    return env::list_directory(root_ + "/" + host).value_or(std::vector<std::string>());
  }
  std::string foreign_address() const override { return "vxlan:192.0.2.1:4789"; }

 private:
  const std::string listen_;
  std::string root_;
};

class BridgeWorld : public World {
 public:
  BridgeWorld() {
    std::string pattern = "/tmp/nuraghe-br-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  ~BridgeWorld() override { EXPECT_TRUE(env::remove_tree(root_)); }
  std::string why_not() override { return why_no_bridges(); }
  std::unique_ptr<Fabric> open(const std::string& host) override {
    const auto place = place_of(host);
    EXPECT_TRUE(env::make_directories(root_ + "/" + host));
    auto fabric = place->get<Result<std::unique_ptr<Fabric>>>([&] {
      return open_bridge_fabric({root_ + "/" + host, address_of(host)});
    });
    if (!fabric) ADD_FAILURE() << fabric.error().to_string();
    return fabric ? std::make_unique<NamespacedFabric>(place, std::move(*fabric)) : nullptr;
  }
  std::unique_ptr<Nic> nic(const std::string& host, const Port& port) override {
    return std::make_unique<TapNic>(place_of(host), std::get<PortTap>(port.plug).device);
  }
  std::vector<std::string> leftovers(const std::string& host) override {
    auto names = env::list_directory(root_ + "/" + host).value_or(std::vector<std::string>());
    for (const Link& link : place_of(host)->links()) {
      if (link.name.starts_with("nb") || link.name.starts_with("nx") || link.name.starts_with("nt"))
        names.push_back(link.name);
    }
    return names;
  }
  std::string foreign_address() const override { return "udp:192.0.2.1:4789"; }

 protected:
  virtual std::shared_ptr<Namespace> place_of(const std::string& host) = 0;
  virtual std::string address_of(const std::string& host) = 0;
  static std::shared_ptr<Namespace> make_place() {
    auto made = Namespace::make();
    if (!made) ADD_FAILURE() << made.error().to_string();
    (*made)->tool({"ip", "link", "set", "lo", "up"});
    return std::move(*made);
  }

 private:
  std::string root_;
};

// A namespace for each physical host, a cable from each to one more that connects them.
class HostsWorld : public BridgeWorld {
 public:
  explicit HostsWorld(bool ipv6) : ipv6_(ipv6) {}

 protected:
  std::shared_ptr<Namespace> place_of(const std::string& host) override {
    if (places_.empty()) {
      middle_ = make_place();
      middle_->tool({"ip", "link", "add", "name", "wires", "up", "type", "bridge"});
    }
    auto& place = places_[host];
    if (place) return place;
    place = make_place();
    const std::string wire = "wire-" + host;
    middle_->tool({"ip", "link", "add", "name", wire, "master", "wires", "up", "type", "veth", "peer", "name", "cable",
                   "netns", fmt::format("/proc/{}/fd/{}", ::getpid(), place->fd().get())});
    place->tool({"ip", "address", "add", host_of(host) + (ipv6_ ? "/64" : "/24"), "dev", "cable", "nodad"});
    place->tool({"ip", "link", "set", "cable", "up"});
    return place;
  }
  std::string address_of(const std::string& host) override {
    return ipv6_ ? fmt::format("vxlan:[{}]:4789", host_of(host)) : fmt::format("vxlan:{}:4789", host_of(host));
  }

 private:
  std::string host_of(const std::string& host) const {
    return fmt::format("{}{}", ipv6_ ? "fd00:99::" : "10.99.0.", host.at(0) - 'a' + 1);
  }
  const bool ipv6_;
  std::shared_ptr<Namespace> middle_;
  std::map<std::string, std::shared_ptr<Namespace>> places_;
};

// All in one namespace, as several controllers on one machine.
class OneMachineWorld : public BridgeWorld {
 protected:
  std::shared_ptr<Namespace> place_of(const std::string&) override {
    if (!place_) place_ = make_place();
    return place_;
  }
  std::string address_of(const std::string& host) override {
    return fmt::format("vxlan:127.0.0.1:{}", 4789 + host.at(0) - 'a');
  }

 private:
  std::shared_ptr<Namespace> place_;
};

struct Kind {
  const char* name;
  std::unique_ptr<World> (*make)();
};

class FabricContract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    world_ = GetParam().make();
    const std::string why = world_->why_not();
    if (!why.empty()) GTEST_SKIP() << why;
  }
  void TearDown() override {
    for (const auto& [host, fabric] : fabrics_) {
      nics_.clear();
      const auto ports = fabric->ports();
      for (const auto& port : ports ? *ports : std::vector<std::string>()) expect_ok(fabric->remove_port(port));
      const auto segments = fabric->segments();
      for (const auto segment : segments ? *segments : std::vector<std::int64_t>())
        expect_ok(fabric->remove_segment(segment));
      expect_ok(fabric->release_if_idle());
    }
    // Fabrics may share a machine: all were released before one is looked at.
    for (const auto& [host, fabric] : fabrics_) EXPECT_THAT(world_->leftovers(host), IsEmpty()) << host;
  }
  static void expect_ok(const Status& status) { EXPECT_TRUE(status) << status.error().to_string(); }

  Fabric& on(const std::string& host) {
    auto& fabric = fabrics_[host];
    if (!fabric) fabric = world_->open(host);
    return *fabric;
  }
  void reopen(const std::string& host) {
    fabrics_[host].reset();
    fabrics_[host] = world_->open(host);
  }
  Nic& plug(const std::string& host, const std::string& id, std::int64_t segment) {
    const auto port = on(host).add_port(id, segment);
    if (!port) ADD_FAILURE() << port.error().to_string();
    nics_.push_back(world_->nic(host, *port));
    return *nics_.back();
  }
  void connect(const std::vector<std::string>& hosts, std::int64_t segment) {
    std::vector<Peer> peers;
    for (const auto& host : hosts) peers.push_back({host, on(host).tunnel_address()});
    for (const auto& host : hosts) expect_ok(on(host).set_segment(segment, peers, "secret"));
  }
  static void broadcast(Nic& from, std::uint64_t mac, const std::string& text) {
    ASSERT_EQ(from.send(make_frame(kEverybody, mac, text)), 0);
  }

  std::unique_ptr<World> world_;
  std::map<std::string, std::unique_ptr<Fabric>> fabrics_;
  std::vector<std::unique_ptr<Nic>> nics_;
};

TEST_P(FabricContract, PortsOfASegmentReachOneAnother) {
  Nic &a = plug("a", "a", 7), &b = plug("a", "b", 7), &c = plug("a", "c", 7);
  ASSERT_EQ(a.send(make_frame(kMacB, kMacA, "where is b")), 0);
  EXPECT_THAT(b.receive_until("where is b"), ElementsAre("where is b"));
  EXPECT_THAT(c.receive_until("where is b"), ElementsAre("where is b"));
  ASSERT_EQ(b.send(make_frame(kMacA, kMacB, "here")), 0);
  EXPECT_THAT(a.receive_until("here"), ElementsAre("here"));
  ASSERT_EQ(a.send(make_frame(kMacB, kMacA, "for b alone")), 0);
  broadcast(a, kMacA, "end");
  EXPECT_THAT(b.receive_until("end"), ElementsAre("for b alone", "end"));
  EXPECT_THAT(c.receive_until("end"), ElementsAre("end"));
}

TEST_P(FabricContract, FramesOfEverySizeGoToAnotherHostAndBack) {
  connect({"a", "b"}, 7);
  Nic &a = plug("a", "a", 7), &b = plug("b", "b", 7);
  const auto port = on("a").add_port("a", 7);
  const auto largest = static_cast<std::size_t>(std::min(port->mtu_limit, 1500));
  for (const std::size_t size : {std::size_t{14}, std::size_t{60}, std::size_t{1000}, largest + 14}) {
    std::string payload(size - 14, '\0');
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * 7);
    const Frame there = make_frame(kMacB, kMacA, payload, size), back = make_frame(kMacA, kMacB, payload, size);
    ASSERT_EQ(a.send(there), 0);
    EXPECT_EQ(b.receive(), there) << size;
    ASSERT_EQ(b.send(back), 0);
    EXPECT_EQ(a.receive(), back) << size;
  }
}

TEST_P(FabricContract, EachOfThreeHostsGetsABroadcastOnce) {
  connect({"a", "b", "c"}, 7);
  Nic &a = plug("a", "a", 7), &b = plug("b", "b", 7), &c = plug("c", "c", 7);
  broadcast(a, kMacA, "all");
  broadcast(a, kMacA, "end");
  EXPECT_THAT(b.receive_until("end"), ElementsAre("all", "end"));
  EXPECT_THAT(c.receive_until("end"), ElementsAre("all", "end"));
  ASSERT_EQ(b.send(make_frame(kMacA, kMacB, "to a")), 0);
  broadcast(b, kMacB, "end");
  EXPECT_THAT(a.receive_until("end"), ElementsAre("to a", "end"));
  EXPECT_EQ(c.receive_until("end").back(), "end");
}

TEST_P(FabricContract, EqualAddressesInTwoSegmentsNeverMeet) {
  connect({"a", "b"}, 7);
  connect({"a", "b"}, 8);
  Nic &a7 = plug("a", "a7", 7), &near7 = plug("a", "near7", 7), &far7 = plug("b", "far7", 7);
  Nic &a8 = plug("a", "a8", 8), &near8 = plug("a", "near8", 8), &far8 = plug("b", "far8", 8);
  for (int i = 0; i < 5; ++i) {
    broadcast(a7, kMacA, "seven");
    broadcast(a8, kMacA, "eight");
    ASSERT_EQ(far7.send(make_frame(kMacA, kMacB, "seven")), 0);
    ASSERT_EQ(far8.send(make_frame(kMacA, kMacB, "eight")), 0);
  }
  for (int i = 0; i < 5; ++i) {
    for (Nic* nic : {&a7, &near7, &far7}) {
      if (nic == &near7 && i > 0) continue;  // it hears what is for all, and perhaps what is for a
      EXPECT_EQ(text_of(nic->receive().value_or("none")), "seven");
    }
    for (Nic* nic : {&a8, &near8, &far8}) {
      if (nic == &near8 && i > 0) continue;
      EXPECT_EQ(text_of(nic->receive().value_or("none")), "eight");
    }
  }
}

TEST_P(FabricContract, CommandsMayBeRepeated) {
  const std::vector<Peer> peers = {{"b", on("b").tunnel_address()}};
  const auto first = on("a").add_port("one", 7), again = on("a").add_port("one", 7);
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->plug.index(), again->plug.index());
  EXPECT_GE(first->mtu_limit, 1400);
  EXPECT_LE(first->mtu, first->mtu_limit);
  for (int i = 0; i < 2; ++i) {
    expect_ok(on("a").set_segment(7, peers, "s"));
    expect_ok(on("a").remove_segment(99));
    expect_ok(on("a").remove_port("nobody"));
    expect_ok(on("a").release_if_idle());
    EXPECT_THAT(on("a").ports().value(), ElementsAre("one"));
    EXPECT_THAT(on("a").segments().value(), ElementsAre(7));
  }
  EXPECT_EQ(on("a").add_port("one", 8).error().code(), ErrorCode::kConflict);
  EXPECT_THAT(on("a").ports().value(), ElementsAre("one"));
  for (int i = 0; i < 2; ++i) {
    expect_ok(on("a").remove_segment(7));
    expect_ok(on("a").remove_port("one"));
    EXPECT_THAT(on("a").ports().value(), IsEmpty());
    EXPECT_THAT(on("a").segments().value(), IsEmpty());
    expect_ok(on("a").release_if_idle());
    EXPECT_THAT(world_->leftovers("a"), IsEmpty());
  }
}

TEST_P(FabricContract, PortsAndSegmentsComeInAnyOrder) {
  Nic &a = plug("a", "a", 7), &near = plug("a", "near", 7), &b = plug("b", "b", 7);
  broadcast(a, kMacA, "alone");
  EXPECT_EQ(text_of(near.receive().value_or("none")), "alone");
  connect({"a", "b"}, 7);
  broadcast(a, kMacA, "together");
  EXPECT_THAT(b.receive_until("together"), ElementsAre("together"));
  expect_ok(on("a").remove_port("a"));
  expect_ok(on("a").remove_port("near"));
  Nic& late = plug("a", "late", 7);
  broadcast(b, kMacB, "late");
  EXPECT_THAT(late.receive_until("late"), ElementsAre("late"));
}

TEST_P(FabricContract, ANewOneFindsWhatIsThere) {
  connect({"a", "b"}, 7);
  Nic &a = plug("a", "a", 7), &b = plug("b", "b", 7);
  const std::string address = on("a").tunnel_address();
  fabrics_["a"].reset();
  broadcast(a, kMacA, "nobody controls it");
  EXPECT_EQ(text_of(b.receive().value_or("none")), "nobody controls it");
  reopen("a");
  EXPECT_EQ(on("a").tunnel_address(), address);
  EXPECT_THAT(on("a").ports().value(), ElementsAre("a"));
  EXPECT_THAT(on("a").segments().value(), ElementsAre(7));
  const auto port = on("a").add_port("a", 7);
  ASSERT_TRUE(port) << port.error().to_string();
  ASSERT_EQ(b.send(make_frame(kMacA, kMacB, "still")), 0);
  EXPECT_THAT(a.receive_until("still"), ElementsAre("still"));
}

TEST_P(FabricContract, AHypervisorThatStartsAgainIsFound) {
  Nic &a = plug("a", "a", 7), &b = plug("a", "b", 7);
  broadcast(a, kMacA, "one");
  EXPECT_EQ(text_of(b.receive().value_or("none")), "one");
  b.unplug();
  (void)a.send(make_frame(kMacB, kMacA, "lost"));
  b.plug();
  ASSERT_EQ(b.send(make_frame(kEverybody, kMacB, "first words")), 0);
  EXPECT_EQ(text_of(a.receive().value_or("none")), "first words");
  broadcast(a, kMacA, "two");
  EXPECT_EQ(b.receive_until("two").back(), "two");
}

TEST_P(FabricContract, WhoIsNoPeerAnyMoreGetsNothing) {
  connect({"a", "b", "c"}, 7);
  connect({"a", "c"}, 8);
  Nic &a = plug("a", "a", 7), &b = plug("b", "b", 7), &c = plug("c", "c", 7);
  Nic &a8 = plug("a", "a8", 8), &c8 = plug("c", "c8", 8);
  // What was learned of c goes as well.
  ASSERT_EQ(c.send(make_frame(kEverybody, kMacC, "from c")), 0);
  EXPECT_EQ(text_of(a.receive().value_or("none")), "from c");
  expect_ok(on("a").set_segment(7, {{"b", on("b").tunnel_address()}}, "secret"));
  broadcast(a, kMacA, "not for c");
  ASSERT_EQ(a.send(make_frame(kMacC, kMacA, "not for c either")), 0);
  EXPECT_EQ(b.receive_until("not for c").back(), "not for c");
  broadcast(a8, kMacA, "end");
  ASSERT_EQ(text_of(c8.receive().value_or("none")), "end");  // so what went to c before is there
  EXPECT_EQ(c.receive(0ms), std::nullopt);
}

TEST_P(FabricContract, ASegmentThatIsRemovedLeavesLocalTraffic) {
  connect({"a", "b"}, 7);
  connect({"a", "b"}, 8);
  Nic &a = plug("a", "a", 7), &neighbour = plug("a", "neighbour", 7), &b = plug("b", "b", 7);
  Nic &near8 = plug("a", "a8", 8), &far8 = plug("b", "b8", 8);
  expect_ok(on("a").remove_segment(7));
  EXPECT_THAT(on("a").segments().value(), ElementsAre(8));
  broadcast(b, kMacB, "from afar");
  broadcast(far8, kMacB, "later");
  ASSERT_EQ(text_of(near8.receive().value_or("none")), "later");  // so the one from afar is dealt with
  broadcast(neighbour, kMacC, "from near");
  EXPECT_THAT(a.receive_until("from near"), ElementsAre("from near"));
}

TEST_P(FabricContract, BadRequestsChangeNothing) {
  const std::vector<Peer> peers = {{"far", world_->foreign_address()}};
  EXPECT_EQ(on("a").set_segment(7, peers, "s").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(on("a").set_segment(7, {{"far", "nonsense"}}, "s").error().code(), ErrorCode::kInvalid);
  for (const std::int64_t segment : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 24}) {
    EXPECT_EQ(on("a").set_segment(segment, {}, "s").error().code(), ErrorCode::kInvalid);
    EXPECT_EQ(on("a").add_port("p", segment).error().code(), ErrorCode::kInvalid);
  }
  EXPECT_EQ(on("a").add_port("", 7).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(on("a").add_port(std::string(300, 'x'), 7).error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(on("a").ports().value(), IsEmpty());
  EXPECT_THAT(on("a").segments().value(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, FabricContract,
    testing::Values(
        Kind{"switch_unix", []() -> std::unique_ptr<World> { return std::make_unique<SwitchWorld>(""); }},
        Kind{"switch_udp", []() -> std::unique_ptr<World> { return std::make_unique<SwitchWorld>("udp:127.0.0.1:0"); }},
        Kind{"bridge_ipv4", []() -> std::unique_ptr<World> { return std::make_unique<HostsWorld>(false); }},
        Kind{"bridge_ipv6", []() -> std::unique_ptr<World> { return std::make_unique<HostsWorld>(true); }},
        Kind{"bridge_one_machine", []() -> std::unique_ptr<World> { return std::make_unique<OneMachineWorld>(); }}),
    [](const testing::TestParamInfo<Kind>& kind) { return kind.param.name; });

}  // namespace
}  // namespace nuraghe::network
