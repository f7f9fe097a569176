// JournalFile: one file of a store's journal, opened through an SQLite VFS, so that the tests' disks serve it too. It
// grows ahead, by zeros: a sync of a file that grew writes its inode and its map as well, which takes longer than the
// data.
//
// Threading: one thread at a time; sync() beside it by any.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nuraghe::store {

class JournalFile {
 public:
  JournalFile() = default;
  ~JournalFile();
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;

  // Made when it is missing, with the mode of the database that its name begins with. `vfs`: empty for the usual one.
  // kNotFound when it is not there and `read_only`.
  Status open(const std::string& path, const std::string& vfs, bool read_only);
  bool is_open() const { return file() != nullptr && file()->pMethods != nullptr; }
  // Looks at its size again: others write too.
  Status measure();
  std::int64_t size() const { return size_; }
  // What is behind the file's end reads as zeros.
  Status read(char* to, std::size_t size, std::int64_t offset);
  // Makes the file so long, and longer when it has to grow. kExhausted when the disk is full.
  Status reserve(std::int64_t size);
  // Within the file. Some of it may be there after an error.
  Status write(std::string_view data, std::int64_t offset);
  Status truncate(std::int64_t size);
  // Makes durable what was written before the call; blocks.
  Status sync();

 private:
  sqlite3_file* file() const { return reinterpret_cast<sqlite3_file*>(memory_.get()); }
  Error error(std::string_view what, int code) const;
  int write_all(std::string_view data, std::int64_t offset);

  std::string name_;                // SQLite keeps a pointer to it
  std::unique_ptr<char[]> memory_;  // of the VFS's sqlite3_file
  std::int64_t size_ = 0;
};

}  // namespace nuraghe::store
