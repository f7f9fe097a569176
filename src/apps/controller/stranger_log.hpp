// StrangerLog: who was not let in at a program's own door, in a file of its state folder: a line (JSON) for each entry
// of api::Strangers, which bounds their number. What is written is only ever added to; beyond kMostBytes the file
// becomes FILE.1, in place of the one of before.
//
//   {"time":"2026-01-31T12:00:00Z","origin":"rest 192.0.2.7","request":"GET /metrics","shown":"…","times":1}
//
// Threading: note() is thread safe; one thread calls write().
#pragma once

#include <string>

#include "api/strangers.hpp"
#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::controller {

class StrangerLog {
 public:
  static constexpr Bytes kMostBytes = mib(4);
  explicit StrangerLog(std::string file, Bytes most = kMostBytes) : file_(std::move(file)), most_(most) {}
  void note(api::Stranger stranger, TimePoint now) { strangers_.note(std::move(stranger), now); }
  // Writes what is due; once a second. `all`: nothing waits any longer, for the end. What cannot be written stands in
  // the program's log.
  void write(TimePoint now, bool all = false);

 private:
  Status append(const std::string& text) const;
  const std::string file_;
  const Bytes most_;
  api::Strangers strangers_;
};

}  // namespace nuraghe::controller
