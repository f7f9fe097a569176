#include "soap/envelope.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "env/posix.hpp"
#include "test_folders.hpp"
#include "xml/schema.hpp"

namespace nuraghe::soap {
namespace {

using exchange::Message;
using ::testing::HasSubstr;
using Code = ProtocolFault::Code;

constexpr const char* kVhf = "urn:nuraghe:vhf:1";

xml::DocumentPtr body(const std::string& text) {
  auto document = xml::Document::parse(text);
  EXPECT_TRUE(document) << document.error().to_string();
  return std::move(*document).share();
}

std::string standard(const std::string& path) {
  auto text = env::read_file(std::string(NURAGHE_SOURCE_DIR) + "/contracts/" + path);
  EXPECT_TRUE(text) << text.error().to_string();
  return text.value_or("");
}

std::pair<std::string, std::string> with_text(const std::string& path) { return {path, standard(path)}; }

// SOAP 1.1, WS-Addressing, and Nuraghe's headers and fault detail, as one schema.
const xml::Schema& envelope_schema() {
  static const xml::Schema schema = [] {
    const std::map<std::string, std::string> files = {
        {"main.xsd",
         "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'>"
         "<xs:import namespace='http://schemas.xmlsoap.org/soap/envelope/' "
         "schemaLocation='standards/soap/soap11-envelope.xsd'/>"
         "<xs:import namespace='http://www.w3.org/2005/08/addressing' schemaLocation='standards/wsa/ws-addr.xsd'/>"
         "<xs:import namespace='urn:nuraghe:context:1' schemaLocation='context.xsd'/>"
         "<xs:import namespace='urn:nuraghe:fault:1' schemaLocation='fault.xsd'/></xs:schema>"},
        with_text("standards/soap/soap11-envelope.xsd"),
        with_text("standards/wsa/ws-addr.xsd"),
        with_text("standards/wsrf/bf-2.xsd"),
        with_text("standards/wsdl/xml.xsd"),
        with_text("context.xsd"),
        with_text("fault.xsd")};
    auto compiled = xml::Schema::compile("main.xsd", files);
    EXPECT_TRUE(compiled) << compiled.error().to_string();
    return std::move(*compiled);
  }();
  return schema;
}

void expect_valid(const std::string& text) {
  const auto document = xml::Document::parse(text);
  ASSERT_TRUE(document) << document.error().to_string() << "\n" << text;
  for (const auto& finding : envelope_schema().validate(*document)) {
    ADD_FAILURE() << finding.to_string() << "\n" << text;
  }
}

Message request() {
  Message message;
  message.message_id = "urn:uuid:1";
  message.to = "http://127.0.0.1:1/services/vhf";
  message.operation = "reserve";
  message.body = body("<v:reserve xmlns:v='urn:nuraghe:vhf:1'><v:cluster>a &lt; b</v:cluster></v:reserve>");
  message.vo = "physics & co";
  message.caller = "token:admin";
  message.conversation = "wf-1";
  message.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  return message;
}

std::string envelope(const std::string& header, const std::string& content) {
  return "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' "
         "xmlns:a='http://www.w3.org/2005/08/addressing' xmlns:c='urn:nuraghe:context:1'><s:Header>" +
         header + "</s:Header><s:Body>" + content + "</s:Body></s:Envelope>";
}
const std::string kPayload = "<reserve xmlns='urn:nuraghe:vhf:1'/>";

TEST(Envelope, ARequestRoundTrips) {
  const Message sent = request();
  const std::string text = encode(sent);
  expect_valid(text);
  DecodeOptions trusting;
  trusting.trust_context = true;
  const auto got = decode_request(text, trusting);
  ASSERT_TRUE(got) << got.error().reason;
  EXPECT_TRUE(got->had_message_id);
  EXPECT_EQ(got->action, "urn:nuraghe:vhf:1:reserve");
  EXPECT_EQ(got->message.message_id, sent.message_id);
  EXPECT_EQ(got->message.to, sent.to);
  EXPECT_EQ(got->message.operation, "reserve");
  EXPECT_EQ(got->message.vo, sent.vo);
  EXPECT_EQ(got->message.caller, sent.caller);
  EXPECT_EQ(got->message.conversation, sent.conversation);
  EXPECT_EQ(got->message.traceparent, sent.traceparent);
  EXPECT_FALSE(got->message.one_way);
  EXPECT_TRUE(xml::equivalent(got->message.body->root(), sent.body->root()));
}

TEST(Envelope, WhoCallsIsNotBelievedFromOutside) {
  const auto got = decode_request(encode(request()));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->message.caller, "");
  EXPECT_EQ(got->message.vo, "");
  EXPECT_EQ(got->message.conversation, "wf-1");
}

TEST(Envelope, RepliesAndFaultsRoundTrip) {
  Message reply;
  reply.message_id = "urn:uuid:2";
  reply.relates_to = "urn:uuid:1";
  reply.operation = "reserve";
  reply.body = body("<reserveResponse xmlns='urn:nuraghe:vhf:1'><ok>true</ok></reserveResponse>");
  const std::string text = encode(reply, {Version::k11, reply_action("urn:nuraghe:vhf:1:VHF:reserveRequest")});
  expect_valid(text);
  EXPECT_THAT(text, HasSubstr("<wsa:Action>urn:nuraghe:vhf:1:VHF:reserveResponse</wsa:Action>"));
  const auto got = decode_reply(text);
  ASSERT_TRUE(got) << got.error().to_string();
  EXPECT_EQ(got->relates_to, "urn:uuid:1");
  EXPECT_TRUE(xml::equivalent(got->body->root(), reply.body->root()));

  reply.body = nullptr;
  reply.fault = exchange::fault_of(exhausted("12 GiB are missing").with("placing host w3"), "vhf", {});
  const std::string faulty = encode(reply);
  expect_valid(faulty);
  const auto fault = decode_reply(faulty);
  ASSERT_TRUE(fault && fault->fault);
  EXPECT_FALSE(fault->body);
  EXPECT_FALSE(fault->fault->from_sender);
  EXPECT_EQ(fault->fault->code, ErrorCode::kExhausted);
  EXPECT_EQ(exchange::error_of(*fault->fault).to_string(), "placing host w3: 12 GiB are missing");
}

TEST(Envelope, AnEmptyReplyHasNoBody) {
  Message reply;
  reply.relates_to = "urn:uuid:1";
  const auto got = decode_reply(encode(reply));
  ASSERT_TRUE(got);
  EXPECT_FALSE(got->body);
  EXPECT_FALSE(got->fault);
}

TEST(Envelope, AOneWayRequestAsksForNoReply) {
  Message message = request();
  message.one_way = true;
  const std::string text = encode(message);
  expect_valid(text);
  const auto got = decode_request(text);
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->message.one_way);
}

