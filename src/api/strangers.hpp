// Who was not let in because nobody is known by what was shown: for the audit log, in a bounded number of entries,
// however many requests come, from however many addresses and under however many names.
//
// What came first from an address with a claim becomes an entry at once; what follows within a minute is counted and
// becomes one more. An hour has 60 entries, 100 at once after a quiet time; beyond that, and beyond the table, all
// become one count, which is an entry as soon as there may be one.
//
// Threading: thread safe. Pure otherwise: the caller says what time it is.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "base/units.hpp"

namespace nuraghe::api {

// One request. Nothing of it is a secret: the claim is what Authenticator::claim says.
struct Stranger {
  std::string origin;   // door and address: "rest 192.0.2.7"; empty: several
  std::string request;  // "GET /clusters"
  std::string claim;    // who it says to be
};

struct StrangerEntry {
  Stranger stranger;  // of the first one
  std::int64_t times = 0;
  TimePoint first;
};

class Strangers {
 public:
  static constexpr std::size_t kMostRemembered = 256;
  static constexpr double kEntriesPerHour = 60, kEntriesAtOnce = 100;
  void note(Stranger stranger, TimePoint now);
  // What is to be written now: to be asked about once a second. `all`: nothing waits any longer, for the end.
  std::vector<StrangerEntry> take(TimePoint now, bool all = false);

 private:
  struct Seen {
    StrangerEntry entry;  // not written yet
    TimePoint since;      // when the minute began
    bool is_written = false;
  };
  bool may_write(TimePoint now);
  void put_aside(const StrangerEntry& entry);

  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, Seen> seen_;  // by origin and claim
  StrangerEntry others_;
  double left_ = kEntriesAtOnce;
  TimePoint filled_{INT64_MIN / 2};
};

}  // namespace nuraghe::api
