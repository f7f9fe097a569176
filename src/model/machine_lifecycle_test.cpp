#include "model/machine_lifecycle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "test_folders.hpp"

namespace nuraghe::model {
namespace {

static_assert(next_state(MachineState::kAvailable, MachineEvent::kDeploymentBegun) == MachineState::kDeploying);
static_assert(!next_state(MachineState::kEnrolled, MachineEvent::kDeploymentBegun));

// State x event as docs/hades.md tells it: the first letter of the state that follows
// (e a d D r f R), '.' for what is refused. Rows in the order of kMachineEvents, columns in that of kMachineStates.
constexpr std::array<std::string_view, 9> kExpected = {
    "aa.D.f.",  // inspected
    ".d.....",  // deployment-begun
    "..D....",  // deployed
    "..a....",  // deployment-undone
    "..f....",  // deployment-failed
    "...r.r.",  // release-begun
    "....a..",  // released
    "....f..",  // release-failed
    "RR...R.",  // removed
};
constexpr std::string_view kLetters = "eadDrfR";

TEST(MachineLifecycle, EveryStateAndEvent) {
  for (std::size_t event = 0; event < kMachineEvents.size(); ++event) {
    for (std::size_t state = 0; state < kMachineStates.size(); ++state) {
      const char expected = kExpected.at(event).at(state);
      const auto next = next_state(kMachineStates.at(state), kMachineEvents.at(event));
      const char seen = next ? kLetters.at(static_cast<std::size_t>(*next)) : '.';
      EXPECT_EQ(seen, expected) << name_of(kMachineEvents.at(event)) << " in " << name_of(kMachineStates.at(state));
    }
  }
}

TEST(MachineLifecycle, EveryStateIsReachedAndNoRowStandsTwice) {
  std::set<std::pair<MachineState, MachineEvent>> rows;
  std::set<MachineState> reached = {MachineState::kEnrolled};
  for (const MachineTransition& transition : kMachineTransitions) {
    EXPECT_TRUE(rows.emplace(transition.source, transition.event).second);
    reached.insert(transition.destination);
  }
  EXPECT_EQ(reached.size(), kMachineStates.size());
}

TEST(MachineLifecycle, ARefusalCanNameTheStatesInWhichItWouldDo) {
  EXPECT_EQ(sources_of(MachineEvent::kReleaseBegun), "deployed or failed");
}

TEST(MachineLifecycle, TheDocumentationHasTheDiagram) {
  std::ostringstream text;
  text << std::ifstream(std::string(NURAGHE_SOURCE_DIR) + "/docs/hades.md").rdbuf();
  EXPECT_THAT(text.str(), ::testing::HasSubstr("```mermaid\n" + machine_lifecycle_diagram() + "```"))
      << machine_lifecycle_diagram();
}

}  // namespace
}  // namespace nuraghe::model
