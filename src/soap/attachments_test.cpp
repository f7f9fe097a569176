#include "soap/attachments.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "soap/envelope.hpp"

namespace nuraghe::soap {
namespace {

using ::testing::HasSubstr;

std::string parts(const std::string& headers) {
  return "--cut\r\nContent-ID: <image>\r\nContent-Type: image/png\r\n\r\nnot XML\r\n--cut\r\nContent-ID: <root>\r\n" +
         headers + "\r\n<Envelope/>\r\n--cut--\r\n";
}

TEST(AttachmentsTest, AnyOtherBodyIsTheEnvelope) {
  for (const char* type : {"text/xml; charset=utf-8", "", "multipart/mixed; boundary=cut"}) {
    const auto part = envelope_part(type, "--cut");
    ASSERT_TRUE(part);
    EXPECT_EQ(part->text, "--cut");
    EXPECT_EQ(charset_of(part->type), type[0] == 't' ? "utf-8" : "");
  }
  EXPECT_EQ(charset_of(net::parse_media_type("text/xml; charset='latin1'")), "latin1");
}

TEST(AttachmentsTest, TheRootSaysWhatItIs) {
  const std::string body = parts("Content-Type: Text/XML; charset=latin1\r\nContent-Transfer-Encoding: 8bit\r\n");
  const auto part = envelope_part("Multipart/Related; boundary=cut; start=\"<root>\"; type=\"application/xml\"", body);
  ASSERT_TRUE(part) << part.error().message();
  EXPECT_EQ(part->type.name, "text/xml");
  EXPECT_EQ(charset_of(part->type), "latin1");
  EXPECT_EQ(part->text, "<Envelope/>");
}

TEST(AttachmentsTest, ARootWithoutTypeIsOfTheTypeOfAll) {
  const auto part = envelope_part("multipart/related; boundary=cut; start=root; type=\"text/xml\"", parts(""));
  ASSERT_TRUE(part) << part.error().message();
  EXPECT_EQ(part->type.name, "text/xml");
}

TEST(AttachmentsTest, XopSaysWhatStandsBehindIt) {
  const std::string type = "multipart/related; boundary=cut; start=\"<root>\"; type=\"application/xop+xml\"";
  const auto soap11 =
      envelope_part(type, parts("Content-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\"\r\n"));
  ASSERT_TRUE(soap11) << soap11.error().message();
  EXPECT_EQ(soap11->type.name, "text/xml");
  EXPECT_EQ(charset_of(soap11->type), "UTF-8");
  // MTOM §3.2: the action is a parameter of the type in the parameter; some write it beside.
  for (const char* said :
       {R"(type="application/soap+xml; action=\"urn:act\"")", R"(type="application/soap+xml"; action="urn:act")"}) {
    const auto soap12 = envelope_part(type, parts(std::string("Content-Type: application/xop+xml; ") + said + "\r\n"));
    ASSERT_TRUE(soap12) << soap12.error().message();
    EXPECT_EQ(soap12->type.name, "application/soap+xml");
    EXPECT_EQ(soap12->type.parameter("action"), "urn:act");
  }
}

TEST(AttachmentsTest, WhatCannotBeReadIsRefused) {
  const auto no_root = envelope_part("multipart/related; boundary=cut; start=other", parts(""));
  ASSERT_FALSE(no_root);
  EXPECT_EQ(no_root.error().code(), ErrorCode::kInvalid);
  const auto encoded = envelope_part("multipart/related; boundary=cut; start=root",
                                     parts("Content-Type: text/xml\r\nContent-Transfer-Encoding: Base64\r\n"));
  ASSERT_FALSE(encoded);
  EXPECT_EQ(encoded.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(encoded.error().message(), HasSubstr("base64"));
}

}  // namespace
}  // namespace nuraghe::soap
