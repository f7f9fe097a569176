// A thin wrapper over libpq: a connection and results that own themselves, binary parameters, errors as Status.
//
// Everything goes through libpq's pipeline mode: statements are added, then run() sends them all and waits for all
// their results: one round trip, whatever their number. A statement that is not known to the server yet is prepared in
// the same round trip. Waits are bounded by the time-out that connect() was given.
//
// Threading: one thread at a time.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::store {

// A prepared statement: one SQL statement with parameters $1, $2, ... whose types its text tells ($1::bytea).
class PgStatement {
 public:
  PgStatement() = default;
  explicit PgStatement(std::string sql) : sql_(std::move(sql)) {}
  const std::string& sql() const { return sql_; }

 private:
  friend class PgConnection;
  std::string sql_;
  std::string name_;
  std::uint64_t session_ = 0;  // that of the connection which knows it
};

// Binary parameters. Byte strings must stay valid until add().
class PgParameters {
 public:
  PgParameters& bytes(std::string_view value);                       // bytea or text
  PgParameters& number(std::int64_t value);                          // bigint
  PgParameters& array(const std::vector<std::string_view>& values);  // bytea[]; not empty
  std::int64_t size() const;                                         // in bytes

 private:
  friend class PgConnection;
  std::deque<std::string> owned_;
  std::vector<const char*> values_;
  std::vector<int> lengths_;
};

class PgResult {
 public:
  explicit PgResult(PGresult* handle) : handle_(handle) {}
  int rows() const { return PQntuples(handle_.get()); }
  bool is_null(int row, int column) const { return PQgetisnull(handle_.get(), row, column) != 0; }
  std::string_view bytes(int row, int column) const;                   // valid as long as this
  std::int64_t number(int row, int column) const;                      // of a bigint
  std::string_view tag() const { return PQcmdStatus(handle_.get()); }  // "UPDATE 1", "COMMIT"

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> handle_;
};

class PgConnection {
 public:
  PgConnection() = default;
  PgConnection(const PgConnection&) = delete;
  PgConnection& operator=(const PgConnection&) = delete;

  // `text`: a libpq connection string or URI. Ends the connection that there was. kInvalid for a malformed text, else
  // kUnavailable (libpq does not tell a refused login from a server that is not there).
  Status connect(const std::string& text, const std::string& application, Duration timeout);
  // False before connect() and once the connection is lost.
  bool usable() const { return handle_ != nullptr; }
  void close() { handle_.reset(); }

  void add(PgStatement& statement, const PgParameters& parameters = {});
  void add(const std::string& sql);  // one statement without parameters
  // Sends what was added. `results` gets one result for each statement up to the first that failed, whose error is
  // returned. kUnavailable also when the connection was lost or the time is over; then usable() is false, and results
  // tell what is known to be done.
  Status run(std::vector<PgResult>& results);
  // For one statement.
  Result<PgResult> query(PgStatement& statement, const PgParameters& parameters = {});
  Result<PgResult> query(const std::string& sql);

  int server_version() const { return PQserverVersion(handle_.get()); }
  int process() const { return PQbackendPID(handle_.get()); }
  // Without password.
  const std::string& name() const { return name_; }

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  // What a result is awaited for.
  struct Awaited {
    PgStatement* prepared;  // null: the result of a statement
  };
  using Deadline = std::chrono::steady_clock::time_point;
  void sent(int accepted, PgStatement* prepared);
  Status flush(Deadline deadline);
  Result<PGresult*> next_result(Deadline deadline);
  Status await(short events, Deadline deadline);
  Status collect(std::vector<PgResult>& results, Deadline deadline);
  Error lost();
  Error error_of(const PGresult* result);
  Result<PgResult> only(Status status, std::vector<PgResult>& results);

  std::unique_ptr<PGconn, Finish> handle_;
  std::string name_;
  Duration timeout_{};
  std::uint64_t session_ = 0;  // raised by every connect
  std::uint64_t statements_ = 0;
  std::vector<Awaited> awaited_;
  std::int64_t unsent_ = 0;  // bytes of parameters, about, in libpq's buffer
  bool refused_ = false;     // libpq did not take a statement
};

}  // namespace nuraghe::store
