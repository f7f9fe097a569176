// What only the fabric of bridges has: links of the kernel, this machine's own network beside them, rights.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <linux/capability.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/crash_point.hpp"
#include "network/namespace_world.hpp"

namespace nuraghe::network {
namespace {

using namespace testing_world;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::uint64_t kMacA = 0x525400000001;
constexpr const char* kTunnel = "vxlan:192.0.2.1:4789";

// One physical host with a card "card" of address 192.0.2.1 (RFC 5737), and an outside at its other end with 192.0.2.2.
class BridgeTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string why = why_no_bridges();
    if (!why.empty()) GTEST_SKIP() << why;
    std::string pattern = "/tmp/nuraghe-br-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    renew();
  }
  void TearDown() override { EXPECT_TRUE(root_.empty() || env::remove_tree(root_)); }
  // The folder of a controller.
  std::string folder(const std::string& name = "a") const {
    const std::string path = root_ + "/" + name;
    EXPECT_TRUE(env::make_directories(path));
    return path;
  }
  // A machine that was started anew: no link is left.
  void renew() {
    place_ = Namespace::make().value();
    outside_ = Namespace::make().value();
    place_->tool({"ip", "link", "set", "lo", "up"});
    place_->tool({"ip", "link", "add", "name", "card", "type", "veth", "peer", "name", "card", "netns",
                  "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(outside_->fd().get())});
    place_->tool({"ip", "address", "add", "192.0.2.1/24", "dev", "card"});
    outside_->tool({"ip", "address", "add", "192.0.2.2/24", "dev", "card"});
    for (const auto* one : {&place_, &outside_}) (*one)->tool({"ip", "link", "set", "card", "up"});
    known_ = place_->links_but({});
  }
  Result<std::unique_ptr<Fabric>> try_open(const std::string& name = "a", const std::string& tunnel = kTunnel) {
    auto fabric = place_->get<Result<std::unique_ptr<Fabric>>>([&] {
      return open_bridge_fabric({folder(name), tunnel});
    });
    if (!fabric) return std::move(fabric).error();
    return std::unique_ptr<Fabric>(std::make_unique<NamespacedFabric>(place_, std::move(*fabric)));
  }
  std::unique_ptr<Fabric> open(const std::string& name = "a", const std::string& tunnel = kTunnel) {
    auto fabric = try_open(name, tunnel);
    if (!fabric) ADD_FAILURE() << fabric.error().to_string();
    return fabric ? std::move(*fabric) : nullptr;
  }
  std::vector<std::string> made() const { return place_->links_but(known_); }
  Link link(const std::string& name) const {
    for (Link& one : place_->links()) {
      if (one.name == name) return one;
    }
    ADD_FAILURE() << "there is no link " << name;
    return {};
  }
  // A child in the physical host, whose exit code is the answer of `work`.
  int in_child(const std::function<int()>& work) const {
    int status = -1;
    place_->run([&] {
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) ::_exit(work());
      ASSERT_EQ(::waitpid(child, &status, 0), child);
    });
    return status;
  }

  std::shared_ptr<Namespace> place_, outside_;
  std::vector<std::string> known_;
  std::string root_;
};

TEST_F(BridgeTest, ItsLinksAreNamedAndRemoved) {
  const auto fabric = open();
  ASSERT_TRUE(fabric->set_segment(7, {{"b", "vxlan:192.0.2.9:4789"}, {"a", kTunnel}}, "s"));
  ASSERT_TRUE(fabric->add_port("vh-1/cluster", 7));
  ASSERT_TRUE(fabric->set_segment(0xffffff, {}, "s"));
  EXPECT_THAT(made(), SizeIs(5));
  for (const auto& name : made()) EXPECT_LE(name.size(), kLinkNameMax);
  const std::string shown = place_->tool({"ip", "-details", "link"});
  EXPECT_THAT(shown, HasSubstr("vxlan id 7 local 192.0.2.1 "));
  EXPECT_THAT(shown, HasSubstr("vxlan id 16777215 local 192.0.2.1 "));
  EXPECT_THAT(shown, HasSubstr("alias nuraghe port vh-1/cluster"));
  EXPECT_THAT(shown, HasSubstr("alias nuraghe " + folder()));
  const std::string ways = place_->tool({"bridge", "fdb"});
  EXPECT_THAT(ways, HasSubstr("00:00:00:00:00:00"));
  EXPECT_THAT(ways, HasSubstr("dst 192.0.2.9 self permanent"));
  EXPECT_THAT(ways, Not(HasSubstr("dst 192.0.2.1 "))) << "its own address is no peer";
  ASSERT_TRUE(fabric->remove_segment(0xffffff));
  ASSERT_TRUE(fabric->remove_segment(7));
  EXPECT_THAT(made(), SizeIs(2)) << "the port keeps its bridge";
  ASSERT_TRUE(fabric->remove_port("vh-1/cluster"));
  EXPECT_THAT(made(), IsEmpty());
}

TEST_F(BridgeTest, TwoOwnersDoNotDisturbOneAnother) {
  const auto one = open(), other = open("b", "vxlan:192.0.2.1:4790");
  for (const auto& fabric : {one.get(), other.get()}) {
    ASSERT_TRUE(fabric->set_segment(7, {}, "s"));
    ASSERT_TRUE(fabric->add_port("p", 7));
  }
  EXPECT_THAT(made(), SizeIs(6));
  TapNic mine(place_, std::get<PortTap>(one->add_port("p", 7)->plug).device);
  TapNic theirs(place_, std::get<PortTap>(other->add_port("p", 7)->plug).device);
  ASSERT_EQ(mine.send(make_frame(kEverybody, kMacA, "mine")), 0);
  EXPECT_EQ(theirs.receive(0ms), std::nullopt);
  ASSERT_TRUE(one->remove_port("p"));
  ASSERT_TRUE(one->remove_segment(7));
  ASSERT_TRUE(one->release_if_idle());
  EXPECT_THAT(other->ports().value(), ElementsAre("p"));
  EXPECT_THAT(other->segments().value(), ElementsAre(7));
  EXPECT_THAT(made(), SizeIs(3));

  // Equal ports and segments are beyond what a kernel can tell apart.
  const auto third = open("c", "vxlan:192.0.2.1:4790");
  const Status refused = third->set_segment(7, {}, "s");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("of segment 7 at 192.0.2.1:4790"));
  ASSERT_TRUE(third->release_if_idle());
  EXPECT_THAT(made(), SizeIs(3));
}

