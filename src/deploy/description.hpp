// What a machine has that is no hardware: as its address says,
// "cpus=8,memory=16GiB,disk=100GiB,disk=1TiB,firmware=uefi, device=infiniband". Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "deploy/machine.hpp"

namespace nuraghe::deploy {

// What the address says; what it does not say is zero or empty. kInvalid names the word that is wrong.
Result<Hardware> parse_description(const Target& target);
// Names the disks and cards, and the disks' serial numbers after the prefix; a machine without MAC addresses gets one
// card, with an address made of the hash.
void name_parts(Hardware& hardware, const Target& target, std::uint64_t hash, std::string_view serial_prefix);

// The same for the same seed and text.
std::uint64_t hash_of(std::uint64_t seed, std::string_view text);

// A number from 0 up to 1, the same for the same seed and text.
double sim_chance(std::uint64_t seed, std::string_view text);
// At least one part, perhaps empty.
std::vector<std::string> split_words(std::string_view text, char at);
// 1 to 1,000,000; kInvalid else.
Result<int> whole_number(std::string_view text);

}  // namespace nuraghe::deploy
