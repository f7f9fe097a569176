#include "store/sqlite.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/check.hpp"
#include "base/crash_point.hpp"
#include "env/posix.hpp"
#include "store/buffered.hpp"
#include "store/sqlite_connection.hpp"

namespace nuraghe::store {
namespace {

constexpr std::int64_t kApplicationId = 0x4e555241;  // "NURA"
constexpr std::int64_t kFormat = 1;
constexpr int kBusyTimeoutMs = 5000;
// The log is copied into the database when it has so many pages (128 MiB): large, because pages that are written again
// and again are copied once, and because a log that is used again from its start needs no metadata to be synced.
constexpr int kCheckpointPages = 16384;
// The same while nothing else is to be done (16 MiB).
constexpr int kIdleCheckpointPages = 2048;
constexpr std::int64_t kFrameHeader = 24;  // of each page in the log, sqlite.org/fileformat2.html §4.1

// The statements of one table, prepared when first used.
struct TableStatements {
  std::string name;
  Statement get;
  Statement put;
  Statement erase;
  Statement range;
  Statement open_range;  // without upper bound
};

class SqliteStore : public Store, private Backend {
 public:
  Status open(const std::string& path, const SqliteOptions& options);

  Result<Table> table(std::string_view name) override;
  Result<std::int64_t> acquire(std::string_view owner) override;
  Result<std::unique_ptr<Transaction>> begin() override;
  void tidy() override;
  Statistics statistics() const override { return statistics_; }

 private:
  Result<std::optional<std::string>> read(int table, std::string_view key) override;
  Status read_range(int table, std::string_view lower, const std::optional<std::string>& upper, std::size_t limit,
                    std::vector<Row>& out) override;
  Status write(const std::vector<Changes>& changes) override;
  void abandon() override;
  int table_count() const override { return static_cast<int>(tables_.size()); }
  bool read_only() const override { return options_.read_only; }

  Status create_file(const std::string& path);
  Status verify_format();
  Status create_format();
  Status configure();
  Status verify_epoch();
  Status apply(const std::vector<Changes>& changes);
  Status apply_table(TableStatements& table, const Changes& changes);
  Error undo_failed_write(Error error);
  TableStatements& at(int table) { return tables_[static_cast<std::size_t>(table)]; }
  Result<Statement> prepare_for(const TableStatements& table, std::string_view sql);
  static int on_wal(void* self, sqlite3* connection, const char* database, int pages);

  SqliteOptions options_;
  Connection connection_;
  Statement begin_;
  Statement commit_;
  Statement rollback_;
  Statement epoch_of_owner_;
  std::vector<TableStatements> tables_;
  std::string owner_;
  std::int64_t epoch_ = 0;
  std::int64_t page_size_ = 4096;
  std::int64_t log_pages_ = 0;
  bool log_copied_ = false;  // all of it, since the last commit
  bool in_transaction_ = false;
  Statistics statistics_;
};

// SQLite would make the file readable for all; its -wal and -shm inherit the mode.
Status SqliteStore::create_file(const std::string& path) {
  const env::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    if (errno == EEXIST) return {};
    return system_error("create " + path, errno);
  }
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return env::fsync_path(".");
  return env::fsync_path(slash == 0 ? "/" : path.substr(0, slash));
}

Status SqliteStore::open(const std::string& path, const SqliteOptions& options) {
  options_ = options;
  if (!options.read_only) TRY(create_file(path));
  TRY(connection_.open(path, options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE));
  sqlite3_busy_timeout(connection_.handle(), kBusyTimeoutMs);
  TRY(verify_format());
  TRY(configure());
  TRY_ASSIGN(begin_, connection_.prepare("BEGIN"));
  TRY_ASSIGN(commit_, connection_.prepare("COMMIT"));
  TRY_ASSIGN(rollback_, connection_.prepare("ROLLBACK"));
  TRY_ASSIGN(epoch_of_owner_, connection_.prepare("SELECT epoch FROM epochs WHERE owner = ?1"));
  return {};
}

Status SqliteStore::verify_format() {
  const std::string& path = connection_.path();
  TRY_ASSIGN(const std::int64_t application, connection_.query_number("PRAGMA application_id"));
  if (application == 0) {
    TRY_ASSIGN(const std::int64_t objects, connection_.query_number("SELECT count(*) FROM sqlite_master"));
    if (objects > 0) return corrupt(fmt::format("{} is a database of another program", path));
    if (options_.read_only) return not_found(fmt::format("{} is empty: nothing was stored in it yet", path));
    TRY(create_format());
  } else if (application != kApplicationId) {
    return corrupt(fmt::format("{} is a database of another program", path));
  }
  TRY_ASSIGN(const std::int64_t format, connection_.query_number("SELECT value FROM meta WHERE name = 'format'"));
  if (format > kFormat) {
    return conflict(fmt::format("{} has format {}, written by a newer Nuraghe; this one knows formats up to {}", path,
                                format, kFormat));
  }
  return {};
}

Status SqliteStore::create_format() {
  // Most rows have a few hundred bytes and lie scattered: with pages of 8 KiB half as many are written as with 4, and
  // not many more bytes.
  TRY(connection_.execute("PRAGMA page_size = 8192"));
  TRY_ASSIGN(const std::string mode, connection_.query_text("PRAGMA journal_mode = WAL"));
  if (mode != "wal")
    return unsupported(fmt::format("{}: its file system does not support a write-ahead log", connection_.path()));
  TRY(connection_.execute("BEGIN IMMEDIATE"));
  const Status created = [&]() -> Status {
    // Another process may have been faster while this one waited for the lock.
    TRY_ASSIGN(const std::int64_t objects, connection_.query_number("SELECT count(*) FROM sqlite_master"));
    if (objects > 0) return {};
    TRY(
        connection_.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
                            "CREATE TABLE epochs (owner TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;"));
    TRY(connection_.execute(fmt::format("INSERT INTO meta VALUES ('format', {});", kFormat)));
    return connection_.execute(fmt::format("PRAGMA application_id = {};", kApplicationId));
  }();
  if (!created) {
    static_cast<void>(connection_.execute("ROLLBACK"));  // the error that matters is the first
    return created;
  }
  return connection_.execute("COMMIT");
}

