#include "services/lifecycle.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "hypervisor/states.hpp"

namespace nuraghe::services {
namespace {

TEST(Lifecycle, TheContractsHaveTheModelsStates) {
  for (const auto state : model::kHostStates) {
    EXPECT_EQ(contracts::vhc::to_string(contract_state(state)), model::name_of(state));
    EXPECT_EQ(model_state(contract_state(state)), state);
  }
}

// What a controller lets begin its driver does, and the other way round.
TEST(Lifecycle, DriversKeepTheModelsTable) {
  using hypervisor::Legality;
  using hypervisor::Verb;
  using model::HostOperation;
  constexpr std::array kVerbs = {
      std::pair{Verb::kCreate, HostOperation::kCreate},   std::pair{Verb::kPause, HostOperation::kPause},
      std::pair{Verb::kResume, HostOperation::kResume},   std::pair{Verb::kFreeze, HostOperation::kFreeze},
      std::pair{Verb::kThaw, HostOperation::kThaw},       std::pair{Verb::kThawPaused, HostOperation::kThawPaused},
      std::pair{Verb::kDestroy, HostOperation::kDestroy},
  };
  for (const auto& [verb, operation] : kVerbs) {
    EXPECT_EQ(hypervisor::verb_name(verb), model::name_of(operation));
    for (const auto state : hypervisor::kHostStates) {
      const auto known = model::host_state_from_name(hypervisor::host_state_name(state));
      ASSERT_TRUE(known);
      const auto legality = hypervisor::legality(verb, state);
      const auto start = legality == Legality::kLegal     ? model::Start::kBegins
                         : legality == Legality::kAlready ? model::Start::kAlready
                                                          : model::Start::kRefused;
      EXPECT_EQ(start, model::start_of(*known, operation))
          << hypervisor::verb_name(verb) << " of a host that is " << model::name_of(*known);
    }
  }
}

}  // namespace
}  // namespace nuraghe::services
