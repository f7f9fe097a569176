// BufferedTransaction: the semantics of Transaction over any database. Changes stand in memory, ordered by key, until
// the commit hands them to the backend in one go; reads look there first. So a mark costs nothing, undoing a turn
// touches no database, several changes of one row in a group commit cost one write, and the write lock is held only
// during the commit.
//
// Invariant: the undo log holds, for each change since the mark, what stood in the buffer before it.
// Threading: one thread at a time.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.hpp"

namespace nuraghe::store {

// What becomes of a row.
struct Change {
  std::optional<std::string> value;  // nullopt: erased
  bool fresh = false;                // below these changes there is no row of that key
  // Inserted and erased again: nothing is left to be done.
  bool is_nothing() const { return fresh && !value; }
};
// The changes of one table.
using Changes = std::map<std::string, Change, std::less<>>;

struct WriteSize {
  std::int64_t rows = 0;
  std::int64_t values = 0;  // rows that are not erased
  std::int64_t bytes = 0;
};
WriteSize size_of(const std::vector<Changes>& changes);

// Appends rows with key >= lower in key order, at most `limit`, below a bound that it knows.
using RangeReader = std::function<Status(std::string_view lower, std::size_t limit, std::vector<Row>& out)>;
// Appends rows with lower <= key < upper (nullopt: no bound) in key order, at most limit: those of `below`, changed by
// `changes`.
Status merge_range(const Changes& changes, std::string_view lower, const std::optional<std::string>& upper,
                   std::size_t limit, const RangeReader& below, std::vector<Row>& out);

// What a database does for one transaction. Table numbers were checked by the caller.
class Backend {
 public:
  virtual ~Backend() = default;
  // A row of the transaction's snapshot.
  virtual Result<std::optional<std::string>> read(int table, std::string_view key) = 0;
  // Appends rows with lower <= key < upper (nullopt: no bound) in key order, at most limit.
  virtual Status read_range(int table, std::string_view lower, const std::optional<std::string>& upper,
                            std::size_t limit, std::vector<Row>& out) = 0;
  // Applies all changes (index = table) and makes them durable, or none of them and an error. `ahead`: durable only
  // after the next Store::sync(), where the store can.
  virtual Status write(std::vector<Changes> changes, bool ahead) = 0;
  // Ends the transaction without changes; called unless write was.
  virtual void abandon() = 0;
  // As abandon, for a commit of nothing: an error when what was read may not have been all.
  virtual Status end_reading() {
    abandon();
    return {};
  }
  virtual int table_count() const = 0;
  virtual bool read_only() const = 0;
};

// `backend` is owned by the store, which outlives the transaction and has at most one transaction at a time.
std::unique_ptr<Transaction> make_buffered_transaction(Backend& backend);

// The smallest string above every string that begins with prefix; nullopt when there is none.
std::optional<std::string> prefix_end(std::string_view prefix);

// A table's name as the contract wants it: [a-z_]+, at most 63 characters.
Status check_table_name(std::string_view name);

}  // namespace nuraghe::store
