#include "api/authentication.hpp"

#include <gmock/gmock.h>

#include "env/sim.hpp"

namespace nuraghe::api {
namespace {

using services::tenant::Account;
using services::tenant::AccountBoard;
using services::tenant::Accounts;
using ::testing::HasSubstr;
using TenantRole = contracts::tenant::Role;

std::shared_ptr<const Account> account(std::vector<services::tenant::AccountRole> roles, TimePoint expires) {
  auto made = std::make_shared<Account>();
  made->roles = std::move(roles);
  made->expires = expires;
  return made;
}

TEST(Authenticator, KnowsMembersByTheirTokens) {
  env::SimClock clock;
  AccountBoard board;
  Accounts accounts;
  const TimePoint later = clock.now() + std::chrono::hours(1);
  accounts.by_digest[services::tenant::digest_of_token("nut-one")] =
      account({{"physics", "marie", TenantRole::kOwner}}, later);
  accounts.by_digest[services::tenant::digest_of_token("nut-two")] =
      account({{"chemistry", "marie", TenantRole::kViewer}, {"physics", "marie", TenantRole::kOwner}}, later);
  accounts.by_digest[services::tenant::digest_of_token("nut-root")] =
      account({{"physics", "otto", TenantRole::kViewer}, {"site", "otto", TenantRole::kAdministrator}}, later);
  board.show(accounts);
  const Authenticator authenticator({{{"admin", "local", Role::kAdministrator}, "token-of-the-file"}}, &board, nullptr,
                                    clock, "local");
  const auto one = authenticator.authenticate("Bearer nut-one");
  ASSERT_TRUE(one);
  EXPECT_EQ((*one)->caller(), "member:marie");
  EXPECT_EQ((*one)->vo, "physics");
  EXPECT_EQ((*one)->role, Role::kOwner);
  const auto two = authenticator.authenticate("Bearer nut-two");
  ASSERT_TRUE(two);
  EXPECT_EQ((*two)->vo, "");
  EXPECT_EQ((*two)->role, Role::kViewer);
  const auto root = authenticator.authenticate("Bearer nut-root");
  ASSERT_TRUE(root);
  EXPECT_EQ((*root)->role, Role::kAdministrator);
  EXPECT_EQ((*root)->vo, "local");
  EXPECT_EQ((*root)->caller(), "member:otto");
  EXPECT_EQ((*authenticator.authenticate("Bearer token-of-the-file"))->caller(), "token:admin");
  for (const char* bad :
       {"", "Bearer nut-", "Bearer nut-on", "Bearer nut-onee", "nut-one", "Bearer a.b.c", "Basic nut-one"}) {
    const auto nobody = authenticator.authenticate(bad);
    ASSERT_FALSE(nobody) << bad;
    EXPECT_EQ(unauthenticated_status(nobody.error()), 401);
    EXPECT_THAT(nobody.error().message(), ::testing::Not(HasSubstr("nut-")));
  }
  // Shut out at once, and whatever was begun with it.
  accounts.by_digest.erase(services::tenant::digest_of_token("nut-one"));
  board.show(accounts);
  EXPECT_FALSE(authenticator.authenticate("Bearer nut-one"));
  EXPECT_FALSE((*one)->is_valid(clock.now()));
  EXPECT_TRUE((*two)->is_valid(clock.now()));
  clock.advance(std::chrono::hours(2));
  EXPECT_FALSE(authenticator.authenticate("Bearer nut-two"));
  EXPECT_FALSE((*two)->is_valid(clock.now()));
}

TEST(Oidc, AConfigurationSaysWhatIsWrong) {
  const auto good = parse_oidc(R"({"providers":[{"issuer":"https://id.example","audience":"nuraghe","rules":[
      {"claim":"groups","value":"g","vo":"physics","role":"owner"}]},{"issuer":"http://127.0.0.1:80","audience":"n",
      "algorithms":["ES384"]}]})");
  ASSERT_TRUE(good) << good.error().to_string();
  EXPECT_EQ((*good)[0].algorithms, (std::vector<std::string>{"RS256", "ES256", "EdDSA"}));
  EXPECT_EQ((*good)[0].rules[0].role, TenantRole::kOwner);
  const std::pair<const char*, const char*> bad[] = {
      {"", "no JSON object"},
      {R"({"providers":{}})", "no JSON object"},
      {R"({"providers":[{"issuer":"http://id.example","audience":"n"}]})", "no https address"},
      {R"({"providers":[{"issuer":"http://127.0.0.1.example","audience":"n"}]})", "no https address"},
      {R"({"providers":[{"issuer":"https://id.example"}]})", "no audience"},
      {R"({"providers":[{"issuer":"https://id.example","audience":"n","algorithms":["none"]}]})",
       "'none' is no algorithm"},
      {R"({"providers":[{"issuer":"https://id.example","audience":"n","algorithms":["HS256"]}]})",
       "'HS256' is no algorithm"},
      {R"({"providers":[{"issuer":"https://i","audience":"n"},{"issuer":"https://i","audience":"n"}]})", "there twice"},
      {R"({"providers":[{"issuer":"https://i","audience":"n","rules":[{"claim":"g","value":"v","vo":"p","role":"king"}]}]})",
       "'king' is no role"},
      {R"({"providers":[{"issuer":"https://i","audience":"n","rules":[{"claim":"g","value":"v","vo":"p","role":"administrator"}]}]})",
       "VO site"},
  };
  for (const auto& [text, says] : bad) {
    const auto parsed = parse_oidc(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(parsed.error().message(), HasSubstr(says)) << text;
  }
}

}  // namespace
}  // namespace nuraghe::api
