#include "api/rate_limit.hpp"

#include <algorithm>

namespace nuraghe::api {

namespace {
constexpr double kMicros = 1e6;
}  // namespace

Duration RateLimiter::admit(std::string_view caller, TimePoint now) {
  if (limit_.per_second <= 0) return Duration(0);
  const double burst = std::max(1.0, limit_.burst);
  const std::lock_guard lock(mutex_);
  if (const auto found = by_caller_.find(caller); found != by_caller_.end()) {
    buckets_.splice(buckets_.begin(), buckets_, found->second);
  } else {
    if (buckets_.size() >= most_callers_) {
      by_caller_.erase(buckets_.back().caller);
      buckets_.pop_back();
    }
    buckets_.push_front({std::string(caller), burst, now});
    by_caller_.emplace(buckets_.front().caller, buckets_.begin());
  }
  Bucket& bucket = buckets_.front();
  // A clock that was set back gives nothing and takes nothing.
  const auto passed = std::max<std::int64_t>(0, (now - bucket.seen).count());
  bucket.left = std::min(burst, bucket.left + static_cast<double>(passed) / kMicros * limit_.per_second);
  bucket.seen = now;
  if (bucket.left >= 1) {
    bucket.left -= 1;
    return Duration(0);
  }
  const double wait = (1 - bucket.left) / limit_.per_second * kMicros;
  return std::max(Duration(1), Duration(static_cast<std::int64_t>(wait)));
}

std::size_t RateLimiter::callers() const {
  const std::lock_guard lock(mutex_);
  return buckets_.size();
}

}  // namespace nuraghe::api
