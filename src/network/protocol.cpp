#include "network/protocol.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <utility>

#include "network/data_plane.hpp"

namespace nuraghe::network {

namespace {

namespace json = boost::json;

constexpr std::array<std::pair<Command, std::string_view>, 8> kNames{{{Command::kHello, "hello"},
                                                                      {Command::kSetSegment, "set-segment"},
                                                                      {Command::kRemoveSegment, "remove-segment"},
                                                                      {Command::kAddPort, "add-port"},
                                                                      {Command::kRemovePort, "remove-port"},
                                                                      {Command::kList, "list"},
                                                                      {Command::kCounters, "counters"},
                                                                      {Command::kShutdownIfIdle, "shutdown-if-idle"}}};

std::string_view name_of(Command command) {
  for (const auto& [value, name] : kNames) {
    if (value == command) return name;
  }
  return {};
}

std::string to_hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

Result<std::string> from_hex(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return invalid("the secret is not hexadecimal");
    bytes += static_cast<char>(high * 16 + low);
  }
  if (text.size() % 2 != 0) return invalid("the secret is not hexadecimal");
  return bytes;
}

// The members of a parsed line; what is missing or of another kind is an error.
class Members {
 public:
  static Result<Members> parse(std::string_view line) {
    json::error_code error;
    json::value value = json::parse(line, error);
    if (error || !value.is_object()) return invalid("the line is not a JSON object");
    return Members(std::move(value.get_object()));
  }
  explicit Members(json::object object) : object_(std::move(object)) {}

  const json::value* find(std::string_view name) const { return object_.if_contains(name); }
  Result<std::string> text(std::string_view name) const {
    const json::value* value = find(name);
    if (value == nullptr || !value->is_string()) return invalid(fmt::format("'{}' is no string", name));
    return std::string(value->get_string());
  }
  Result<std::int64_t> number(std::string_view name) const {
    const json::value* value = find(name);
    if (value == nullptr || !value->is_int64()) return invalid(fmt::format("'{}' is no number", name));
    return value->get_int64();
  }
  Result<std::vector<json::value>> list(std::string_view name) const {
    const json::value* value = find(name);
    if (value == nullptr || !value->is_array()) return invalid(fmt::format("'{}' is no list", name));
    return std::vector<json::value>(value->get_array().begin(), value->get_array().end());
  }

 private:
  json::object object_;
};

Result<std::vector<Peer>> read_peers(const Members& members) {
  std::vector<Peer> peers;
  TRY_ASSIGN(const auto items, members.list("peers"));
  for (const auto& item : items) {
    if (!item.is_object()) return invalid("a peer is no object");
    const Members peer(item.get_object());
    TRY_ASSIGN(std::string name, peer.text("name"));
    TRY_ASSIGN(std::string address, peer.text("address"));
    peers.push_back({std::move(name), std::move(address)});
  }
  return peers;
}

Result<Answer> read_list(const Members& members) {
  Answer answer;
  TRY_ASSIGN(const auto ports, members.list("ports"));
  for (const auto& port : ports) {
    if (!port.is_string()) return unavailable("the switch's answer names a port that is no string");
    answer.ports.emplace_back(port.get_string());
  }
  TRY_ASSIGN(const auto segments, members.list("segments"));
  for (const auto& segment : segments) {
    if (!segment.is_int64()) return unavailable("the switch's answer names a segment that is no number");
    answer.segments.push_back(segment.get_int64());
  }
  return answer;
}

Result<Answer> read_answer(Command command, const Members& members, std::string_view line) {
  Answer answer;
  switch (command) {
    case Command::kHello: {
      TRY_ASSIGN(const std::int64_t protocol, members.number("protocol"));
      answer.protocol = static_cast<int>(protocol);
      TRY_ASSIGN(answer.tunnel, members.text("tunnel"));
      break;
    }
    case Command::kAddPort: {
      TRY_ASSIGN(answer.sockets.hypervisor, members.text("hypervisor"));
      TRY_ASSIGN(answer.sockets.fabric, members.text("fabric"));
      break;
    }
    case Command::kList:
      return read_list(members);
    case Command::kShutdownIfIdle: {
      const json::value* stopping = members.find("stopping");
      answer.stopping = stopping != nullptr && stopping->is_bool() && stopping->get_bool();
      break;
    }
    case Command::kCounters:
      answer.counters = line;
      break;
    case Command::kSetSegment:
    case Command::kRemoveSegment:
    case Command::kRemovePort:
      break;
  }
  return answer;
}

}  // namespace

