#include "env/sim.hpp"

#include "base/check.hpp"

namespace nuraghe::env {

std::uint64_t SimRandom::step() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void SimRandom::fill(std::span<std::uint8_t> out) {
  const std::lock_guard lock(mutex_);
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i % 8 == 0) word = step();
    out[i] = static_cast<std::uint8_t>(word);
    word >>= 8;
  }
}

std::uint64_t SimRandom::next() {
  const std::lock_guard lock(mutex_);
  return step();
}

std::uint64_t SimRandom::below(std::uint64_t bound) {
  CHECK(bound > 0);
  // Numbers below the threshold would make small remainders likelier.
  const std::uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    const std::uint64_t value = next();
    if (value >= threshold) return value % bound;
  }
}

}  // namespace nuraghe::env
