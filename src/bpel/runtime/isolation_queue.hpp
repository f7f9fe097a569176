// IsolationQueue: who of an instance's isolated scopes may run, as rows of a table, so that a step costs the same
// whatever the number of those that wait.
//
// Each entry stands once, and once more for each shared thing that it reads or writes, in the order in which the
// entries came. It has the locks when no entry that came earlier writes what it uses or reads what it writes; what is
// granted stays so. Only neighbours are looked at: those that wait for a thing which an entry leaves.
//
// Rows (docs/formats/instance.md): id, 'e', path → IsolationRow; id, 't', key16(thing), 'r' or 'w', number → path.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bpel/runtime/state.hpp"
#include "store/store.hpp"

namespace nuraghe::bpel::runtime {

class IsolationQueue {
 public:
  // `transaction` outlives it; `instance` is the id.
  IsolationQueue(store::Transaction& transaction, store::Table table, const std::string& instance)
      : transaction_(transaction), table_(table), instance_(instance) {}

  // Adds the entry, the newest: its path's last number is above those of all others. True when it has its locks.
  Result<bool> enter(IsolationRow row);
  // Takes the entry of this path out, if there is one. Those that have their locks now, in the order in which they
  // came.
  Result<std::vector<Path>> leave(const Path& path);
  // Whether there is an entry of this path, without locks yet.
  Result<bool> waits(const Path& path) const;
  // Moves in what an earlier format kept in the instance's header.
  Status adopt(std::vector<IsolationRow> rows);

 private:
  struct Place {
    std::string key;  // of the row
    std::uint64_t order = 0;
    Path path;
  };
  std::string entry_key(const Path& path) const { return instance_ + 'e' + path; }
  std::string thing_prefix(const std::string& thing, char mode) const;
  Status insert(const IsolationRow& row);
  Result<std::optional<IsolationRow>> entry(const Path& path) const;
  Result<std::vector<Place>> places(const std::string& thing, char mode, std::size_t limit,
                                    std::string_view after = {}) const;
  Result<bool> is_free(const IsolationRow& row) const;
  Status add_candidates(const std::string& thing, bool wrote, std::set<Path>& into) const;

  store::Transaction& transaction_;
  store::Table table_;
  const std::string& instance_;
};

}  // namespace nuraghe::bpel::runtime