TEST_F(BridgeTest, ErrorsSayWhatToDo) {
  for (const auto& [tunnel, expected] : std::vector<std::pair<std::string, std::string>>{
           {"udp:192.0.2.1:4789", "'vxlan:ADDRESS:PORT'"},
           {"vxlan:192.0.2.1", "has no port"},
           {"vxlan:192.0.2.77:4789", "no interface of this machine has the address 192.0.2.77"},
           {"vxlan:[fe80::1]:4789", "valid on one link only"}}) {
    const auto fabric = try_open("a", tunnel);
    ASSERT_FALSE(fabric) << tunnel;
    EXPECT_THAT(fabric.error().to_string(), HasSubstr(expected));
  }
  const auto fabric = open();
  ASSERT_TRUE(fabric->set_segment(7, {}, "s"));
  const auto moved = try_open("a", "vxlan:192.0.2.1:4790");
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(moved.error().to_string(),
              HasSubstr("listen on vxlan:192.0.2.1:4789, not on vxlan:192.0.2.1:4790: end their"));
  const auto mixed = fabric->set_segment(7, {{"b", "vxlan:[2001:db8::1]:4789"}}, "s");
  ASSERT_FALSE(mixed);
  EXPECT_THAT(mixed.error().to_string(), HasSubstr("both must be IPv4 or both IPv6"));
}

