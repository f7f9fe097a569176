#include "deploy/description.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace nuraghe::deploy {
namespace {

std::uint64_t mix(std::uint64_t value) {  // splitmix64
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

Status take_word(Hardware& hardware, std::string_view name, std::string_view value) {
  if (name == "cpus") {
    TRY_ASSIGN(hardware.cpus, whole_number(value));
  } else if (name == "memory") {
    TRY_ASSIGN(hardware.memory, parse_bytes(value));
  } else if (name == "disk") {
    Disk disk;
    TRY_ASSIGN(disk.size, parse_bytes(value));
    hardware.disks.push_back(std::move(disk));
  } else if (name == "firmware" && (value == "bios" || value == "uefi")) {
    hardware.firmware = value;
  } else if (name == "device" && !value.empty() && value.size() <= 64) {
    hardware.devices.emplace_back(value);
  } else {
    return invalid(
        fmt::format("'{}={}' describes no machine; words are cpus=N, memory=SIZE, disk=SIZE, "
                    "firmware=bios or uefi, device=NAME",
                    name, value));
  }
  return {};
}

}  // namespace

std::uint64_t hash_of(std::uint64_t seed, std::string_view text) {
  std::uint64_t hash = mix(seed);
  for (const char c : text) hash = mix(hash ^ static_cast<std::uint8_t>(c));
  return hash;
}

double sim_chance(std::uint64_t seed, std::string_view text) {
  return static_cast<double>(hash_of(seed, text) >> 11) / static_cast<double>(std::uint64_t{1} << 53);
}

std::vector<std::string> split_words(std::string_view text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

Result<int> whole_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > 1'000'000)
    return invalid(fmt::format("'{}' is no whole number from 1 to 1000000", text));
  return value;
}

Result<Hardware> parse_description(const Target& target) {
  Hardware hardware;
  if (target.address.empty()) return hardware;
  for (const auto& word : split_words(target.address, ',')) {
    const auto equals = std::min(word.find('='), word.size());
    TRY(take_word(hardware, word.substr(0, equals), equals == word.size() ? "" : word.substr(equals + 1)));
  }
  return hardware;
}

void name_parts(Hardware& hardware, const Target& target, std::uint64_t hash, std::string_view serial_prefix) {
  for (std::size_t i = 0; i < hardware.disks.size(); ++i) {
    hardware.disks[i].name = fmt::format("disk{}", i + 1);
    hardware.disks[i].serial = fmt::format("{}{:08X}{}", serial_prefix, static_cast<std::uint32_t>(hash >> 8), i + 1);
  }
  auto macs = target.macs;
  if (macs.empty())
    macs.push_back(fmt::format("02:00:{:02x}:{:02x}:{:02x}:{:02x}", (hash >> 8) & 0xffU, (hash >> 16) & 0xffU,
                               (hash >> 24) & 0xffU, (hash >> 32) & 0xffU));
  for (std::size_t i = 0; i < macs.size(); ++i)
    hardware.network_cards.push_back({macs[i], fmt::format("nic{}", i + 1)});
}

}  // namespace nuraghe::deploy
