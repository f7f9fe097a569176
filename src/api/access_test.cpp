#include "api/access.hpp"

#include <gmock/gmock.h>

#include <map>
#include <set>

namespace nuraghe::api {
namespace {

using contracts::Access;
using ::testing::HasSubstr;

constexpr Role kRoles[] = {Role::kViewer,        Role::kOperator, Role::kOwner,
                           Role::kAdministrator, Role::kPeer,     Role::kController};
constexpr Access kAccesses[] = {Access::kViewer, Access::kOperator,   Access::kOwner,
                                Access::kSite,   Access::kController, Access::kInternal};

Identity who(Role role) { return {"marie", "physics", role}; }

TEST(Access, OfEveryRole) {
  const std::map<Role, std::set<Access>> open = {
      {Role::kViewer, {Access::kViewer}},
      {Role::kOperator, {Access::kViewer, Access::kOperator}},
      {Role::kOwner, {Access::kViewer, Access::kOperator, Access::kOwner}},
      {Role::kAdministrator, {Access::kViewer, Access::kOperator, Access::kOwner, Access::kSite}},
      {Role::kPeer, {std::begin(kAccesses), std::end(kAccesses)}},
      {Role::kController, {Access::kController}},
  };
  for (const Role role : kRoles) {
    for (const Access access : kAccesses) {
      const Status status = may(who(role), access, "it");
      EXPECT_EQ(status.has_value(), open.at(role).contains(access)) << role_name(role) << access_name(access);
      if (!status) {
        EXPECT_EQ(status.error().code(), ErrorCode::kDenied);
      }
    }
  }
}

TEST(Access, ARefusalSaysWhatToDo) {
  const Status import = may_call(who(Role::kOwner), "/services/vhir", "import_image");
  ASSERT_FALSE(import);
  EXPECT_THAT(import.error().message(), HasSubstr("import_image of /services/vhir concerns the whole site: it needs an "
                                                  "administrator, and marie is owner of physics"));
  EXPECT_THAT(import.error().message(), HasSubstr("nuraghe --vo physics"));
  const Status step = may_call(who(Role::kAdministrator), "/services/vhf", "reserve");
  ASSERT_FALSE(step);
  EXPECT_THAT(step.error().message(), HasSubstr("call the operation of VCM or VHM"));
}

TEST(Access, APersonOfSeveralVOsSaysForWhich) {
  Identity person{"marie", "", Role::kViewer};
  person.memberships = {{"chemistry", "marie", Role::kViewer}, {"physics", "m.curie", Role::kOwner}};
  const auto entered = std::make_shared<const Identity>(person);
  const Status undecided = may(*entered, Access::kViewer, "it");
  ASSERT_FALSE(undecided);
  EXPECT_EQ(undecided.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(undecided.error().message(), HasSubstr("chemistry, physics"));
  const auto physics = acting_for(entered, "physics");
  ASSERT_TRUE(physics);
  EXPECT_EQ((*physics)->caller(), "member:m.curie");
  EXPECT_TRUE(may(**physics, Access::kOwner, "it"));
  const auto chemistry = acting_for(entered, "chemistry");
  ASSERT_TRUE(chemistry);
  EXPECT_TRUE(may(**chemistry, Access::kViewer, "it"));
  EXPECT_FALSE(may(**chemistry, Access::kOperator, "it"));
  EXPECT_EQ(acting_for(entered, "biology").error().code(), ErrorCode::kDenied);
  EXPECT_EQ(acting_for(entered, "physics/x").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(acting_for(*physics, "chemistry").value()->role, Role::kViewer);
}

TEST(Access, WhatNoDefinitionHasIsForAdministrators) {
  for (const char* path : {"/services/echo", "/services/vhf", "/services/vhf/x", "/elsewhere"}) {
    EXPECT_TRUE(may_call(who(Role::kAdministrator), path, "echo"));
    EXPECT_TRUE(may_call(who(Role::kPeer), path, "echo"));
    EXPECT_EQ(may_call(who(Role::kOwner), path, "echo").error().code(), ErrorCode::kNotFound);
    EXPECT_EQ(may_call(who(Role::kController), path, "echo").error().code(), ErrorCode::kDenied);
  }
}

TEST(Access, OfDoorsThatAreNoOperations) {
  for (const char* path : {"/seeds/vc-1/sha256:ab", "/images/sha256:cd"}) {
    for (const Role role : kRoles)
      EXPECT_EQ(may_enter(who(role), "GET", path).has_value(), role == Role::kController || role == Role::kPeer);
  }
  for (const char* path : {"/events", "/metrics", "/readyz", "/services/vhf", "/services/a/hosts/b/console", "/"}) {
    for (const char* method : {"GET", "POST"}) {
      for (const Role role : kRoles) {
        const bool types = method == std::string("POST");
        EXPECT_EQ(may_enter(who(role), method, path).has_value(),
                  role != Role::kController && !(types && role == Role::kViewer))
            << path;
      }
    }
  }
  for (const Role role : kRoles) EXPECT_TRUE(may_enter(who(role), "GET", "/healthz"));
}

}  // namespace
}  // namespace nuraghe::api
