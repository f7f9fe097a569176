// SOAP 1.2 envelopes (SOAP 1.2 part 1 §5) beside those of 1.1.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "soap/envelope.hpp"

namespace nuraghe::soap {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Code = ProtocolFault::Code;

std::string envelope(const std::string& header, const std::string& body) {
  return "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope' "
         "xmlns:wsa='http://www.w3.org/2005/08/addressing'>"
         "<e:Header>" +
         header + "</e:Header><e:Body>" + body + "</e:Body></e:Envelope>";
}

DecodeOptions both() {
  DecodeOptions options;
  options.speaks_12 = true;
  return options;
}

exchange::Message message() {
  exchange::Message made;
  made.message_id = "urn:uuid:1";
  made.operation = "ask";
  auto body = xml::Document::parse("<ask xmlns='urn:u'>x</ask>");
  made.body = std::move(*body).share();
  return made;
}

TEST(Envelope12, RequestsGoRound) {
  const auto text = encode(message(), {Version::k12, "urn:u:ask"});
  const auto decoded = decode_request(text, both());
  ASSERT_TRUE(decoded) << decoded.error().reason;
  EXPECT_EQ(decoded->version, Version::k12);
  EXPECT_EQ(decoded->message.message_id, "urn:uuid:1");
  EXPECT_EQ(decoded->message.operation, "ask");
  EXPECT_TRUE(decoded->addressed);
}

TEST(Envelope12, AnotherVersionThanSpokenIsNamed) {
  DecodeOptions only_12 = both();
  only_12.speaks_11 = false;
  const auto old = decode_request(encode(message()), only_12);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, Code::kVersionMismatch);
  EXPECT_EQ(old.error().version, Version::k11) << "its sender understands 1.1";
  EXPECT_THAT(old.error().reason, HasSubstr("speaks SOAP 1.2"));
  const auto fresh = decode_request(encode(message(), {Version::k12, ""}));
  ASSERT_FALSE(fresh);
  EXPECT_EQ(fresh.error().code, Code::kVersionMismatch);
  EXPECT_THAT(encode(fresh.error(), {}), HasSubstr("<faultcode>soap:VersionMismatch"));
  EXPECT_THAT(encode(fresh.error(), {}), HasSubstr("SupportedEnvelope xmlns:v=\"" + std::string(kEnvelope11)));
}

TEST(Envelope12, FaultsGoRound) {
  exchange::Message reply;
  reply.relates_to = "urn:uuid:1";
  reply.fault = exchange::fault_of(not_found("no such thing"), "shop", {});
  const auto text = encode(reply, {Version::k12, ""});
  EXPECT_THAT(text, HasSubstr("<soap:Value>soap:Sender</soap:Value>"));
  EXPECT_THAT(text, HasSubstr("<soap:Text xml:lang=\"en\">"));
  const auto decoded = decode_reply(text);
  ASSERT_TRUE(decoded) << decoded.error().to_string();
  ASSERT_TRUE(decoded->fault);
  EXPECT_EQ(decoded->fault->code, ErrorCode::kNotFound);
  EXPECT_TRUE(decoded->fault->from_sender);
  EXPECT_EQ(decoded->fault->reason, reply.fault->reason);
}

TEST(Envelope12, MustUnderstandIsRefusedInItsOwnVersion) {
  const auto refused =
      decode_request(envelope("<x xmlns='urn:x' e:mustUnderstand='true'/>", "<a xmlns='urn:u'/>"), both());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kMustUnderstand);
  EXPECT_EQ(refused.error().version, Version::k12);
  EXPECT_THAT(encode(refused.error(), {}), HasSubstr("<soap:Value>soap:MustUnderstand</soap:Value>"));
  EXPECT_THAT(encode(refused.error(), {}), HasSubstr("<soap:NotUnderstood xmlns:h="));
  const auto other = "<x xmlns='urn:x' e:mustUnderstand='true' e:role='urn:somebody'/>";
  EXPECT_TRUE(decode_request(envelope(other, "<a xmlns='urn:u'/>"), both()));
}

TEST(Envelope12, WhoSentNoAddressingGetsNone) {
  exchange::Message reply = message();
  reply.relates_to = "urn:uuid:1";
  const auto text = encode(reply, {Version::k11, "", false});
  EXPECT_THAT(text, Not(HasSubstr("Header")));
  ASSERT_TRUE(decode_reply(text));
  EXPECT_EQ(decode_reply(text)->body->root().text(), "x");
}

}  // namespace
}  // namespace nuraghe::soap
