// Which operation on a virtual host is legal in which state, and where it leads: the factory's view of the lifecycle.
#pragma once

#include <array>
#include <string_view>

#include "contracts/vhc.hpp"

namespace nuraghe::services::vhf {

using contracts::vhc::HostState;

// A repeat of an operation whose effect is there already is legal: its sources hold the target too.
struct HostOperation {
  std::string_view name;
  std::array<HostState, 3> sources;  // padded by repeating the last
  HostState target;
  bool holds_cpu_and_memory;  // what the host holds of its physical host afterwards
  bool holds_disk;
};

inline constexpr std::array<HostOperation, 6> kHostOperations{{
    {"create", {HostState::kInitial, HostState::kInitial, HostState::kInitial}, HostState::kRunning, true, true},
    {"pause", {HostState::kRunning, HostState::kPaused, HostState::kPaused}, HostState::kPaused, true, true},
    {"resume", {HostState::kPaused, HostState::kRunning, HostState::kRunning}, HostState::kRunning, true, true},
    {"freeze", {HostState::kRunning, HostState::kPaused, HostState::kFrozen}, HostState::kFrozen, false, true},
    {"thaw", {HostState::kFrozen, HostState::kPaused, HostState::kRunning}, HostState::kRunning, true, true},
    {"destroy", {HostState::kInitial, HostState::kRunning, HostState::kFrozen}, HostState::kDestroyed, false, false},
}};

constexpr const HostOperation* find_operation(std::string_view name) {
  for (const auto& operation : kHostOperations) {
    if (operation.name == name) return &operation;
  }
  return nullptr;
}

constexpr bool is_legal(const HostOperation& operation, HostState state) {
  if (operation.target == HostState::kDestroyed) return true;
  for (const auto source : operation.sources) {
    if (source == state) return true;
  }
  return false;
}

}  // namespace nuraghe::services::vhf
