#include "network/forwarding.hpp"

#include "base/check.hpp"

namespace nuraghe::network {

namespace {

constexpr Mac kGroupBit = Mac{1} << 40U;
constexpr Mac kReserved = 0x0180c2000000;  // and the 15 after it: never relayed by a bridge

Mac read_mac(std::span<const std::uint8_t> bytes) {
  Mac mac = 0;
  for (std::size_t i = 0; i < 6; ++i) mac = (mac << 8U) | bytes[i];
  return mac;
}

bool may_pass(SwitchLink from, SwitchLink to) {
  return to != from && (from.kind == SwitchLink::Kind::kPort || to.kind == SwitchLink::Kind::kPort);
}

}  // namespace

void Forwarding::remove_link(SwitchLink link) {
  links_.erase(link);
  table_.forget(link);
}

Verdict Forwarding::decide(SwitchLink from, std::span<const std::uint8_t> frame, Duration now,
                           std::vector<SwitchLink>& targets) {
  CHECK(links_.contains(from));
  targets.clear();
  if (frame.size() < kEthernetHeader) return Verdict::kInvalid;
  const Mac destination = read_mac(frame);
  const Mac source = read_mac(frame.subspan(6));
  if (source == 0 || (source & kGroupBit) != 0 || (destination & ~Mac{0xf}) == kReserved) return Verdict::kInvalid;
  table_.learn(source, from, now);
  if ((destination & kGroupBit) == 0) {
    if (const auto known = table_.find(destination, now)) {
      if (!may_pass(from, *known)) return Verdict::kFiltered;
      targets.push_back(*known);
      return Verdict::kForwarded;
    }
  }
  for (const SwitchLink& to : links_) {
    if (may_pass(from, to)) targets.push_back(to);
  }
  return Verdict::kFlooded;
}

}  // namespace nuraghe::network
