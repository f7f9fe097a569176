// VolatileDisk: a disk in memory for SQLite (a VFS), whose power can be cut and which can refuse. For tests only.
//
// What was written but not synced may be lost: after a cut each such write is there, or not, as the seed has it;
// sectors of 512 bytes are whole. Files that were opened before the cut lead to a ghost: what is still written to them
// changes nothing.
//
// Source: sqlite.org/vfs.html, sqlite.org/c3ref/io_methods.html.
// Threading: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace nuraghe::store {

class VolatileDisk {
 public:
  VolatileDisk();
  ~VolatileDisk();  // no file of it may be open then
  VolatileDisk(const VolatileDisk&) = delete;
  VolatileDisk& operator=(const VolatileDisk&) = delete;

  // For SqliteOptions::vfs; unique in the process.
  const std::string& name() const;
  // The power fails now.
  void fail();
  // Called before each write, truncation, sync and deletion; true: the power fails here.
  void on_operation(std::function<bool()> fails);
  enum class Access { kWrite, kGrow, kTruncate, kSync };  // kGrow: a write behind the file's end
  enum class Answer { kDone, kFull, kError };
  // Called before each of them: what the file system answers. Half of a refused write is there. Of what a refused sync
  // should have made durable every other sector is: no later sync sees to the rest, as with Linux, which forgets what
  // it could not write.
  void on_access(std::function<Answer(Access access)> answer);
  // The power is back. `keep` tells of each write that was not synced, in their order, whether it is there. No file may
  // be open.
  void restore(const std::function<bool()>& keep);
  std::int64_t syncs() const;

  struct Implementation;

 private:
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace nuraghe::store
