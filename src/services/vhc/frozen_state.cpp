#include "services/vhc/frozen_state.hpp"

#include "json/strict.hpp"

namespace nuraghe::services::vhc {
namespace {

namespace json = boost::json;

std::string member_text(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(*text);
}

bool member_flag(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

const json::object* member_object(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value == nullptr ? nullptr : value->if_object();
}

}  // namespace

std::string write_frozen_state(const FrozenState& state) {
  json::object mtu;
  for (const auto& [nic, value] : state.mtu) mtu[nic] = value;
  json::object mac;
  for (const auto& [nic, value] : state.mac) mac[nic] = value;
  return json::serialize(json::object{
      {"format", state.format},
      {"node", state.fragment},
      {"image",
       json::object{{"name", state.image.name}, {"version", state.image.version}, {"digest", state.image.digest}}},
      {"seed", json::object{{"digest", state.seed.digest}, {"address", state.seed.address}}},
      {"mtu", std::move(mtu)},
      {"mac", std::move(mac)},
      {"booted", state.booted},
      {"ready", state.ready}});
}

Result<FrozenState> read_frozen_state(std::string_view text) {
  auto value = jsontext::parse(text);
  const auto* object = value ? value->if_object() : nullptr;
  const auto* image = object == nullptr ? nullptr : member_object(*object, "image");
  const auto* seed = object == nullptr ? nullptr : member_object(*object, "seed");
  const auto* mtu = object == nullptr ? nullptr : member_object(*object, "mtu");
  const auto* mac = object == nullptr ? nullptr : member_object(*object, "mac");
  if (image == nullptr || seed == nullptr || mtu == nullptr || mac == nullptr)
    return corrupt("the configuration of a frozen state is no JSON object with image, seed, mtu and mac");
  FrozenState state;
  state.format = member_text(*object, "format");
  state.fragment = member_text(*object, "node");
  state.image = {member_text(*image, "name"), member_text(*image, "version"), member_text(*image, "digest"), {}};
  state.seed = {member_text(*seed, "digest"), member_text(*seed, "address")};
  for (const auto& [nic, one] : *mtu) {
    if (!one.is_int64() || one.get_int64() < 0 || one.get_int64() > 65535)
      return corrupt("the configuration of a frozen state has an MTU that is none");
    state.mtu[std::string(nic)] = one.get_int64();
  }
  for (const auto& [nic, one] : *mac) {
    if (!one.is_string()) return corrupt("the configuration of a frozen state has a MAC address that is none");
    state.mac[std::string(nic)] = std::string(one.get_string());
  }
  state.booted = member_flag(*object, "booted");
  state.ready = member_flag(*object, "ready");
  if (state.format.empty() || state.fragment.empty() || state.image.digest.empty())
    return corrupt("the configuration of a frozen state lacks its format, node or image");
  return state;
}

}  // namespace nuraghe::services::vhc
