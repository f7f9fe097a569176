#include "services/tenant/tenant.hpp"

#include <gmock/gmock.h>

#include "services/tenant/audit.hpp"
#include "services/testing.hpp"

namespace nuraghe::services::tenant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using World = services::testing::World;
using namespace std::chrono_literals;

const std::string kAddress = "/services/tenant";

// Opens tables for the test itself.
class Tables final : public contracts::ServiceActor {
 public:
  Tables() : ServiceActor("tables") {}
  std::string_view name() const override { return "tables"; }
  Status open(store::Store& store) override {
    TRY(ledger.open(store));
    TRY(quotas.open(store));
    return rows.open(store, "tenant_audit");
  }
  Status on_request(exchange::Turn&, const exchange::Message&) override { return {}; }
  Ledger ledger;
  Quotas quotas;
  RowTable<LedgerRow> rows;
};

class TenantTest : public ::testing::Test {
 protected:
  TenantTest() {
    ServiceOptions options;
    options.board = &board_;
    options.first_vo = "physics";
    options.audit_retention = 24h;
    options.on_stale = [this] { ++stale_; };
    options.machines_of = [this](store::Transaction&, const std::string& vo) {
      return Result<std::vector<std::string>>(vo == "chemistry" ? machines_ : std::vector<std::string>());
    };
    service_ = std::make_unique<Service>(options);
    world_.open({service_.get(), &tables_});
  }
  template <class Parse>
  auto ask(exchange::Message request, const Parse& parse, const std::string& vo = "physics") {
    return parse(world_.ask(std::move(request), vo));
  }
  void add(const std::string& name, api::Role role, const std::string& vo = "physics",
           const std::string& subject = "") {
    api::AddMemberRequest input;
    input.name = name;
    input.role = role;
    if (!subject.empty()) input.issuer = "https://id.example";
    if (!subject.empty()) input.subject = subject;
    EXPECT_EQ(World::fault_of(world_.ask(api::make_add_member(kAddress, input), vo)), "") << name;
  }
  std::string secret_of(const std::string& name, const std::string& vo = "physics", std::string* id = nullptr) {
    api::IssueTokenRequest input;
    input.member = name;
    const auto issued = ask(api::make_issue_token(kAddress, input), api::parse_issue_token_response, vo);
    EXPECT_TRUE(issued && issued->secret);
    if (!issued || !issued->secret) return "";
    if (id != nullptr) *id = issued->token.id;
    return *issued->secret;
  }
  std::shared_ptr<const Account> account(const std::string& secret) const {
    const auto accounts = board_.now();
    const auto found = accounts->by_digest.find(digest_of_token(secret));
    return found == accounts->by_digest.end() ? nullptr : found->second;
  }

  AccountBoard board_;
  int stale_ = 0;
  std::vector<std::string> machines_;  // of the VO chemistry
  Tables tables_;
  std::unique_ptr<Service> service_;
  World world_;
};

TEST_F(TenantTest, ATokenStandsForItsMemberAsLongAsThatIsOne) {
  add("marie", api::Role::kOperator);
  std::string id;
  const auto first = secret_of("marie", "physics", &id);
  const auto second = secret_of("marie");
  ASSERT_TRUE(account(first));
  EXPECT_THAT(account(first)->roles, ElementsAre(AccountRole{"physics", "marie", api::Role::kOperator}));
  const auto before = account(first);
  api::ChangeMemberRequest change;
  change.name = "marie";
  change.role = api::Role::kViewer;
  EXPECT_EQ(World::fault_of(world_.ask(api::make_change_member(kAddress, change), "physics")), "");
  EXPECT_EQ(account(first)->roles.front().role, api::Role::kViewer);
  EXPECT_FALSE(before->valid->load()) << "what was begun as an operator goes on";
  EXPECT_EQ(World::fault_of(world_.ask(api::make_revoke_token(kAddress, {"", id}), "physics")), "");
  EXPECT_FALSE(account(first));
  const auto kept = account(second);
  ASSERT_TRUE(kept);
  EXPECT_EQ(World::fault_of(world_.ask(api::make_remove_member(kAddress, {"", "marie"}), "physics")), "");
  EXPECT_FALSE(account(second));
  EXPECT_FALSE(kept->valid->load());
  add("marie", api::Role::kOwner);
  EXPECT_FALSE(account(second)) << "a membership that is new has no old tokens";
}

