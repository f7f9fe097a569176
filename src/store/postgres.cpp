#include "store/postgres.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/crash_point.hpp"
#include "base/log.hpp"
#include "env/posix.hpp"
#include "store/buffered.hpp"
#include "store/postgres_connection.hpp"

namespace nuraghe::store {
namespace {

constexpr std::int64_t kFormat = 1;
constexpr int kOldestServer = 120000;
// PostgreSQL cuts longer names off: t_ and the name.
constexpr std::size_t kLongestName = 61;
// A B-tree takes keys up to a third of a page (2704 bytes); longer ones stand in long_rows.
constexpr std::size_t kLongKey = 2000;
// After so many bytes a statement gets no further rows.
constexpr std::size_t kMostBytes = 1 << 20;
// Writers that have not committed for so long are forgotten.
constexpr std::string_view kForgetWriters = "interval '7 days'";

// Settings of a session. A statement's plan is made once and stays: it must be the one for large tables.
constexpr std::string_view kSettings =
    "SELECT set_config('search_path', '', false), set_config('client_encoding', 'UTF8', false),"
    " set_config('client_min_messages', 'error', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false),"
    " set_config('enable_bitmapscan', 'off', false),"
    " set_config('jit', 'off', false)";

struct PgTable {
  std::string name;
  PgStatement get, range, open_range, put, erase;
};

class PostgresStore : public Store, private Backend {
 public:
  PostgresStore(std::string connection, const PostgresOptions& options)
      : text_(std::move(connection)), options_(options), writer_(env::make_id(env::system_random(), "writer")) {}
  Status open();

  Result<Table> table(std::string_view name) override;
  Result<std::int64_t> acquire(std::string_view owner) override;
  Result<std::unique_ptr<Transaction>> begin() override;
  Statistics statistics() const override { return statistics_; }

 private:
  Result<std::optional<std::string>> read(int table, std::string_view key) override;
  Status read_range(int table, std::string_view lower, const std::optional<std::string>& upper, std::size_t limit,
                    std::vector<Row>& out) override;
  Status write(std::vector<Changes> changes, bool ahead) override;
  void abandon() override;
  Status end_reading() override;
  int table_count() const override { return static_cast<int>(tables_.size()); }
  bool read_only() const override { return options_.read_only; }

  std::string name() const { return fmt::format("{} schema {}", connection_.name(), options_.schema); }
  PgStatement statement(std::string_view sql, std::string_view table = {}) const;
  void make_statements();
  // A connection that works, and no commit of unknown outcome.
  Status ready();
  Status connect();
  Status settle();
  Status verify_format();
  Status create_format();
  Status rollback();
  Result<std::int64_t> raise_epoch(std::string_view owner);
  Status end_holders();
  Status verify_epoch();
  Error taken_over() const;
  Result<PgResult> read_with(PgStatement& statement, const PgParameters& parameters);
  std::int64_t add_changes(PgTable& table, const Changes& changes);
  std::int64_t add_rows(PgTable& table, const std::vector<std::string_view>& keys,
                        const std::vector<std::string_view>& values, bool is_long);
  std::int64_t add_erased(PgTable& table, const std::vector<std::string_view>& keys, bool is_long);
  Status send_commit(const std::vector<Changes>& changes, std::int64_t& sent_bytes);
  // The status of a commit that failed so.
  Status look_after(Error error);

