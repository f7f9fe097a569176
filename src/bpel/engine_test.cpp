#include "bpel/engine.hpp"

#include <gtest/gtest.h>

#include "bpel/testing.hpp"

namespace nuraghe::bpel {
namespace {

using testing::Answer;
using testing::kReceive;
using testing::kReply;
using testing::process_text;
using testing::round_trip;
using testing::set_reply;
using testing::World;

TEST(Engine, AnswersARequest) {
  World world(
      process_text("<sequence>" + kReceive + set_reply("concat('hello ', $request.p)") + kReply + "</sequence>"));
  const auto id = world.request("start", "you");
  EXPECT_EQ(world.answer_text(id), "hello you");
  const auto all = world.instances();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].state, "completed");
  EXPECT_EQ(all[0].vo, "vo1");
  world.expect_clean();
  world.expect_replays();
}

TEST(Engine, InvokesAPartner) {
  World world(process_text("<sequence>" + kReceive + "@call(A)" + set_reply("$out_A") + kReply + "</sequence>"));
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.answer_text(id), "A");
  ASSERT_EQ(world.log->requests.size(), 1U);
  EXPECT_EQ(world.log->requests[0].vo, "vo1");
  EXPECT_EQ(world.log->requests[0].caller, "tester");
  EXPECT_EQ(world.log->requests[0].conversation, world.instances()[0].id);
  world.expect_clean();
  world.expect_replays();
}

TEST(Engine, OperationsThatNobodyServesAreRefused) {
  World world(process_text(round_trip("@A")));
  const auto id = world.request("more", "x");
  ASSERT_TRUE(world.answers[id].fault.has_value());
  EXPECT_EQ(world.answers[id].fault->code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace nuraghe::bpel