TEST_F(TenantTest, TheSecretIsInTheFirstAnswerAlone) {
  add("marie", api::Role::kOperator);
  api::IssueTokenRequest input;
  input.member = "marie";
  const auto id = world_.send(api::make_issue_token(kAddress, input), "physics", "urn:test:issue");
  const auto first = api::parse_issue_token_response(world_.answers[id]);
  ASSERT_TRUE(first && first->secret);
  world_.send(api::make_issue_token(kAddress, input), "physics", "urn:test:issue");
  const auto repeat = api::parse_issue_token_response(world_.answers[id]);
  ASSERT_TRUE(repeat);
  EXPECT_EQ(repeat->token.id, first->token.id);
  EXPECT_FALSE(repeat->secret);
  for (const char* table : {"tenant_token", "exchange_inbox", "exchange_outbox", "exchange_events", "tenant_audit"}) {
    for (const auto& value : world_.values(table)) EXPECT_EQ(value.find(*first->secret), std::string::npos) << table;
  }
  EXPECT_EQ(world_.keys("exchange_inbox").empty(), false) << "the answer to a repeat is kept";
}

TEST_F(TenantTest, AccountsAreReadAgainAfterARestart) {
  add("marie", api::Role::kOwner, "physics", "sub-1");
  const auto secret = secret_of("marie");
  world_.close();
  AccountBoard board;
  ServiceOptions options;
  options.board = &board;
  Service again(options);
  world_.open({&again});
  EXPECT_TRUE(board.now()->by_digest.contains(digest_of_token(secret)));
  EXPECT_TRUE(board.now()->by_subject.contains(std::pair<std::string, std::string>("https://id.example", "sub-1")));
  world_.close();
}

TEST_F(TenantTest, NobodyReachesIntoAnotherVo) {
  EXPECT_EQ(World::fault_of(world_.ask(api::make_create_vo(kAddress, {"chemistry", {}}), "physics")), "");
  add("lena", api::Role::kOwner, "chemistry");
  std::string id;
  const auto secret = secret_of("lena", "chemistry", &id);
  // The door lets a request act for one VO: what it names beside it is not there.
  for (const std::string vo : {"chemistry", "nowhere", "site"}) {
    EXPECT_EQ(World::fault_of(world_.ask(api::make_list_members(kAddress, {vo}), "physics")), "not-found");
    EXPECT_EQ(World::fault_of(world_.ask(api::make_remove_member(kAddress, {vo, "lena"}), "physics")), "not-found");
    EXPECT_EQ(World::fault_of(world_.ask(api::make_revoke_token(kAddress, {vo, id}), "physics")), "not-found");
    EXPECT_EQ(World::fault_of(world_.ask(api::make_get_quota(kAddress, {vo}), "physics")), "not-found");
    EXPECT_EQ(World::fault_of(world_.ask(api::make_list_audit(kAddress, {vo, {}, {}}), "physics")), "not-found");
  }
  EXPECT_EQ(World::fault_of(world_.ask(api::make_revoke_token(kAddress, {"", id}), "physics")), "not-found");
  EXPECT_TRUE(account(secret));
}

