#include "api/request_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace nuraghe::api {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string text_of(const RequestMetrics& metrics) {
  std::string text;
  metrics.append_to(text);
  return text;
}

TEST(RequestMetrics, CountsByDoorOperationAndOutcome) {
  RequestMetrics metrics;
  const auto* list = contracts::operation_at("/services/vcf", "list_clusters");
  const auto* freeze = contracts::operation_at("/services/vcm", "freeze_vc");
  ASSERT_NE(list, nullptr);
  metrics.count(Door::kRest, list, outcome_of(200), std::chrono::microseconds(700));
  metrics.count(Door::kRest, list, outcome_of(304), std::chrono::milliseconds(40));
  metrics.count(Door::kRest, list, outcome_of(404), std::chrono::microseconds(1));
  metrics.count(Door::kSoap, list, outcome_of(500), std::chrono::hours(1));
  metrics.count(Door::kSoap, freeze, outcome_of(202), std::chrono::milliseconds(1));
  metrics.count(Door::kRest, nullptr, outcome_of(404), std::chrono::microseconds(1));
  const std::string text = text_of(metrics);
  const std::string rest = "door=\"rest\",service=\"vcf\",operation=\"list_clusters\"";
  EXPECT_THAT(text, AllOf(HasSubstr("nuraghe_requests_total{" + rest + ",outcome=\"answered\"} 2\n"),
                          HasSubstr("nuraghe_requests_total{" + rest + ",outcome=\"refused\"} 1\n"),
                          HasSubstr("nuraghe_request_duration_seconds_bucket{" + rest + ",le=\"0.001\"} 2\n"),
                          HasSubstr("nuraghe_request_duration_seconds_bucket{" + rest + ",le=\"0.05\"} 3\n"),
                          HasSubstr("nuraghe_request_duration_seconds_bucket{" + rest + ",le=\"+Inf\"} 3\n"),
                          HasSubstr("nuraghe_request_duration_seconds_count{" + rest + "} 3\n"),
                          HasSubstr("nuraghe_request_duration_seconds_sum{" + rest + "} 0.040701\n")));
  EXPECT_THAT(text,
              AllOf(HasSubstr("operation=\"freeze_vc\",le=\"0.001\"} 1\n"), HasSubstr("operation=\"other\""),
                    HasSubstr("door=\"soap\",service=\"vcf\",operation=\"list_clusters\",outcome=\"failed\"} 1\n"),
                    HasSubstr("list_clusters\",le=\"600.0\"} 0\n"), Not(HasSubstr("create_vc"))));
}

TEST(RequestMetrics, ManyThreadsLoseNothing) {
  RequestMetrics metrics;
  const auto* list = contracts::operation_at("/services/vcf", "list_clusters");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 10'000; ++k) metrics.count(Door::kRest, list, Outcome::kAnswered, Duration(k));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(text_of(metrics), HasSubstr("outcome=\"answered\"} 40000\n"));
}

}  // namespace
}  // namespace nuraghe::api
