// The rows of wsrf::Resources and what its parts share. Not for other rooms.
#pragma once

#include "base/record.hpp"
#include "wsrf/resources.hpp"

namespace nuraghe::wsrf {

enum Stage : std::int32_t { kReading, kChanging, kDestroying, kForwarding, kAdding, kRenewing, kScheduling };

// Key: the request's message_id. There until it is answered.
struct WorkRow {
  std::string request;  // exchange::encode_message
  std::int32_t stage = kReading;
  std::int64_t step = 0;  // kChanging: which change is being made; kAdding, kRenewing: microseconds until it ends
  std::string document;   // kChanging: the property document as it was before
  std::string key;        // the resource's canonical key
  template <class V>
  void fields(V& v) {
    v(1, request), v(2, stage), v(3, step), v(4, document), v(5, key);
  }
};

// Key: VO, 0x1f, path. There while a resource has a termination time.
struct LifetimeRow {
  TimePoint end{};
  std::string vo, caller, path;
  std::int64_t tries = 0;  // of destroying it
  bool is_ending = false;  // it is being destroyed because its time is over
  template <class V>
  void fields(V& v) {
    v(1, end), v(2, vo), v(3, caller), v(4, path), v(5, tries), v(6, is_ending);
  }
};

struct Resources::Work {
  exchange::Message request;
  Address address;
  WorkRow row;
  xml::Node body() const { return request.body->root(); }
};

// Everything that may stand in a message of WSRF here, as one schema.
Result<xml::Schema> message_schema();
// {ns}method with one element per pair.
xml::DocumentPtr request_body(std::string_view service, std::string_view method,
                              const std::vector<std::pair<std::string_view, std::string>>& fields);
// xsd:duration, exact.
std::string duration_text(Duration span);
// A duration for which something is to stay; kInvalid also for one that no date could tell the end of.
Result<Duration> parse_stay(std::string_view text);
// What a reply is: kNotFound and so on from its fault.
Status status_of(const exchange::Message& reply);

}  // namespace nuraghe::wsrf