TEST_F(TenantTest, WhatIsWrongIsRefusedAndChangesNothing) {
  add("marie", api::Role::kOwner, "physics", "sub-1");
  const auto count = world_.keys("tenant_member").size();
  const auto refuse = [&](api::AddMemberRequest input, const char* code, const std::string& vo = "physics") {
    EXPECT_EQ(World::fault_of(world_.ask(api::make_add_member(kAddress, input), vo)), code) << input.name;
  };
  const auto member = [](const std::string& name, api::Role role = api::Role::kViewer) {
    api::AddMemberRequest input;
    input.name = name;
    input.role = role;
    return input;
  };
  for (const char* name : {"", "a/b", "a b", "a~b", "member:x"}) refuse(member(name), "invalid");
  refuse(member("marie"), "conflict");
  refuse(member("eve", api::Role::kAdministrator), "invalid");
  refuse(member("eve", api::Role::kOwner), "invalid", "site");
  auto half = member("eve");
  half.issuer = "https://id.example";
  refuse(half, "invalid");
  half.subject = "sub-1";
  refuse(half, "conflict");
  auto key = member("eve");
  key.authorized_key = {"ssh-ed25519 AAAA x\nssh-rsa evil"};
  refuse(key, "invalid");
  key.authorized_key = {"command=\"rm\" ssh-ed25519 AAAA"};
  refuse(key, "invalid");
  EXPECT_EQ(world_.keys("tenant_member").size(), count);
  for (const char* name : {"", "Physics", "a/b", "9a", "site", "physics"})
    EXPECT_NE(World::fault_of(world_.ask(api::make_create_vo(kAddress, {name, {}}), "physics")), "") << name;
  api::IssueTokenRequest issue;
  issue.member = "marie";
  for (const Duration lifetime : {Duration(0), Duration(-1), Duration(std::chrono::hours(24 * 367))}) {
    issue.lifetime = lifetime;
    EXPECT_EQ(World::fault_of(world_.ask(api::make_issue_token(kAddress, issue), "physics")), "invalid");
  }
  api::SetQuotaRequest quota;
  quota.quota.hosts = -1;
  EXPECT_EQ(World::fault_of(world_.ask(api::make_set_quota(kAddress, quota), "physics")), "invalid");
}

TEST_F(TenantTest, ExpiredTokensGo) {
  add("marie", api::Role::kOwner);
  api::IssueTokenRequest issue;
  issue.member = "marie";
  issue.lifetime = 30min;
  ASSERT_TRUE(ask(api::make_issue_token(kAddress, issue), api::parse_issue_token_response));
  EXPECT_EQ(world_.keys("tenant_token").size(), 1U);
  world_.advance(2h, 30min);
  EXPECT_THAT(world_.keys("tenant_token"), IsEmpty());
  EXPECT_THAT(board_.now()->by_digest, ::testing::IsEmpty());
}

TEST_F(TenantTest, AVoWithMachinesStays) {
  EXPECT_EQ(World::fault_of(world_.ask(api::make_create_vo(kAddress, {"chemistry", {}}), "physics")), "");
  machines_ = {"m1 (deployed)", "m2 (its disks may hold data of the VO)"};
  const auto refused = world_.ask(api::make_delete_vo(kAddress, {"chemistry"}), "chemistry");
  EXPECT_EQ(World::fault_of(refused), "conflict");
  EXPECT_THAT(refused.fault->reason, HasSubstr("physical machines: m1 (deployed), m2 (its disks may hold data"));
  EXPECT_EQ(World::fault_of(world_.ask(api::make_get_vo(kAddress, {"chemistry"}), "chemistry")), "");
  machines_.clear();
  EXPECT_EQ(World::fault_of(world_.ask(api::make_delete_vo(kAddress, {"chemistry"}), "chemistry")), "");
}

TEST_F(TenantTest, AVoGoesWithItsMembersAndTokensUnlessItHoldsHosts) {
  EXPECT_EQ(World::fault_of(world_.ask(api::make_create_vo(kAddress, {"chemistry", "All of it"}), "physics")), "");
  add("lena", api::Role::kOwner, "chemistry");
  const auto secret = secret_of("lena", "chemistry");
  const auto is_there = [&](const std::string& vo) {
    bool found = false;
    world_.post("tenant", [&](exchange::Turn& turn) -> Status {
      TRY_ASSIGN(found, service_->has_vo(turn.transaction(), vo));
      return {};
    });
    return found;
  };
  EXPECT_TRUE(is_there("chemistry"));
  EXPECT_FALSE(is_there("alchemy"));
  const auto& quotas = tables_.quotas;
  world_.post("tenant", [&](exchange::Turn& turn) {
    return quotas.book(turn.transaction(), "chemistry", {1, 1, 1, {}, {}, {}});
  });
  EXPECT_EQ(World::fault_of(world_.ask(api::make_delete_vo(kAddress, {"chemistry"}), "chemistry")), "conflict");
  EXPECT_TRUE(account(secret));
  world_.post("tenant", [&](exchange::Turn& turn) {
    return quotas.book(turn.transaction(), "chemistry", {-1, -1, -1, {}, {}, {}});
  });
  EXPECT_EQ(World::fault_of(world_.ask(api::make_delete_vo(kAddress, {"chemistry"}), "chemistry")), "");
  EXPECT_FALSE(account(secret));
  EXPECT_FALSE(is_there("chemistry"));
  EXPECT_EQ(World::fault_of(world_.ask(api::make_get_vo(kAddress, {"chemistry"}), "chemistry")), "not-found");
  EXPECT_EQ(World::fault_of(world_.ask(api::make_create_vo(kAddress, {"chemistry", {}}), "physics")), "conflict");
  EXPECT_EQ(World::fault_of(world_.ask(api::make_delete_vo(kAddress, {"site"}), "site")), "invalid");
}

