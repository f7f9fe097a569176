// Where a daemon listens, as people write it: ADDRESS:PORT (TLS unless it is loopback), tls:ADDRESS:PORT,
// plain:ADDRESS:PORT, unix:PATH.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace nuraghe::controller {

struct DoorAddress {
  enum class Kind { kPlain, kTls, kUnix } kind = Kind::kPlain;
  std::string address;  // "10.0.0.1", "::1"; of unix: the path
  int port = 0;
  bool is_loopback = true;  // other machines cannot come; true of unix:
  // With brackets where they are needed: "[::1]:8470".
  std::string authority() const;
};
// kInvalid, saying what to write, when it cannot be understood.
Result<DoorAddress> parse_door(const std::string& text);
// kDenied for a door without TLS that other machines could reach, unless that was asked for.
Status check_door(const DoorAddress& door, bool allow_plain);

// By which addresses other machines reach the door: its own, or for 0.0.0.0 and :: those of all interfaces.
std::vector<std::string> addresses_of(const DoorAddress& door);

// Whether a base ("http://127.0.0.1:8470", "http+unix://…") is one of this machine alone.
bool is_local_base(std::string_view base);

}  // namespace nuraghe::controller
