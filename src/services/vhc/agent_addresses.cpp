#include "services/vhc/agent_addresses.hpp"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>

namespace nuraghe::services::vhc {
namespace {

namespace json = boost::json;

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool has_address(const json::object& interface, const std::string& address) {
  const auto* addresses = interface.if_contains("ip-addresses");
  if (addresses == nullptr || !addresses->is_array()) return false;
  return std::any_of(addresses->get_array().begin(), addresses->get_array().end(), [&](const json::value& item) {
    return item.is_object() && text_of(item.get_object(), "ip-address") == address;
  });
}

}  // namespace

Result<std::vector<ExpectedAddress>> missing_addresses(std::string_view answer,
                                                       const std::vector<ExpectedAddress>& expected) {
  boost::system::error_code error;
  const auto value = json::parse(answer, error);
  if (error || !value.is_array()) return corrupt("the guest agent's list of interfaces is not a JSON array");
  std::vector<ExpectedAddress> missing;
  for (const auto& wanted : expected) {
    const bool is_there = std::any_of(value.get_array().begin(), value.get_array().end(), [&](const json::value& item) {
      return item.is_object() &&
             ::strcasecmp(text_of(item.get_object(), "hardware-address").c_str(), wanted.mac.c_str()) == 0 &&
             has_address(item.get_object(), wanted.address);
    });
    if (!is_there) missing.push_back(wanted);
  }
  return missing;
}

std::string management_mac(std::string_view host_id) {
  // FNV-1a: only has to differ between hosts that one may meet; the network behind it is each host's own.
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : host_id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return fmt::format("06:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", (hash >> 32U) & 255U, (hash >> 24U) & 255U,
                     (hash >> 16U) & 255U, (hash >> 8U) & 255U, hash & 255U);
}

}  // namespace nuraghe::services::vhc
