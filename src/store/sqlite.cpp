#include "store/sqlite.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/check.hpp"
#include "base/crash_point.hpp"
#include "base/log.hpp"
#include "env/posix.hpp"
#include "store/buffered.hpp"
#include "store/log_vfs.hpp"
#include "store/recent_changes.hpp"
#include "store/sqlite_connection.hpp"

namespace nuraghe::store {
namespace {

constexpr std::int64_t kApplicationId = 0x4e555241;  // "NURA"
constexpr std::int64_t kFormat = 2;                  // 1 had no journal
constexpr int kBusyTimeoutMs = 5000;
// The log is copied into the database when it is so long: a log that is used again from its start needs no metadata to
// be synced, so a commit is done in two thirds of the time; what is overwritten often is in the journal's collected
// rows and not in pages.
constexpr std::int64_t kCheckpointBytes = std::int64_t{32} << 20;
// The same while nothing else is to be done.
constexpr std::int64_t kIdleCheckpointBytes = std::int64_t{4} << 20;
constexpr std::int64_t kFrameHeader = 24;  // of each page in the log, sqlite.org/fileformat2.html §4.1

constexpr std::string_view kCreateJournal =
    "CREATE TABLE IF NOT EXISTS journal (number INTEGER PRIMARY KEY, changes BLOB NOT NULL)";

// The statements of one table, prepared when first used.
struct TableStatements {
  std::string name;
  Statement get;
  Statement put;
  Statement erase;
  Statement range;
  Statement open_range;  // without upper bound
  Statement next;        // the first key from one on
  // At or above every stored key; empty: none is stored. Meaningless unless last_known.
  std::string last;
  bool last_known = false;
};

class SqliteStore : public Store, private Backend {
 public:
  explicit SqliteStore(const SqliteOptions& options)
      : options_(options), recent_(static_cast<std::size_t>(options.recent.count)) {}
  Status open(const std::string& path);

  Result<Table> table(std::string_view name) override;
  Result<std::int64_t> acquire(std::string_view owner) override;
  Result<std::unique_ptr<Transaction>> begin() override;
  Status sync() override { return log_vfs_ ? log_vfs_->sync() : Status(); }
  bool can_commit_ahead() const override { return log_vfs_ != nullptr; }
  void tidy() override;
  Statistics statistics() const override { return statistics_; }

 private:
  Result<std::optional<std::string>> read(int table, std::string_view key) override;
  Status read_range(int table, std::string_view lower, const std::optional<std::string>& upper, std::size_t limit,
                    std::vector<Row>& out) override;
  Status write(std::vector<Changes> changes, bool ahead) override;
  void abandon() override;
  int table_count() const override { return static_cast<int>(tables_.size()); }
  bool read_only() const override { return options_.read_only; }

  Status create_file(const std::string& path);
  Status verify_format();
  Status create_format();
  Status upgrade_format(std::int64_t format);
  Status configure();
  Status prepare_statements();
  Status verify_epoch();
  Result<int> table_index(std::string_view name);
  // Verifies the epoch and reads the journal again when another connection has written.
  Status follow_others();
  Status read_journal();
  // True when every stored key is smaller: rows of what is new, whose keys begin with its time, need not be looked for.
  Result<bool> ends_before(int table, std::string_view key);
  Result<std::optional<std::string>> read_stored(int table, std::string_view key);
  Status read_stored_range(int table, std::string_view lower, const std::optional<std::string>& upper,
                           std::size_t limit, std::vector<Row>& out);
  Status append(const std::vector<Changes>& changes);
  // Puts about so many bytes of the ripe changes into the tables, within the open transaction.
  Status store_ripe(std::size_t bytes);
  Status write_journal(std::vector<Changes>& changes, const WriteSize& size, bool ahead);
  Status write_directly(std::vector<Changes>& changes);
  Error undo_failed_write(Error error);
  TableStatements& at(int table) { return tables_[static_cast<std::size_t>(table)]; }
  Result<Statement> prepare_for(const TableStatements& table, std::string_view sql);
  static int on_wal(void* self, sqlite3* connection, const char* database, int pages);

