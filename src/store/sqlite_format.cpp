#include "store/sqlite_format.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/check.hpp"
#include "env/posix.hpp"

namespace nuraghe::store {
namespace {

constexpr std::int64_t kApplicationId = 0x4e555241;  // "NURA"
constexpr std::int64_t kFormat = 3;                  // 1 had no journal, 2 had it in a table
// `parts`: how often a part of the journal was begun.
constexpr std::string_view kJournalRows = "INSERT OR IGNORE INTO meta VALUES ('applied', 0), ('parts', 0)";

Status create_format(Connection& connection) {
  TRY(connection.execute("PRAGMA page_size = 4096"));
  // Run to its end: it answers before it is done, and fails behind the answer.
  TRY(connection.execute("PRAGMA journal_mode = WAL"));
  TRY_ASSIGN(const std::string mode, connection.query_text("PRAGMA journal_mode"));
  if (mode != "wal")
    return unsupported(fmt::format("{}: its file system does not support a write-ahead log", connection.path()));
  TRY(connection.execute("BEGIN IMMEDIATE"));
  const Status created = [&]() -> Status {
    // Another process may have been faster while this one waited for the lock.
    TRY_ASSIGN(const std::int64_t objects, connection.query_number("SELECT count(*) FROM sqlite_master"));
    if (objects > 0) return {};
    TRY(
        connection.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
                           "CREATE TABLE epochs (owner TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;"));
    TRY(connection.execute(fmt::format("INSERT INTO meta VALUES ('format', {}); {};", kFormat, kJournalRows)));
    return connection.execute(fmt::format("PRAGMA application_id = {};", kApplicationId));
  }();
  if (!created) {
    static_cast<void>(connection.execute("ROLLBACK"));  // the error that matters is the first
    return created;
  }
  return connection.execute("COMMIT");
}

// What format 2 has in its table goes into the rows' own tables soon after.
Status upgrade_format(Connection& connection, std::int64_t format, bool read_only) {
  if (format == kFormat) return {};
  if (read_only) {
    return conflict(fmt::format("{} has the older format {}: start its program once, which brings it to {}",
                                connection.path(), format, kFormat));
  }
  return connection.execute(fmt::format(
      "BEGIN IMMEDIATE; {}; UPDATE meta SET value = {} WHERE name = 'format'; COMMIT;", kJournalRows, kFormat));
}

}  // namespace

Status create_private_file(const std::string& path) {
  const env::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    if (errno == EEXIST) return {};
    return system_error("create " + path, errno);
  }
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return env::fsync_path(".");
  return env::fsync_path(slash == 0 ? "/" : path.substr(0, slash));
}

Status prepare_format(Connection& connection, bool read_only) {
  const std::string& path = connection.path();
  TRY_ASSIGN(std::int64_t application, connection.query_number("PRAGMA application_id"));
  TRY_ASSIGN(const std::int64_t objects, connection.query_number("SELECT count(*) FROM sqlite_master"));
  if (application == 0 && objects > 0) {
    // Another process may have made them between the two questions.
    TRY_ASSIGN(application, connection.query_number("PRAGMA application_id"));
    if (application == 0) return corrupt(fmt::format("{} is a database of another program", path));
  }
  if (application == 0) {
    if (read_only) return not_found(fmt::format("{} is empty: nothing was stored in it yet", path));
    TRY(create_format(connection));
  } else if (application != kApplicationId) {
    return corrupt(fmt::format("{} is a database of another program", path));
  }
  TRY_ASSIGN(const std::int64_t format, connection.query_number("SELECT value FROM meta WHERE name = 'format'"));
  if (format > kFormat) {
    return conflict(fmt::format("{} has format {}, written by a newer Nuraghe; this one knows formats up to {}", path,
                                format, kFormat));
  }
  return upgrade_format(connection, format, read_only);
}

Result<std::int64_t> applied_of(Connection& connection) {
  return connection.query_number("SELECT value FROM meta WHERE name = 'applied'");
}

Result<bool> has_old_journal(Connection& connection) {
  TRY_ASSIGN(const std::int64_t found,
             connection.query_number("SELECT count(*) FROM sqlite_master WHERE name = 'journal'"));
  return found > 0;
}

Result<std::int64_t> version_of(Statement& data_version) {
  TRY_ASSIGN(const bool row, data_version.step());
  CHECK(row);
  const std::int64_t version = data_version.number(0);
  data_version.reset();
  return version;
}

}  // namespace nuraghe::store
