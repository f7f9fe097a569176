// Inside of the repository: the jobs that bring frozen states in and take them out. Not for other rooms.
#pragma once

#include <string>
#include <vector>

#include "exchange/exchange.hpp"
#include "services/rows.hpp"

namespace nuraghe::services::vhir {

struct StateOrder {
  bool removes = false;
  std::string request;  // message id to be answered; empty: nobody waits
  std::string host, vo;
  std::string controller;         // its address
  std::string digest;             // of the manifest
  std::vector<std::string> kept;  // removes: digests of all images and states that somebody has
  template <class V>
  void fields(V& v) {
    v(1, removes), v(2, request), v(3, host), v(4, vo), v(5, controller), v(6, digest), v(7, kept);
  }
};

inline constexpr std::string_view kStateJob = "state/";
inline bool is_state_job(const exchange::Job& job) { return job.key.starts_with(kStateJob); }

}  // namespace nuraghe::services::vhir
