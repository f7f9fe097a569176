#include "hypervisor/wait.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace nuraghe::hypervisor {
namespace {

using namespace std::chrono_literals;

TEST(Deadline, EndsInTimeByCancellationOrByTheEvent) {
  EventFlag never, cancel, event;
  EXPECT_EQ(Deadline(1ms).wait_readable(never.fd(), "nothing").error().code(), ErrorCode::kTimeout);
  event.raise();
  EXPECT_TRUE(Deadline(60s).wait_readable(event.fd(), "the event"));
  cancel.raise();
  const Status cancelled = Deadline(60s, cancel.fd()).wait_readable(never.fd(), "nothing");
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(cancelled.error().message(), "cancelled while waiting for nothing");
  EXPECT_EQ(Deadline(60s, -1, cancel.fd()).check("work").error().code(), ErrorCode::kCancelled);
  cancel.lower();
  EXPECT_TRUE(Deadline(60s, cancel.fd()).check("work"));
  EXPECT_EQ(Deadline(Duration(0)).check("work").error().code(), ErrorCode::kTimeout);
}

TEST(Deadline, AShorterOneKeepsTheCancellation) {
  EventFlag cancel;
  const Deadline longer(60s, cancel.fd());
  EXPECT_EQ(longer.at_most(1ms).wait({}, "x").error().code(), ErrorCode::kTimeout);
  cancel.raise();
  EXPECT_EQ(longer.at_most(10s).wait({}, "x").error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(Deadline(1ms).at_most(60s).wait({}, "x").error().code(), ErrorCode::kTimeout);
}

TEST(EventLock, LetsOneThroughAtATime) {
  EventLock lock;
  std::atomic<int> inside = 0;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        EXPECT_TRUE(lock.acquire(Deadline(60s), "the lock"));
        EXPECT_EQ(++inside, 1);
        ++count;
        --inside;
        lock.release();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count, 800);
  ASSERT_TRUE(lock.try_acquire());
  EXPECT_FALSE(lock.try_acquire());
  EXPECT_EQ(lock.acquire(Deadline(1ms), "the lock").error().code(), ErrorCode::kTimeout);
}

}  // namespace
}  // namespace nuraghe::hypervisor
