#include "store/sqlite_connection.hpp"

#include <fmt/format.h>

#include "base/check.hpp"

namespace nuraghe::store {

void Statement::bind(int index, std::string_view blob) {
  // A null pointer would bind NULL, which is not the empty string.
  const char* data = blob.empty() ? "" : blob.data();
  CHECK(sqlite3_bind_blob64(handle_.get(), index, data, blob.size(), SQLITE_STATIC) == SQLITE_OK);
}

void Statement::bind(int index, std::int64_t number) {
  CHECK(sqlite3_bind_int64(handle_.get(), index, number) == SQLITE_OK);
}

void Statement::bind_text(int index, std::string_view text) {
  const char* data = text.empty() ? "" : text.data();
  CHECK(sqlite3_bind_text64(handle_.get(), index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK);
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    reset();
    return false;
  }
  Error error = connection_->error(code);
  reset();
  return error;
}

Status Statement::run() {
  TRY_ASSIGN(const bool row, step());
  if (row) reset();
  return {};
}

void Statement::reset() { sqlite3_reset(handle_.get()); }

std::string_view Statement::blob(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
  return {data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

std::int64_t Statement::number(int column) const { return sqlite3_column_int64(handle_.get(), column); }

std::string_view Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
  return {data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

Status Connection::open(const std::string& path, int flags, const std::string& vfs) {
  path_ = path;
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                   vfs.empty() ? nullptr : vfs.c_str());
  handle_.reset(raw);
  if (raw == nullptr) return exhausted(fmt::format("{}: no memory for the database", path));
  if (code == SQLITE_OK) return {};
  if (const int system = sqlite3_system_errno(raw); system != 0) return system_error("open " + path, system);
  return error(code);
}

Status Connection::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code);
  return {};
}

Result<std::int64_t> Connection::query_number(const std::string& sql) {
  TRY_ASSIGN(Statement statement, prepare(sql));
  TRY_ASSIGN(const bool row, statement.step());
  if (!row) return corrupt(fmt::format("{}: no answer to {}", path_, sql));
  return statement.number(0);
}

Result<std::string> Connection::query_text(const std::string& sql) {
  TRY_ASSIGN(Statement statement, prepare(sql));
  TRY_ASSIGN(const bool row, statement.step());
  if (!row) return corrupt(fmt::format("{}: no answer to {}", path_, sql));
  return std::string(statement.text(0));
}

Result<Statement> Connection::prepare(const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.c_str(), static_cast<int>(sql.size()) + 1,
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return error(code);
  Statement statement;
  statement.connection_ = this;
  statement.handle_.reset(raw);
  return statement;
}

Error Connection::error(int code) const {
  ErrorCode kind = ErrorCode::kInternal;
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      kind = ErrorCode::kUnavailable;
      break;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      kind = ErrorCode::kExhausted;
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      kind = ErrorCode::kCorrupt;
      break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
      kind = ErrorCode::kDenied;
      break;
    case SQLITE_TOOBIG:
      kind = ErrorCode::kInvalid;
      break;
    default:
      break;
  }
  return {kind, fmt::format("{}: {}", path_, sqlite3_errmsg(handle_.get()))};
}

}  // namespace nuraghe::store
