#include "services/ca/ca.hpp"

#include <gmock/gmock.h>

#include <map>

#include "services/testing.hpp"

namespace nuraghe::services::ca {
namespace {

using World = services::testing::World;
using namespace std::chrono_literals;

const std::string kAddress = "/services/ca";

std::string digest_of(char letter) { return "sha256:" + std::string(64, letter); }

class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() { open(); }
  void open() {
    RegistryOptions options;
    options.roots = [this] { return roots_; };
    options.on_certificate = [this](const api::Certificate& certificate, bool counts) {
      const std::string kind = certificate.kind == api::MemberKind::kService ? "service " : "";
      if (counts)
        members_[certificate.serial] = kind + certificate.name;
      else
        members_.erase(certificate.serial);
    };
    options.on_started = [this] { is_started_ = true; };
    registry_ = std::make_unique<Registry>(std::move(options));
    world_.open({registry_.get()});
  }
  std::string make_token(const std::string& name, char digest, Duration lifetime = 1h) {
    return World::fault_of(world_.ask(contracts::ca::make_create_join_token(
        kAddress, {.name = name, .secret_digest = digest_of(digest), .lifetime = lifetime})));
  }
  api::Certificate certificate(const std::string& key, const std::string& serial, const std::string& name = {}) const {
    api::Certificate out;
    out.name = name;
    out.key = key;
    out.serial = serial;
    out.valid_from = world_.clock.now();
    out.valid_until = world_.clock.now() + 24h;
    return out;
  }
  // The name that the token is for, or the code of the error.
  std::string redeem(char digest, const std::string& key, const std::string& serial) {
    Result<api::Certificate> made = internal("not run");
    world_.post("ca", [&](exchange::Turn& turn) -> Status {
      made = registry_->redeem(turn, digest_of(digest), certificate(key, serial));
      return {};
    });
    return made ? made->name : std::string(error_code_name(made.error().code()));
  }
  std::string renew(const std::string& name, const std::string& serial, const std::string& next) {
    Status status;
    world_.post("ca", [&](exchange::Turn& turn) -> Status {
      status = registry_->renew(turn, serial, certificate("k", next, name));
      return {};
    });
    return status ? "" : std::string(error_code_name(status.error().code()));
  }
  std::vector<api::JoinToken> tokens() {
    const auto list =
        contracts::ca::parse_list_join_tokens_response(world_.ask(contracts::ca::make_list_join_tokens(kAddress, {})));
    EXPECT_TRUE(list) << list.error().to_string();
    return list ? list->token : std::vector<api::JoinToken>();
  }

