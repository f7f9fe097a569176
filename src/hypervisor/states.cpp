#include "hypervisor/states.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nuraghe::hypervisor {

namespace {

constexpr unsigned bit(HostState state) { return 1U << static_cast<unsigned>(state); }
constexpr unsigned kAny = bit(HostState::kInitial) | bit(HostState::kRunning) | bit(HostState::kPaused) |
                          bit(HostState::kFrozen) | bit(HostState::kDestroyed);

struct Rule {
  Verb verb;
  std::string_view name;
  unsigned sources;  // states in which the verb does its work
  unsigned already;  // states in which its effect is there
};
constexpr std::array kRules = {
    Rule{Verb::kCreate, "create", bit(HostState::kInitial), bit(HostState::kRunning)},
    Rule{Verb::kPause, "pause", bit(HostState::kRunning), bit(HostState::kPaused)},
    Rule{Verb::kResume, "resume", bit(HostState::kPaused), bit(HostState::kRunning)},
    Rule{Verb::kFreeze, "freeze", bit(HostState::kRunning) | bit(HostState::kPaused), bit(HostState::kFrozen)},
    Rule{Verb::kThaw, "thaw", bit(HostState::kFrozen), bit(HostState::kRunning)},
    Rule{Verb::kThawPaused, "thaw", bit(HostState::kFrozen), bit(HostState::kPaused)},
    Rule{Verb::kDestroy, "destroy", kAny & ~bit(HostState::kDestroyed), bit(HostState::kDestroyed)},
    Rule{Verb::kSetLink, "set_link", bit(HostState::kRunning) | bit(HostState::kPaused), 0},
    Rule{Verb::kExport, "export", bit(HostState::kFrozen), 0},
    Rule{Verb::kImport, "import", bit(HostState::kInitial), bit(HostState::kFrozen)},
};

constexpr const Rule& rule_of(Verb verb) { return kRules[static_cast<std::size_t>(verb)]; }
static_assert(std::ranges::all_of(kRules, [](const Rule& rule) { return &rule == &rule_of(rule.verb); }));

}  // namespace

std::string_view host_state_name(HostState state) {
  switch (state) {
    case HostState::kInitial:
      return "initial";
    case HostState::kRunning:
      return "running";
    case HostState::kPaused:
      return "paused";
    case HostState::kFrozen:
      return "frozen";
    case HostState::kDestroyed:
      return "destroyed";
  }
  return "unknown";
}

std::string_view verb_name(Verb verb) { return rule_of(verb).name; }

Legality legality(Verb verb, HostState state) {
  const Rule& rule = rule_of(verb);
  if ((rule.sources & bit(state)) != 0) return Legality::kLegal;
  return (rule.already & bit(state)) != 0 ? Legality::kAlready : Legality::kIllegal;
}

Result<bool> must_act(Verb verb, HostState state, std::string_view id) {
  switch (legality(verb, state)) {
    case Legality::kLegal:
      return true;
    case Legality::kAlready:
      return false;
    case Legality::kIllegal:
      break;
  }
  return conflict(
      fmt::format("host {} is {}: {} is not possible in this state", id, host_state_name(state), verb_name(verb)));
}

Result<FrozenHost> Driver::export_frozen(const std::string& id, const Control&) {
  return unsupported(
      fmt::format("the {} driver cannot export frozen hosts: {} stays on this physical host", capabilities().name, id));
}

Status Driver::import_frozen(const HostSpec& spec, const FrozenHost&, const Control&) {
  return unsupported(
      fmt::format("the {} driver cannot import frozen hosts: {} cannot go on here", capabilities().name, spec.id));
}

Status check_host_id(std::string_view id) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (id.empty() || id.size() > 64 || id.front() == '.' || !std::ranges::all_of(id, allowed)) {
    return invalid(fmt::format("'{}' is no host id: 1 to 64 letters, digits, '.', '_' or '-', not beginning with '.'",
                               id.substr(0, 100)));
  }
  return {};
}

Status check_frozen_format(const HostSpec& spec, const FrozenHost& frozen, const Capabilities& here) {
  if (!frozen.format.empty() && frozen.format == here.frozen_format) return {};
  return unsupported(fmt::format("host {} was frozen by '{}'; this physical host runs '{}' and cannot go on with it",
                                 spec.id, frozen.format, here.frozen_format));
}

int ssh_port_of(const HostSpec& spec) {
  for (const auto& nic : spec.nics) {
    if (nic.ssh_port != 0) return nic.ssh_port;
  }
  return 0;
}

Status move_ssh(HostSpec& spec, int port) {
  if (port < 1 || port > 65535) return invalid(fmt::format("{} is no TCP port", port));
  for (auto& nic : spec.nics) {
    if (nic.ssh_port == 0) continue;
    nic.ssh_port = port;
    return {};
  }
  return not_found(fmt::format("host {} has no NIC that leads to its ssh", spec.id));
}

}  // namespace nuraghe::hypervisor
