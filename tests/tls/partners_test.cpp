// Whom nuraghed expects at an address, and what it shows there (apps/nuraghed/partners.hpp).
#include "apps/nuraghed/partners.hpp"

#include <gmock/gmock.h>

#include <set>

#include "net/http_client.hpp"
#include "net/testing.hpp"

namespace nuraghe::daemon {
namespace {

using ::testing::HasSubstr;

const std::string kBase = "https://10.0.0.2:8471";
const std::string kAddress = kBase + "/services/b";

bool all(const std::string& /*name*/) { return true; }
bool nobody(const std::string& /*name*/) { return false; }

TEST(PartnersTest, WhoRegisteredWithACertificateIsReachedAsLongAsThatCounts) {
  const auto own = std::make_shared<const net::TlsCredentials>();
  RegisteredBases bases;
  bases.set("b", kAddress, true);
  auto partner = bases.partner_at(kBase, all);
  EXPECT_EQ(peer_of(partner, own).credentials, own);
  EXPECT_EQ(peer_of(partner, own).expected_name, pki::dns_name(pki::Kind::kHost, "b"));
  EXPECT_EQ(peer_of(partner, own).refusal, "");
  EXPECT_FALSE(is_by_token(partner));
  partner = bases.partner_at(kBase, nobody);
  EXPECT_EQ(peer_of(partner, own).credentials, nullptr);
  EXPECT_THAT(peer_of(partner, own).refusal, HasSubstr("the certificates of b were withdrawn"));
  EXPECT_FALSE(is_by_token(partner)) << "also on this machine it is shown no token";
}

TEST(PartnersTest, NothingIsSentToWhereAMemberWasUntilAnotherProgramIsThere) {
  RegisteredBases bases;
  bases.set("b", kAddress, true);
  bases.set("b", "", false);
  EXPECT_FALSE(bases.has("b"));
  EXPECT_EQ(bases.name_of(kBase), "");
  EXPECT_NE(peer_of(bases.partner_at(kBase, all), nullptr).refusal, "");
  bases.set("b", "https://10.0.0.3:8471/services/b", true);
  EXPECT_NE(peer_of(bases.partner_at(kBase, all), nullptr).refusal, "") << "it joined anew at another address";
  bases.set("c", kBase + "/services/c", true);
  EXPECT_EQ(peer_of(bases.partner_at(kBase, all), nullptr).expected_name, pki::dns_name(pki::Kind::kHost, "c"));
}

TEST(PartnersTest, OfSeveralAtOneAddressTheLatestThatCountsIsThere) {
  const auto members = [](std::set<std::string> names) {
    return [names = std::move(names)](const std::string& name) { return names.contains(name); };
  };
  RegisteredBases bases;
  bases.set("a", kBase + "/services/a", true);
  bases.set("b", kAddress, true);
  EXPECT_EQ(bases.name_of(kBase), "b");
  EXPECT_EQ(bases.partner_at(kBase, members({"b"})).name, "b") << "the certificates of a were withdrawn";
  EXPECT_TRUE(bases.partner_at(kBase, members({"b"})).counts);
  EXPECT_EQ(bases.partner_at(kBase, members({"a", "b"})).name, "b");
  EXPECT_EQ(bases.partner_at(kBase, members({"a"})).name, "a");
  EXPECT_THAT(peer_of(bases.partner_at(kBase, nobody), nullptr).refusal, HasSubstr("of b"));
  bases.set("a", kBase + "/services/a", true);
  EXPECT_EQ(bases.partner_at(kBase, members({"a", "b"})).name, "a") << "it has registered anew";
  bases.set("a", "", false);
  EXPECT_EQ(bases.partner_at(kBase, members({"b"})).name, "b");
  bases.set("t", kBase + "/services/t", false);
  EXPECT_TRUE(is_by_token(bases.partner_at(kBase, members({"b"}))));
  bases.set("b", kAddress, true);
  EXPECT_FALSE(is_by_token(bases.partner_at(kBase, nobody))) << "what was withdrawn is shown no token of another's";
}

TEST(PartnersTest, WhoCameByTheSitesTokenIsShownIt) {
  RegisteredBases bases;
  bases.set("a", "http://127.0.0.1:8471/services/a", false);
  EXPECT_TRUE(is_by_token(bases.partner_at("http://127.0.0.1:8471", nobody)));
  EXPECT_FALSE(is_by_token(bases.partner_at("http://127.0.0.1:8472", nobody))) << "nobody has registered there";
  EXPECT_EQ(bases.partner_at("http://127.0.0.1:8472", all).name, "");
  bases.set("a", "", false);
  EXPECT_FALSE(is_by_token(bases.partner_at("http://127.0.0.1:8471", nobody)));
}

TEST(PartnersTest, ARefusedPeerIsNotConnectedTo) {
  net::HttpClientOptions options;
  options.tls = [](std::string_view /*base*/) {
    net::TlsPeer peer;
    peer.refusal = "b was revoked";
    return peer;
  };
  options.may_connect = [](std::string_view /*address*/) {
    ADD_FAILURE() << "a connection is made";
    return false;
  };
  const auto client = net::HttpClient::make(std::move(options));
  net::ClientRequest request;
  request.url = "https://127.0.0.1:1/services/b";
  const auto answer = client->call(request);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kDenied);
  EXPECT_THAT(answer.error().to_string(), HasSubstr("https://127.0.0.1:1: b was revoked"));
  EXPECT_FALSE(client->open_stream(request));
}

}  // namespace
}  // namespace nuraghe::daemon
