// W3C Trace Context, Level 1 (Recommendation of 23 November 2021): the header traceparent, and spans.
//
// A trace is everything that one request from outside caused; a span is one piece of work of it: a request that an
// exchange took, from its arrival to its answer, or a job. Each has an id of its own, and its parent's: what is sent
// within a span carries the trace's id and the span's. docs/traces.md tells what users see. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/units.hpp"
#include "env/env.hpp"

namespace nuraghe::exchange {

struct TraceId {
  std::uint64_t high = 0, low = 0;
  auto operator<=>(const TraceId&) const = default;
  std::string to_string() const;  // 32 hexadecimal digits
  template <class V>
  void fields(V& v) {
    v(1, high), v(2, low);
  }
};
// 32 lower-case hexadecimal digits, not all zero; nullopt for anything else.
std::optional<TraceId> parse_trace_id(std::string_view text);
// 16 hexadecimal digits.
std::string span_id_text(std::uint64_t span);

struct TraceParent {
  TraceId trace;
  std::uint64_t span = 0;   // of whoever sends; never 0
  bool is_sampled = false;  // whether spans are to be kept
};
// §3.2: version, trace-id, parent-id, flags; of a version that is not known, what version 00 has. nullopt: malformed,
// to be taken as absent.
std::optional<TraceParent> parse_traceparent(std::string_view text);
// Of version 00, 55 characters. Of the flags only `sampled` is passed on (§3.2.2.5).
std::string to_string(const TraceParent& parent);
// Of a new trace, sampled.
TraceParent begin_trace(env::Random& random);
// §3.3: what may be passed on: printable, at most 512 characters. Empty: nothing is.
std::string_view checked_tracestate(std::string_view text);

// One piece of work that ended.
struct Span {
  enum class Kind { kRequest, kJob };
  TraceId trace;
  std::uint64_t id = 0;
  std::uint64_t parent = 0;
  Kind kind = Kind::kRequest;
  std::string vo;
  std::string service;    // a request's: where it was sent, as "vcf"; a job's: the actor
  std::string operation;  // a job's: its key
  std::string where;      // the exchange, as "control" or "vhc-host-1"
  TimePoint start;
  Duration took{0};
  std::string fault;  // code of the fault with which it ended, as "not-found"; empty: none
  template <class V>
  void fields(V& v) {
    v(1, trace), v(2, id), v(3, parent), v(4, kind), v(5, vo), v(6, service), v(7, operation), v(8, where), v(9, start),
        v(10, took), v(11, fault);
  }
};

// A span that has not ended: what is kept of it with its request or job.
struct OpenSpan {
  std::string traceparent;  // with its own id: what is sent within it
  std::string tracestate;
  std::uint64_t parent = 0;
  std::string vo;
  std::string service;
  TimePoint start;
  template <class V>
  void fields(V& v) {
    v(1, traceparent), v(2, tracestate), v(3, parent), v(4, vo), v(5, service), v(6, start);
  }
};
// nullopt: its trace is not sampled.
std::optional<Span> end_span(const OpenSpan& open, TimePoint now);

}  // namespace nuraghe::exchange