TEST_F(BridgeTest, TheMtuLeavesRoomForTheTunnel) {
  const auto fabric = open();
  const auto port = fabric->add_port("p", 7);
  ASSERT_TRUE(port);
  EXPECT_EQ(port->mtu_limit, 1450);
  EXPECT_EQ(port->mtu, 1450);
  ASSERT_TRUE(fabric->set_segment(7, {}, "s"));
  for (const auto& name : made()) EXPECT_EQ(link(name).mtu, 1450) << name;
  place_->tool({"ip", "link", "set", "card", "mtu", "9000"});
  ASSERT_TRUE(fabric->set_segment(7, {}, "s"));
  const auto large = fabric->add_port("p", 7);
  ASSERT_TRUE(large);
  EXPECT_EQ(large->mtu_limit, 8950);
  EXPECT_EQ(large->mtu, 1500) << "guests that ask for none have the usual";
  for (const auto& name : made()) EXPECT_EQ(link(name).mtu, 8950) << name;
}

TEST_F(BridgeTest, AMachineThatWasStartedAnewHasItsNetworksAgain) {
  std::vector<std::string> before;
  {
    const auto fabric = open();
    ASSERT_TRUE(fabric->set_segment(7, {{"b", "vxlan:192.0.2.9:4789"}}, "s"));
    ASSERT_TRUE(fabric->set_segment(8, {}, "s"));
    for (const char* id : {"p", "q"}) ASSERT_TRUE(fabric->add_port(id, 7));
    ASSERT_TRUE(fabric->add_port("gone", 9));
    ASSERT_TRUE(fabric->remove_port("gone"));
    before = made();
  }
  renew();
  ASSERT_THAT(made(), IsEmpty());
  const auto fabric = open();
  EXPECT_THAT(made(), testing::UnorderedElementsAreArray(before));
  EXPECT_THAT(fabric->ports().value(), ElementsAre("p", "q"));
  EXPECT_THAT(fabric->segments().value(), ElementsAre(7, 8));
  EXPECT_THAT(place_->tool({"bridge", "fdb"}), HasSubstr("dst 192.0.2.9 self permanent"));
  TapNic p(place_, std::get<PortTap>(fabric->add_port("p", 7)->plug).device);
  TapNic q(place_, std::get<PortTap>(fabric->add_port("q", 7)->plug).device);
  ASSERT_EQ(p.send(make_frame(kEverybody, kMacA, "again")), 0);
  EXPECT_EQ(text_of(q.receive().value_or("none")), "again");
}

TEST_F(BridgeTest, WhatSomebodyRemovedIsKnownAndMadeAgain) {
  const auto fabric = open();
  const auto port = fabric->add_port("p", 7);
  ASSERT_TRUE(port);
  place_->tool({"ip", "link", "delete", std::get<PortTap>(port->plug).device});
  EXPECT_THAT(fabric->ports().value(), ElementsAre("p"));
  ASSERT_TRUE(fabric->add_port("p", 7));
  EXPECT_EQ(link(std::get<PortTap>(port->plug).device).kind, "tun");
  place_->tool({"ip", "link", "delete", std::get<PortTap>(port->plug).device});
  ASSERT_TRUE(fabric->remove_port("p"));
  EXPECT_THAT(fabric->ports().value(), IsEmpty());
  ASSERT_TRUE(fabric->release_if_idle());
  EXPECT_THAT(made(), IsEmpty());
  EXPECT_THAT(env::list_directory(folder()).value(), IsEmpty());
}

TEST_F(BridgeTest, ACorruptConfigurationIsSaidNotIgnored) {
  ASSERT_TRUE(env::write_file_durably(folder() + "/bridges", "\xff\xff\xff", 0600));
  const auto fabric = try_open();
  ASSERT_FALSE(fabric);
  EXPECT_THAT(fabric.error().to_string(), HasSubstr("reading " + folder() + "/bridges"));
}

// ---- this machine's own network ----

