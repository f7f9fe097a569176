#include "api/strangers.hpp"

#include <algorithm>
#include <utility>

namespace nuraghe::api {
namespace {

constexpr Duration kGathered = std::chrono::minutes(1);
constexpr double kMicrosPerHour = 3600e6;

}  // namespace

void Strangers::note(Stranger stranger, TimePoint now) {
  const std::lock_guard lock(mutex_);
  const auto key = std::pair(stranger.origin, stranger.claim);
  auto found = seen_.find(key);
  if (found == seen_.end()) {
    if (seen_.size() >= kMostRemembered) return put_aside({std::move(stranger), 1, now});
    found = seen_.emplace(key, Seen{{}, now}).first;
  }
  auto& entry = found->second.entry;
  if (entry.times++ > 0) return;
  entry.stranger = std::move(stranger);
  entry.first = now;
}

std::vector<StrangerEntry> Strangers::take(TimePoint now, bool all) {
  std::vector<StrangerEntry> out;
  const std::lock_guard lock(mutex_);
  for (auto at = seen_.begin(); at != seen_.end();) {
    Seen& seen = at->second;
    const bool is_over = all || now - seen.since >= kGathered;
    if (seen.entry.times > 0 && (!seen.is_written || is_over)) {
      if (all || may_write(now)) {
        out.push_back(seen.entry);
      } else {
        put_aside(seen.entry);
      }
      seen = {{}, now, true};
    } else if (is_over) {
      at = seen_.erase(at);
      continue;
    }
    ++at;
  }
  if (others_.times > 0 && (all || may_write(now))) out.push_back(std::exchange(others_, {}));
  return out;
}

void Strangers::put_aside(const StrangerEntry& entry) {
  if (others_.times == 0) {
    others_ = entry;
    return;
  }
  others_.times += entry.times;
  others_.first = std::min(others_.first, entry.first);
  others_.stranger = {};
}

bool Strangers::may_write(TimePoint now) {
  const double passed = std::max(0.0, static_cast<double>((now - filled_).count()));
  left_ = std::min(kEntriesAtOnce, left_ + passed * kEntriesPerHour / kMicrosPerHour);
  filled_ = now;
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

}  // namespace nuraghe::api