Status SqliteStore::configure() {
  TRY(connection_.execute("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -131072; PRAGMA trusted_schema = OFF;"));
  TRY_ASSIGN(page_size_, connection_.query_number("PRAGMA page_size"));
  if (options_.read_only) return {};
  TRY(connection_.execute(options_.synchronous_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"));
  if (options_.max_pages > 0) {
    TRY(connection_.execute(fmt::format("PRAGMA max_page_count = {}", options_.max_pages)));
  }
  // A log that one large transaction made long is cut when it begins anew.
  TRY(connection_.execute("PRAGMA journal_size_limit = 268435456"));
  sqlite3_wal_hook(connection_.handle(), &SqliteStore::on_wal, this);
  return {};
}

// Runs after each commit that wrote: counts the log's growth and copies it into the database when it is long.
int SqliteStore::on_wal(void* self, sqlite3* connection, const char* database, int pages) {
  auto& store = *static_cast<SqliteStore*>(self);
  // After a checkpoint of everything the log begins anew.
  const std::int64_t grown = pages > store.log_pages_ ? pages - store.log_pages_ : pages;
  store.statistics_.journal_bytes += grown * (store.page_size_ + kFrameHeader);
  store.log_pages_ = pages;
  store.log_copied_ = false;
  if (pages < kCheckpointPages) return SQLITE_OK;
  // The commit stands whether or not this succeeds; a checkpoint that could not finish is tried again by the next.
  sqlite3_wal_checkpoint_v2(connection, database, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  return SQLITE_OK;
}

void SqliteStore::tidy() {
  CHECK(!in_transaction_);
  if (log_copied_ || log_pages_ < kIdleCheckpointPages) return;
  int in_log = 0;
  int copied = 0;
  const int code =
      sqlite3_wal_checkpoint_v2(connection_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);
  log_copied_ = code == SQLITE_OK && in_log == copied;
}

Result<Table> SqliteStore::table(std::string_view name) {
  TRY(check_table_name(name));
  if (in_transaction_) return conflict(fmt::format("table {} is opened within a transaction", name));
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (tables_[i].name == name) return Table{static_cast<int>(i)};
  }
  TRY_ASSIGN(const std::int64_t exists,
             connection_.query_number(fmt::format("SELECT count(*) FROM sqlite_master WHERE name = 't_{}'", name)));
  if (exists == 0) {
    if (options_.read_only) return not_found(fmt::format("{} has no table {}", connection_.path(), name));
    TRY(connection_.execute(fmt::format(
        "CREATE TABLE IF NOT EXISTS t_{} (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID", name)));
  }
  tables_.emplace_back().name = std::string(name);
  return Table{static_cast<int>(tables_.size()) - 1};
}

Result<std::int64_t> SqliteStore::acquire(std::string_view owner) {
  CHECK(!in_transaction_);
  if (options_.read_only) return denied(fmt::format("{} was opened for reading only", connection_.path()));
  pass_crash_point(CrashPoint::kBeforeCommit);
  TRY_ASSIGN(Statement raise,
             connection_.prepare("INSERT INTO epochs VALUES (?1, 1) ON CONFLICT (owner) DO UPDATE SET epoch = epoch + 1"
                                 " RETURNING epoch"));
  raise.bind_text(1, owner);
  TRY_ASSIGN(const bool row, raise.step());
  CHECK(row);
  const std::int64_t epoch = raise.number(0);
  TRY_ASSIGN(const bool more, raise.step());  // runs to its end, which commits
  CHECK(!more);
  owner_ = std::string(owner);
  epoch_ = epoch;
  ++statistics_.commits;
  pass_crash_point(CrashPoint::kAfterCommit);
  return epoch;
}

Status SqliteStore::verify_epoch() {
  if (owner_.empty()) return {};
  epoch_of_owner_.bind_text(1, owner_);
  TRY_ASSIGN(const bool row, epoch_of_owner_.step());
  const std::int64_t epoch = row ? epoch_of_owner_.number(0) : 0;
  if (row) epoch_of_owner_.reset();
  if (epoch == epoch_) return {};
  return conflict(fmt::format("{}: a newer owner of {} has taken the store over", connection_.path(), owner_));
}

Result<std::unique_ptr<Transaction>> SqliteStore::begin() {
  CHECK(!in_transaction_);
  TRY(begin_.run());
  in_transaction_ = true;
  // This read fixes the snapshot: a newer owner's epoch or any other commit after it makes our write fail.
  if (Status epoch = verify_epoch(); !epoch) {
    abandon();
    return std::move(epoch).error();
  }
  return make_buffered_transaction(*this);
}

Result<Statement> SqliteStore::prepare_for(const TableStatements& table, std::string_view sql) {
  return connection_.prepare(fmt::format(fmt::runtime(sql), fmt::arg("t", "t_" + table.name)));
}

Result<std::optional<std::string>> SqliteStore::read(int table, std::string_view key) {
  TableStatements& statements = at(table);
  Statement& get = statements.get;
  if (!get.prepared()) {
    TRY_ASSIGN(get, prepare_for(statements, "SELECT value FROM {t} WHERE key = ?1"));
  }
  get.bind(1, key);
  TRY_ASSIGN(const bool row, get.step());
  if (!row) return std::optional<std::string>();
  std::optional<std::string> value(get.blob(0));
  get.reset();
  return value;
}

Status SqliteStore::read_range(int table, std::string_view lower, const std::optional<std::string>& upper,
                               std::size_t limit, std::vector<Row>& out) {
  TableStatements& statements = at(table);
  Statement& range = upper ? statements.range : statements.open_range;
  if (!range.prepared()) {
    TRY_ASSIGN(range,
               prepare_for(statements, upper ? "SELECT key, value FROM {t} WHERE key >= ?1 AND key < ?2 ORDER BY key"
                                             : "SELECT key, value FROM {t} WHERE key >= ?1 ORDER BY key"));
  }
  range.bind(1, lower);
  if (upper) range.bind(2, std::string_view(*upper));
  for (std::size_t count = 0; count < limit; ++count) {
    TRY_ASSIGN(const bool row, range.step());
    if (!row) return {};
    out.push_back({std::string(range.blob(0)), std::string(range.blob(1))});
  }
  range.reset();
  return {};
}

Status SqliteStore::apply_table(TableStatements& table, const Changes& changes) {
  if (!table.put.prepared()) {
    // Not REPLACE: that deletes the old row first, which costs four times as much.
    TRY_ASSIGN(
        table.put,
        prepare_for(table, "INSERT INTO {t} VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"));
    TRY_ASSIGN(table.erase, prepare_for(table, "DELETE FROM {t} WHERE key = ?1"));
  }
  for (const auto& [key, value] : changes) {
    Statement& statement = value ? table.put : table.erase;
    statement.bind(1, std::string_view(key));
    if (value) statement.bind(2, std::string_view(*value));
    TRY(statement.run());
  }
  return {};
}

Status SqliteStore::apply(const std::vector<Changes>& changes) {
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!changes[i].empty()) TRY(apply_table(tables_[i], changes[i]));
  }
  return commit_.run();
}

Status SqliteStore::write(const std::vector<Changes>& changes) {
  pass_crash_point(CrashPoint::kBeforeCommit);
  if (Status applied = apply(changes); !applied) return undo_failed_write(std::move(applied).error());
  in_transaction_ = false;
  const WriteSize size = size_of(changes);
  ++statistics_.commits;
  statistics_.rows_written += size.rows;
  statistics_.bytes_written += size.bytes;
  pass_crash_point(CrashPoint::kAfterCommit);
  return {};
}

Error SqliteStore::undo_failed_write(Error error) {
  abandon();
  if (error.code() != ErrorCode::kUnavailable) return error;
  // Somebody else wrote since our snapshot: a newer owner?
  if (Status epoch = verify_epoch(); !epoch) return std::move(epoch).error();
  return error;
}

void SqliteStore::abandon() {
  in_transaction_ = false;
  // SQLite itself has rolled back after some errors (a full disk); then there is nothing left to do.
  if (sqlite3_get_autocommit(connection_.handle()) == 0) CHECK(rollback_.run());
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const SqliteOptions& options) {
  auto store = std::make_unique<SqliteStore>();
  TRY(store->open(path, options));
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace nuraghe::store