TEST(Envelope, TheOperationIsTheBodysNameUnlessTheActionNamesAnother) {
  const struct {
    const char* action;
    const char* operation;
  } cases[] = {{"", "reserve"},
               {"urn:nuraghe:vhf:1:VHF:reserveRequest", "reserve"},
               {"urn:nuraghe:vhf:1:reserveRequest", "reserve"},
               {"urn:nuraghe:vhf:1:other", "other"},
               {"urn:nuraghe:vhf:1/other", "other"},
               {"urn:nuraghe:vhf:1", "reserve"},
               {"http://example.org/other", "reserve"}};
  for (const auto& one : cases) {
    const std::string quoted = '"' + std::string(one.action) + '"';
    DecodeOptions options;
    options.soap_action = quoted;
    const auto by_http = decode_request(envelope("", kPayload), options);
    ASSERT_TRUE(by_http);
    EXPECT_EQ(by_http->message.operation, one.operation) << one.action;
    EXPECT_FALSE(by_http->had_message_id);
    const auto by_header = decode_request(envelope("<a:Action>" + std::string(one.action) + "</a:Action>", kPayload));
    ASSERT_TRUE(by_header);
    EXPECT_EQ(by_header->message.operation, one.operation) << one.action;
  }
}

TEST(Envelope, AnAnswersAddressHasParameters) {
  const std::string reply_to =
      "<a:ReplyTo><a:Address> http://h/x </a:Address><a:ReferenceParameters><k:k xmlns:k='urn:k'>v</k:k>"
      "</a:ReferenceParameters></a:ReplyTo>";
  DecodeOptions options;
  options.any_reply_address = true;
  const auto request = decode_request(envelope(reply_to, kPayload), options);
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->reply_to.is_elsewhere());
  EXPECT_EQ(request->reply_to.address, "http://h/x");
  EXPECT_FALSE(request->fault_to.is_elsewhere());
  ASSERT_NE(request->reply_to.parameters, nullptr);
  // They stand in the header of a fault too, whose body they do not touch.
  exchange::Message fault;
  fault.relates_to = "urn:1";
  fault.body = request->reply_to.parameters;
  fault.fault.emplace().reason = "no";
  const std::string text = encode(fault);
  EXPECT_NE(text.find("IsReferenceParameter=\"true\">v</k:k></soap:Header><soap:Body><soap:Fault>"), std::string::npos)
      << text;
}