  World world_;
  std::unique_ptr<Registry> registry_;
  std::vector<api::Root> roots_{{"sha256:root", "CA", {}, true}};
  std::map<std::string, std::string> members_;
  bool is_started_ = false;
};

TEST_F(RegistryTest, ATokenLetsOneKeyInUnderItsName) {
  EXPECT_TRUE(is_started_);
  EXPECT_EQ(make_token("host-2", 'a'), "");
  EXPECT_EQ(redeem('b', "k1", "01"), "denied");
  EXPECT_EQ(redeem('a', "k1", "01"), "host-2");
  EXPECT_EQ(members_, (std::map<std::string, std::string>{{"01", "host-2"}}));
  EXPECT_EQ(redeem('a', "k2", "02"), "denied");
  EXPECT_EQ(redeem('a', "k1", "03"), "host-2");  // its answer was lost
  EXPECT_EQ(members_.size(), 2U);
  ASSERT_EQ(tokens().size(), 1U);
  EXPECT_TRUE(tokens().front().used.has_value());
}

TEST_F(RegistryTest, ATokenIsVoidWhenItsTimeIsOver) {
  EXPECT_EQ(make_token("a", 'a', 1min), "");
  world_.advance(1min, 1min);
  EXPECT_EQ(redeem('a', "k", "01"), "denied");
  EXPECT_TRUE(tokens().empty());
  EXPECT_TRUE(members_.empty());
  world_.advance(2h, 1h);
  EXPECT_TRUE(world_.keys("ca_token").empty());
}

TEST_F(RegistryTest, AnotherTokenForANameReplacesTheOneOfBefore) {
  EXPECT_EQ(make_token("a", 'a'), "");
  EXPECT_EQ(make_token("a", 'b'), "");
  EXPECT_EQ(redeem('a', "k", "01"), "denied");
  EXPECT_EQ(redeem('b', "k", "01"), "a");
}

TEST_F(RegistryTest, BadInputIsRefused) {
  for (const std::string name : {"", "A", "-a", "a-", "a.b", "a/b", "a,b"})
    EXPECT_EQ(make_token(name, 'a'), "invalid") << name;
  EXPECT_EQ(make_token(std::string(64, 'a'), 'a'), "invalid");
  EXPECT_EQ(make_token("a", 'g'), "invalid");
  EXPECT_EQ(make_token("a", 'a', Duration(0)), "invalid");
  EXPECT_EQ(make_token("a", 'a', 24h * 31), "invalid");
  roots_.clear();
  EXPECT_EQ(make_token("a", 'a'), "conflict");
  EXPECT_TRUE(world_.keys("ca_token").empty());
}

TEST_F(RegistryTest, WhatIsRevokedDoesNotCountAndIsNotRenewed) {
  EXPECT_EQ(make_token("a", 'a'), "");
  EXPECT_EQ(redeem('a', "k", "01"), "a");
  EXPECT_EQ(renew("a", "01", "02"), "");
  EXPECT_EQ(renew("b", "01", "03"), "denied");  // the certificate of another
  EXPECT_EQ(make_token("a", 'b'), "");
  const auto revoked =
      contracts::ca::parse_revoke_host_response(world_.ask(contracts::ca::make_revoke_host(kAddress, {.name = "a"})));
  ASSERT_TRUE(revoked) << revoked.error().to_string();
  EXPECT_EQ(revoked->certificates, 2);
  EXPECT_EQ(revoked->tokens, 1);
  EXPECT_TRUE(members_.empty());
  EXPECT_EQ(renew("a", "02", "04"), "denied");
  EXPECT_EQ(redeem('a', "k", "05"), "denied");  // nor does the token that was used let the same key in again
  EXPECT_EQ(redeem('b', "k", "05"), "denied");
  world_.close();
  open();
  EXPECT_TRUE(members_.empty());
}

TEST_F(RegistryTest, WhatCountsIsToldAfterARestartAndForgottenInItsTime) {
  EXPECT_EQ(make_token("a", 'a'), "");
  EXPECT_EQ(redeem('a', "k", "01"), "a");
  members_.clear();
  world_.close();
  open();
  EXPECT_EQ(members_, (std::map<std::string, std::string>{{"01", "a"}}));
  world_.advance(25h, 1h);
  EXPECT_EQ(renew("a", "01", "02"), "denied");
  world_.advance(25h, 1h);
  EXPECT_TRUE(members_.empty());
  EXPECT_TRUE(world_.keys("ca_certificate").empty());
}

TEST_F(RegistryTest, AServiceIsAnotherMemberThanAHostOfItsName) {
  const auto make = [this](api::MemberKind kind, const std::string& name, char digest) {
    return World::fault_of(world_.ask(contracts::ca::make_create_join_token(
        kAddress, {.name = name, .secret_digest = digest_of(digest), .lifetime = 1h, .kind = kind})));
  };
  EXPECT_EQ(make(api::MemberKind::kHost, "a", 'a'), "");
  EXPECT_EQ(make(api::MemberKind::kService, "a", 'b'), "");
  EXPECT_EQ(make(api::MemberKind::kService, "my_service", 'c'), "");
  EXPECT_EQ(make(api::MemberKind::kService, "my-service", 'd'), "invalid");
  EXPECT_EQ(redeem('a', "k", "01"), "a");
  EXPECT_EQ(redeem('b', "l", "02"), "a");
  EXPECT_EQ(members_, (std::map<std::string, std::string>{{"01", "a"}, {"02", "service a"}}));
  EXPECT_EQ(renew("a", "02", "03"), "denied");  // as a host
  const auto revoked = contracts::ca::parse_revoke_host_response(
      world_.ask(contracts::ca::make_revoke_host(kAddress, {.name = "a", .kind = api::MemberKind::kService})));
  ASSERT_TRUE(revoked) << revoked.error().to_string();
  EXPECT_EQ(revoked->certificates, 1);
  EXPECT_EQ(members_, (std::map<std::string, std::string>{{"01", "a"}}));
  EXPECT_EQ(renew("a", "01", "03"), "");
}

TEST_F(RegistryTest, AHostHasABoundedNumberOfCertificates) {
  EXPECT_EQ(make_token("a", 'a'), "");
  EXPECT_EQ(redeem('a', "k", "00"), "a");
  for (std::size_t i = 1; i < Registry::kMostCertificates; ++i)
    EXPECT_EQ(renew("a", "00", "1" + std::to_string(i)), "");
  EXPECT_EQ(renew("a", "00", "99"), "exhausted");
}

}  // namespace
}  // namespace nuraghe::services::ca
