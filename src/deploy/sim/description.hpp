// What a simulated machine has: as its address says, the rest made of its name and the seed. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "deploy/machine.hpp"

namespace nuraghe::deploy {

// kInvalid names the word of the address that is wrong.
Result<Hardware> describe_sim_hardware(const Target& target, std::uint64_t seed);

// A number from 0 up to 1, the same for the same seed and text.
double sim_chance(std::uint64_t seed, std::string_view text);
// At least one part, perhaps empty.
std::vector<std::string> split_words(std::string_view text, char at);
// 1 to 1,000,000; kInvalid else.
Result<int> whole_number(std::string_view text);

}  // namespace nuraghe::deploy
