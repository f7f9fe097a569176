#include "store/sqlite_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/log.hpp"
#include "store/sqlite_format.hpp"

namespace nuraghe::store {
namespace {

// Of SqliteOptions::log, when somebody is to copy the log beside the writing and has not come yet.
constexpr std::int64_t kPatience = 4;
// The log is copied when it is so long and nothing else is to be done.
constexpr std::int64_t kIdleCheckpointBytes = std::int64_t{4} << 20;
// A file of the journal is written from its begin again when it is so long, or longer.
constexpr std::int64_t kLeastPart = std::int64_t{64} << 10;
constexpr std::int64_t kFrameHeader = 24;  // of each page in the log, sqlite.org/fileformat2.html §4.1

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

}  // namespace

Status SqliteWriter::open(const std::string& path) {
  if (options_.vfs.empty()) TRY(create_private_file(path));
  if (options_.synchronous_full) {
    TRY_ASSIGN(log_vfs_, LogVfs::make(options_.vfs));
  }
  TRY(connection_.open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, log_vfs_ ? log_vfs_->name() : options_.vfs));
  sqlite3_busy_timeout(connection_.handle(), kBusyTimeoutMs);
  TRY(prepare_format(connection_, false));
  TRY(copy_old_log());
  TRY(connection_.execute("PRAGMA temp_store = MEMORY; PRAGMA cache_size = -131072; PRAGMA trusted_schema = OFF;"));
  TRY_ASSIGN(page_size_, connection_.query_number("PRAGMA page_size"));
  TRY(connection_.execute(options_.synchronous_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"));
  if (options_.max_pages > 0) {
    TRY(connection_.execute(fmt::format("PRAGMA max_page_count = {}", options_.max_pages)));
  }
  // A log that one large transaction made long is cut when it begins anew.
  TRY(connection_.execute("PRAGMA journal_size_limit = 268435456"));
  sqlite3_wal_hook(connection_.handle(), &SqliteWriter::on_wal, this);
  TRY_ASSIGN(begin_, connection_.prepare("BEGIN IMMEDIATE"));
  TRY_ASSIGN(commit_, connection_.prepare("COMMIT"));
  TRY_ASSIGN(rollback_, connection_.prepare("ROLLBACK"));
  TRY_ASSIGN(epoch_of_owner_, connection_.prepare("SELECT epoch FROM epochs WHERE owner = ?1"));
  TRY_ASSIGN(set_applied_, connection_.prepare("UPDATE meta SET value = ?1 WHERE name = 'applied'"));
  TRY_ASSIGN(count_parts_, connection_.prepare("UPDATE meta SET value = value + 1 WHERE name = 'parts'"));
  TRY_ASSIGN(data_version_, connection_.prepare("PRAGMA data_version"));
  wal_index_.open(connection_);
  return open_journal(path);
}

Status SqliteWriter::open_journal(const std::string& path) {
  JournalOptions options;
  options.vfs = options_.vfs;
  options.synced = options_.synchronous_full;
  options.part = std::max(options_.recent.count, kLeastPart);
  options.limit = options_.max_pages * page_size_;
  return journal_.open(path, options);
}

// A process that a failed sync has ended leaves a log that reads well and may not be on the disk, now or ever: what
// follows it there would be lost with it, and its begin would hide what was copied. So each store begins with an empty
// log. Not while others use the old one, who know what became of it; and a full disk has to be opened to be emptied.
Status SqliteWriter::copy_old_log() {
  sqlite3* const handle = connection_.handle();
  sqlite3_busy_timeout(handle, 0);
  const int code = sqlite3_wal_checkpoint_v2(handle, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  const int kind = code & 0xff;
  if (kind == SQLITE_OK) return sync();
  if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED || kind == SQLITE_FULL) return {};
  return connection_.error(code);
}

// Runs after each commit that wrote: counts the log's growth and copies it into the database when it is long.
int SqliteWriter::on_wal(void* self, sqlite3* connection, const char* database, int pages) {
  auto& writer = *static_cast<SqliteWriter*>(self);
  // After a checkpoint of everything the log begins anew.
  const std::int64_t grown = pages > writer.log_pages_ ? pages - writer.log_pages_ : pages;
  writer.log_bytes_ += grown * (writer.page_size_ + kFrameHeader);
  writer.log_pages_ = pages;
  writer.log_copied_ = false;
  if (writer.log_vfs_) writer.log_vfs_->end_commit();
  const std::int64_t size = pages * writer.page_size_;
  const std::int64_t most = writer.options_.log.count * (writer.has_copier_ ? kPatience : 1);
  const bool copied = writer.copied_ahead_.exchange(false);
  writer.log_size_ = size;
  if (!copied && size < most) return SQLITE_OK;
  // The commit stands whether or not this succeeds; a checkpoint that could not finish is tried again by the next.
  const int code = sqlite3_wal_checkpoint_v2(connection, database, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code == SQLITE_OK) writer.log_size_ = 0;
  return SQLITE_OK;
}

void SqliteWriter::tidy() {
  sqlite3_db_release_memory(connection_.handle());
  if (log_copied_ || log_pages_ * page_size_ < kIdleCheckpointBytes) return;
  int in_log = 0;
  int copied = 0;
  const int code =
      sqlite3_wal_checkpoint_v2(connection_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);
  log_copied_ = code == SQLITE_OK && in_log == copied;
}

void SqliteWriter::copy_log() {
  has_copier_ = true;
  if (copied_ahead_ || log_size_ < options_.log.count) return;
  if (!copier_) copier_ = std::make_unique<LogCopier>(connection_.path(), options_.vfs);
  if (Status copied = copier_->copy(); !copied) {
    // Nothing is lost by it: the log keeps what was committed, and the writer copies it when it has grown.
    log_warning("store", "the log is not copied yet", {{"error", copied.error().to_string()}});
    return;
  }
  copied_ahead_ = true;
}

Status SqliteWriter::add_table(std::string_view name) {
  TRY_ASSIGN(const std::int64_t exists,
             connection_.query_number(fmt::format("SELECT count(*) FROM sqlite_master WHERE name = 't_{}'", name)));
  if (exists == 0) {
    TRY(connection_.execute(fmt::format(
        "CREATE TABLE IF NOT EXISTS t_{} (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID", name)));
  }
  tables_.emplace_back().name = std::string(name);
  return {};
}

Result<std::int64_t> SqliteWriter::acquire(std::string_view owner) {
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
  return epoch;
}

Status SqliteWriter::verify_epoch() {
  if (owner_.empty()) return {};
  epoch_of_owner_.bind_text(1, owner_);
  TRY_ASSIGN(const bool row, epoch_of_owner_.step());
  const std::int64_t epoch = row ? epoch_of_owner_.number(0) : 0;
  if (row) epoch_of_owner_.reset();
  if (epoch == epoch_) return {};
  return conflict(fmt::format("{}: a newer owner of {} has taken the store over", connection_.path(), owner_));
}

Result<bool> SqliteWriter::is_behind() {
  TRY_ASSIGN(const bool behind, is_database_behind());
  if (behind) return true;
  return journal_.has_grown();
}

Result<bool> SqliteWriter::is_database_behind() {
  // Before the version is asked for: what is committed between the two, the version tells.
  const auto header = wal_index_.header();
  if (header && header == known_header_) return false;
  TRY_ASSIGN(const std::int64_t version, version_of(data_version_));
  if (version != known_version_) return true;
  known_header_ = header;
  return false;
}

Status SqliteWriter::follow() {
  TRY_ASSIGN(const std::int64_t version, version_of(data_version_));
  TRY(verify_epoch());
  TRY_ASSIGN(applied_, applied_of(connection_));
  applied_durable_ = false;
  known_version_ = version;
  known_header_.reset();
  return {};
}

Status SqliteWriter::verify_newest() {
  TRY_ASSIGN(const bool behind, is_behind());
  if (!behind) return {};
  TRY(verify_epoch());
  return unavailable(connection_.path() + ": another writer was first");
}

template <class Done, class Work>
Result<Done> SqliteWriter::transact(const Work& work) {
  TRY(begin_.run());
  auto done = [&]() -> Result<Done> {
    TRY(verify_newest());
    TRY_ASSIGN(auto result, work());
    if (log_vfs_) log_vfs_->begin_commit();
    const Status committed = commit_.run();
    if (log_vfs_) log_vfs_->end_commit();
    TRY(committed);
    return result;
  }();
  // SQLite itself has rolled back after some errors (a full disk); then there is nothing left to do.
  if (!done && sqlite3_get_autocommit(connection_.handle()) == 0) CHECK(rollback_.run());
  return done;
}

Status SqliteWriter::append(const std::vector<Piece>& pieces) {
  if (journal_.wants_part(applied_, pieces.front().number)) TRY(begin_part());
  TRY_ASSIGN(const bool appended, try_append(pieces));
  if (!appended) {
    const auto done = transact<bool>([&]() -> Result<bool> {
      TRY(journal_.append(pieces));
      return true;
    });
    if (!done) return done.error();
  }
  for (const Piece& piece : pieces) log_bytes_ += static_cast<std::int64_t>(piece.changes.size());
  return {};
}

Result<bool> SqliteWriter::try_append(const std::vector<Piece>& pieces) {
  const auto lock = wal_index_.try_lock();
  if (!lock) return false;
  // Whatever else there is to be found out, SQLite does in a transaction.
  const auto header = wal_index_.header();
  if (!header || header != known_header_) return false;
  TRY_ASSIGN(const bool grown, journal_.has_grown());
  if (grown) return false;
  TRY(journal_.append(pieces));
  return true;
}

// Others learn by the table that they know the journal's end no longer.
Status SqliteWriter::begin_part() {
  if (!applied_durable_) TRY(sync_tables());
  applied_durable_ = true;
  const auto done = transact<bool>([&]() -> Result<bool> {
    TRY(count_parts_.run());
    return true;
  });
  if (!done) return done.error();
  return journal_.begin_part(applied_);
}

Status SqliteWriter::note_applied(std::int64_t number) {
  set_applied_.bind(1, number);
  TRY(set_applied_.run());
  // Format 2 had its journal there.
  return connection_.execute("DROP TABLE IF EXISTS journal");
}

Result<RecentChanges::Stored> SqliteWriter::store(const RecentChanges& recent, const RecentChanges::Stored& from,
                                                  std::size_t ripe_bytes) {
  // A part of a commit in the tables must find the whole of it in the journal.
  if (journal_.synced() < recent.ripe_number()) TRY(sync());
  auto stored = transact<RecentChanges::Stored>([&]() -> Result<RecentChanges::Stored> {
    TRY_ASSIGN(auto behind, store_ripe(recent, from, ripe_bytes));
    if (!behind.key) TRY(note_applied(recent.ripe_number()));
    return behind;
  });
  if (!stored || stored->key) return stored;
  applied_ = recent.ripe_number();
  applied_durable_ = false;
  return stored;
}

Result<RecentChanges::Stored> SqliteWriter::write_directly(const RecentChanges& recent, std::int64_t last_number) {
  auto stored = transact<RecentChanges::Stored>([&]() -> Result<RecentChanges::Stored> {
    TRY(note_applied(last_number));
    return store_ripe(recent, {}, recent.bytes());
  });
  if (!stored) return stored;
  applied_ = last_number;
  TRY(sync_tables());
  applied_durable_ = true;
  return stored;
}

Status SqliteWriter::prepare(Table& table) {
  if (table.put.prepared()) return {};
  const auto statement = [&](std::string_view sql) {
    return connection_.prepare(fmt::format(fmt::runtime(sql), fmt::arg("t", "t_" + table.name)));
  };
  // Not REPLACE: that deletes the old row first, which costs four times as much.
  TRY_ASSIGN(table.put, statement("INSERT INTO {t} VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value ="
                                  " excluded.value"));
  TRY_ASSIGN(table.erase, statement("DELETE FROM {t} WHERE key = ?1"));
  TRY_ASSIGN(table.next, statement("SELECT key FROM {t} WHERE key >= ?1 ORDER BY key LIMIT 1"));
  return {};
}

Result<RecentChanges::Stored> SqliteWriter::store_ripe(const RecentChanges& recent, const RecentChanges::Stored& from,
                                                       std::size_t bytes) {
  Eraser eraser;
  int last_table = -1;
  return recent.visit_ripe(from, bytes, [&](const RecentChanges::Entry& entry) -> Status {
    Table& table = tables_[static_cast<std::size_t>(entry.table)];
    if (entry.table != std::exchange(last_table, entry.table)) {
      eraser.forget();
      TRY(prepare(table));
    }
    if (!*entry.value) return eraser.erase(table.next, table.erase, *entry.key);
    table.put.bind(1, std::string_view(*entry.key));
    table.put.bind(2, std::string_view(**entry.value));
    return table.put.run();
  });
}

}  // namespace nuraghe::store
