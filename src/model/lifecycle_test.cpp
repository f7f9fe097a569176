#include "model/lifecycle.hpp"
#include "test_folders.hpp"

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

TEST(HostLifecycle, OperationsLeadWhereTheirEventsDo) {
  for (const HostOperationRule& rule : kHostOperations) {
    EXPECT_EQ(&rule_of(rule.operation), &rule);
    for (const HostState state : kHostStates) {
      const auto next = next_state(state, rule.event);
      EXPECT_EQ(next.value_or(rule.target), rule.target) << rule.name;
      const Start expected = next ? Start::kBegins : state == rule.target ? Start::kAlready : Start::kRefused;
      EXPECT_EQ(start_of(state, rule.operation), expected) << rule.name << " " << name_of(state);
    }
  }
  EXPECT_EQ(host_operation_from_name("thaw"), HostOperation::kThaw);
  EXPECT_EQ(host_operation_from_name("freeze"), HostOperation::kFreeze);
  EXPECT_FALSE(host_operation_from_name("departing"));
}

// Every state and every operation, against the words of the design.
TEST(ClusterLifecycle, EveryStateAndOperation) {
  using S = ClusterState;
  using O = ClusterOperation;
  const std::map<O, std::set<S>> begins = {
      {O::kCreate, {}},
      {O::kPause, {S::kRunning}},
      {O::kResume, {S::kPaused, S::kRunning}},
      {O::kFreeze, {S::kRunning, S::kPaused}},
      {O::kThaw, {S::kFrozen}},
      {O::kDestroy, {S::kRunning, S::kPaused, S::kFrozen, S::kBroken}},
  };
  const std::map<O, std::set<S>> already = {
      {O::kCreate, {}},           {O::kPause, {S::kPaused}}, {O::kResume, {S::kRunning}},
      {O::kFreeze, {S::kFrozen}}, {O::kThaw, {S::kRunning}}, {O::kDestroy, {S::kDestroyed, S::kUndone}},
  };
  for (const ClusterOperationRule& rule : kClusterOperations) {
    EXPECT_EQ(&rule_of(rule.operation), &rule);
    EXPECT_EQ(cluster_operation_from_name(rule.name), rule.operation);
    for (const S state : kClusterStates) {
      const Start expected = begins.at(rule.operation).contains(state)    ? Start::kBegins
                             : already.at(rule.operation).contains(state) ? Start::kAlready
                                                                          : Start::kRefused;
      EXPECT_EQ(start_of(state, rule.operation), expected) << rule.name << " " << name_of(state);
    }
  }
  EXPECT_FALSE(cluster_operation_from_name("abort"));
  EXPECT_EQ(sources_of(O::kFreeze), "running or paused");
}

TEST(ClusterLifecycle, WhatFailedIsAsBeforeOrBroken) {
  using S = ClusterState;
  using O = ClusterOperation;
  for (const O operation : {O::kPause, O::kResume, O::kFreeze, O::kThaw})
    for (const S before : {S::kRunning, S::kPaused, S::kFrozen})
      EXPECT_EQ(after_failure(operation, before, false), before) << name_of(operation);
  EXPECT_EQ(after_failure(O::kCreate, S::kCreating, false), S::kUndone);
  EXPECT_EQ(after_failure(O::kCreate, S::kCreating, true), S::kBroken);
  EXPECT_EQ(after_failure(O::kDestroy, S::kRunning, false), S::kBroken);
}

TEST(ClusterLifecycle, NamesGoBothWays) {
  std::set<std::string_view> names;
  for (const ClusterState state : kClusterStates) {
    EXPECT_EQ(*cluster_state_from_name(name_of(state)), state);
    names.insert(name_of(state));
  }
  EXPECT_EQ(names.size(), kClusterStates.size());
  EXPECT_FALSE(cluster_state_from_name("unknown"));
}

TEST(ClusterLifecycle, TheDocumentationShowsTheTable) {
  std::stringstream text;
  text << std::ifstream(std::string(NURAGHE_SOURCE_DIR) + "/docs/lifecycle.md").rdbuf();
  EXPECT_THAT(text.str(), ::testing::HasSubstr("```mermaid\n" + cluster_lifecycle_diagram() + "```"))
      << cluster_lifecycle_diagram();
}

}  // namespace
}  // namespace nuraghe::model