TEST(Envelope, WhatCannotBeServedIsTheRightFault) {
  const std::string twice = "<a:MessageID>1</a:MessageID><a:MessageID>2</a:MessageID>";
  const std::string reply_to = "<a:ReplyTo><a:Address>http://h/x</a:Address></a:ReplyTo>";
  const std::string soap12 = "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body/></s:Envelope>";
  const struct {
    std::string text;
    Code code;
    const char* says;
  } cases[] = {
      {"", Code::kMalformed, ""},
      {"<a>", Code::kMalformed, ""},
      {"<a/>", Code::kMalformed, "not a SOAP Envelope"},
      {"<!DOCTYPE x><s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'/>", Code::kMalformed,
       "document type"},
      {"<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'/>", Code::kMalformed, "no Body"},
      {soap12, Code::kVersionMismatch, "SOAP 1.1"},
      {envelope("", ""), Code::kClient, "no element"},
      {envelope("", kPayload + kPayload), Code::kClient, "more than one"},
      {envelope("", "<s:Fault/>"), Code::kClient, "cannot be a Fault"},
      {envelope("<x:Security xmlns:x='urn:x' s:mustUnderstand='1'/>", kPayload), Code::kMustUnderstand,
       "{urn:x}Security"},
      {envelope(twice, kPayload), Code::kWsAddressing, "MessageID stands there twice"},
      {envelope(reply_to, kPayload), Code::kWsAddressing, "http://h/x"},
  };
  for (const auto& one : cases) {
    const auto got = decode_request(one.text);
    ASSERT_FALSE(got) << one.text;
    EXPECT_EQ(got.error().code, one.code) << one.text;
    EXPECT_THAT(got.error().reason, HasSubstr(one.says)) << one.text;
    const std::string fault = encode(got.error(), {});
    expect_valid(fault);
    const auto decoded = decode_reply(fault);
    ASSERT_TRUE(decoded && decoded->fault) << fault;
    EXPECT_EQ(decoded->fault->reason, got.error().reason);
  }
}

TEST(Envelope, FaultCodesAreThoseOfTheStandards) {
  EXPECT_THAT(encode(ProtocolFault{Code::kMalformed, "r", "", ""}, {}),
              HasSubstr("<faultcode>soap:Client</faultcode>"));
  EXPECT_THAT(encode(ProtocolFault{Code::kServer, "r", "", ""}, {}), HasSubstr("<faultcode>soap:Server</faultcode>"));
  EXPECT_THAT(encode(ProtocolFault{Code::kVersionMismatch, "r", "", ""}, {}), HasSubstr("soap:VersionMismatch<"));
  EXPECT_THAT(encode(ProtocolFault{Code::kMustUnderstand, "r", "", ""}, {}), HasSubstr("soap:MustUnderstand<"));
  EXPECT_THAT(encode(ProtocolFault{Code::kWsAddressing, "r", "InvalidAddressingHeader", "urn:m"}, {}),
              HasSubstr("<faultcode>wsa:InvalidAddressingHeader</faultcode>"));
}

TEST(Envelope, HeadersForOthersAreLeftAlone) {
  const std::string other = "<x:H xmlns:x='urn:x' s:mustUnderstand='1' s:actor='http://else/where'/>";
  EXPECT_TRUE(decode_request(envelope(other, kPayload)));
  const std::string next =
      "<x:H xmlns:x='urn:x' s:mustUnderstand='1' s:actor='http://schemas.xmlsoap.org/soap/actor/next'/>";
  EXPECT_FALSE(decode_request(envelope(next, kPayload)));
  EXPECT_TRUE(decode_request(envelope("<x:H xmlns:x='urn:x'/>", kPayload)));
}

TEST(Envelope, PrefixesUsedInContentStayBound) {
  const auto got = decode_request(
      "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:q='urn:q' "
      "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'><s:Body><op xmlns='urn:o'><name>q:thing</name></op>"
      "</s:Body></s:Envelope>");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->message.body->root().namespace_of_prefix("q"), "urn:q");
  const auto again = xml::Document::parse(got->message.body->to_string());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->root().namespace_of_prefix("q"), "urn:q");
}

TEST(Envelope, BombsAndExternalEntitiesAreRefused) {
  const std::string bomb = "<!DOCTYPE b [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]>" + envelope("", "<x>&b;</x>");
  const std::string external = "<!DOCTYPE b [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>" + envelope("", "<x>&a;</x>");
  std::string deep = kPayload;
  for (int i = 0; i < 300; ++i) deep = "<d>" + deep + "</d>";
  for (const std::string& text : {bomb, external, envelope("", deep)}) {
    const auto got = decode_request(text);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, Code::kMalformed);
    EXPECT_THAT(got.error().reason, ::testing::Not(HasSubstr("root:")));
  }
  DecodeOptions small;
  small.max_size = Bytes{100};
  EXPECT_FALSE(decode_request(envelope("", kPayload), small));
}

TEST(Envelope, DefaultActionsFollowTheNamespacesForm) {
  Message message = request();
  EXPECT_EQ(default_action(message), std::string(kVhf) + ":reserve");
  message.body = body("<x xmlns='http://h/ns'/>");
  EXPECT_EQ(default_action(message), "http://h/ns/reserve");
  message.body = body("<x xmlns='http://h/ns/'/>");
  EXPECT_EQ(default_action(message), "http://h/ns/reserve");
  message.body = body("<x/>");
  EXPECT_EQ(default_action(message), "reserve");
  EXPECT_EQ(reply_action("urn:x:op"), "urn:x:opResponse");
}

}  // namespace
}  // namespace nuraghe::soap
