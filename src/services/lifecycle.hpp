// The model's lifecycle for the services, whose messages have the same states.
#pragma once

#include "contracts/vhc.hpp"
#include "model/lifecycle.hpp"

namespace nuraghe::services {

constexpr model::HostState model_state(contracts::vhc::HostState state) {
  return static_cast<model::HostState>(static_cast<int>(state));
}
constexpr contracts::vhc::HostState contract_state(model::HostState state) {
  return static_cast<contracts::vhc::HostState>(static_cast<int>(state));
}
static_assert(model_state(contracts::vhc::HostState::kInitial) == model::HostState::kInitial);
static_assert(model_state(contracts::vhc::HostState::kRunning) == model::HostState::kRunning);
static_assert(model_state(contracts::vhc::HostState::kPaused) == model::HostState::kPaused);
static_assert(model_state(contracts::vhc::HostState::kFrozen) == model::HostState::kFrozen);
static_assert(model_state(contracts::vhc::HostState::kMigrating) == model::HostState::kMigrating);
static_assert(model_state(contracts::vhc::HostState::kDestroyed) == model::HostState::kDestroyed);

}  // namespace nuraghe::services
