// History: the ordered inputs of an instance's steps, enough to run it again (docs/formats/journal.md).
//
// Every step writes one record: the event, the time, and a digest of all that the step did (rows written, messages,
// answers and timers). A step is a function of the rows and its event, so running the events again from nothing must
// give the same digests; the first that differs shows where an engine departs from the one that wrote the history.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/record.hpp"
#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel::journal {

inline constexpr std::uint32_t kHistoryVersion = 1;

enum class EventKind : std::uint8_t {
  kCreate = 1,     // message: the creating request; node, alternative: the start activity
  kMessage = 2,    // message for path/frame/alternative
  kReply = 3,      // message: the answer to an invoke of path/frame
  kTimer = 4,      // path/frame/alternative
  kContinue = 5,   // goes on after the step limit
  kEarly = 6,      // message to be kept for a receive; key: its subscription key
  kAmbiguous = 7,  // message that two receives wait for
  kTerminate = 8,  // text: why
  kEnd = 9,        // text: why; with termination handlers and compensation
};

struct StepEvent {
  EventKind kind = EventKind::kContinue;
  std::string path;
  std::uint32_t frame = 0;
  std::uint32_t alternative = 0;
  NodeIndex node = kNone;
  std::string message;  // encode_message
  std::string key;
  std::string text;
  const exchange::Message* decoded = nullptr;  // `message` as its sender made it, when it is at hand; not stored
  template <class V>
  void fields(V& v) {
    v(1, kind), v(2, path), v(3, frame), v(4, alternative), v(5, node), v(6, message), v(7, key), v(8, text);
  }
};

struct HistoryRow {
  std::uint32_t version = kHistoryVersion;
  TimePoint now;
  StepEvent event;
  std::uint64_t digest = 0;
  template <class V>
  void fields(V& v) {
    v(1, version), v(2, now), v(3, event), v(4, digest);
  }
};

// encode_record of such a row, without a copy of the event.
std::string encode_history(TimePoint now, const StepEvent& event, std::uint64_t digest);

// "create", "message", ...
std::string_view event_kind_name(EventKind kind);

// The header of an instance that this event creates.
Result<runtime::HeaderRow> header_for(const StepEvent& event, const runtime::Program& program, const std::string& id,
                                      TimePoint now);
// Runs one step: applies the event, runs, writes. The caller looks at machine.error().
Status apply_event(runtime::Machine& machine, const std::string& instance, const StepEvent& event);

struct Replay {
  std::int64_t steps = 0;  // that were run again
  bool same = true;
  std::int64_t different = 0;  // the first step that differs, counted from 1
  std::string explanation;     // what that step was
};
// Runs the history (oldest first) on an empty state in memory. The observer is told what happens meanwhile; before each
// step `goes_on` (when there is one) may end it: kCancelled.
Result<Replay> replay(const std::vector<HistoryRow>& history, const std::string& id, const runtime::Program& program,
                      const runtime::Limits& limits, const std::string& own_base,
                      const std::function<void(const runtime::Progress&)>& observer = {},
                      const std::function<bool()>& goes_on = {});

}  // namespace nuraghe::bpel::journal
