// Who gets into the hosts of a VO.
#include <gmock/gmock.h>
#include <unistd.h>

#include <map>

#include "env/posix.hpp"
#include "services/testing.hpp"
#include "services/vcf/vcf.hpp"

namespace nuraghe::services::vcf {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using World = services::testing::World;
using namespace std::chrono_literals;

const std::string kAddress = "/services/vcf";

// Members by VO and name.
class KeyBook final : public MemberKeys {
 public:
  std::map<std::string, std::map<std::string, std::vector<std::string>>> members;

  Status open(store::Store&) override { return {}; }
  Result<std::optional<std::vector<std::string>>> of_member(store::Transaction&, std::string_view vo,
                                                            std::string_view name) const override {
    const auto of_vo = members.find(std::string(vo));
    if (of_vo == members.end()) return std::optional<std::vector<std::string>>();
    const auto found = of_vo->second.find(std::string(name));
    if (found == of_vo->second.end()) return std::optional<std::vector<std::string>>();
    return std::optional(found->second);
  }
  Result<std::optional<std::vector<std::string>>> of_administrator(store::Transaction& tx,
                                                                   std::string_view name) const override {
    return of_member(tx, "site", name);
  }
  bool is_by_rule(std::string_view name) const override { return name.find('~') != name.npos; }
  Result<std::optional<std::vector<std::string>>> of_vo(store::Transaction&, std::string_view vo) const override {
    const auto found = members.find(std::string(vo));
    if (found == members.end() || found->second.empty()) return std::optional<std::vector<std::string>>();
    std::vector<std::string> keys;
    for (const auto& [name, own] : found->second) keys.insert(keys.end(), own.begin(), own.end());
    return std::optional(keys);
  }
};

std::string new_key(env::Random& random) {
  return signing_public_key(make_signing_seed(random)).value() + " of somebody";
}

class LoginTest : public ::testing::Test {
 protected:
  LoginTest() {
    options_.members = &book_;
    open();
  }
  void open() {
    factory_ = std::make_unique<Factory>(options_);
    world_.open({factory_.get()});
  }
  exchange::Message issue(const std::string& caller, const std::string& key, const std::string& vo = "vo1") {
    auto request = contracts::vcf::make_issue_login_certificate(kAddress, {key});
    request.caller = caller;
    return world_.ask(std::move(request), vo);
  }
  std::string reason(const exchange::Message& reply) { return reply.fault ? reply.fault->reason : "issued"; }
  exchange::Message plan(const std::string& name, const std::vector<std::string>& keys, const std::string& caller = "",
                         const std::string& vo = "vo1") {
    api::PlanRequest input;
    auto document = xml::Document::parse(R"(<cluster xmlns="urn:nuraghe:cluster:1" name=")" + name +
                                         R"("><network name="private"/><node name="head">
        <configuration xmlns="urn:nuraghe:node:1"><image name="tiny"/><memory>8MiB</memory></configuration></node></cluster>)");
    input.request.blueprint = std::move(*document).share();
    input.request.authorized_key = keys;
    contracts::vhir::Image image;
    image.name = "tiny";
    image.version = "1";
    input.catalogue.image = {image};
    auto request = contracts::vcf::make_plan(kAddress, input);
    request.caller = caller;
    return world_.ask(std::move(request), vo);
  }
  // The part of the seeds of a cluster that its hosts share.
  std::string shared_seed(const std::string& name, const std::vector<std::string>& keys) {
    const auto planned = contracts::vcf::parse_plan_response(plan(name, keys));
    EXPECT_TRUE(planned) << planned.error().to_string();
    api::PrepareRequest input;
    input.cluster = planned->cluster;
    input.grant.placement.push_back({"head", "vh-1", "a", ""});
    input.grant.network.push_back({"private", 7, "10.128.0.0/24"});
    EXPECT_EQ(reason(world_.ask(contracts::vcf::make_prepare(kAddress, input))), "issued");
    std::string found;
    for (const auto& path : world_.keys("vcf_seed")) {
      if (!path.starts_with(planned->cluster)) continue;
      world_.post("vcf", [&](exchange::Turn& turn) -> Status {
        TRY_ASSIGN(const auto bytes, factory_->seed(turn, path));
        if (bytes.starts_with("#cloud-config")) found = bytes;
        return {};
      });
    }
    return found;
  }

