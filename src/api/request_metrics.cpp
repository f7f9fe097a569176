#include "api/request_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace nuraghe::api {

namespace {

constexpr std::array<const char*, 2> kDoors = {"soap", "rest"};
constexpr std::array<const char*, 3> kOutcomes = {"answered", "refused", "failed"};

std::string labels_of(Door door, std::string_view service, std::string_view operation) {
  return fmt::format("door=\"{}\",service=\"{}\",operation=\"{}\"", kDoors[static_cast<std::size_t>(door)], service,
                     operation);
}

}  // namespace

Outcome outcome_of(int status) {
  if (status >= 500) return Outcome::kFailed;
  return status >= 400 ? Outcome::kRefused : Outcome::kAnswered;
}

RequestMetrics::RequestMetrics() {
  for (const auto& service : contracts::all_services()) rows_ += service.operations.size();
  ++rows_;
  cells_ = std::make_unique<Cell[]>(rows_ * kDoors.size());
}

std::size_t RequestMetrics::row_of(const contracts::OperationInfo* operation) const {
  if (operation == nullptr) return rows_ - 1;
  std::size_t row = 0;
  for (const auto& service : contracts::all_services()) {
    if (service.name == operation->service)
      return row + static_cast<std::size_t>(operation - service.operations.data());
    row += service.operations.size();
  }
  return rows_ - 1;
}

void RequestMetrics::count(Door door, const contracts::OperationInfo* operation, Outcome outcome, Duration took) {
  Cell& counted = cell(door, row_of(operation));
  const double seconds = static_cast<double>(took.count()) / 1e6;
  const auto bucket = std::ranges::lower_bound(kBounds, seconds) - kBounds.begin();
  counted.outcomes[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
  counted.buckets[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  counted.micros.fetch_add(took.count(), std::memory_order_relaxed);
}

void RequestMetrics::append_cell(std::string& counts, std::string& times, const Cell& cell,
                                 const std::string& labels) const {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  for (std::size_t i = 0; i < kOutcomes.size(); ++i) {
    const std::int64_t count = cell.outcomes[i].load(kRelaxed);
    if (count == 0) continue;
    fmt::format_to(std::back_inserter(counts), "nuraghe_requests_total{{{},outcome=\"{}\"}} {}\n", labels, kOutcomes[i],
                   count);
  }
  std::int64_t sum = 0;
  std::string buckets;
  for (std::size_t i = 0; i < cell.buckets.size(); ++i) {
    sum += cell.buckets[i].load(kRelaxed);
    std::string bound = i < kBounds.size() ? fmt::format("{}", kBounds[i]) : "+Inf";
    // OpenMetrics 1.0, "Canonical Numbers": 1.0, not 1.
    if (i < kBounds.size() && bound.find('.') == std::string::npos) bound += ".0";
    fmt::format_to(std::back_inserter(buckets), "nuraghe_request_duration_seconds_bucket{{{},le=\"{}\"}} {}\n", labels,
                   bound, sum);
  }
  if (sum == 0) return;
  times += buckets;
  fmt::format_to(std::back_inserter(times),
                 "nuraghe_request_duration_seconds_sum{{{}}} {}\nnuraghe_request_duration_seconds_count{{{}}} {}\n",
                 labels, static_cast<double>(cell.micros.load(kRelaxed)) / 1e6, labels, sum);
}

void RequestMetrics::append_to(std::string& out) const {
  std::string counts, times;
  for (const Door door : {Door::kSoap, Door::kRest}) {
    std::size_t row = 0;
    for (const auto& service : contracts::all_services()) {
      for (const auto& operation : service.operations) {
        append_cell(counts, times, cell(door, row++), labels_of(door, service.name, operation.name));
      }
    }
    append_cell(counts, times, cell(door, row), labels_of(door, "other", "other"));
  }
  out += "# HELP nuraghe_requests_total Requests by door, operation and outcome.\n";
  out += "# TYPE nuraghe_requests_total counter\n" + counts;
  out += "# HELP nuraghe_request_duration_seconds From a request's arrival to its answer.\n";
  out += "# TYPE nuraghe_request_duration_seconds histogram\n" + times;
}

}  // namespace nuraghe::api
