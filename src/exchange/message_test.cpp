#include "exchange/message.hpp"

#include <gtest/gtest.h>

#include "exchange/test_world.hpp"

namespace nuraghe::exchange {
namespace {

TEST(Message, IsStoredAndReadBackWhole) {
  Message message = testing::request_to("/services/x", "do", "urn:1", "text with <markup> & more");
  message.relates_to = "urn:0";
  message.one_way = true;
  message.vo = "v";
  message.caller = "token:admin";
  message.conversation = "c";
  message.traceparent = "t";
  message.tracestate = "s=1";
  message.reached_at = "https://10.0.0.1:8470";
  const Message back = decode_message(encode_message(message)).value();
  EXPECT_EQ(back.reached_at, message.reached_at);
  EXPECT_EQ(back.message_id, "urn:1");
  EXPECT_EQ(back.to, "/services/x");
  EXPECT_EQ(back.operation, "do");
  EXPECT_EQ(back.relates_to, "urn:0");
  EXPECT_TRUE(xml::equivalent(back.body->root(), message.body->root()));
  EXPECT_FALSE(back.fault);
  EXPECT_TRUE(back.one_way);
  EXPECT_EQ(back.vo, "v");
  EXPECT_EQ(back.caller, "token:admin");
  EXPECT_EQ(back.conversation, "c");
  EXPECT_EQ(back.traceparent, "t");
  EXPECT_EQ(back.tracestate, "s=1");
}

TEST(Message, FaultsKeepCodeMessageAndContext) {
  const Error error = exhausted("3 of 4 hosts fit; 2 GiB are missing").with("placing").with("creating cluster a");
  Message message;
  message.message_id = "urn:2";
  message.fault = fault_of(error, "vhf", TimePoint{1'000'000});
  const Message back = decode_message(encode_message(message)).value();
  ASSERT_TRUE(back.fault);
  EXPECT_EQ(back.body, nullptr);
  EXPECT_EQ(back.fault->code, ErrorCode::kExhausted);
  EXPECT_FALSE(back.fault->from_sender);
  EXPECT_EQ(back.fault->reason, "creating cluster a: placing: 3 of 4 hosts fit; 2 GiB are missing");
  const xml::Node detail = back.fault->detail->root();
  EXPECT_TRUE(detail.is("urn:nuraghe:fault:1", "fault"));
  EXPECT_EQ(code_of(detail), ErrorCode::kExhausted);
  const Error restored = error_of(*back.fault);
  EXPECT_EQ(restored.code(), error.code());
  EXPECT_EQ(restored.to_string(), error.to_string());
}

TEST(Message, AForeignFaultBecomesAnErrorByItsReason) {
  Fault fault;
  fault.reason = "the partner says no";
  fault.code = ErrorCode::kUnavailable;
  fault.detail = testing::body_of("whatever");
  EXPECT_EQ(error_of(fault).to_string(), "the partner says no");
  EXPECT_EQ(error_of(fault).code(), ErrorCode::kUnavailable);
}

TEST(Message, DamagedBytesAreCorrupt) {
  const std::string bytes = encode_message(testing::request_to("/x", "do", "urn:1"));
  EXPECT_EQ(decode_message(bytes.substr(0, bytes.size() - 3)).error().code(), ErrorCode::kCorrupt);
  EXPECT_FALSE(decode_message("garbage"));
}

}  // namespace
}  // namespace nuraghe::exchange
