#include "store/postgres_connection.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/check.hpp"

namespace nuraghe::store {
namespace {

constexpr std::uint32_t kByteaOid = 17;  // pg_type.dat
constexpr std::int64_t kMostUnsent = 1 << 20;

void append_be32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xff));
}

// libpq's messages end with a line break and may have several lines.
std::string one_line(const char* message) {
  std::string text(message == nullptr ? "" : message);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// https://www.postgresql.org/docs/15/errcodes-appendix.html
ErrorCode code_of(std::string_view state) {
  const std::string_view group = state.substr(0, 2);
  if (state == "53300") return ErrorCode::kUnavailable;  // too many connections
  if (group == "53") return ErrorCode::kExhausted;       // disk, memory
  // Serialization, deadlock; lock not available; operator intervention; connection; a server that only reads.
  if (group == "40" || state == "55P03" || group == "57" || group == "08" || state == "25006")
    return ErrorCode::kUnavailable;
  if (group == "28" || state == "42501") return ErrorCode::kDenied;
  if (state == "3D000") return ErrorCode::kNotFound;
  if (group == "54") return ErrorCode::kInvalid;
  // Damaged data or indexes; tables that are gone.
  if (state == "XX001" || state == "XX002" || state == "42P01" || state == "3F000") return ErrorCode::kCorrupt;
  return ErrorCode::kInternal;
}

}  // namespace

PgParameters& PgParameters::bytes(std::string_view value) {
  CHECK(value.size() <= INT32_MAX);
  values_.push_back(value.empty() ? "" : value.data());  // a null pointer would be NULL
  lengths_.push_back(static_cast<int>(value.size()));
  return *this;
}

PgParameters& PgParameters::number(std::int64_t value) {
  std::string& out = owned_.emplace_back();
  const auto bits = static_cast<std::uint64_t>(value);
  append_be32(out, static_cast<std::uint32_t>(bits >> 32));
  append_be32(out, static_cast<std::uint32_t>(bits));
  return bytes(out);
}

// The binary form of an array of one dimension: src/backend/utils/adt/arrayfuncs.c, array_recv.
PgParameters& PgParameters::array(const std::vector<std::string_view>& values) {
  std::size_t size = 20;
  for (const std::string_view value : values) size += 4 + value.size();
  std::string& out = owned_.emplace_back();
  out.reserve(size);
  append_be32(out, 1);  // dimensions
  append_be32(out, 0);  // no NULL
  append_be32(out, kByteaOid);
  append_be32(out, static_cast<std::uint32_t>(values.size()));
  append_be32(out, 1);  // the first index
  for (const std::string_view value : values) {
    append_be32(out, static_cast<std::uint32_t>(value.size()));
    out.append(value);
  }
  return bytes(out);
}

std::int64_t PgParameters::size() const { return std::accumulate(lengths_.begin(), lengths_.end(), std::int64_t{0}); }

std::string_view PgResult::bytes(int row, int column) const {
  return {PQgetvalue(handle_.get(), row, column), static_cast<std::size_t>(PQgetlength(handle_.get(), row, column))};
}

std::int64_t PgResult::number(int row, int column) const {
  const std::string_view value = bytes(row, column);
  CHECK(value.size() == 8);
  std::uint64_t bits = 0;
  for (const char byte : value) bits = bits << 8 | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(bits);
}

Status PgConnection::connect(const std::string& text, const std::string& application, Duration timeout) {
  char* problem = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(text.c_str(), &problem);
  if (parsed == nullptr) {
    Error error = invalid("the connection string of PostgreSQL is malformed: " + one_line(problem));
    PQfreemem(problem);
    return error;
  }
  name_ = "PostgreSQL";
  for (const PQconninfoOption* option = parsed; option->keyword != nullptr; ++option) {
    const std::string_view keyword = option->keyword;
    if (option->val == nullptr || (keyword != "host" && keyword != "port" && keyword != "dbname")) continue;
    name_ += fmt::format(" {}={}", keyword, option->val);
  }
  PQconninfoFree(parsed);
  handle_.reset();
  awaited_.clear();
  refused_ = false;
  unsent_ = 0;
  timeout_ = timeout;
  const auto seconds = std::max<std::int64_t>(2, std::chrono::duration_cast<std::chrono::seconds>(timeout).count());
  const std::string limit = std::to_string(seconds);
  // What stands in `text` wins: it comes later.
  const char* keywords[] = {"connect_timeout", "fallback_application_name", "dbname", nullptr};
  const char* values[] = {limit.c_str(), application.c_str(), text.c_str(), nullptr};
  handle_.reset(PQconnectdbParams(keywords, values, 1));
  if (!handle_) return exhausted(name_ + ": no memory for a connection");
  if (PQstatus(handle_.get()) != CONNECTION_OK) {
    // libpq does not tell the SQLSTATE of a refused login; its message does, which the server gives in its language.
    Error error = unavailable(fmt::format("{}: {}", name_, one_line(PQerrorMessage(handle_.get()))));
    handle_.reset();
    return error;
  }
  PQsetNoticeProcessor(
      handle_.get(), [](void*, const char*) {}, nullptr);
  CHECK(PQsetnonblocking(handle_.get(), 1) == 0 && PQenterPipelineMode(handle_.get()) == 1);
  ++session_;
  return {};
}

void PgConnection::sent(int accepted, PgStatement* prepared) {
  if (accepted == 1)
    awaited_.push_back({prepared});
  else
    refused_ = true;
}

