#include "store/sqlite.hpp"

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <utility>

#include "base/check.hpp"
#include "base/crash_point.hpp"
#include "base/log.hpp"
#include "store/buffered.hpp"
#include "store/recent_changes.hpp"
#include "store/sqlite_connection.hpp"
#include "store/sqlite_format.hpp"
#include "store/sqlite_writer.hpp"

namespace nuraghe::store {
namespace {

// One table as it is read; statements are prepared when first used.
struct TableReader {
  std::string name;
  Statement get;
  Statement range;
  Statement open_range;  // without upper bound
  // At or above every stored key; empty: none is stored. Meaningless unless last_known.
  std::string last;
  bool last_known = false;
};

// Reads of the tables go through one connection, writes through another one, so that a thread can write what was
// committed ahead while the store's own goes on. What is on its way into the tables stands in recent_ meanwhile.
class SqliteStore : public Store, private Backend {
 public:
  explicit SqliteStore(const SqliteOptions& options)
      : options_(options), writer_(options), recent_(static_cast<std::size_t>(options.recent.count)) {}
  Status open(const std::string& path);

  Result<Table> table(std::string_view name) override;
  Result<std::int64_t> acquire(std::string_view owner) override;
  Result<std::unique_ptr<Transaction>> begin() override;
  Status sync() override;
  Status recover() override;
  void tend() override;
  bool can_commit_ahead() const override { return !options_.read_only; }
  void tidy() override;
  Statistics statistics() const override;

 private:
  Result<std::optional<std::string>> read(int table, std::string_view key) override;
  Status read_range(int table, std::string_view lower, const std::optional<std::string>& upper, std::size_t limit,
                    std::vector<Row>& out) override;
  Status write(std::vector<Changes> changes, bool ahead) override;
  void abandon() override;
  int table_count() const override { return static_cast<int>(tables_.size()); }
  bool read_only() const override { return options_.read_only; }

  // ---- what others did ----
  // Reads the journal again when another connection has written.
  Status follow_others();
  Status follow_as_reader();
  Status begin_as_reader();
  // `read(take)`: as SqliteWriter::read_journal.
  template <class Read>
  Status read_journal(const Read& read);
  Result<int> table_index(std::string_view name);

  // ---- reading ----
  // True when every stored key is smaller: rows of what is new, whose keys begin with its time, need not be looked for.
  Result<bool> ends_before(int table, std::string_view key);
  Result<std::optional<std::string>> read_stored(int table, std::string_view key);
  Status read_stored_range(int table, std::string_view lower, const std::optional<std::string>& upper,
                           std::size_t limit, std::vector<Row>& out);
  TableReader& at(int table) { return tables_[static_cast<std::size_t>(table)]; }
  Result<Statement> prepare_for(const TableReader& table, std::string_view sql);

  // ---- writing ----
  // What was committed and is not written yet.
  struct Waiting {
    std::vector<SqliteWriter::Piece> pieces;
    std::size_t ripe_bytes = 0;  // to be stored
  };
  void enqueue(std::vector<Changes> changes, const WriteSize& size, std::size_t ripe_bytes);
  // Drops what has got into the tables. writing_ is held: nobody reads it for writing.
  void take_stored();
  void ripen_all();
  // Everything goes into the tables. writing_ is held, and nothing waits to be written.
  Status store_all();
  // After a commit that stored the ripe changes up to there.
  void note_stored(RecentChanges::Stored stored);
  Status write_waiting();
  void store_ripe();
  // After a write that failed: does it another way, or forgets what was committed ahead.
  Status recover_from(Error error);

  const SqliteOptions options_;
  std::mutex writing_;  // held while writer_ is used; taken before mutex_
  SqliteWriter writer_;
  std::atomic<bool> tending_ = false;
  std::atomic<bool> is_tended_ = false;  // tend() is called after syncs
  std::mutex mutex_;                     // guards what follows
  Waiting waiting_;
  RecentChanges::Stored stored_;  // of the ripe changes
  bool has_stored_ = false;       // since take_stored()
  std::int64_t written_ = 0;      // times that something was appended to the journal
  std::int64_t synced_ = 0;       // of them

