// Journal: the commits of a store that have not gone into its tables yet, appended as records to two files beside the
// database (docs/formats/store.md). A commit is one write and one sync of a file that is long enough already.
//
// Records have ascending numbers without gaps. Each one's checksum goes on from the one before it, and all of a run of
// records share a chance number (salt), so that what an older run or a lost commit left behind the last record is never
// taken for one. A file whose records are all in the tables is free: it is written again from its begin. While one is
// written, the other one holds what is on its way into the tables.
//
// Invariant: nothing of a file is overwritten before the tables have all of it durably (its user's part: `applied`).
// Threading: one thread at a time; sync(), synced() and last() beside it by any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "store/journal_file.hpp"

namespace nuraghe::store {

struct JournalOptions {
  std::string vfs{};  // a registered SQLite VFS; empty: the usual one
  bool read_only = false;
  bool synced = true;            // else sync() does nothing
  std::int64_t part = 16 << 20;  // a file so long is left for the other one when that is free
  std::int64_t limit = 0;        // of a file's bytes, as if the disk were full; 0: none
};

class Journal {
 public:
  struct Piece {
    std::int64_t number = 0;
    std::string changes;  // encode_changes
    bool erases_only = false;
  };
  // The last number of a record and the changes of all commits in it.
  using Take = std::function<Status(std::int64_t last, std::string_view changes)>;

  // `path`: the database's.
  Status open(const std::string& path, const JournalOptions& options);
  // Calls `take` for each record that has something behind the number `applied`, in order, and knows the end then.
  // False: the files were written from their begin meanwhile, so something may be missing.
  Result<bool> read(std::int64_t applied, const Take& take);
  // Whether somebody else has appended since.
  Result<bool> has_grown();

  // True: begin_part() is to be called before the piece `next` is appended.
  bool wants_part(std::int64_t applied, std::int64_t next) const;
  // What follows goes to the begin of a free file. What `applied` tells of is durable in the tables.
  Status begin_part(std::int64_t applied);
  // Appends one record; seen by all readers, durable after the next sync(). Nothing is done after kExhausted.
  Status append(const std::vector<Piece>& pieces);
  // Makes durable what was appended before the call; blocks. Once it has failed it always fails: the system may have
  // forgotten what it could not write.
  Status sync();
  std::int64_t synced() const { return synced_; }
  std::int64_t last() const { return last_; }  // the newest record's number

 private:
  struct Sum {
    std::uint64_t low = 0, high = 0;
    bool operator==(const Sum&) const = default;
  };
  struct Head;
  // Behind a record: what the next one goes on from.
  struct Place {
    std::int64_t offset = 0;
    std::uint64_t salt = 0;  // 0: nothing is there
    Sum sum;
    std::int64_t last = 0;  // the record's last number
  };
  struct Part {
    JournalFile file;
    std::string path;
    std::int64_t last = 0;  // its newest record's number
  };
  static constexpr std::size_t kHeadBytes = 64;
  using HeadBytes = std::array<char, kHeadBytes>;

  static Sum sum_of(Sum sum, std::string_view bytes);
  static void write_head(const Head& head, char* to);
  static Head read_head(const char* from);
  Status open_part(Part& part);
  Result<std::array<HeadBytes, 2>> first_heads();
  // Reads the record at a place and moves behind it; false: none is there. At a file's begin it may have any number.
  Result<bool> read_record(JournalFile& file, Place& place, std::int64_t expected, std::string& changes);
  void seal(Head& head);
  Status make_room(Part& part, std::int64_t end, bool uses_all) const;
  Status read_part(std::size_t index, std::int64_t applied, std::int64_t& expected, const Take& take);
  bool is_free(std::size_t index, std::int64_t applied) const { return parts_[index].last <= applied; }

  JournalOptions options_;
  std::array<Part, 2> parts_;
  std::atomic<std::size_t> active_ = 0;  // the part that is appended to
  Place place_;                          // in it: the end of its last record
  std::int64_t first_read_ = 0;          // of the record that was read last
  bool must_begin_ = true;               // what is there was left by an earlier process, perhaps not all of it durable
  std::string buffer_;
  std::atomic<std::int64_t> last_ = 0;
  std::atomic<std::int64_t> synced_ = 0;
  std::atomic<bool> sync_failed_ = false;
};

}  // namespace nuraghe::store
