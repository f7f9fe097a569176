// A thin wrapper over the SQLite C API: connection and prepared statements that own themselves, errors as Status.
// Threading: one thread at a time.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nuraghe::store {

// How long a statement waits for another connection's lock.
constexpr int kBusyTimeoutMs = 5000;

class Connection;

// A prepared statement. Bound views must stay valid until reset().
class Statement {
 public:
  Statement() = default;
  bool prepared() const { return handle_ != nullptr; }
  void bind(int index, std::string_view blob);  // as BLOB; also when empty
  void bind(int index, std::int64_t number);
  void bind_text(int index, std::string_view text);
  // True: a row stands ready. After false or an error the statement is reset.
  Result<bool> step();
  // Steps once and resets: for statements without rows.
  Status run();
  void reset();
  std::string_view blob(int column) const;  // valid until the next step or reset
  std::int64_t number(int column) const;
  std::string_view text(int column) const;

 private:
  friend class Connection;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Connection* connection_ = nullptr;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

class Connection {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // `vfs`: empty for the usual one.
  Status open(const std::string& path, int flags, const std::string& vfs = {});
  Status execute(const std::string& sql);
  // The first column of the first row as number.
  Result<std::int64_t> query_number(const std::string& sql);
  Result<std::string> query_text(const std::string& sql);
  Result<Statement> prepare(const std::string& sql);
  // The error of a result code: what the connection says last, with the file's path.
  Error error(int code) const;
  // The extended code of the last failed call.
  int last_code() const { return sqlite3_extended_errcode(handle_.get()); }
  sqlite3* handle() const { return handle_.get(); }
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace nuraghe::store
