// Names that are computed, not drawn: instance ids, message ids and lookup keys, so that a step that is run again makes
// the same ones. Built on SHA-1; no secrecy is expected of it.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/units.hpp"

namespace nuraghe::bpel::runtime {

// The first 16 bytes of the SHA-1 of the fields, each preceded by its length: equal only for equal lists.
std::string key16(std::initializer_list<std::string_view> fields);
// "urn:uuid:…" of version 8 (RFC 9562 §5.8): the time in milliseconds as version 7 has it, then the fields' hash. What
// is made at the same time has neighbouring keys in the store, and a commit touches few pages.
std::string name_uuid(TimePoint now, std::initializer_list<std::string_view> fields);
// "wf-" and 26 characters of base32, the time in milliseconds first: the id of an instance.
std::string instance_id(TimePoint now, std::initializer_list<std::string_view> fields);

// Collects what a step did, to compare it with what a replay does. FNV-1a over 64 bits, fields framed by length.
class Digest {
 public:
  void add(std::string_view field);
  void add(std::int64_t number);
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 14695981039346656037ULL;
};

}  // namespace nuraghe::bpel::runtime
