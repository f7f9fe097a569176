#include "model/lifecycle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace nuraghe::model {
namespace {

static_assert(next_state(HostState::kInitial, HostEvent::kStarted) == HostState::kRunning);
static_assert(!next_state(HostState::kDestroyed, HostEvent::kStarted));

// Every state and every event, against the words of the design: one row per state, the legal events with where they
// lead.
TEST(HostLifecycle, EveryStateAndEvent) {
  using S = HostState;
  using E = HostEvent;
  const std::map<S, std::map<E, S>> legal = {
      {S::kInitial, {{E::kStarted, S::kRunning}, {E::kDestroyed, S::kDestroyed}}},
      {S::kRunning,
       {{E::kPaused, S::kPaused},
        {E::kFrozen, S::kFrozen},
        {E::kDeparting, S::kMigrating},
        {E::kDestroyed, S::kDestroyed}}},
      {S::kPaused, {{E::kResumed, S::kRunning}, {E::kFrozen, S::kFrozen}, {E::kDestroyed, S::kDestroyed}}},
      {S::kFrozen, {{E::kThawed, S::kRunning}, {E::kThawedPaused, S::kPaused}, {E::kDestroyed, S::kDestroyed}}},
      {S::kMigrating, {{E::kArrived, S::kRunning}, {E::kStayed, S::kRunning}, {E::kDestroyed, S::kDestroyed}}},
      {S::kDestroyed, {}},
  };
  for (const S state : kHostStates) {
    for (const E event : kHostEvents) {
      const auto& row = legal.at(state);
      const auto expected = row.find(event);
      const auto next = apply(state, event);
      if (expected == row.end()) {
        ASSERT_FALSE(next) << name_of(state) << " " << name_of(event);
        EXPECT_EQ(next.error().code(), ErrorCode::kConflict);
      } else {
        ASSERT_TRUE(next) << name_of(state) << " " << name_of(event);
        EXPECT_EQ(*next, expected->second) << name_of(state) << " " << name_of(event);
      }
    }
  }
}

TEST(HostLifecycle, EveryStateIsReachedAndEveryEventUsedOnce) {
  std::set<std::pair<HostState, HostEvent>> rows;
  std::set<HostState> reached = {HostState::kInitial};
  std::set<HostEvent> used;
  for (const HostTransition& transition : kHostTransitions) {
    EXPECT_TRUE(rows.emplace(transition.source, transition.event).second);
    reached.insert(transition.destination);
    used.insert(transition.event);
  }
  EXPECT_EQ(reached.size(), kHostStates.size());
  EXPECT_EQ(used.size(), kHostEvents.size());
}

TEST(HostLifecycle, NamesGoBothWays) {
  std::set<std::string_view> names;
  for (const HostState state : kHostStates) {
    EXPECT_EQ(*host_state_from_name(name_of(state)), state);
    names.insert(name_of(state));
  }
  EXPECT_EQ(names.size(), kHostStates.size());
  EXPECT_FALSE(host_state_from_name("unknown"));
}

TEST(HostLifecycle, TheDocumentationShowsTheTable) {
  std::stringstream text;
  text << std::ifstream(std::string(NURAGHE_SOURCE_DIR) + "/docs/lifecycle.md").rdbuf();
  EXPECT_THAT(text.str(), ::testing::HasSubstr("```mermaid\n" + host_lifecycle_diagram() + "```"));
}

TEST(ClusterLifecycle, AnOperationAtWorkNamesTheState) {
  const std::vector<HostState> mixed = {HostState::kRunning, HostState::kPaused};
  EXPECT_EQ(derive_cluster_state(ClusterOperation::kCreate, {}), ClusterState::kCreating);
  EXPECT_EQ(derive_cluster_state(ClusterOperation::kPause, mixed), ClusterState::kPausing);
  EXPECT_EQ(derive_cluster_state(ClusterOperation::kResume, mixed), ClusterState::kResuming);
  EXPECT_EQ(derive_cluster_state(ClusterOperation::kFreeze, mixed), ClusterState::kFreezing);
  EXPECT_EQ(derive_cluster_state(ClusterOperation::kThaw, mixed), ClusterState::kThawing);
  EXPECT_EQ(derive_cluster_state(ClusterOperation::kDestroy, mixed), ClusterState::kDestroying);
}

// At rest, for every pair of hosts' states.
TEST(ClusterLifecycle, AtRestItsHostsSay) {
  const auto expected = [](HostState a, HostState b) {
    const auto up = [](HostState s) { return s == HostState::kRunning || s == HostState::kMigrating; };
    if (up(a) && up(b)) return ClusterState::kRunning;
    if (a != b || a == HostState::kInitial) return ClusterState::kBroken;
    if (a == HostState::kPaused) return ClusterState::kPaused;
    return a == HostState::kFrozen ? ClusterState::kFrozen : ClusterState::kDestroyed;
  };
  for (const HostState a : kHostStates)
    for (const HostState b : kHostStates)
      EXPECT_EQ(derive_cluster_state(ClusterOperation::kNone, {a, b}), expected(a, b))
          << name_of(a) << " " << name_of(b);
  EXPECT_EQ(derive_cluster_state(ClusterOperation::kNone, {}), ClusterState::kDestroyed);
}

TEST(ClusterLifecycle, OperationsBeginAtRestOnly) {
  const std::map<ClusterState, std::set<ClusterOperation>> legal = {
      {ClusterState::kRunning, {ClusterOperation::kPause, ClusterOperation::kFreeze, ClusterOperation::kDestroy}},
      {ClusterState::kPaused, {ClusterOperation::kResume, ClusterOperation::kFreeze, ClusterOperation::kDestroy}},
      {ClusterState::kFrozen, {ClusterOperation::kThaw, ClusterOperation::kDestroy}},
      {ClusterState::kBroken, {ClusterOperation::kDestroy}},
  };
  for (const ClusterState state : kClusterStates) {
    for (const ClusterOperation operation : kClusterOperations) {
      const auto row = legal.find(state);
      EXPECT_EQ(may_begin(state, operation), row != legal.end() && row->second.contains(operation))
          << name_of(state) << " " << name_of(operation);
    }
  }
}

}  // namespace
}  // namespace nuraghe::model
