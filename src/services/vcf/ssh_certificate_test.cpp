#include "services/vcf/ssh_certificate.hpp"

#include <gmock/gmock.h>
#include <rapidcheck.h>
#include <unistd.h>

#include "env/posix.hpp"
#include "env/sim.hpp"

namespace nuraghe::services::vcf {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A folder of its own, gone in the end.
class SshCertificate : public ::testing::Test {
 protected:
  SshCertificate() { EXPECT_TRUE(env::make_directories(folder_, 0700)); }
  ~SshCertificate() override { EXPECT_TRUE(env::remove_tree(folder_)); }

  // The public half of a key that OpenSSH makes.
  std::string make_key(const std::string& type, const std::string& bits = "") {
    const std::string path = folder_ + "/key-" + type + bits;
    std::vector<std::string> argv{"ssh-keygen", "-q", "-t", type, "-N", "", "-C", "a comment", "-f", path};
    if (!bits.empty()) argv.insert(argv.end(), {"-b", bits});
    const auto made = env::run_command_ok(argv);
    EXPECT_TRUE(made) << made.error().to_string();
    return env::read_file(path + ".pub", kib(16)).value_or("");
  }
  // What OpenSSH says of a certificate; it refuses one whose signature is wrong.
  Result<std::string> shown(const std::string& certificate) {
    const std::string path = folder_ + "/cert.pub";
    EXPECT_TRUE(env::write_file_durably(path, certificate + "\n", 0600));
    return env::run_command_ok({"ssh-keygen", "-L", "-f", path});
  }
  UserCertificate certificate_of(const std::string& key) {
    UserCertificate certificate;
    certificate.subject = parse_ssh_public_key(key).value();
    certificate.serial = 4711;
    certificate.key_id = "member:alice@bio";
    certificate.principals = {"root"};
    certificate.valid_after = parse_time("2030-01-31T12:00:00Z").value();
    certificate.valid_before = parse_time("2030-01-31T12:00:50Z").value();
    return certificate;
  }

  std::string folder_ = ::testing::TempDir() + "/ssh-certificate-" + std::to_string(::getpid());
  env::SimRandom random_{3};
  std::string seed_ = make_signing_seed(random_);
};

TEST_F(SshCertificate, OpenSshTakesItForEveryTypeOfKey) {
  for (const auto& [type, bits] : std::vector<std::pair<std::string, std::string>>{
           {"ed25519", ""}, {"ecdsa", "256"}, {"ecdsa", "384"}, {"ecdsa", "521"}, {"rsa", "2048"}}) {
    const auto signed_one = sign_certificate(certificate_of(make_key(type, bits)), seed_, random_);
    ASSERT_TRUE(signed_one) << type << bits;
    const auto text = shown(*signed_one);
    ASSERT_TRUE(text) << type << bits << ": " << text.error().to_string();
    EXPECT_THAT(*text,
                AllOf(HasSubstr("user certificate"), HasSubstr("Key ID: \"member:alice@bio\""),
                      HasSubstr("Serial: 4711"), HasSubstr("permit-pty"), HasSubstr("Critical Options: (none)")));
    EXPECT_THAT(*text, ::testing::ContainsRegex("Principals: *\n *root\n"));
    EXPECT_THAT(*text, ::testing::ContainsRegex("Signing CA: ED25519 SHA256:"));
  }
}

TEST_F(SshCertificate, SaysUntilWhenAndBySigningKey) {
  const auto key = make_key("ed25519");
  const auto signed_one = sign_certificate(certificate_of(key), seed_, random_);
  ASSERT_TRUE(signed_one);
  EXPECT_THAT(*signed_one, StartsWith("ssh-ed25519-cert-v01@openssh.com "));
  const auto text = shown(*signed_one);
  ASSERT_TRUE(text);
  const auto authority = parse_ssh_public_key(signing_public_key(seed_).value() + " x");
  ASSERT_TRUE(authority);
  EXPECT_THAT(*text, HasSubstr("Signing CA: ED25519 " + authority->fingerprint()));
  EXPECT_THAT(*text, HasSubstr(":50")) << "the seconds of its end, in whatever zone";
}

TEST_F(SshCertificate, OneThatWasChangedIsRefused) {
  auto signed_one = sign_certificate(certificate_of(make_key("ed25519")), seed_, random_).value();
  ASSERT_TRUE(shown(signed_one));
  const auto middle = signed_one.find(' ') + 200;
  signed_one[middle] = signed_one[middle] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(shown(signed_one));
}

TEST_F(SshCertificate, FingerprintsAreOpenSshs) {
  const auto key = make_key("ed25519");
  const auto said = env::run_command_ok({"ssh-keygen", "-l", "-f", folder_ + "/key-ed25519.pub"});
  ASSERT_TRUE(said);
  EXPECT_THAT(*said, HasSubstr(parse_ssh_public_key(key)->fingerprint() + " "));
}

TEST_F(SshCertificate, AKeyIsTheSameWhateverItsComment) {
  const auto key = make_key("ed25519");
  const auto parsed = parse_ssh_public_key(key);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parse_ssh_public_key(parsed->line() + " other words")->line(), parsed->line());
  EXPECT_EQ(parse_ssh_public_key("  " + parsed->line() + " \r\n")->line(), parsed->line());
}

