#include "pki/pki.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "env/posix.hpp"
#include "pki/authority_folder.hpp"

namespace nuraghe::pki {
namespace {

constexpr TimePoint kNow{1'800'000'000'000'000};
constexpr Duration kYear = std::chrono::hours(24 * 365);
constexpr Duration kDay = std::chrono::hours(24);

template <class T>
T must(Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().to_string();
  return result ? std::move(*result) : T{};
}

class Folder {
 public:
  Folder() : path_((std::filesystem::temp_directory_path() / env::make_id(env::system_random(), "pki")).string()) {}
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Pki, ACertificateNamesItsMemberAndIsOfTheRequestsKey) {
  const auto authority = must(make_authority("cellar", kNow, kYear));
  const auto key = must(make_key());
  const auto request = must(make_request(key));
  const auto serial = must(make_serial());
  const auto certificate =
      must(issue(authority, request, {Kind::kHost, "host-2", {}}, serial, {kNow - kClockSlack, kNow + kDay}));
  const auto facts = must(facts_of(certificate));
  EXPECT_EQ(facts.serial, serial);
  EXPECT_EQ(facts.subject, "host-2");
  EXPECT_EQ(facts.uris, std::vector<std::string>{"urn:nuraghe:host:host-2"});
  EXPECT_EQ(facts.key, must(key_of_request(request)));
  EXPECT_EQ(facts.validity.from, kNow - kClockSlack);
  EXPECT_EQ(facts.validity.until, kNow + kDay);
  EXPECT_TRUE(check_signed_by(certificate, authority.certificate).has_value());
  EXPECT_EQ(host_of_uri(facts.uris.front()), "host-2");
  EXPECT_EQ(host_of_uri("urn:nuraghe:control"), "");
}

TEST(Pki, AServiceIsNoHostOfItsName) {
  const auto authority = must(make_authority("cellar", kNow, kYear));
  const auto request = must(make_request(must(make_key())));
  const auto certificate = must(issue(authority, request, {Kind::kService, "greeting", {}}, "42", {kNow, kNow + kDay}));
  const auto facts = must(facts_of(certificate));
  EXPECT_EQ(facts.uris, std::vector<std::string>{"urn:nuraghe:service:greeting"});
  EXPECT_EQ(host_of_uri(facts.uris.front()), "");
  EXPECT_EQ(dns_name(Kind::kService, "greeting"), "greeting.service.nuraghe.internal");
}

TEST(Pki, ACertificateOfAnotherAuthorityIsNotOfThisOne) {
  const auto ours = must(make_authority("cellar", kNow, kYear));
  const auto theirs = must(make_authority("cellar", kNow, kYear));
  const auto request = must(make_request(must(make_key())));
  const auto forged = must(issue(theirs, request, {Kind::kControl, "", {}}, "42", {kNow, kNow + kDay}));
  EXPECT_EQ(check_signed_by(forged, ours.certificate).error().code(), ErrorCode::kDenied);
  EXPECT_TRUE(check_signed_by(forged, ours.certificate + theirs.certificate).has_value());
  EXPECT_NE(must(facts_of(ours.certificate)).subject, must(facts_of(theirs.certificate)).subject);
}

TEST(Pki, NoCertificateOutlivesItsAuthority) {
  const auto authority = must(make_authority("cellar", kNow, kDay));
  const auto request = must(make_request(must(make_key())));
  const auto certificate = must(issue(authority, request, {Kind::kHost, "a", {}}, "42", {kNow, kNow + kYear}));
  EXPECT_EQ(must(facts_of(certificate)).validity.until, kNow + kDay);
  const auto late = issue(authority, request, {Kind::kHost, "a", {}}, "42", {kNow + kDay * 2, kNow + kYear});
  ASSERT_FALSE(late.has_value());
  EXPECT_NE(late.error().message().find("expired"), std::string::npos);
}

TEST(Pki, ARequestThatItsKeyDidNotSignIsRefused) {
  const auto one = must(make_request(must(make_key())));
  const auto other = must(make_request(must(make_key())));
  // The second half of another request: a signature that is not of this key.
  const auto middle = one.size() / 2;
  EXPECT_FALSE(key_of_request(one.substr(0, middle) + other.substr(middle)).has_value());
  for (const std::string& text : {std::string(), std::string("x"), std::string(100'000, 'A'), must(make_key())})
    EXPECT_EQ(key_of_request(text).error().code(), ErrorCode::kInvalid);
}

TEST(Pki, NamesCannotBreakOutOfTheirPlace) {
  const auto authority = must(make_authority("cellar", kNow, kYear));
  const auto request = must(make_request(must(make_key())));
  const Subject subject{
      Kind::kControl, "", {"10.0.0.1", "::1", "n,URI:urn:nuraghe:host:evil", "URI:urn:nuraghe:host:b"}};
  const auto certificate = issue(authority, request, subject, "42", {kNow, kNow + kDay});
  ASSERT_TRUE(certificate.has_value());
  EXPECT_EQ(must(facts_of(*certificate)).uris, std::vector<std::string>{"urn:nuraghe:control"});
}

TEST(Pki, RenewalIsDueAfterTwoThirds) {
  EXPECT_EQ(renewal_due({kNow - kClockSlack, kNow + kDay * 90}), kNow + kDay * 60);
}

TEST(AuthorityFolder, IsMadeOnceAndReadByItsOwnerAlone) {
  const Folder place;
  const AuthorityFolder folder(place.path());
  EXPECT_EQ(folder.signer().error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(folder.init("cellar", kNow, kYear).has_value());
  EXPECT_EQ(folder.init("cellar", kNow, kYear).error().code(), ErrorCode::kConflict);
  struct stat info {};
  ASSERT_EQ(::stat((place.path() + "/authority.pem").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(must(folder.signer()).certificate, must(folder.trusted()));
  ASSERT_EQ(::chmod((place.path() + "/authority.pem").c_str(), 0640), 0);
  EXPECT_EQ(folder.signer().error().code(), ErrorCode::kDenied);
}

TEST(AuthorityFolder, AnotherRootTakesItsPlaceInThreeSteps) {
  const Folder place;
  const AuthorityFolder folder(place.path());
  ASSERT_TRUE(folder.init("cellar", kNow, kYear).has_value());
  const auto before = must(folder.signer());
  EXPECT_EQ(folder.change_over().error().code(), ErrorCode::kConflict);
  ASSERT_TRUE(folder.prepare("cellar", kNow, kYear).has_value());
  EXPECT_EQ(folder.prepare("cellar", kNow, kYear).error().code(), ErrorCode::kConflict);
  EXPECT_EQ(folder.finish().error().code(), ErrorCode::kConflict);
  EXPECT_EQ(must(split(must(folder.trusted()))).size(), 2U);
  EXPECT_EQ(must(folder.signer()).certificate, before.certificate);
  ASSERT_TRUE(folder.change_over().has_value());
  EXPECT_NE(must(folder.signer()).certificate, before.certificate);
  EXPECT_EQ(must(split(must(folder.trusted()))).size(), 2U);
  EXPECT_EQ(folder.prepare("cellar", kNow, kYear).error().code(), ErrorCode::kConflict);
  ASSERT_TRUE(folder.finish().has_value());
  EXPECT_EQ(must(folder.trusted()), must(folder.signer()).certificate);
}

}  // namespace
}  // namespace nuraghe::pki
