// What is asked at every door besides who comes: client certificates, how often somebody may come, and from where.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/doors.hpp"
#include "api/rate_limit.hpp"

namespace nuraghe::api {

// An answer that refuses, whatever form it takes.
struct EntranceRefusal {
  int status = 0;
  std::string reason;
  Duration retry_after{0};  // zero: not said
};

// Thread safe; does not block.
class Entrance {
 public:
  // The options outlive it.
  explicit Entrance(const GatewayOptions& options)
      : options_(options), callers_(options.caller_rate), strangers_(options.stranger_rate) {}
  // Whether this is one of the doors that SiteDoors keep, and whether it is closed to this request.
  bool is_open_door(const HttpRequest& head) const;
  std::optional<EntranceRefusal> at_open_door(const HttpRequest& head);
  // Whose the client certificate is; null when there is none, or an Authorization header says more. kDenied: it does
  // not count; kUnavailable: that is not known yet.
  Result<std::shared_ptr<const Identity>> certified(const HttpRequest& head) const;
  // Who is known, and may not enter here or not now.
  std::optional<EntranceRefusal> known(const HttpRequest& head, const Identity& identity);
  // Who showed nothing, or what is wrong: not to be told so too often.
  std::optional<EntranceRefusal> unknown(const HttpRequest& head);

 private:
  const GatewayOptions& options_;
  RateLimiter callers_;
  RateLimiter strangers_;  // by address
};

// "2" for a second and a half: the value of Retry-After.
std::string whole_seconds(Duration span);

}  // namespace nuraghe::api