std::string encode_request(const Request& request) {
  json::object line{{"do", name_of(request.command)}};
  switch (request.command) {
    case Command::kSetSegment: {
      json::array peers;
      for (const Peer& peer : request.peers) peers.push_back({{"name", peer.name}, {"address", peer.address}});
      line["peers"] = std::move(peers);
      line["secret"] = to_hex(request.secret);
      line["segment"] = request.segment;
      break;
    }
    case Command::kRemoveSegment:
      line["segment"] = request.segment;
      break;
    case Command::kAddPort:
      line["segment"] = request.segment;
      line["id"] = request.id;
      break;
    case Command::kRemovePort:
      line["id"] = request.id;
      break;
    case Command::kHello:
    case Command::kList:
    case Command::kCounters:
    case Command::kShutdownIfIdle:
      break;
  }
  return json::serialize(line);
}

Result<Request> decode_request(std::string_view line) {
  TRY_ASSIGN(const Members members, Members::parse(line));
  TRY_ASSIGN(const std::string name, members.text("do"));
  Request request;
  bool known = false;
  for (const auto& [value, text] : kNames) {
    if (text == name) request.command = value, known = true;
  }
  if (!known) return invalid(fmt::format("there is no command '{}'", name));
  const Command command = request.command;
  if (command == Command::kSetSegment || command == Command::kRemoveSegment || command == Command::kAddPort) {
    TRY_ASSIGN(request.segment, members.number("segment"));
  }
  if (command == Command::kAddPort || command == Command::kRemovePort) {
    TRY_ASSIGN(request.id, members.text("id"));
  }
  if (command == Command::kSetSegment) {
    TRY_ASSIGN(request.peers, read_peers(members));
    TRY_ASSIGN(const std::string secret, members.text("secret"));
    TRY_ASSIGN(request.secret, from_hex(secret));
  }
  return request;
}

std::string encode_answer(const Request& request, const Answer& answer) {
  switch (request.command) {
    case Command::kHello:
      return json::serialize(json::object{{"protocol", answer.protocol}, {"tunnel", answer.tunnel}});
    case Command::kAddPort:
      return json::serialize(
          json::object{{"hypervisor", answer.sockets.hypervisor}, {"fabric", answer.sockets.fabric}});
    case Command::kList:
      return json::serialize(json::object{{"ports", json::array(answer.ports.begin(), answer.ports.end())},
                                          {"segments", json::array(answer.segments.begin(), answer.segments.end())}});
    case Command::kShutdownIfIdle:
      return json::serialize(json::object{{"stopping", answer.stopping}});
    case Command::kCounters:
      return answer.counters;
    case Command::kSetSegment:
    case Command::kRemoveSegment:
    case Command::kRemovePort:
      break;
  }
  return "{}";
}

std::string encode_error(const Error& error) {
  return json::serialize(
      json::object{{"error", {{"code", error_code_name(error.code())}, {"message", error.to_string()}}}});
}

std::string encode_counters(const SwitchCounters& counters) {
  const auto out = [](const OutletCounters& c) {
    return json::object{{"sent", c.sent},
                        {"dropped-slow", c.dropped_slow},
                        {"dropped-absent", c.dropped_absent},
                        {"dropped-failed", c.dropped_failed}};
  };
  json::array ports, peers, segments;
  for (const auto& port : counters.ports) {
    ports.push_back({{"id", port.id},
                     {"segment", port.segment},
                     {"received", port.received},
                     {"received-bytes", port.received_bytes},
                     {"out", out(port.out)}});
  }
  for (const auto& peer : counters.peers) {
    peers.push_back({{"address", peer.address}, {"received", peer.received}, {"out", out(peer.out)}});
  }
  for (const auto& segment : counters.segments) {
    segments.push_back({{"segment", segment.number}, {"stations", segment.stations}});
  }
  const auto& dropped = counters.dropped;
  return json::serialize(json::object{{"ports", std::move(ports)},
                                      {"peers", std::move(peers)},
                                      {"segments", std::move(segments)},
                                      {"dropped",
                                       {{"oversize", dropped.oversize},
                                        {"invalid", dropped.invalid},
                                        {"unknown-sender", dropped.unknown_sender},
                                        {"unknown-segment", dropped.unknown_segment},
                                        {"forged", dropped.forged}}}});
}

Result<Answer> decode_answer(const Request& request, std::string_view line) {
  auto members = Members::parse(line);
  if (!members) return unavailable("the switch's answer is not understood");
  if (const json::value* error = members->find("error"); error != nullptr && error->is_object()) {
    const Members details(error->get_object());
    TRY_ASSIGN(const std::string code, details.text("code"));
    TRY_ASSIGN(std::string message, details.text("message"));
    return Error(error_code_from_name(code), std::move(message));
  }
  return read_answer(request.command, *members, line);
}

}  // namespace nuraghe::network