  env::SimRandom random_{5};
  std::string alices_ = new_key(random_), bobs_ = new_key(random_), strange_ = new_key(random_);
  KeyBook book_;
  FactoryOptions options_;
  World world_;
  std::unique_ptr<Factory> factory_;
};

TEST_F(LoginTest, ACertificateLivesForLessThanAMinuteAndIsTheVosOwn) {
  const auto issued = contracts::vcf::parse_issue_login_certificate_response(issue("token:admin", alices_));
  ASSERT_TRUE(issued);
  EXPECT_EQ(issued->account, "root");
  EXPECT_GT(issued->valid_until, world_.clock.now());
  EXPECT_LT(issued->valid_until, world_.clock.now() + 1min);
  const std::string path = ::testing::TempDir() + "/login-" + std::to_string(::getpid()) + "-cert.pub";
  ASSERT_TRUE(env::write_file_durably(path, issued->certificate + "\n", 0600));
  const auto shown = env::run_command_ok({"ssh-keygen", "-L", "-f", path});
  EXPECT_TRUE(env::remove_tree(path));
  ASSERT_TRUE(shown) << shown.error().to_string();
  const auto authority = parse_ssh_public_key(issued->authority + " x");
  ASSERT_TRUE(authority);
  EXPECT_THAT(*shown, AllOf(HasSubstr("Key ID: \"token:admin@vo1\""), HasSubstr(authority->fingerprint())));
  // The same authority for ever, also after a restart; another VO has another.
  world_.close();
  open();
  EXPECT_EQ(contracts::vcf::parse_issue_login_certificate_response(issue("token:admin", bobs_))->authority,
            issued->authority);
  EXPECT_NE(contracts::vcf::parse_issue_login_certificate_response(issue("token:admin", bobs_, "vo2"))->authority,
            issued->authority);
}

TEST_F(LoginTest, AMemberUsesItsOwnKeysAndNoOther) {
  book_.members["vo1"] = {{"alice", {alices_}}, {"bob", {bobs_}}, {"carol", {}}};
  EXPECT_EQ(reason(issue("member:alice", alices_)), "issued");
  EXPECT_EQ(reason(issue("member:alice", alices_ + " another comment")), "issued");
  EXPECT_THAT(reason(issue("member:alice", bobs_)), HasSubstr("is none of alice's"));
  EXPECT_THAT(reason(issue("member:carol", strange_)),
              AllOf(HasSubstr("is none of carol's"), HasSubstr("an owner adds")));
  EXPECT_THAT(reason(issue("member:alice", alices_, "vo2")), HasSubstr("alice is not a member of the VO vo2"));
  EXPECT_EQ(World::fault_of(issue("member:alice", "no key")), "invalid");
}

TEST_F(LoginTest, AnAdministratorIsNoMemberOfTheSameName) {
  book_.members["vo1"] = {{"alice", {alices_}}};
  book_.members["site"] = {{"alice", {bobs_}}, {"ada", {strange_}}};
  const auto key_id = [&](const std::string& caller, const std::string& key, const std::string& vo) {
    const auto issued = contracts::vcf::parse_issue_login_certificate_response(issue(caller, key, vo));
    if (!issued) return issued.error().to_string();
    const std::string path = ::testing::TempDir() + "/whose-" + std::to_string(::getpid()) + "-cert.pub";
    EXPECT_TRUE(env::write_file_durably(path, issued->certificate + "\n", 0600));
    const auto shown = env::run_command_ok({"ssh-keygen", "-L", "-f", path});
    EXPECT_TRUE(env::remove_tree(path));
    return shown ? *shown : shown.error().to_string();
  };
  EXPECT_THAT(key_id("member:alice", alices_, "vo1"), HasSubstr("Key ID: \"member:alice@vo1\""));
  EXPECT_THAT(key_id("member:alice", bobs_, "vo1"), HasSubstr("Key ID: \"administrator:alice@vo1\""));
  EXPECT_THAT(key_id("member:ada", strange_, "vo2"), HasSubstr("Key ID: \"administrator:ada@vo2\""));
  EXPECT_THAT(reason(issue("member:ada", alices_)), HasSubstr("is none of ada's"));
}

