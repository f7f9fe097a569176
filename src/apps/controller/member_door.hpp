// The door of a program that its nuraghed calls, and nuraghed's base as such a program is told it: vhcd, and programs
// of services.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "apps/controller/door.hpp"
#include "exchange/exchange.hpp"
#include "services/trace/span_buffer.hpp"

namespace nuraghe::controller {

struct MemberDoor {
  DoorAddress where;
  std::string listen;  // for the server
  std::string base;
};

// Where it listens, by the text of --listen. A member of a site is reached with TLS alone, on loopback too: there is no
// token that would open its door. `program` and `token_command` stand in what is said when it cannot be.
struct MemberDoorOptions {
  std::string state;
  bool is_member = false;
  std::string program;        // "vhcd"
  std::string token_command;  // "nuraghe host join-token NAME"
};
Result<MemberDoor> choose_member_door(const std::string& text, const MemberDoorOptions& options);

// The base of "unix:PATH" or of an address without a path. `option` stands in what is said: "--factory".
Result<std::string> nuraghed_base(const std::string& text, const std::string& option);

// Tells nuraghed of spans that ended in another process. Nothing depends on them: what does not arrive is not sent
// again. Thread safe.
class SpanReport {
 public:
  // `caller` as in messages: "vhc:host-2". The router outlives this.
  SpanReport(exchange::Router& router, std::string nuraghed, std::string caller);
  // For ExchangeOptions::on_spans.
  std::function<void(std::vector<exchange::Span>)> taker();

 private:
  void tell();
  exchange::Router& router_;
  const std::string nuraghed_, caller_;
  services::trace::SpanBuffer buffer_;
};

}  // namespace nuraghe::controller
