// The simulated world: a clock that moves only when told, random numbers from a seed. Everything that gets these two
// behaves the same in each run with the same seed.
#pragma once

#include <atomic>
#include <mutex>

#include "env/env.hpp"

namespace nuraghe::env {

// Virtual time. Thread safe; begins at 2026-01-01T00:00:00Z unless told otherwise.
class SimClock : public Clock {
 public:
  static constexpr TimePoint kStart{1767225600'000'000};
  explicit SimClock(TimePoint start = kStart) : micros_(start.micros) {}
  TimePoint now() const override { return {micros_.load()}; }
  // May go backwards too: wall clocks do.
  void set(TimePoint time) { micros_ = time.micros; }
  void advance(Duration span) { micros_ += span.count(); }

 private:
  std::atomic<std::int64_t> micros_;
};

// Deterministic numbers from a seed (SplitMix64). NOT secure: ids made from it can be guessed. Thread safe, but only
// one thread gives a sequence that repeats.
class SimRandom : public Random {
 public:
  explicit SimRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> out) override;
  std::uint64_t next();
  // Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound);

 private:
  std::uint64_t step();
  std::mutex mutex_;
  std::uint64_t state_;
};

}  // namespace nuraghe::env