  const SqliteOptions options_;
  std::unique_ptr<LogVfs> log_vfs_;  // of a store whose commits are synced
  Connection connection_;
  Statement begin_;
  Statement commit_;
  Statement rollback_;
  Statement epoch_of_owner_;
  Statement append_;
  Statement cut_journal_;
  Statement data_version_;
  std::vector<TableStatements> tables_;
  RecentChanges recent_;
  std::int64_t journal_number_ = 0;  // the newest piece's
  std::int64_t known_version_ = -1;  // changes when another connection writes
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

Status SqliteStore::open(const std::string& path) {
  const int flags = options_.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (!options_.read_only && options_.vfs.empty()) TRY(create_file(path));
  if (!options_.read_only && options_.synchronous_full) {
    TRY_ASSIGN(log_vfs_, LogVfs::make(options_.vfs));
  }
  TRY(connection_.open(path, flags, log_vfs_ ? log_vfs_->name() : options_.vfs));
  sqlite3_busy_timeout(connection_.handle(), kBusyTimeoutMs);
  TRY(verify_format());
  TRY(configure());
  TRY(prepare_statements());
  TRY_ASSIGN(const auto transaction, begin());  // reads the journal
  return {};
}

Status SqliteStore::prepare_statements() {
  TRY_ASSIGN(begin_, connection_.prepare("BEGIN"));
  TRY_ASSIGN(commit_, connection_.prepare("COMMIT"));
  TRY_ASSIGN(rollback_, connection_.prepare("ROLLBACK"));
  TRY_ASSIGN(epoch_of_owner_, connection_.prepare("SELECT epoch FROM epochs WHERE owner = ?1"));
  TRY_ASSIGN(data_version_, connection_.prepare("PRAGMA data_version"));
  if (options_.read_only) return {};
  TRY_ASSIGN(append_, connection_.prepare("INSERT INTO journal VALUES (?1, ?2)"));
  TRY_ASSIGN(cut_journal_, connection_.prepare("DELETE FROM journal WHERE number <= ?1"));
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
  return upgrade_format(format);
}

// kFormat 1 is 2 with an empty journal.
Status SqliteStore::upgrade_format(std::int64_t format) {
  if (format == kFormat) return {};
  if (options_.read_only) {
    return conflict(fmt::format("{} has the older format {}: start its program once, which brings it to {}",
                                connection_.path(), format, kFormat));
  }
  return connection_.execute(fmt::format(
      "BEGIN IMMEDIATE; {}; UPDATE meta SET value = {} WHERE name = 'format'; COMMIT;", kCreateJournal, kFormat));
}

Status SqliteStore::create_format() {
  // The commit of one small step writes one page of the journal: a larger one costs a fifth more time.
  TRY(connection_.execute("PRAGMA page_size = 4096"));
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
    TRY(connection_.execute(std::string(kCreateJournal)));
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
  if (store.log_vfs_) store.log_vfs_->end_commit();
  if (pages * store.page_size_ < kCheckpointBytes) return SQLITE_OK;
  // The commit stands whether or not this succeeds; a checkpoint that could not finish is tried again by the next.
  sqlite3_wal_checkpoint_v2(connection, database, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  return SQLITE_OK;
}

void SqliteStore::tidy() {
  CHECK(!in_transaction_);
  if (!recent_.empty()) {
    const Status stored = [&]() -> Status {
      TRY_ASSIGN(const auto transaction, begin());
      recent_.ripen_all();
      TRY(store_ripe(recent_.bytes()));
      TRY(commit_.run());
      recent_.drop_stored();
      return {};
    }();
    // Nothing is lost by it: the journal keeps what was committed.
    if (!stored) log_warning("store", "recent rows stay in the journal", {{"error", stored.error().to_string()}});
  }
  sqlite3_db_release_memory(connection_.handle());
  if (log_copied_ || log_pages_ * page_size_ < kIdleCheckpointBytes) return;
  int in_log = 0;
  int copied = 0;
  const int code =
      sqlite3_wal_checkpoint_v2(connection_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);
  log_copied_ = code == SQLITE_OK && in_log == copied;
}

Result<Table> SqliteStore::table(std::string_view name) {
  TRY(check_table_name(name));
  if (in_transaction_) return conflict(fmt::format("table {} is opened within a transaction", name));
  TRY_ASSIGN(const std::int64_t exists,
             connection_.query_number(fmt::format("SELECT count(*) FROM sqlite_master WHERE name = 't_{}'", name)));
  if (exists == 0) {
    if (options_.read_only) return not_found(fmt::format("{} has no table {}", connection_.path(), name));
    TRY(connection_.execute(fmt::format(
        "CREATE TABLE IF NOT EXISTS t_{} (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID", name)));
  }
  TRY_ASSIGN(const int index, table_index(name));
  return Table{index};
}

Result<int> SqliteStore::table_index(std::string_view name) {
  TRY(check_table_name(name));
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (tables_[i].name == name) return static_cast<int>(i);
  }
  tables_.emplace_back().name = std::string(name);
  recent_.set_table_count(tables_.size());
  return static_cast<int>(tables_.size()) - 1;
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
  // Its read fixes the snapshot: a newer owner's epoch or any other commit after it makes our write fail.
  Status ready = follow_others();
  if (!ready) {
    abandon();
    return std::move(ready).error();
  }
  return make_buffered_transaction(*this);
}

Status SqliteStore::follow_others() {
  TRY_ASSIGN(const bool row, data_version_.step());
  CHECK(row);
  const std::int64_t version = data_version_.number(0);
  data_version_.reset();
  // The epochs are the same, too, when nobody else has written.
  if (version == known_version_) return {};
  TRY(verify_epoch());
  for (TableStatements& table : tables_) table.last_known = false;
  TRY(read_journal());
  known_version_ = version;
  return {};
}

Status SqliteStore::read_journal() {
  recent_.clear();
  TRY_ASSIGN(Statement pieces, connection_.prepare("SELECT number, changes FROM journal ORDER BY number"));
  const auto index_of = [this](std::string_view name) { return table_index(name); };
  for (;;) {
    TRY_ASSIGN(const bool row, pieces.step());
    if (!row) return {};
    journal_number_ = pieces.number(0);
    if (Status read = recent_.absorb(pieces.blob(1), journal_number_, index_of); !read) {
      return std::move(read).error().with("reading " + connection_.path());
    }
  }
}

Result<Statement> SqliteStore::prepare_for(const TableStatements& table, std::string_view sql) {
  return connection_.prepare(fmt::format(fmt::runtime(sql), fmt::arg("t", "t_" + table.name)));
}

Result<std::optional<std::string>> SqliteStore::read(int table, std::string_view key) {
  if (const auto* recent = recent_.find(table, key)) return *recent;
  return read_stored(table, key);
}

Status SqliteStore::read_range(int table, std::string_view lower, const std::optional<std::string>& upper,
                               std::size_t limit, std::vector<Row>& out) {
  if (!recent_.covers(table)) return read_stored_range(table, lower, upper, limit, out);
  const RangeReader stored = [&](std::string_view from, std::size_t most, std::vector<Row>& rows) {
    return read_stored_range(table, from, upper, most, rows);
  };
  return recent_.read_range(table, lower, upper, limit, stored, out);
}

Result<bool> SqliteStore::ends_before(int table, std::string_view key) {
  TableStatements& statements = at(table);
  if (!statements.last_known) {
    TRY_ASSIGN(Statement last, prepare_for(statements, "SELECT key FROM {t} ORDER BY key DESC LIMIT 1"));
    TRY_ASSIGN(const bool row, last.step());
    statements.last = row ? std::string(last.blob(0)) : std::string();
    statements.last_known = true;
  }
  return statements.last < key;
}

Result<std::optional<std::string>> SqliteStore::read_stored(int table, std::string_view key) {
  TRY_ASSIGN(const bool beyond, ends_before(table, key));
  if (beyond) return std::optional<std::string>();
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

Status SqliteStore::read_stored_range(int table, std::string_view lower, const std::optional<std::string>& upper,
                                      std::size_t limit, std::vector<Row>& out) {
  TRY_ASSIGN(const bool beyond, ends_before(table, lower));
  if (beyond) return {};
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

Status SqliteStore::append(const std::vector<Changes>& changes) {
  std::vector<std::string_view> names;
  for (const TableStatements& table : tables_) names.emplace_back(table.name);
  const std::string piece = encode_changes(changes, names);
  append_.bind(1, journal_number_ + 1);
  append_.bind(2, std::string_view(piece));
  return append_.run();
}

// Erases what is stored of a run of keys with few questions: where the next stored key lies behind, there is nothing.
class Eraser {
 public:
  Status erase(Statement& next, Statement& erase, const std::string& key) {
    if (known_ && (!next_key_ || key < *next_key_)) return {};
    if (!known_ || key > *next_key_) {
      next.bind(1, std::string_view(key));
      TRY_ASSIGN(const bool row, next.step());
      known_ = true;
      next_key_ = row ? std::optional<std::string>(next.blob(0)) : std::nullopt;
      if (row) next.reset();
      if (!next_key_ || key < *next_key_) return {};
    }
    known_ = false;
    erase.bind(1, std::string_view(key));
    return erase.run();
  }
  // Another table. (Rows that are stored between two erased keys do not matter: keys come in order.)
  void forget() { known_ = false; }

 private:
  bool known_ = false;
  std::optional<std::string> next_key_;  // the first stored key from the last one on; nullopt: none
};

Status SqliteStore::store_ripe(std::size_t bytes) {
  Eraser eraser;
  int last_table = -1;
  const auto store = [&](const RecentChanges::Entry& entry) -> Status {
    TableStatements& table = at(entry.table);
    if (!table.put.prepared()) {
      // Not REPLACE: that deletes the old row first, which costs four times as much.
      TRY_ASSIGN(table.put, prepare_for(table,
                                        "INSERT INTO {t} VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value ="
                                        " excluded.value"));
      TRY_ASSIGN(table.erase, prepare_for(table, "DELETE FROM {t} WHERE key = ?1"));
      TRY_ASSIGN(table.next, prepare_for(table, "SELECT key FROM {t} WHERE key >= ?1 ORDER BY key LIMIT 1"));
    }
    if (entry.table != std::exchange(last_table, entry.table)) eraser.forget();
    if (!*entry.value) return eraser.erase(table.next, table.erase, *entry.key);
    if (table.last_known && table.last < *entry.key) table.last = *entry.key;
    table.put.bind(1, std::string_view(*entry.key));
    table.put.bind(2, std::string_view(**entry.value));
    return table.put.run();
  };
  TRY_ASSIGN(const bool all, recent_.visit_ripe(bytes, store));
  if (!all) return {};
  cut_journal_.bind(1, recent_.ripe_number());
  return cut_journal_.run();
}

// Without the journal, which needs room of its own: everything goes into the tables at once.
Status SqliteStore::write_directly(std::vector<Changes>& changes) {
  abandon();
  const std::int64_t version = known_version_;
  TRY(begin_.run());
  in_transaction_ = true;
  TRY(follow_others());
  if (known_version_ != version) return unavailable(connection_.path() + ": another writer was first");
  // If this fails, the journal tells again what was committed.
  known_version_ = -1;
  // The journal goes first: its pages are the room for the rows.
  cut_journal_.bind(1, journal_number_);
  TRY(cut_journal_.run());
  recent_.absorb(std::move(changes), journal_number_);
  recent_.ripen_all();
  TRY(store_ripe(recent_.bytes()));
  TRY(commit_.run());
  recent_.drop_stored();
  known_version_ = version;
  return {};
}

Status SqliteStore::write_journal(std::vector<Changes>& changes, const WriteSize& size, bool ahead) {
  const bool ripens = recent_.must_ripen();
  if (size.rows > 0) TRY(append(changes));
  if (ripens) TRY(store_ripe(recent_.portion(static_cast<std::size_t>(size.bytes))));
  if (log_vfs_) log_vfs_->begin_commit(ahead);
  const Status committed = commit_.run();
  if (log_vfs_) log_vfs_->end_commit();
  TRY(committed);
  if (ripens) recent_.drop_stored();
  if (size.rows > 0) recent_.absorb(std::move(changes), ++journal_number_);
  return {};
}

Status SqliteStore::write(std::vector<Changes> changes, bool ahead) {
  pass_crash_point(CrashPoint::kBeforeCommit);
  const WriteSize size = size_of(changes);
  Status written = write_journal(changes, size, ahead);
  if (!written && written.error().code() == ErrorCode::kExhausted) written = write_directly(changes);
  if (!written) return undo_failed_write(std::move(written).error());
  in_transaction_ = false;
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
  auto store = std::make_unique<SqliteStore>(options);
  TRY(store->open(path));
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace nuraghe::store
