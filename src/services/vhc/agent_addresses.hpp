// What a guest agent says of its network interfaces, compared with what a node's fragment promises. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace nuraghe::services::vhc {

struct ExpectedAddress {
  std::string mac;
  std::string address;
};

// `answer`: the return value of guest-network-get-interfaces (QEMU guest agent reference). Answers those of `expected`
// that no interface with that MAC has.
Result<std::vector<ExpectedAddress>> missing_addresses(std::string_view answer,
                                                       const std::vector<ExpectedAddress>& expected);

// The MAC address of a host's management NIC: locally administered, made of its id.
std::string management_mac(std::string_view host_id);

}  // namespace nuraghe::services::vhc
