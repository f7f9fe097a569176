// The outer world as interfaces: time, chance. What decides gets them handed in, so that a whole deployment can run in
// one thread in virtual time from one seed. env/posix.hpp has the real ones, env/sim.hpp the simulated ones.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/units.hpp"

namespace nuraghe::env {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time. Thread safe.
  virtual TimePoint now() const = 0;
};

class Random {
 public:
  virtual ~Random() = default;
  // Fills the span with random bytes; the real one is cryptographically secure. Thread safe.
  virtual void fill(std::span<std::uint8_t> out) = 0;
};

// An unguessable id: `prefix-` and 26 characters of base32 (130 random bits), lower case. "vh-4k2…"
std::string make_id(Random& random, std::string_view prefix);
// "urn:uuid:…" of a random (version 4) UUID.
std::string make_uuid_urn(Random& random);

}  // namespace nuraghe::env