TEST_F(LoginTest, WhoIsRemovedAndWhoseKeyIsGoneGetsNoneFromThenOn) {
  book_.members["vo1"] = {{"alice", {alices_, strange_}}, {"bob", {bobs_}}};
  EXPECT_EQ(reason(issue("member:alice", strange_)), "issued");
  book_.members["vo1"]["alice"] = {alices_};
  EXPECT_THAT(reason(issue("member:alice", strange_)), HasSubstr("is none of alice's"));
  EXPECT_EQ(reason(issue("member:alice", alices_)), "issued");
  book_.members["vo1"].erase("alice");
  EXPECT_THAT(reason(issue("member:alice", alices_)), HasSubstr("alice is not a member"));
  EXPECT_EQ(reason(issue("member:bob", bobs_)), "issued");
  // Whoever is added gets in at once, to hosts that were there before.
  book_.members["vo1"]["alice"] = {alices_};
  EXPECT_EQ(reason(issue("member:alice", alices_)), "issued");
}

TEST_F(LoginTest, AMemberByARuleUsesAnyKeyAndLeavesNoneInAHost) {
  book_.members["vo1"] = {{"alice", {alices_}}};
  EXPECT_EQ(reason(issue("member:ab12~3f9c01d2", strange_)), "issued");
  EXPECT_THAT(reason(issue("member:ab12", strange_)), HasSubstr("ab12 is not a member"));
  const auto refused = plan("a", {strange_}, "member:ab12~3f9c01d2", "vo2");
  EXPECT_EQ(World::fault_of(refused), "denied") << "a VO without rows has members by rules all the same";
  EXPECT_THAT(reason(refused), HasSubstr("leave the ssh key out"));
}

TEST_F(LoginTest, HostsTrustTheAuthorityFromTheirBirth) {
  const auto seed = shared_seed("a", {});
  const auto authority =
      contracts::vcf::parse_issue_login_certificate_response(issue("token:admin", alices_))->authority;
  EXPECT_THAT(seed, HasSubstr("\"cert-authority " + authority + " members of vo1\""));
}

TEST_F(LoginTest, WhereThereAreMembersNoKeyStaysInAHost) {
  book_.members["vo1"] = {{"alice", {alices_}}};
  const auto seed = shared_seed("a", {alices_});
  EXPECT_THAT(seed, Not(HasSubstr(parse_ssh_public_key(alices_)->line()))) << "it would stay when alice is gone";
  EXPECT_THAT(seed, HasSubstr("cert-authority "));
  const auto refused = plan("b", {strange_});
  EXPECT_EQ(World::fault_of(refused), "denied");
  EXPECT_THAT(reason(refused), HasSubstr(parse_ssh_public_key(strange_)->fingerprint() + " is no member's"));
}

TEST_F(LoginTest, WithoutMembersTheKeysThatARequestNamesAreLetIn) {
  EXPECT_THAT(shared_seed("a", {strange_}), HasSubstr(strange_));
  book_.members["vo1"] = {{"alice", {alices_}}};
  EXPECT_THAT(shared_seed("b", {alices_}), Not(HasSubstr(alices_)));
}

}  // namespace
}  // namespace nuraghe::services::vcf