Frame ipv4_frame(std::uint64_t to, const char* source, const char* destination, std::uint16_t port,
                 const std::string& text) {
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.tot_len = htons(static_cast<std::uint16_t>(sizeof ip + sizeof(udphdr) + text.size()));
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  ::inet_pton(AF_INET, source, &ip.saddr);
  ::inet_pton(AF_INET, destination, &ip.daddr);
  std::array<std::uint16_t, 10> words{};
  std::memcpy(words.data(), &ip, sizeof ip);
  std::uint32_t sum = 0;
  for (const auto word : words) sum += word;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  ip.check = static_cast<std::uint16_t>(~sum);
  udphdr udp{};
  udp.source = htons(7);
  udp.dest = htons(port);
  udp.len = htons(static_cast<std::uint16_t>(sizeof udp + text.size()));
  Frame frame = make_frame(to, kMacA, "").substr(0, 12) + std::string("\x08\x00", 2);
  frame.append(reinterpret_cast<const char*>(&ip), sizeof ip).append(reinterpret_cast<const char*>(&udp), sizeof udp);
  return frame + text;
}

Frame arp_frame(const char* wanted) {
  in_addr target{};
  ::inet_pton(AF_INET, wanted, &target);
  // Ethernet and IPv4, a request of 198.51.100.7 (RFC 826).
  Frame frame = make_frame(kEverybody, kMacA, "").substr(0, 12);
  frame += std::string("\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
  frame += make_frame(0, kMacA, "").substr(6, 6) + std::string("\xc6\x33\x64\x07", 4) + std::string(6, '\0');
  frame.append(reinterpret_cast<const char*>(&target), sizeof target);
  return frame;
}

class Listener {
 public:
  Listener(const Namespace& place, std::uint16_t port) {
    place.run([&] {
      fd_ = env::UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      ASSERT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    });
  }
  void send(const char* to, std::uint16_t port, const std::string& text) const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    ::inet_pton(AF_INET, to, &address.sin_addr);
    ASSERT_EQ(
        ::sendto(fd_.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address), sizeof address),
        static_cast<ssize_t>(text.size()));
  }
  std::vector<std::string> receive_until(const std::string& last) const {
    std::vector<std::string> texts;
    do {
      pollfd event{fd_.get(), POLLIN, 0};
      if (::poll(&event, 1, 20'000) <= 0) return texts;
      std::array<char, 256> buffer{};
      const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      texts.emplace_back(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    } while (texts.back() != last);
    return texts;
  }

 private:
  env::UniqueFd fd_;
};

std::uint64_t mac_of(const Namespace& place, const std::string& device) {
  const std::string shown = place.tool({"ip", "-brief", "link", "show", device});
  std::uint64_t mac = 0;
  const auto at = shown.find(':');
  for (int i = 0; i < 6; ++i)
    mac = mac << 8U | std::stoul(shown.substr(at - 2 + 3 * static_cast<std::size_t>(i), 2), nullptr, 16);
  return mac;
}

// Everything that a guest could send to reach this machine or what lies behind it: what got through.
std::vector<std::string> reached(const Namespace& place, const Namespace& outside, const std::string& bridge,
                                 Nic& guest) {
  const Listener inner(place, 5555), outer(outside, 5555);
  const std::uint64_t mac = mac_of(place, bridge);
  EXPECT_EQ(guest.send(arp_frame("192.0.2.1")), 0);
  EXPECT_EQ(guest.send(ipv4_frame(mac, "198.51.100.7", "192.0.2.1", 5555, "to this machine")), 0);
  EXPECT_EQ(guest.send(ipv4_frame(mac, "192.0.2.2", "192.0.2.1", 5555, "as a neighbour")), 0);
  EXPECT_EQ(guest.send(ipv4_frame(kEverybody, "198.51.100.7", "192.0.2.1", 5555, "to all and this machine")), 0);
  EXPECT_EQ(guest.send(ipv4_frame(mac, "198.51.100.7", "192.0.2.2", 5555, "through this machine")), 0);
  outer.send("192.0.2.1", 5555, "end");
  inner.send("192.0.2.2", 5555, "end");
  std::vector<std::string> texts;
  for (const Listener* one : {&inner, &outer}) {
    for (const auto& text : one->receive_until("end")) {
      if (text != "end") texts.push_back(text);
    }
  }
  while (const auto frame = guest.receive(0ms)) texts.push_back("an answer");
  return texts;
}

TEST_F(BridgeTest, ThisMachinesOwnNetworkIsOutOfReach) {
  place_->run([] {
    for (const char* path : {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"}) {
      if (!env::path_exists(path)) continue;
      const env::UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
      ASSERT_EQ(::write(fd.get(), "1", 1), 1);
    }
  });
  place_->tool({"ip", "route", "add", "default", "via", "192.0.2.2"});
  outside_->tool({"ip", "route", "add", "default", "via", "192.0.2.1"});

  // An ordinary bridge lets through what this test looks for.
  place_->tool({"ip", "link", "add", "name", "plain", "up", "type", "bridge"});
  place_->tool({"ip", "tuntap", "add", "name", "plain-tap", "mode", "tap"});
  place_->tool({"ip", "link", "set", "plain-tap", "master", "plain", "up"});
  {
    TapNic guest(place_, "plain-tap");
    EXPECT_THAT(reached(*place_, *outside_, "plain", guest),
                testing::IsSupersetOf({"to this machine", "through this machine", "an answer"}));
  }
  const auto fabric = open();
  ASSERT_TRUE(fabric->set_segment(7, {}, "s"));
  const auto port = fabric->add_port("p", 7);
  ASSERT_TRUE(port);
  std::string bridge;
  for (const auto& name : made()) {
    if (link(name).kind == "bridge" && name != "plain") bridge = name;
  }
  TapNic guest(place_, std::get<PortTap>(port->plug).device);
  EXPECT_THAT(reached(*place_, *outside_, bridge, guest), IsEmpty());
  for (const auto& name : made()) {
    if (name.starts_with("plain")) continue;
    EXPECT_THAT(place_->tool({"ip", "-brief", "address", "show", name}), Not(AnyOf(HasSubstr("/"), HasSubstr("fe80"))));
    place_->run([&] {
      const auto value = env::read_file("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6");
      EXPECT_EQ(value.value_or("1\n"), "1\n") << name;
    });
  }
}

// ---- crashes ----

void live(Fabric& fabric) {
  const Peer b{"b", "vxlan:192.0.2.8:4789"}, c{"c", "vxlan:192.0.2.9:4789"}, near{"d", "vxlan:192.0.2.1:4790"};
  const bool lived = fabric.set_segment(7, {b}, "s") && fabric.add_port("p", 7) && fabric.add_port("q", 7) &&
                     fabric.set_segment(7, {b, c}, "s") && fabric.set_segment(7, {near}, "s") &&
                     fabric.remove_port("p") && fabric.remove_segment(7) && fabric.remove_port("q") &&
                     fabric.release_if_idle();
  if (!lived) ::_exit(3);
}

TEST_F(BridgeTest, KilledAtEveryStepItIsCompletedOrRemoved) {
  int killed = 0;
  for (int number = 1;; ++number) {
    SCOPED_TRACE("killed at step " + std::to_string(number));
    bool ended = false;
    for (const bool completes : {true, false}) {
      renew();
      const int status = in_child([&] {
        const auto fabric = open_bridge_fabric({folder(), kTunnel});
        if (!fabric) return 2;
        arm_crash_point(static_cast<std::uint64_t>(number));
        live(**fabric);
        return 0;
      });
      ended = WIFEXITED(status);
      ASSERT_TRUE(!ended || WEXITSTATUS(status) == 0);
      const auto fabric = open();
      if (completes) {
        ASSERT_TRUE(fabric->set_segment(7, {{"c", "vxlan:192.0.2.9:4789"}}, "s"));
        for (const char* id : {"p", "q"}) {
          const auto port = fabric->add_port(id, 7);
          ASSERT_TRUE(port) << port.error().to_string();
        }
        EXPECT_THAT(fabric->ports().value(), ElementsAre("p", "q"));
        EXPECT_THAT(fabric->segments().value(), ElementsAre(7));
        EXPECT_THAT(made(), SizeIs(4));
        const std::string ways = place_->tool({"bridge", "fdb"});
        EXPECT_THAT(ways, HasSubstr("dst 192.0.2.9 self permanent"));
        EXPECT_THAT(ways, Not(AnyOf(HasSubstr("dst 192.0.2.8"), HasSubstr("4790"))));
        for (const auto& name : made()) EXPECT_TRUE(link(name).is_up) << name;
      }
      for (const char* id : {"p", "q"}) ASSERT_TRUE(fabric->remove_port(id));
      ASSERT_TRUE(fabric->remove_segment(7));
      ASSERT_TRUE(fabric->release_if_idle());
      EXPECT_THAT(made(), IsEmpty());
      EXPECT_THAT(env::list_directory(folder()).value(), IsEmpty());
    }
    if (ended) break;
    ++killed;
  }
  EXPECT_GT(killed, 20);
}

// ---- rights ----

bool set_capabilities(std::uint32_t capabilities) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  data[0].effective = data[0].permitted = capabilities;
  return ::syscall(SYS_capset, &header, data.data()) == 0;
}

TEST_F(BridgeTest, ItNeedsOnlyTheRightToChangeTheNetworkAndItsTapsNone) {
  ASSERT_EQ(::chmod(root_.c_str(), 0755), 0);
  const std::string own = folder("of nobody");
  ASSERT_EQ(::chown(own.c_str(), 65534, 65534), 0);
  const int denied = in_child([&] {
    if (::setresuid(65534, 65534, 65534) != 0) return 10;
    const auto fabric = open_bridge_fabric({own, kTunnel});
    if (fabric || fabric.error().code() != ErrorCode::kDenied) return 11;
    return fabric.error().message().find("CAP_NET_ADMIN") == std::string::npos ? 12 : 0;
  });
  EXPECT_EQ(WEXITSTATUS(denied), 0);
  const auto of_root = open()->add_port("of root", 7);
  ASSERT_TRUE(of_root) << of_root.error().to_string();
  const int allowed = in_child([&] {
    // Who may open /dev/net/tun differs from machine to machine; it is not asked here.
    constexpr std::uint32_t kNetwork = 1U << CAP_NET_ADMIN, kFiles = 1U << CAP_DAC_OVERRIDE;
    const auto tap_of = [](const Result<Port>& port) {
      ifreq request{};
      if (port) std::get<PortTap>(port->plug).device.copy(request.ifr_name, IFNAMSIZ - 1);
      request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
      return request;
    };
    if (::prctl(PR_SET_KEEPCAPS, 1) != 0 || ::setresuid(65534, 65534, 65534) != 0) return 10;
    if (!set_capabilities(kNetwork | kFiles)) return 11;
    const auto fabric = open_bridge_fabric({own, kTunnel});
    if (!fabric) return 12;
    ifreq mine = tap_of((*fabric)->add_port("of nobody", 7)), roots = tap_of(of_root);
    if (mine.ifr_name[0] == 0 || roots.ifr_name[0] == 0) return 13;
    const env::UniqueFd first(::open("/dev/net/tun", O_RDWR)), second(::open("/dev/net/tun", O_RDWR));
    if (!first.valid() || !second.valid() || !set_capabilities(0)) return 14;
    if (::ioctl(first.get(), TUNSETIFF, &mine) != 0) return 15;
    return ::ioctl(second.get(), TUNSETIFF, &roots) == 0 ? 16 : 0;
  });
  EXPECT_EQ(WEXITSTATUS(allowed), 0);
}

}  // namespace
}  // namespace nuraghe::network
