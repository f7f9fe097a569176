// The control protocol of a switch: over a UNIX stream socket one JSON object a line, each answered by one line.
//
//   {"do":"add-port","id":"vh-1.cluster","segment":7}   {"hypervisor":"/…/3h","fabric":"/…/3"}
//   anything that fails                                  {"error":{"code":"invalid","message":"…"}}
// Every command may be repeated. Threading: none; values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "network/fabric.hpp"

namespace nuraghe::network {

struct SwitchCounters;  // data_plane.hpp

constexpr int kProtocol = 1;
constexpr std::size_t kLineLimit = std::size_t{4} << 20U;

enum class Command { kHello, kSetSegment, kRemoveSegment, kAddPort, kRemovePort, kList, kCounters, kShutdownIfIdle };

struct Request {
  Command command = Command::kHello;
  std::int64_t segment = 0;
  std::string id;           // of a port
  std::vector<Peer> peers;  // kSetSegment
  std::string secret;       // kSetSegment; hexadecimal on the line
};

// Each command fills its own fields.
struct Answer {
  int protocol = 0;     // kHello
  std::string tunnel;   // kHello
  PortSockets sockets;  // kAddPort
  std::vector<std::string> ports;
  std::vector<std::int64_t> segments;  // kList
  bool stopping = false;               // kShutdownIfIdle
  std::string counters;                // kCounters: JSON, for people
};

std::string encode_request(const Request& request);     // without the line's end
Result<Request> decode_request(std::string_view line);  // kInvalid
std::string encode_answer(const Request& request, const Answer& answer);
std::string encode_error(const Error& error);
std::string encode_counters(const SwitchCounters& counters);
// The answer to `request`, or the error that it brings; kUnavailable when it is no answer at all.
Result<Answer> decode_answer(const Request& request, std::string_view line);

}  // namespace nuraghe::network
