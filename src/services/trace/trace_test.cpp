#include "services/trace/trace.hpp"

#include <gmock/gmock.h>

#include "services/testing.hpp"

namespace nuraghe::services::trace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using World = services::testing::World;
using namespace std::chrono_literals;

const std::string kAddress = "/services/trace";

exchange::Span span(std::uint64_t trace, std::uint64_t id, std::uint64_t parent = 99, const std::string& vo = "vo1") {
  exchange::Span made;
  made.trace = {7, trace};
  made.id = id;
  made.parent = parent;
  made.vo = vo;
  made.service = "vcf";
  made.operation = "plan";
  made.where = "control";
  made.start = TimePoint{static_cast<std::int64_t>(1'000 * id)};
  made.took = 5ms;
  return made;
}
std::string id_of(std::uint64_t trace) { return exchange::TraceId{7, trace}.to_string(); }

class TracesTest : public ::testing::Test {
 protected:
  TracesTest() { open(); }
  void open() {
    traces_ = std::make_unique<Traces>(buffer_, options_);
    world_.open({traces_.get()});
  }
  void reopen() {
    world_.close();
    open();
  }
  void store() {
    world_.post("trace", [&](exchange::Turn& turn) -> Status {
      TRY_ASSIGN(const bool is_more, traces_->store_waiting(turn));
      EXPECT_FALSE(is_more);
      return {};
    });
  }
  std::vector<std::string> told(std::uint64_t trace, const std::string& vo = "vo1") {
    const auto reply = world_.ask(contracts::trace::make_get_trace(kAddress, {id_of(trace)}), vo);
    if (reply.fault) return {World::fault_of(reply)};
    std::vector<std::string> ids;
    const auto response = contracts::trace::parse_get_trace_response(reply);
    for (const auto& one : response->span) ids.push_back(std::to_string(std::stoull(one.id, nullptr, 16)));
    return ids;
  }

  int due_ = 0;
  SpanBuffer buffer_{[this] { ++due_; }};
  TraceOptions options_;
  World world_;
  std::unique_ptr<Traces> traces_;
};

TEST_F(TracesTest, TellsWhatWaitsAndWhatIsStoredAsOne) {
  buffer_.add({span(1, 3), span(2, 4)});
  EXPECT_THAT(told(1), ElementsAre("3"));
  store();
  EXPECT_TRUE(buffer_.empty());
  buffer_.add({span(1, 2, 3)});
  EXPECT_THAT(told(1), ElementsAre("2", "3")) << "in order of beginning";
  store();
  reopen();
  EXPECT_THAT(told(1), ElementsAre("2", "3"));
  EXPECT_THAT(told(2), ElementsAre("4"));
  EXPECT_THAT(told(3), ElementsAre("not-found"));
}

TEST_F(TracesTest, ASpanIsToldWhole) {
  auto made = span(1, 0xab, 0xcd);
  made.kind = exchange::Span::Kind::kJob;
  made.fault = "exhausted";
  buffer_.add({made});
  store();
  const auto reply =
      contracts::trace::parse_get_trace_response(world_.ask(contracts::trace::make_get_trace(kAddress, {id_of(1)})));
  ASSERT_TRUE(reply);
  ASSERT_THAT(reply->span, SizeIs(1));
  EXPECT_EQ(reply->span[0], to_wire(made));
  EXPECT_EQ(reply->span[0].id, "00000000000000ab");
  EXPECT_EQ(reply->span[0].parent, "00000000000000cd");
  EXPECT_EQ(reply->span[0].kind, api::SpanKind::kJob);
  EXPECT_EQ(reply->span[0].fault, "exhausted");
  EXPECT_EQ(reply->span[0].took, 5ms);
}

TEST_F(TracesTest, AnotherOrganisationsPartOfATraceIsNotThere) {
  buffer_.add({span(1, 3), span(1, 4, 3, "vo2"), span(2, 5, 99, "vo2")});
  for (int round = 0; round < 2; ++round) {
    EXPECT_THAT(told(1), ElementsAre("3"));
    EXPECT_THAT(told(1, "vo2"), ElementsAre("4"));
    EXPECT_THAT(told(2), ElementsAre("not-found"));
    EXPECT_THAT(told(1, "vo3"), ElementsAre("not-found"));
    store();
  }
}

TEST_F(TracesTest, WhatIsNoIdIsRefused) {
  for (const std::string id : {"", "7", "00000000000000000000000000000000", "ZZ000000000000070000000000000001"})
    EXPECT_EQ(World::fault_of(world_.ask(contracts::trace::make_get_trace(kAddress, {id}))), "invalid") << id;
}

TEST_F(TracesTest, TheOldestGoWhenThereAreTooMany) {
  options_.limit = 10;
  reopen();
  for (std::uint64_t trace = 1; trace <= 20; ++trace) {
    buffer_.add({span(trace, 2), span(trace, 3)});
    store();
    EXPECT_LE(world_.keys("trace_span").size(), 6U);
    if (trace == 12) reopen();  // what there is is counted anew
  }
  EXPECT_THAT(told(1), ElementsAre("not-found"));
  EXPECT_THAT(told(15), ElementsAre("not-found"));
  EXPECT_THAT(told(16), ElementsAre("2", "3"));
  EXPECT_THAT(told(20), ElementsAre("2", "3"));
  EXPECT_EQ(world_.keys("trace_span").size(), world_.keys("trace_order").size());
}

TEST_F(TracesTest, TheOldGoByThemselves) {
  buffer_.add({span(1, 2)});
  store();
  world_.advance(options_.age - 1h, 30min);
  EXPECT_THAT(told(1), ElementsAre("2"));
  world_.advance(3h, 30min);
  EXPECT_THAT(told(1), ElementsAre("not-found"));
  EXPECT_THAT(world_.keys("trace_span"), IsEmpty());
  EXPECT_THAT(world_.keys("trace_order"), IsEmpty());
}

TEST_F(TracesTest, TellsABoundedNumber) {
  options_.told = 3;
  reopen();
  buffer_.add({span(1, 1), span(1, 2), span(1, 3)});
  auto ask = [&] {
    return contracts::trace::parse_get_trace_response(
        world_.ask(contracts::trace::make_get_trace(kAddress, {id_of(1)})));
  };
  EXPECT_FALSE(ask()->more);
  buffer_.add({span(1, 4)});
  EXPECT_TRUE(ask()->more);
  store();
  EXPECT_TRUE(ask()->more);
  EXPECT_THAT(ask()->span, SizeIs(3));
}

TEST_F(TracesTest, ControllersTellTheirs) {
  world_.send(make_record(kAddress, {span(1, 4, 3), span(2, 5)}), "");
  EXPECT_THAT(told(1), ElementsAre("4"));
  EXPECT_THAT(told(2), ElementsAre("5"));
  EXPECT_THAT(world_.keys("trace_span"), SizeIs(2));
}

TEST_F(TracesTest, WhatAControllerTellsIsChecked) {
  api::Recorded wrong{id_of(1), "vo1", to_wire(span(1, 4))};
  wrong.span.id = "4";
  EXPECT_EQ(from_wire(wrong).error().code(), ErrorCode::kInvalid);
  wrong.span.id = "0000000000000004";
  wrong.trace = std::string(32, '0');
  EXPECT_EQ(from_wire(wrong).error().code(), ErrorCode::kInvalid);
  wrong.trace = id_of(1);
  wrong.span.operation = std::string(100'000, 'x');
  wrong.span.took = -1s;
  const auto taken = from_wire(wrong);
  ASSERT_TRUE(taken);
  EXPECT_THAT(taken->operation, SizeIs(200));
  EXPECT_EQ(taken->took, 0s);
  std::vector<exchange::Span> many(1001, span(1, 4));
  world_.send(make_record(kAddress, many), "");
  EXPECT_THAT(world_.keys("trace_span"), IsEmpty());
}

// ---- the buffer ----

TEST(SpanBuffer, TellsOnceWhenThereIsEnoughOrTheFirstWaitsOrNothingIsToBeDone) {
  int due = 0;
  SpanBuffer buffer([&] { ++due; });
  buffer.add({});
  EXPECT_EQ(due, 0) << "there is nothing to take out";
  buffer.add({span(1, 1)});
  EXPECT_EQ(due, 0);
  buffer.add({});
  EXPECT_EQ(due, 1);
  buffer.add({});
  EXPECT_EQ(due, 1) << "it was told already";
  EXPECT_THAT(buffer.take(10), SizeIs(1));
  buffer.add(std::vector<exchange::Span>(SpanBuffer::kWorth, span(1, 2)));
  EXPECT_EQ(due, 2);
  EXPECT_THAT(buffer.take(10), SizeIs(10));
  EXPECT_THAT(buffer.take(10'000), SizeIs(SpanBuffer::kWorth - 10));
  auto late = span(1, 3);
  late.start = late.start + 1s;
  buffer.add({span(1, 2)});
  buffer.add({late});
  EXPECT_EQ(due, 3);
}

TEST(SpanBuffer, DropsWhatIsBeyondItsBound) {
  SpanBuffer buffer([] {});
  for (std::size_t i = 0; i < SpanBuffer::kLimit; i += 1024) buffer.add(std::vector<exchange::Span>(1024, span(1, 1)));
  buffer.add({span(1, 2), span(1, 3)});
  EXPECT_EQ(buffer.dropped(), 2);
  EXPECT_THAT(buffer.take(SpanBuffer::kLimit * 2), SizeIs(SpanBuffer::kLimit));
}

}  // namespace
}  // namespace nuraghe::services::trace