  const std::string text_;
  const PostgresOptions options_;
  const std::string writer_;  // names this Store in the table of writers
  PgConnection connection_;
  PgStatement begin_, commit_, rollback_, epoch_of_owner_, fence_, raise_head_, note_commit_;
  PgStatement long_get_, long_put_, long_erase_;
  std::vector<PgTable> tables_;
  std::string owner_;
  std::int64_t epoch_ = 0;
  std::int64_t commit_number_ = 0;  // of the last commit that was tried
  bool in_transaction_ = false;
  bool failed_ = false;   // in this transaction a statement failed: it cannot commit
  bool unknown_ = false;  // whether the last commit was done is not known
  bool lost_ = false;     // it was, and its transaction was told that it was not
  Statistics statistics_;
};

PgStatement PostgresStore::statement(std::string_view sql, std::string_view table) const {
  return PgStatement(fmt::format(fmt::runtime(sql), fmt::arg("s", options_.schema), fmt::arg("t", table)));
}

void PostgresStore::make_statements() {
  begin_ = statement(options_.read_only ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                                        : "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE");
  commit_ = statement("COMMIT");
  rollback_ = statement("ROLLBACK");
  epoch_of_owner_ = statement("SELECT epoch FROM {s}.epochs WHERE owner = $1::text");
  fence_ = statement("SELECT epoch FROM {s}.epochs WHERE owner = $1::text FOR SHARE");
  raise_head_ = statement("UPDATE {s}.head SET number = number + 1");
  note_commit_ = statement(
      "INSERT INTO {s}.writers VALUES ($1::text, $2::bigint, now()) ON CONFLICT (writer) DO UPDATE SET"
      " number = excluded.number, at = excluded.at");
  long_get_ = statement("SELECT value FROM {s}.long_rows WHERE name = $1::text AND digest = sha256($2::bytea)");
  long_put_ = statement(
      "INSERT INTO {s}.long_rows SELECT $1::text, sha256(k), k, v FROM unnest($2::bytea[], $3::bytea[]) AS u (k, v)"
      " ON CONFLICT (name, digest) DO UPDATE SET value = excluded.value");
  long_erase_ = statement(
      "DELETE FROM {s}.long_rows WHERE name = $1::text AND digest = ANY (ARRAY (SELECT sha256(k) FROM"
      " unnest($2::bytea[]) AS u (k)))");
}

Status PostgresStore::open() {
  const std::string& schema = options_.schema;
  const bool good = !schema.empty() && schema.size() < 64 && (schema[0] < '0' || schema[0] > '9') &&
                    std::all_of(schema.begin(), schema.end(),
                                [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
  if (!good) return invalid(fmt::format("'{}' is not the name of a schema: it is made of a-z, 0-9 and _", schema));
  make_statements();
  TRY(connect());
  if (connection_.server_version() < kOldestServer) {
    return unsupported(fmt::format("{}: its version is {}, 12 is the oldest that will do", connection_.name(),
                                   connection_.server_version() / 10000));
  }
  TRY_ASSIGN(const PgResult fsync, connection_.query("SELECT current_setting('fsync')"));
  if (options_.durable && fsync.bytes(0, 0) != "on") {
    log_warning("store", "the server runs with fsync=off: a crash of its machine loses commits", {{"store", name()}});
  }
  return verify_format();
}

Status PostgresStore::connect() {
  TRY(connection_.connect(text_, "nuraghe " + options_.schema, options_.timeout));
  connection_.add(std::string(kSettings));
  connection_.add(fmt::format("SELECT set_config('lock_timeout', '{}us', false)", options_.lock_timeout.count()));
  // A server may be set to more than "on", such as remote_apply: that stays.
  connection_.add(std::string(options_.durable ? "SELECT set_config('synchronous_commit', 'on', false) WHERE"
                                                 " current_setting('synchronous_commit') = 'off'"
                                               : "SELECT set_config('synchronous_commit', 'off', false)"));
  std::vector<PgResult> results;
  return connection_.run(results);
}

Status PostgresStore::ready() {
  if (!connection_.usable()) {
    TRY(connect());
    log_info("store", "connected again", {{"store", name()}});
  }
  if (unknown_) TRY(settle());
  if (lost_) {
    return conflict(name() + ": a commit that had counted as failed was done; start again from what is stored");
  }
  return {};
}

// The server may still be working on the commit. Raising the head waits for it when it holds the head, and makes it
// fail when it comes for it later; the note tells then.
Status PostgresStore::settle() {
  connection_.add("BEGIN ISOLATION LEVEL READ COMMITTED");
  connection_.add(raise_head_);
  PgStatement note = statement("SELECT number FROM {s}.writers WHERE writer = $1::text");
  connection_.add(note, PgParameters().bytes(writer_));
  connection_.add("COMMIT");
  std::vector<PgResult> results;
  if (Status done = connection_.run(results); !done) {
    static_cast<void>(rollback());  // the error that matters is the first
    return done;
  }
  unknown_ = false;
  lost_ = results[2].rows() == 1 && results[2].number(0, 0) == commit_number_;
  return {};
}

Status PostgresStore::verify_format() {
  TRY_ASSIGN(const PgResult there,
             connection_.query(fmt::format("SELECT to_regclass('{0}.meta') IS NOT NULL, (SELECT count(*) FROM pg_class"
                                           " WHERE relnamespace = to_regnamespace('{0}'))",
                                           options_.schema)));
  if (there.bytes(0, 0) != std::string_view("\1", 1)) {
    if (there.number(0, 1) > 0) return corrupt(name() + " holds tables of another program");
    if (options_.read_only) return not_found(name() + " is empty: nothing was stored in it yet");
    TRY(create_format());
  }
  PgStatement read = statement("SELECT value::bigint FROM {s}.meta WHERE name = 'format'");
  TRY_ASSIGN(const PgResult format, connection_.query(read));
  if (format.rows() != 1) return corrupt(name() + " holds tables of another program");
  if (format.number(0, 0) <= kFormat) return {};
  return conflict(fmt::format("{} has format {}, written by a newer Nuraghe; this one knows formats up to {}", name(),
                              format.number(0, 0), kFormat));
}

Status PostgresStore::create_format() {
  const auto add = [this](std::string_view sql) { connection_.add(statement(sql).sql()); };
  connection_.add("BEGIN ISOLATION LEVEL READ COMMITTED");
  // Two that create the same thing at once: the second waits and finds it.
  add("SELECT pg_advisory_xact_lock(hashtext('nuraghe {s}'))");
  add("CREATE SCHEMA IF NOT EXISTS {s}");
  add("CREATE TABLE IF NOT EXISTS {s}.meta (name text PRIMARY KEY, value text NOT NULL)");
  // Rows that every commit changes: with room beside them the new version needs no entry in an index.
  add("CREATE TABLE IF NOT EXISTS {s}.epochs (owner text PRIMARY KEY, epoch bigint NOT NULL) WITH (fillfactor = 20)");
  add("CREATE TABLE IF NOT EXISTS {s}.head (number bigint NOT NULL) WITH (fillfactor = 20)");
  add("CREATE TABLE IF NOT EXISTS {s}.writers (writer text PRIMARY KEY, number bigint NOT NULL, at timestamptz NOT"
      " NULL) WITH (fillfactor = 20)");
  add("CREATE TABLE IF NOT EXISTS {s}.long_rows (name text, digest bytea, key bytea NOT NULL, value bytea NOT NULL,"
      " PRIMARY KEY (name, digest))");
  add("INSERT INTO {s}.head SELECT 0 WHERE NOT EXISTS (SELECT FROM {s}.head)");
  connection_.add(
      fmt::format("INSERT INTO {}.meta VALUES ('format', '{}') ON CONFLICT DO NOTHING", options_.schema, kFormat));
  connection_.add("COMMIT");
  std::vector<PgResult> results;
  Status created = connection_.run(results);
  if (!created) static_cast<void>(rollback());  // the error that matters is the first
  return created;
}

Result<Table> PostgresStore::table(std::string_view name) {
  TRY(check_table_name(name));
  if (name.size() > kLongestName)
    return invalid(fmt::format("the table's name {} is longer than {} characters", name, kLongestName));
  if (in_transaction_) return conflict(fmt::format("table {} is opened within a transaction", name));
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (tables_[i].name == name) return Table{static_cast<int>(i)};
  }
  TRY(ready());
  TRY_ASSIGN(const PgResult there,
             connection_.query(statement("SELECT to_regclass('{s}.t_{t}') IS NOT NULL", name).sql()));
  if (there.bytes(0, 0) != std::string_view("\1", 1)) {
    if (options_.read_only) return not_found(fmt::format("{} has no table {}", this->name(), name));
    connection_.add("BEGIN ISOLATION LEVEL READ COMMITTED");
    connection_.add(statement("SELECT pg_advisory_xact_lock(hashtext('nuraghe {s}'))").sql());
    connection_.add(
        statement("CREATE TABLE IF NOT EXISTS {s}.t_{t} (key bytea PRIMARY KEY, value bytea NOT NULL)", name).sql());
    connection_.add("COMMIT");
    std::vector<PgResult> results;
    if (Status made = connection_.run(results); !made) {
      static_cast<void>(rollback());  // the error that matters is the first
      return std::move(made).error();
    }
  }
  PgTable& made = tables_.emplace_back();
  made.name = std::string(name);
  made.get = statement("SELECT value FROM {s}.t_{t} WHERE key = $1::bytea", name);
  // Each part has its own order and limit, so that an index gives it.
  const auto range = [&](std::string_view bounds) {
    return statement(
        fmt::format("(SELECT key, value FROM {{s}}.t_{{t}} WHERE {0} ORDER BY key LIMIT $2::bigint) UNION ALL"
                    " (SELECT key, value FROM {{s}}.long_rows WHERE name = '{{t}}' AND {0} ORDER BY key"
                    " LIMIT $2::bigint) ORDER BY key LIMIT $2::bigint",
                    bounds),
        name);
  };
  made.range = range("key >= $1::bytea AND key < $3::bytea");
  made.open_range = range("key >= $1::bytea");
  made.put = statement(
      "INSERT INTO {s}.t_{t} SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT (key) DO UPDATE SET value ="
      " excluded.value",
      name);
  made.erase = statement("DELETE FROM {s}.t_{t} WHERE key = ANY ($1::bytea[])", name);
  return Table{static_cast<int>(tables_.size()) - 1};
}

// Locks as a commit does, in its order: the owner's epoch, then the head.
Result<std::int64_t> PostgresStore::raise_epoch(std::string_view owner) {
  connection_.add("BEGIN ISOLATION LEVEL READ COMMITTED");
  PgStatement raise = statement(
      "INSERT INTO {s}.epochs AS e VALUES ($1::text, 1) ON CONFLICT (owner) DO UPDATE SET epoch = e.epoch + 1 RETURNING"
      " epoch");
  connection_.add(raise, PgParameters().bytes(owner));
  connection_.add(raise_head_);
  connection_.add(fmt::format("DELETE FROM {}.writers WHERE at < now() - {}", options_.schema, kForgetWriters));
  connection_.add("COMMIT");
  std::vector<PgResult> results;
  // The connection may be lost after the answer that counts.
  if (Status done = connection_.run(results); !done && results.size() < 5) {
    static_cast<void>(rollback());  // the error that matters is the first
    return std::move(done).error();
  }
  return results[1].number(0, 0);
}

// Ends the sessions of those that are within a commit: a process that stands still, or whose machine is gone, would
// keep its successor out as long as the server believes in it.
Status PostgresStore::end_holders() {
  TRY_ASSIGN(const PgResult ended,
             connection_.query(statement("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE granted AND"
                                         " relation IN ('{s}.head'::regclass, '{s}.epochs'::regclass) AND database ="
                                         " (SELECT oid FROM pg_database WHERE datname = current_database()) AND mode <>"
                                         " 'AccessShareLock' AND pid <> pg_backend_pid()")
                                   .sql()));
  log_warning("store", "ended sessions that stood in the way of a new owner",
              {{"store", name()}, {"sessions", std::to_string(ended.number(0, 0))}});
  return {};
}

Result<std::int64_t> PostgresStore::acquire(std::string_view owner) {
  CHECK(!in_transaction_);
  if (options_.read_only) return denied(name() + " was opened for reading only");
  TRY(ready());
  pass_crash_point(CrashPoint::kBeforeCommit);
  Result<std::int64_t> epoch = raise_epoch(owner);
  if (!epoch && epoch.error().code() == ErrorCode::kUnavailable && connection_.usable()) {
    TRY(end_holders());
    epoch = raise_epoch(owner);
  }
  TRY_ASSIGN(epoch_, std::move(epoch));
  owner_ = std::string(owner);
  ++statistics_.commits;
  pass_crash_point(CrashPoint::kAfterCommit);
  return epoch_;
}

Error PostgresStore::taken_over() const {
  return conflict(fmt::format("{}: a newer owner of {} has taken the store over", name(), owner_));
}

Status PostgresStore::verify_epoch() {
  if (owner_.empty()) return {};
  TRY_ASSIGN(const PgResult epoch, connection_.query(epoch_of_owner_, PgParameters().bytes(owner_)));
  if (epoch.rows() == 1 && epoch.number(0, 0) == epoch_) return {};
  return taken_over();
}

Result<std::unique_ptr<Transaction>> PostgresStore::begin() {
  CHECK(!in_transaction_);
  TRY(ready());
  connection_.add(begin_);
  // This read fixes the snapshot, also when there is no owner.
  connection_.add(epoch_of_owner_, PgParameters().bytes(owner_));
  std::vector<PgResult> results;
  if (Status begun = connection_.run(results); !begun) {
    static_cast<void>(rollback());  // the error that matters is the first
    return std::move(begun).error();
  }
  if (!owner_.empty() && (results[1].rows() != 1 || results[1].number(0, 0) != epoch_)) {
    TRY(rollback());
    return taken_over();
  }
  in_transaction_ = true;
  failed_ = false;
  return make_buffered_transaction(*this);
}

Status PostgresStore::rollback() {
  if (!connection_.usable()) return {};
  TRY_ASSIGN(const PgResult done, connection_.query(rollback_));
  return {};
}

void PostgresStore::abandon() {
  in_transaction_ = false;
  // Nothing depends on it: a connection that cannot roll back is lost.
  static_cast<void>(rollback());
}

Status PostgresStore::end_reading() {
  const bool failed = failed_;
  abandon();
  if (failed) return unavailable(name() + ": a read of this transaction failed");
  return {};
}

Result<PgResult> PostgresStore::read_with(PgStatement& statement, const PgParameters& parameters) {
  if (failed_) return unavailable(name() + ": an earlier read of this transaction failed");
  Result<PgResult> result = connection_.query(statement, parameters);
  failed_ = !result;
  return result;
}

Result<std::optional<std::string>> PostgresStore::read(int table, std::string_view key) {
  PgTable& from = tables_[static_cast<std::size_t>(table)];
  const bool is_long = key.size() > kLongKey;
  PgParameters parameters;
  if (is_long) parameters.bytes(from.name);
  parameters.bytes(key);
  TRY_ASSIGN(const PgResult found, read_with(is_long ? long_get_ : from.get, parameters));
  if (found.rows() == 0) return std::optional<std::string>();
  return std::optional<std::string>(found.bytes(0, 0));
}

Status PostgresStore::read_range(int table, std::string_view lower, const std::optional<std::string>& upper,
                                 std::size_t limit, std::vector<Row>& out) {
  PgTable& from = tables_[static_cast<std::size_t>(table)];
  PgParameters parameters;
  const auto most = static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX));
  parameters.bytes(lower).number(most);
  if (upper) parameters.bytes(*upper);
  TRY_ASSIGN(const PgResult found, read_with(upper ? from.range : from.open_range, parameters));
  out.reserve(out.size() + static_cast<std::size_t>(found.rows()));
  for (int row = 0; row < found.rows(); ++row) {
    out.push_back({std::string(found.bytes(row, 0)), std::string(found.bytes(row, 1))});
  }
  return {};
}

std::int64_t PostgresStore::add_rows(PgTable& table, const std::vector<std::string_view>& keys,
                                     const std::vector<std::string_view>& values, bool is_long) {
  std::int64_t bytes = 0;
  for (std::size_t from = 0; from < keys.size();) {
    std::vector<std::string_view> some_keys, some_values;
    std::size_t size = 0;
    for (; from < keys.size() && size < kMostBytes; ++from) {
      some_keys.push_back(keys[from]);
      some_values.push_back(values[from]);
      size += keys[from].size() + values[from].size();
    }
    PgParameters parameters;
    if (is_long) parameters.bytes(table.name);
    parameters.array(some_keys).array(some_values);
    bytes += parameters.size();
    connection_.add(is_long ? long_put_ : table.put, parameters);
  }
  return bytes;
}

std::int64_t PostgresStore::add_erased(PgTable& table, const std::vector<std::string_view>& keys, bool is_long) {
  if (keys.empty()) return 0;
  PgParameters parameters;
  if (is_long) parameters.bytes(table.name);
  parameters.array(keys);
  connection_.add(is_long ? long_erase_ : table.erase, parameters);
  return parameters.size();
}

// Returns how many bytes of parameters it added.
std::int64_t PostgresStore::add_changes(PgTable& table, const Changes& changes) {
  std::vector<std::string_view> keys[2], values[2], erased[2];
  for (const auto& [key, change] : changes) {
    if (change.is_nothing()) continue;
    const std::size_t is_long = key.size() > kLongKey ? 1 : 0;
    if (!change.value) {
      erased[is_long].emplace_back(key);
    } else {
      keys[is_long].emplace_back(key);
      values[is_long].emplace_back(*change.value);
    }
  }
  std::int64_t bytes = 0;
  for (const std::size_t is_long : {0, 1}) {
    bytes += add_rows(table, keys[is_long], values[is_long], is_long == 1);
    bytes += add_erased(table, erased[is_long], is_long == 1);
  }
  return bytes;
}

Status PostgresStore::send_commit(const std::vector<Changes>& changes, std::int64_t& sent_bytes) {
  // Fails when the owner's epoch was raised since our snapshot, and keeps it from being raised until the commit.
  if (!owner_.empty()) connection_.add(fence_, PgParameters().bytes(owner_));
  // Fails when anybody committed since our snapshot, and keeps others from committing.
  connection_.add(raise_head_);
  connection_.add(note_commit_, PgParameters().bytes(writer_).number(++commit_number_));
  for (std::size_t i = 0; i < changes.size(); ++i) sent_bytes += add_changes(tables_[i], changes[i]);
  connection_.add(commit_);
  std::vector<PgResult> results;
  Status done = connection_.run(results);
  // The connection may be lost after the answer that counts.
  if (!results.empty() && results.back().tag() == "COMMIT") return {};
  if (done) return internal(name() + ": the server did not commit");
  if (!connection_.usable()) unknown_ = true;
  return done;
}

Status PostgresStore::look_after(Error error) {
  if (!connection_.usable() && unknown_) {
    log_warning("store", "the connection was lost during a commit", {{"store", name()}, {"error", error.to_string()}});
    if (Status again = connect(); !again) return error;
    if (Status settled = settle(); !settled) return error;
    if (std::exchange(lost_, false)) return {};
  } else {
    static_cast<void>(rollback());  // the error that matters is the first
  }
  if (error.code() != ErrorCode::kUnavailable || !connection_.usable()) return error;
  // Somebody else wrote since our snapshot: a newer owner?
  TRY(verify_epoch());
  return error;
}

Status PostgresStore::write(std::vector<Changes> changes, bool) {
  in_transaction_ = false;
  pass_crash_point(CrashPoint::kBeforeCommit);
  if (failed_ || !connection_.usable()) {
    static_cast<void>(rollback());  // the error that matters is the first
    return unavailable(name() + ": a read of this transaction failed");
  }
  const WriteSize size = size_of(changes);
  std::int64_t sent_bytes = 0;
  Status written = send_commit(changes, sent_bytes);
  if (!written) written = look_after(std::move(written).error());
  if (!written) return written;
  ++statistics_.commits;
  statistics_.rows_written += size.rows;
  statistics_.bytes_written += size.bytes;
  statistics_.journal_bytes += sent_bytes;
  pass_crash_point(CrashPoint::kAfterCommit);
  return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_postgres(const std::string& connection, const PostgresOptions& options) {
  auto store = std::make_unique<PostgresStore>(connection, options);
  TRY(store->open());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace nuraghe::store
