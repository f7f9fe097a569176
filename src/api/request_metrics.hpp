// RequestMetrics: how many requests each operation got at each door, how they ended and how long they took.
//
// The label sets are bounded by the table of operations; what is no operation of it is counted as "other". Thread safe
// and without locks: whoever counts waits for nobody.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/units.hpp"
#include "contracts/operation.hpp"

namespace nuraghe::api {

enum class Door { kSoap, kRest };
enum class Outcome { kAnswered, kRefused, kFailed };  // 1xx to 3xx; 4xx, faults of the sender; 5xx

Outcome outcome_of(int status);

class RequestMetrics {
 public:
  RequestMetrics();
  // Null: no operation of the table.
  void count(Door door, const contracts::OperationInfo* operation, Outcome outcome, Duration took);
  // Appends the families nuraghe_requests_total and nuraghe_request_duration_seconds; only what was ever asked for.
  void append_to(std::string& out) const;

 private:
  // Upper bounds in seconds: a read takes below a millisecond, a creation minutes.
  static constexpr std::array<double, 10> kBounds = {0.001, 0.0025, 0.01, 0.05, 0.25, 1, 5, 30, 120, 600};
  struct Cell {
    std::array<std::atomic<std::int64_t>, 3> outcomes{};
    std::array<std::atomic<std::int64_t>, kBounds.size() + 1> buckets{};  // each for itself, not cumulative
    std::atomic<std::int64_t> micros{0};
  };
  Cell& cell(Door door, std::size_t row) const { return cells_[static_cast<std::size_t>(door) * rows_ + row]; }
  std::size_t row_of(const contracts::OperationInfo* operation) const;
  void append_cell(std::string& counts, std::string& times, const Cell& cell, const std::string& labels) const;

  std::size_t rows_ = 0;  // operations, and the others
  std::unique_ptr<Cell[]> cells_;
};

}  // namespace nuraghe::api
