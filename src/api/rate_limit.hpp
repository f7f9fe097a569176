// How many requests a caller may make: a token bucket for each, in a table of bounded size.
//
// A bucket holds at most `burst` requests and fills at `per_second`. Who is not in the table has a full one; when the
// table is full, the caller goes that was not seen for longest: an address that comes back after so many others has
// waited. Threading: thread safe. Pure otherwise: the caller says what time it is.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/units.hpp"

namespace nuraghe::api {

struct RateLimit {
  double per_second = 0;  // 0: no limit
  double burst = 0;
};

class RateLimiter {
 public:
  static constexpr std::size_t kMostCallers = 10'000;
  explicit RateLimiter(RateLimit limit, std::size_t most_callers = kMostCallers)
      : limit_(limit), most_callers_(most_callers) {}
  // Zero: the request may pass, and is counted. Otherwise how long until one may.
  Duration admit(std::string_view caller, TimePoint now);
  std::size_t callers() const;

 private:
  struct Bucket {
    std::string caller;
    double left = 0;
    TimePoint seen;
  };
  const RateLimit limit_;
  const std::size_t most_callers_;
  mutable std::mutex mutex_;
  std::list<Bucket> buckets_;  // the last seen first
  std::unordered_map<std::string_view, std::list<Bucket>::iterator> by_caller_;
};

}  // namespace nuraghe::api
