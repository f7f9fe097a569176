// NICs on taps: what the fabric of bridges makes is what QEMU is plugged in to.
#include <gmock/gmock.h>

#include "driver_world.hpp"
#include "network/namespace_world.hpp"

namespace nuraghe::hypervisor {
namespace {

using namespace std::chrono_literals;
using network::testing_world::Namespace;
using testing::HasSubstr;

#define ASSERT_OK(expression)                                  \
  do {                                                         \
    const auto& ok_status_ = (expression);                     \
    ASSERT_TRUE(ok_status_) << ok_status_.error().to_string(); \
  } while (false)

class QemuTap : public testing::Test {
 protected:
  void SetUp() override {
    const std::string why = network::testing_world::why_no_bridges();
    if (!why.empty()) GTEST_SKIP() << why;
    place_ = Namespace::make().value();
    place_->tool({"ip", "link", "set", "lo", "up"});
    driver_ = world_.open();
    ASSERT_NE(driver_, nullptr);
    network::BridgeOptions options{world_.root() + "/hosts", "vxlan:127.0.0.1:4789"};
    auto fabric =
        place_->get<Result<std::unique_ptr<network::Fabric>>>([&] { return network::open_bridge_fabric(options); });
    ASSERT_OK(fabric);
    fabric_ = std::make_unique<network::testing_world::NamespacedFabric>(place_, std::move(*fabric));
  }
  void TearDown() override {
    if (!driver_) return;
    for (const char* id : {"h", "other"}) EXPECT_TRUE(driver_->destroy(id, kPatient));
    for (const char* id : {"h/a", "h/b"}) EXPECT_TRUE(fabric_->remove_port(id));
    EXPECT_TRUE(fabric_->release_if_idle());
    EXPECT_EQ(world_.leftovers(), std::vector<std::string>());
    EXPECT_EQ(place_->links_but({"lo"}), std::vector<std::string>());
  }
  std::string tap(const std::string& id) {
    const auto port = fabric_->add_port(id, 7);
    EXPECT_TRUE(port) << port.error().to_string();
    return port ? std::get<network::PortTap>(port->plug).device : "";
  }
  HostSpec spec(const std::string& id) {
    HostSpec spec = world_.tiny(id);
    for (const char* name : {"a", "b"}) {
      NicSpec nic;
      nic.name = name;
      nic.mac = std::string("52:54:00:00:00:0") + name;
      nic.kind = NicSpec::Kind::kTap;
      nic.tap = tap(std::string("h/") + name);
      nic.mtu = 1450;
      spec.nics.push_back(nic);
    }
    return spec;
  }
  // Waits until the bridge has heard that somebody is, or is not, plugged in.
  ::testing::AssertionResult comes_to_forward(const std::string& device, bool wanted) const {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < deadline) {
      for (const auto& link : place_->links()) {
        if (link.name == device && link.is_forwarding == wanted) return ::testing::AssertionSuccess();
      }
      ::poll(nullptr, 0, 5);
    }
    return ::testing::AssertionFailure() << device << (wanted ? " does not forward" : " forwards");
  }
  // The driver works where its thread is; so do the processes that it starts.
  Status there(const std::function<Status()>& verb) const { return place_->get<Status>(verb); }

  QemuWorld world_;
  std::shared_ptr<Namespace> place_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<network::Fabric> fabric_;
};

TEST_F(QemuTap, IsPluggedInWhileTheHostRuns) {
  const HostSpec host = spec("h");
  ASSERT_OK(there([&] { return driver_->create(host, kPatient); }));
  for (const auto& nic : {host.nics[1], host.nics[2]}) EXPECT_TRUE(comes_to_forward(nic.tap, true));
  ASSERT_OK(driver_->pause("h", kPatient));
  ASSERT_OK(driver_->resume("h", kPatient));
  ASSERT_OK(driver_->set_link("h", "a", false, kPatient));
  ASSERT_OK(driver_->set_link("h", "a", true, kPatient));
  ASSERT_OK(driver_->freeze("h", kPatient));
  for (const auto& nic : {host.nics[1], host.nics[2]}) EXPECT_TRUE(comes_to_forward(nic.tap, false));
  ASSERT_OK(there([&] { return driver_->thaw("h", false, kPatient); }));
  for (const auto& nic : {host.nics[1], host.nics[2]}) EXPECT_TRUE(comes_to_forward(nic.tap, true));
  ASSERT_OK(await_beat(*driver_, "h", last_beat(*driver_, "h") + 1));
  ASSERT_OK(driver_->destroy("h", kPatient));
  for (const auto& nic : {host.nics[1], host.nics[2]}) EXPECT_TRUE(comes_to_forward(nic.tap, false));
}

TEST_F(QemuTap, ATapThatIsMissingOrTakenIsNamed) {
  const HostSpec host = spec("h");
  ASSERT_OK(there([&] { return driver_->create(host, kPatient); }));
  HostSpec other = host;
  other.id = "other";
  const Status taken = there([&] { return driver_->create(other, kPatient); });
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().to_string(), HasSubstr("could not configure /dev/net/tun (" + host.nics[1].tap + ")"));
  ASSERT_OK(driver_->freeze("h", kPatient));
  ASSERT_TRUE(fabric_->remove_port("h/b"));
  const Status missing = there([&] { return driver_->thaw("h", false, kPatient); });
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().to_string(), HasSubstr("NIC b: there is no tap device " + host.nics[2].tap));
  EXPECT_EQ(driver_->inspect("h")->state, HostState::kFrozen);
  EXPECT_EQ(tap("h/b"), host.nics[2].tap);
  ASSERT_OK(there([&] { return driver_->thaw("h", false, kPatient); }));
}

}  // namespace
}  // namespace nuraghe::hypervisor
