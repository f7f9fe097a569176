#include "api/hearing.hpp"

#include <gtest/gtest.h>

#include "services/registry/registry.hpp"
#include "services/tenant/tenant.hpp"

namespace nuraghe::api {
namespace {

using services::notification::Subscriber;
using TenantRole = contracts::tenant::Role;

constexpr TimePoint kBegan{1'000'000};
// Whoever may see a cluster may hear of it; others ask for more.
const std::string kCluster = "/services/vcf/clusters/vc-1";
const std::string kHostOfSite = "/services/vhf/physical-hosts/a";

class Hearing : public ::testing::Test {
 protected:
  void show(std::map<std::pair<std::string, std::string>, services::tenant::Membership> members) {
    services::tenant::Accounts accounts;
    accounts.members = std::move(members);
    board_.show(std::move(accounts));
  }
  bool hears(const std::string& caller, const std::string& vo = "physics", bool is_administrator = false,
             const std::string& path = kCluster) const {
    return may_hear(options_, Subscriber{caller, vo, path, is_administrator, kBegan});
  }

  services::tenant::AccountBoard board_;
  HearingOptions options_{{{{"admin", "local", Role::kAdministrator}, "t1"},
                           {{"robot", "physics", Role::kViewer}, "t2"},
                           {{"other", "-", Role::kPeer}, "t3"},
                           {{"host", "-", Role::kController}, "t4"},
                           {{"twice", "-", Role::kController}, "t5"},
                           {{"twice", "physics", Role::kViewer}, "t6"}},
                          &board_,
                          nullptr};
};

TEST_F(Hearing, AMemberAsLongAsTheMembershipLasts) {
  EXPECT_FALSE(hears("member:ada"));
  show({{{"physics", "ada"}, {TenantRole::kViewer, kBegan}}});
  EXPECT_TRUE(hears("member:ada"));
  EXPECT_FALSE(hears("member:ada", "chemistry"));
  EXPECT_FALSE(hears("member:bob"));
  show({{{"physics", "ada"}, {TenantRole::kViewer, TimePoint{kBegan.micros + 1}}}});
  EXPECT_FALSE(hears("member:ada")) << "it is another one of that name";
  show({});
  EXPECT_FALSE(hears("member:ada"));
}

TEST_F(Hearing, AnAdministratorAsLongAsOfTheSite) {
  show({{{std::string(services::tenant::kSite), "ada"}, {TenantRole::kAdministrator, kBegan}}});
  EXPECT_TRUE(hears("member:ada", "physics", true));
  EXPECT_FALSE(hears("member:ada", "physics", false)) << "a member of that name is nobody";
  show({{{"physics", "ada"}, {TenantRole::kOwner, kBegan}}});
  EXPECT_FALSE(hears("member:ada", "physics", true));
}

TEST_F(Hearing, ATokenAsLongAsItIsInTheFile) {
  EXPECT_TRUE(hears("token:robot"));
  EXPECT_FALSE(hears("token:robot", "chemistry"));
  EXPECT_FALSE(hears("token:gone"));
  EXPECT_TRUE(hears("token:admin", "chemistry", true));
  EXPECT_TRUE(hears("token:admin", "local", true, kHostOfSite));
}

// Processes of the site subscribe for whichever VO they say.
TEST_F(Hearing, AProcessOfTheSiteByItsToken) {
  OutsideTable table;
  services::registry::ServiceRow row;
  row.name = "greeting";
  row.name_space = "urn:example:greeting:1";
  row.operations = {
      {"get", contracts::registry::Access::kController, true, false, "GET", "/greetings/{name}"},
      {"list", contracts::registry::Access::kController, true, false, "GET", "/greetings"},
  };
  row.resources = {{"Guest", "guests", "get", "name", "guest", "list", {}, {}, {}}};
  table.set("greeting", &row);
  options_.outside = &table;
  const std::string guest = "/services/greeting/guests/Ada";
  for (const std::string vo : {"physics", "chemistry"}) {
    EXPECT_TRUE(hears("token:other", vo));
    EXPECT_TRUE(hears("token:other", vo, false, "/services/hades/machines/m1"));
    EXPECT_TRUE(hears("token:other", vo, false, guest));
    EXPECT_TRUE(hears("token:host", vo, false, guest));
    EXPECT_FALSE(hears("token:host", vo)) << "as at the doors";
  }
  EXPECT_FALSE(hears("token:other", "physics", true)) << "it was an administrator's";
  EXPECT_FALSE(hears("token:robot", "physics", false, guest));
  // What one of two tokens of a name shows.
  EXPECT_TRUE(hears("token:twice"));
  EXPECT_TRUE(hears("token:twice", "physics", false, guest));
  EXPECT_FALSE(hears("token:twice", "chemistry"));
}

// Who may not read a resource may not hear of it.
TEST_F(Hearing, OnlyWhatTheRoleShows) {
  const std::string machine = "/services/hades/machines/m1";
  EXPECT_TRUE(hears("token:admin", "local", true, machine));
  EXPECT_FALSE(hears("token:robot", "physics", false, machine));
  show({{{"physics", "ada"}, {TenantRole::kOwner, kBegan}}});
  EXPECT_FALSE(hears("member:ada", "physics", false, machine));
  EXPECT_TRUE(hears("member:ada", "physics", false, "/services/hades/deployments/d-1"));
}

TEST_F(Hearing, ProcessesAndWhoARuleMakesAMemberAreNotAskedAfter) {
  EXPECT_TRUE(hears("service:greeting"));
  EXPECT_TRUE(hears(""));
  EXPECT_TRUE(hears("member:ab~0123"));
}

}  // namespace
}  // namespace nuraghe::api