  // The store's own thread's.
  RecentChanges recent_;
  std::int64_t journal_number_ = 0;  // the newest piece's
  bool must_follow_ = true;          // recent_ is not what the journal says
  bool in_transaction_ = false;
  Statistics statistics_;
  Connection connection_;  // that reads
  Statement begin_;        // of a store that only reads: all reads of a transaction see one snapshot
  Statement rollback_;
  Statement data_version_;
  std::int64_t version_ = -1;  // that such a store knows
  Journal journal_;            // as it reads it
  std::vector<TableReader> tables_;
};

Status SqliteStore::open(const std::string& path) {
  if (!options_.read_only) TRY(writer_.open(path));
  TRY(connection_.open(path, options_.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE, options_.vfs));
  sqlite3_busy_timeout(connection_.handle(), kBusyTimeoutMs);
  if (options_.read_only) TRY(prepare_format(connection_, true));
  TRY(connection_.execute("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -131072; PRAGMA trusted_schema = OFF;"));
  TRY_ASSIGN(begin_, connection_.prepare("BEGIN"));
  TRY_ASSIGN(rollback_, connection_.prepare("ROLLBACK"));
  TRY_ASSIGN(data_version_, connection_.prepare("PRAGMA data_version"));
  if (options_.read_only) {
    JournalOptions journal;
    journal.vfs = options_.vfs;
    journal.read_only = true;
    TRY(journal_.open(path, journal));
  }
  TRY_ASSIGN(auto transaction, begin());  // reads the journal
  transaction.reset();
  if (options_.read_only || recent_.empty()) return {};
  // A process that a failed sync has ended leaves a journal that reads well and may not be on the disk, now or ever: so
  // what it has is written elsewhere, and the journal begins anew.
  const std::lock_guard lock(writing_);
  Status stored = store_all();
  if (stored) stored = writer_.sync_tables();
  // A full disk has to be opened to be emptied, and who is busy uses the journal.
  if (!stored && !stored.error().is_transient() && stored.error().code() != ErrorCode::kExhausted) return stored;
  return {};
}

void SqliteStore::tidy() {
  CHECK(!in_transaction_);
  sqlite3_db_release_memory(connection_.handle());
  if (options_.read_only) return;
  const std::lock_guard lock(writing_);
  take_stored();
  {
    const std::lock_guard guard(mutex_);
    if (!waiting_.pieces.empty()) return;
    waiting_.ripe_bytes = 0;
  }
  // Nothing is lost by it: the journal keeps what was committed.
  if (Status stored = recent_.empty() || must_follow_ ? Status() : store_all(); !stored)
    log_warning("store", "recent rows stay in the journal", {{"error", stored.error().to_string()}});
  writer_.tidy();
}

Status SqliteStore::store_all() {
  take_stored();
  ripen_all();
  TRY_ASSIGN(auto stored, writer_.store(recent_, {}, recent_.bytes()));
  note_stored(std::move(stored));
  take_stored();
  return {};
}

Statistics SqliteStore::statistics() const {
  Statistics statistics = statistics_;
  statistics.journal_bytes = writer_.log_bytes();
  return statistics;
}

Result<Table> SqliteStore::table(std::string_view name) {
  TRY(check_table_name(name));
  if (in_transaction_) return conflict(fmt::format("table {} is opened within a transaction", name));
  if (options_.read_only) {
    TRY_ASSIGN(const std::int64_t exists,
               connection_.query_number(fmt::format("SELECT count(*) FROM sqlite_master WHERE name = 't_{}'", name)));
    if (exists == 0) return not_found(fmt::format("{} has no table {}", connection_.path(), name));
  }
  const std::lock_guard lock(writing_);
  TRY_ASSIGN(const int index, table_index(name));
  return Table{index};
}

// writing_ is held.
Result<int> SqliteStore::table_index(std::string_view name) {
  TRY(check_table_name(name));
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    if (tables_[i].name == name) return static_cast<int>(i);
  }
  if (!options_.read_only) TRY(writer_.add_table(name));
  tables_.emplace_back().name = std::string(name);
  recent_.set_table_count(tables_.size());
  return static_cast<int>(tables_.size()) - 1;
}

Result<std::int64_t> SqliteStore::acquire(std::string_view owner) {
  CHECK(!in_transaction_);
  if (options_.read_only) return denied(fmt::format("{} was opened for reading only", connection_.path()));
  pass_crash_point(CrashPoint::kBeforeCommit);
  const std::lock_guard lock(writing_);
  TRY_ASSIGN(const std::int64_t epoch, writer_.acquire(owner));
  ++statistics_.commits;
  pass_crash_point(CrashPoint::kAfterCommit);
  return epoch;
}

Result<std::unique_ptr<Transaction>> SqliteStore::begin() {
  CHECK(!in_transaction_);
  if (options_.read_only) {
    TRY(begin_as_reader());
  } else {
    TRY(follow_others());
  }
  in_transaction_ = true;
  return make_buffered_transaction(*this);
}

Status SqliteStore::begin_as_reader() {
  // The journal's files are no part of the snapshot: what it refers to may be overwritten while it is read.
  constexpr int kTries = 100;
  for (int tries = 1;; ++tries) {
    TRY(begin_.run());
    Status ready = follow_as_reader();
    if (ready) return {};
    CHECK(rollback_.run());
    if (ready.error().code() != ErrorCode::kUnavailable || tries == kTries) return ready;
  }
}

Status SqliteStore::follow_as_reader() {
  TRY_ASSIGN(const std::int64_t version, version_of(data_version_));
  TRY_ASSIGN(const bool grown, journal_.has_grown());
  if (version == version_ && !grown) return {};
  version_ = -1;
  TRY_ASSIGN(const std::int64_t applied, applied_of(connection_));
  TRY(read_journal([&](const auto& take) { return read_pieces(connection_, journal_, applied, take); }));
  version_ = version;
  return {};
}

Status SqliteStore::follow_others() {
  std::unique_lock lock(writing_, std::try_to_lock);
  if (!lock) {
    // A thread that writes finds out by itself that another connection was first.
    if (!must_follow_) return {};
    lock.lock();
  }
  take_stored();
  if (!must_follow_) {
    {
      const std::lock_guard guard(mutex_);
      // The next sync will see.
      if (!waiting_.pieces.empty() || written_ != synced_) return {};
    }
    TRY_ASSIGN(const bool behind, writer_.is_behind());
    if (!behind) return {};
  }
  must_follow_ = true;
  constexpr int kTries = 100;
  for (int tries = 1;; ++tries) {
    TRY(writer_.follow());
    Status read = read_journal([&](const auto& take) { return writer_.read_journal(take); });
    if (read) break;
    if (read.error().code() != ErrorCode::kUnavailable || tries == kTries) return read;
  }
  must_follow_ = false;
  return {};
}

template <class Read>
Status SqliteStore::read_journal(const Read& read) {
  recent_.clear();
  {
    const std::lock_guard guard(mutex_);
    // Nothing is ripe any more; to store nothing would say that the tables have nothing of the journal.
    waiting_.ripe_bytes = 0;
    stored_ = {};
    has_stored_ = false;
  }
  for (TableReader& table : tables_) table.last_known = false;
  const auto index_of = [this](std::string_view name) { return table_index(name); };
  TRY_ASSIGN(journal_number_, read([&](std::int64_t number, std::string_view changes) {
               return recent_.absorb(changes, number, index_of);
             }));
  return {};
}

Result<Statement> SqliteStore::prepare_for(const TableReader& table, std::string_view sql) {
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
  TableReader& reader = at(table);
  if (!reader.last_known) {
    TRY_ASSIGN(Statement last, prepare_for(reader, "SELECT key FROM {t} ORDER BY key DESC LIMIT 1"));
    TRY_ASSIGN(const bool row, last.step());
    reader.last = row ? std::string(last.blob(0)) : std::string();
    reader.last_known = true;
  }
  return reader.last < key;
}

Result<std::optional<std::string>> SqliteStore::read_stored(int table, std::string_view key) {
  TRY_ASSIGN(const bool beyond, ends_before(table, key));
  if (beyond) return std::optional<std::string>();
  TableReader& reader = at(table);
  Statement& get = reader.get;
  if (!get.prepared()) {
    TRY_ASSIGN(get, prepare_for(reader, "SELECT value FROM {t} WHERE key = ?1"));
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
  TableReader& reader = at(table);
  Statement& range = upper ? reader.range : reader.open_range;
  if (!range.prepared()) {
    TRY_ASSIGN(range, prepare_for(reader, upper ? "SELECT key, value FROM {t} WHERE key >= ?1 AND key < ?2 ORDER BY key"
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

void SqliteStore::take_stored() {
  const std::lock_guard guard(mutex_);
  if (!std::exchange(has_stored_, false)) return;
  recent_.for_each_last(stored_, [this](int table, const std::string& key) {
    if (at(table).last_known && at(table).last < key) at(table).last = key;
  });
  if (recent_.drop(stored_)) stored_ = {};
}

void SqliteStore::ripen_all() {
  recent_.ripen_all();
  const std::lock_guard guard(mutex_);
  stored_ = {};
}

void SqliteStore::note_stored(RecentChanges::Stored stored) {
  const std::lock_guard guard(mutex_);
  stored_ = std::move(stored);
  has_stored_ = true;
}

void SqliteStore::enqueue(std::vector<Changes> changes, const WriteSize& size, std::size_t ripe_bytes) {
  std::vector<std::string_view> names;
  for (const TableReader& table : tables_) names.emplace_back(table.name);
  SqliteWriter::Piece piece;
  if (size.rows > 0) {
    piece = {++journal_number_, encode_changes(changes, names), size.values == 0};
    recent_.absorb(std::move(changes), piece.number);
  }
  const std::lock_guard guard(mutex_);
  waiting_.ripe_bytes += ripe_bytes;
  if (size.rows > 0) waiting_.pieces.push_back(std::move(piece));
}

Status SqliteStore::write(std::vector<Changes> changes, bool ahead) {
  pass_crash_point(CrashPoint::kBeforeCommit);
  in_transaction_ = false;
  const WriteSize size = size_of(changes);
  {
    std::unique_lock lock(writing_, std::try_to_lock);
    if (!lock && recent_.is_overdue()) lock.lock();
    if (lock) take_stored();
    const bool ripens = lock ? recent_.must_ripen() : recent_.ripens();
    enqueue(std::move(changes), size, ripens ? recent_.portion(static_cast<std::size_t>(size.bytes)) : 0);
  }
  if (!ahead) {
    if (Status written = sync(); !written) TRY(recover_from(std::move(written).error()));
    const std::lock_guard lock(writing_);
    store_ripe();
  }
  ++statistics_.commits;
  statistics_.rows_written += size.rows;
  statistics_.bytes_written += size.bytes;
  pass_crash_point(CrashPoint::kAfterCommit);
  return {};
}

Status SqliteStore::sync() {
  std::int64_t written = 0;
  {
    const std::lock_guard lock(writing_);
    TRY(write_waiting());
    // Who waits for the sync does not wait for that.
    if (!is_tended_) store_ripe();
    const std::lock_guard guard(mutex_);
    written = written_;
    if (synced_ >= written) return {};
  }
  TRY(writer_.sync());
  const std::lock_guard guard(mutex_);
  synced_ = std::max(synced_, written);
  return {};
}

Status SqliteStore::write_waiting() {
  std::vector<SqliteWriter::Piece> pieces;
  {
    const std::lock_guard guard(mutex_);
    pieces = std::exchange(waiting_.pieces, {});
  }
  if (pieces.empty()) return {};
  Status appended = writer_.append(pieces);
  const std::lock_guard guard(mutex_);
  if (appended) {
    ++written_;
    return {};
  }
  // What came meanwhile follows it.
  std::move(waiting_.pieces.begin(), waiting_.pieces.end(), std::back_inserter(pieces));
  waiting_.pieces = std::move(pieces);
  return appended;
}

// writing_ is held.
void SqliteStore::store_ripe() {
  RecentChanges::Stored from;
  std::size_t bytes = 0;
  {
    const std::lock_guard guard(mutex_);
    bytes = std::exchange(waiting_.ripe_bytes, 0);
    from = stored_;
  }
  if (bytes == 0 || !recent_.ripens()) return;
  // The journal has a commit before the tables have a part of it. Who syncs is told why it could not be written.
  if (writer_.synced() < recent_.ripe_number() && !write_waiting()) return;
  auto stored = writer_.store(recent_, from, bytes);
  if (stored) return note_stored(std::move(*stored));
  // What was committed stands in the journal; a disk that stays full will refuse that one.
  log_warning("store", "rows stay in the journal for now", {{"error", stored.error().to_string()}});
}

void SqliteStore::tend() {
  if (options_.read_only) return;
  is_tended_ = true;
  {
    const std::lock_guard lock(writing_);
    store_ripe();
  }
  if (tending_.exchange(true)) return;
  writer_.copy_log();
  tending_ = false;
}

Status SqliteStore::recover() {
  CHECK(!in_transaction_);
  if (Status written = sync(); !written) return recover_from(std::move(written).error());
  return {};
}

Status SqliteStore::recover_from(Error error) {
  const std::lock_guard lock(writing_);
  take_stored();
  if (error.code() == ErrorCode::kExhausted) {
    ripen_all();
    auto stored = writer_.write_directly(recent_, journal_number_);
    if (stored) {
      note_stored(std::move(*stored));
      const std::lock_guard guard(mutex_);
      waiting_ = {};
      synced_ = written_;
      return {};
    }
    error = std::move(stored).error();
  }
  // The journal tells what did happen.
  must_follow_ = true;
  const std::lock_guard guard(mutex_);
  waiting_ = {};
  return error;
}

void SqliteStore::abandon() {
  in_transaction_ = false;
  if (options_.read_only) CHECK(rollback_.run());
}

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const SqliteOptions& options) {
  auto store = std::make_unique<SqliteStore>(options);
  TRY(store->open(path));
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace nuraghe::store