TEST_F(TenantTest, EveryEntryIsCoveredByTheNext) {
  const Ledger& ledger = tables_.ledger;
  for (int i = 0; i < 20; ++i) {
    world_.post("tenant", [&](exchange::Turn& turn) {
      api::AuditRecord record;
      record.kind = "call";
      record.who = "member:" + std::to_string(i);
      record.vo = i % 2 == 0 ? "physics" : "chemistry";
      return service_->record(turn, record);
    });
  }
  const auto verify = [&] {
    Ledger::Verified verified;
    world_.post("tenant", [&](exchange::Turn& turn) -> Status {
      TRY_ASSIGN(verified, ledger.verify(turn.transaction(), 0, 1000));
      return {};
    });
    return verified;
  };
  EXPECT_EQ(verify().last, 20);
  EXPECT_FALSE(verify().broken);
  std::vector<api::AuditRecord> page;
  world_.post("tenant", [&](exchange::Turn& turn) -> Status {
    TRY_ASSIGN(page, ledger.page(turn.transaction(), "physics", 3, 4));
    return {};
  });
  ASSERT_EQ(page.size(), 4U);
  EXPECT_EQ(page.front().sequence, 5);
  EXPECT_EQ(page.back().vo, "physics");
  // Somebody with a database at hand changes one, takes one out, takes the last one off.
  const auto& rows = tables_.rows;
  const auto tamper = [&](const std::function<Status(store::Transaction&)>& work) {
    std::optional<std::int64_t> broken;
    world_.post("tenant", [&](exchange::Turn& turn) -> Status {
      TRY(work(turn.transaction()));
      TRY_ASSIGN(const auto verified, ledger.verify(turn.transaction(), 0, 1000));
      broken = verified.broken;
      return {};
    });
    return broken;
  };
  LedgerRow seventh;
  EXPECT_EQ(tamper([&](store::Transaction& tx) -> Status {
              TRY_ASSIGN(const auto row, rows.find(tx, "0000000000000007"));
              seventh = *row;
              LedgerRow changed = *row;
              changed.record.back() ^= 1;
              return rows.put(tx, "0000000000000007", changed);
            }),
            7);
  EXPECT_EQ(tamper([&](store::Transaction& tx) { return rows.erase(tx, "0000000000000007"); }), 7);
  EXPECT_EQ(tamper([&](store::Transaction& tx) { return rows.put(tx, "0000000000000007", seventh); }), std::nullopt);
  EXPECT_EQ(tamper([&](store::Transaction& tx) { return rows.erase(tx, "0000000000000014"); }), 20);
}

TEST(Audit, SaysWhatACallIsAboutAndNoMore) {
  exchange::Message request;
  request.to = "/services/vcm";
  request.operation = "create_vc";
  request.vo = "physics";
  request.caller = "member:marie";
  request.origin = "soap 127.0.0.1";
  request.message_id = "urn:uuid:1";
  request.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  auto body = xml::Document::parse(
      R"(<create_vc xmlns="urn:nuraghe:vcm:1"><request><blueprint xmlns="urn:nuraghe:vcf:1"><cluster name="duo"><node
      name="head" secret="s3cret"/></cluster></blueprint></request></create_vc>)");
  request.body = std::move(*body).share();
  const auto record = record_of_call(request);
  EXPECT_EQ(record.object, "duo");
  EXPECT_EQ(record.service, "vcm");
  EXPECT_EQ(record.trace, "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(record.who, "member:marie");
  auto refused = record;
  set_outcome(refused, Status(denied("no\nnot you")));
  EXPECT_EQ(refused.outcome, "denied");
  EXPECT_THAT(refused.text, HasSubstr("not you"));
}

}  // namespace
}  // namespace nuraghe::services::tenant