TEST_F(SshCertificate, WhatIsNoPublicKeyIsRefusedAndSaysWhy) {
  const auto reason = [](const std::string& text) {
    const auto parsed = parse_ssh_public_key(text);
    EXPECT_FALSE(parsed) << text;
    return parsed ? std::string() : parsed.error().to_string();
  };
  const auto sound = parse_ssh_public_key(make_key("ed25519"))->line();
  EXPECT_THAT(reason(""), HasSubstr("TYPE BASE64 COMMENT"));
  EXPECT_THAT(reason("ssh-ed25519"), HasSubstr("TYPE BASE64 COMMENT"));
  EXPECT_THAT(reason(sound + "\n" + sound), HasSubstr("one line"));
  EXPECT_THAT(reason("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA"), HasSubstr("private key"));
  EXPECT_THAT(reason("command=\"sh\" " + sound), HasSubstr("is not a type of ssh key"));
  EXPECT_THAT(reason("ssh-dss AAAA"), HasSubstr("is not a type of ssh key"));
  EXPECT_THAT(reason("ssh-ed25519-cert-v01@openssh.com AAAA"), HasSubstr("is not a type of ssh key"));
  EXPECT_THAT(reason("ssh-ed25519 %%%%"), HasSubstr("not in base64"));
  EXPECT_THAT(reason("ssh-ed25519 AAAA"), HasSubstr("are not one"));
  EXPECT_THAT(reason("ecdsa-sha2-nistp256" + sound.substr(sound.find(' '))), HasSubstr("are not one"));
  EXPECT_THAT(reason(sound.substr(0, sound.size() - 4)), HasSubstr("are not one"));
  EXPECT_THAT(reason(make_key("rsa", "1024")), HasSubstr("2048 bits"));
  EXPECT_THAT(reason("ssh-ed25519 " + std::string(10'000, 'A')), HasSubstr("TYPE BASE64"));
}

TEST_F(SshCertificate, AnyTextIsAnsweredSoundly) {
  const auto sound = parse_ssh_public_key(make_key("ed25519"))->line();
  rc::check([](const std::string& text) { static_cast<void>(parse_ssh_public_key(text)); });
  rc::check([&] {
    std::string text = sound;
    text[*rc::gen::inRange<std::size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
    if (const auto parsed = parse_ssh_public_key(text))
      RC_ASSERT(parse_ssh_public_key(parsed->line())->line() == parsed->line());
  });
}

TEST_F(SshCertificate, NeedsAnAccount) {
  auto certificate = certificate_of(make_key("ed25519"));
  certificate.principals.clear();
  EXPECT_FALSE(sign_certificate(certificate, seed_, random_)) << "none would mean any";
}

}  // namespace
}  // namespace nuraghe::services::vcf