void PgConnection::add(PgStatement& statement, const PgParameters& parameters) {
  if (!handle_) {
    refused_ = true;
    return;
  }
  if (statement.session_ != session_) {
    if (statement.name_.empty()) statement.name_ = fmt::format("s{}", ++statements_);
    statement.session_ = session_;
    sent(PQsendPrepare(handle_.get(), statement.name_.c_str(), statement.sql_.c_str(), 0, nullptr), &statement);
  }
  const std::vector<int> formats(parameters.values_.size(), 1);
  sent(PQsendQueryPrepared(handle_.get(), statement.name_.c_str(), static_cast<int>(formats.size()),
                           parameters.values_.data(), parameters.lengths_.data(), formats.data(), 1),
       nullptr);
  // libpq moves what is left in its buffer each time that the socket has taken some of it.
  unsent_ += parameters.size();
  if (unsent_ < kMostUnsent) return;
  if (!flush(std::chrono::steady_clock::now() + timeout_)) refused_ = true;
  unsent_ = 0;
}

void PgConnection::add(const std::string& sql) {
  if (!handle_) {
    refused_ = true;
    return;
  }
  sent(PQsendQueryParams(handle_.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1), nullptr);
}

Error PgConnection::lost() {
  std::string why = handle_ ? one_line(PQerrorMessage(handle_.get())) : std::string();
  handle_.reset();
  if (why.empty()) why = "there is no connection to the server";
  return unavailable(fmt::format("{}: {}", name_, why));
}

Error PgConnection::error_of(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  // An error without a state is libpq's own: the connection is lost.
  if (state == nullptr) {
    Error error = unavailable(fmt::format("{}: {}", name_, one_line(PQresultErrorMessage(result))));
    handle_.reset();
    return error;
  }
  Error error(code_of(state), fmt::format("{}: {} (SQLSTATE {})", name_, one_line(primary), state));
  if (severity != nullptr && std::strcmp(severity, "ERROR") != 0) handle_.reset();  // FATAL, PANIC: the session ends
  return error;
}

Status PgConnection::await(short events, Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  if (left.count() <= 0) {
    handle_.reset();
    return unavailable(name_ + ": no answer in time");
  }
  pollfd descriptor{PQsocket(handle_.get()), events, 0};
  ::poll(&descriptor, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
  if ((descriptor.revents & ~POLLOUT) != 0 && PQconsumeInput(handle_.get()) == 0) return lost();
  return {};
}

Status PgConnection::flush(Deadline deadline) {
  for (;;) {
    const int state = PQflush(handle_.get());
    if (state < 0) {
      // What the server said before it closed the connection is still there to be read.
      static_cast<void>(PQconsumeInput(handle_.get()));
      return {};
    }
    if (state == 0) return {};
    TRY(await(POLLIN | POLLOUT, deadline));
  }
}

// Null: the end of a statement's results.
Result<PGresult*> PgConnection::next_result(Deadline deadline) {
  while (PQisBusy(handle_.get()) != 0) {
    if (PQstatus(handle_.get()) != CONNECTION_OK) break;
    TRY(await(POLLIN, deadline));
  }
  return PQgetResult(handle_.get());
}

Status PgConnection::collect(std::vector<PgResult>& results, Deadline deadline) {
  Status outcome;
  for (std::size_t i = 0; i < awaited_.size(); ++i) {
    TRY_ASSIGN(PGresult * handle, next_result(deadline));
    if (handle == nullptr) return outcome ? Status(lost()) : std::move(outcome);
    PgResult result(handle);
    const ExecStatusType status = PQresultStatus(handle);
    const bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    PgStatement* prepared = awaited_[i].prepared;
    if (!good && prepared != nullptr) prepared->session_ = 0;
    if (good && prepared == nullptr && outcome) results.push_back(std::move(result));
    if (!good && outcome) outcome = error_of(handle);
    if (!handle_) return outcome;
    TRY_ASSIGN(PGresult * end, next_result(deadline));
    CHECK(end == nullptr);
  }
  TRY_ASSIGN(PGresult * end, next_result(deadline));
  const PgResult sync(end);
  if (end == nullptr || PQresultStatus(end) != PGRES_PIPELINE_SYNC)
    return outcome ? Status(lost()) : std::move(outcome);
  return outcome;
}

Status PgConnection::run(std::vector<PgResult>& results) {
  const Deadline deadline = std::chrono::steady_clock::now() + timeout_;
  if (!handle_) {
    refused_ = false;
    return lost();
  }
  Status done = [&]() -> Status {
    if (refused_ || PQpipelineSync(handle_.get()) != 1) return lost();
    TRY(flush(deadline));
    return collect(results, deadline);
  }();
  awaited_.clear();
  refused_ = false;
  unsent_ = 0;
  return done;
}

Result<PgResult> PgConnection::only(Status status, std::vector<PgResult>& results) {
  TRY(std::move(status));
  CHECK(results.size() == 1);
  return std::move(results.front());
}

Result<PgResult> PgConnection::query(PgStatement& statement, const PgParameters& parameters) {
  std::vector<PgResult> results;
  add(statement, parameters);
  Status status = run(results);
  return only(std::move(status), results);
}

Result<PgResult> PgConnection::query(const std::string& sql) {
  std::vector<PgResult> results;
  add(sql);
  Status status = run(results);
  return only(std::move(status), results);
}

}  // namespace nuraghe::store
