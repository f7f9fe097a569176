#include "services/hades/logs.hpp"

#include <gtest/gtest.h>

namespace nuraghe::services::hades {
namespace {

api::Deployment with_log(std::string log) {
  api::Deployment deployment;
  deployment.step.emplace_back().log = std::move(log);
  return deployment;
}

std::string kept(std::string log, std::size_t count, std::size_t skip) {
  auto deployment = with_log(std::move(log));
  keep_lines(deployment, count, skip);
  return deployment.step.front().log;
}

TEST(StepLogs, TheLastLinesStayAndThoseBeforeThemOnDemand) {
  const std::string log = "one\ntwo\n\nfour";
  EXPECT_EQ(kept(log, 100, 0), log);
  EXPECT_EQ(kept(log, 2, 0), "\nfour\n");
  EXPECT_EQ(kept(log, 2, 2), "one\ntwo\n");
  EXPECT_EQ(kept(log, 2, 3), "one\n");
  EXPECT_EQ(kept(log, 2, 4) + kept(log, 2, 9) + kept(log, 0, 0) + kept("", 2, 0), "");
}

TEST(StepLogs, AListShowsLittleOfALongLogAndHowLongItIs) {
  std::string log;
  for (int i = 0; i < 500; ++i) log += "line " + std::to_string(i) + "\n";
  auto deployment = with_log(log);
  shorten(deployment);
  const auto& step = deployment.step.front();
  EXPECT_EQ(step.log_lines, 500);
  EXPECT_EQ(lines_of(step.log).size(), 10U);
  EXPECT_TRUE(step.log.ends_with("line 499\n"));
  deployment = with_log(std::string(8000, 'x'));
  shorten(deployment);
  EXPECT_EQ(deployment.step.front().log.size(), 1024U);
}

TEST(StepLogs, NoCharacterIsCut) {
  EXPECT_EQ(last_bytes("a\u00e9b", 2), "b");
  EXPECT_EQ(last_bytes("a\u00e9b", 3), "\u00e9b");
}

}  // namespace
}  // namespace nuraghe::services::hades
