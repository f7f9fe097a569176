// RecentChanges: what was committed lately, in memory, above the tables of a database.
//
// A commit appends its changes to a journal as one piece (encode_changes) and puts them in here; the tables get them
// later, in pieces, when many of them have been overwritten or erased again. So a row that lives for a moment only is
// never put into a table, and a commit writes little more than what it changed. A fresh row (Transaction::insert) that
// is erased again leaves no trace here either.
//
// Two layers: `recent` takes what is committed. When it is large it becomes `ripe` and moves into the tables bit by bit
// with the commits that follow; an entry leaves it when a commit has stored it. Reads look into recent, then into ripe,
// then into the table.
//
// Threading: as its store; but another thread may visit_ripe() beside it, while none of must_ripen, drop, ripen_all
// and clear is called.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "store/buffered.hpp"

namespace nuraghe::store {

// One commit's changes as bytes: for each table that has some, its name, their number, then each key and value
// (docs/formats/store.md). `names`: of the tables, by their index.
std::string encode_changes(const std::vector<Changes>& changes, const std::vector<std::string_view>& names);

class RecentChanges {
 public:
  // `layer_bytes`: of changes, after which a layer is large.
  explicit RecentChanges(std::size_t layer_bytes) : layer_bytes_(layer_bytes) {}

  void set_table_count(std::size_t count);
  void clear();

  // Null: neither layer knows the key. Else the value, or nullopt for an erased row. Valid until the next change.
  const std::optional<std::string>* find(int table, std::string_view key) const;
  // True when a scan of the table has to look in here.
  bool covers(int table) const;
  // As Backend::read_range, over what `below` reads.
  Status read_range(int table, std::string_view lower, const std::optional<std::string>& upper, std::size_t limit,
                    const RangeReader& below, std::vector<Row>& out) const;

  // A commit of that journal number.
  void absorb(std::vector<Changes>&& changes, std::int64_t number);
  // Reads what encode_changes made; `index_of` gives a name's table. kCorrupt.
  template <class IndexOf>
  Status absorb(std::string_view bytes, std::int64_t number, const IndexOf& index_of);

  // ---- the way into the tables ----

  // True when a commit has to carry some of the ripe changes along; makes the recent ones ripe when it is time.
  bool must_ripen();
  // The same without a change: what is ripe already.
  bool ripens() const { return ripe_.bytes > 0; }
  // The recent ones should have become ripe long ago.
  bool is_overdue() const { return recent_.bytes >= 2 * layer_bytes_; }
  // About how many bytes the next commit is to carry, when it has `bytes` itself: everything is in the tables before
  // the recent layer is full again.
  std::size_t portion(std::size_t bytes) const;
  struct Entry {
    int table = 0;
    const std::string* key = nullptr;
    const std::optional<std::string>* value = nullptr;  // nullopt: erased
  };
  // Which of the ripe changes are in the tables: those before this place.
  struct Stored {
    std::size_t table = 0;
    std::optional<std::string> key{};  // the first that is not, in this table; nullopt: the table's first
  };
  // Calls `store(entry)` for ripe changes from a place on, ordered by table and key, until `bytes` are passed or all
  // are; they stay until drop(). All of them: no key.
  template <class Store>
  Result<Stored> visit_ripe(const Stored& from, std::size_t bytes, const Store& store) const;
  // The last key before that place, of each table that has one.
  template <class Take>
  void for_each_last(const Stored& stored, const Take& take) const;
  // True when none is left.
  bool drop(const Stored& stored);
  // The journal's last number that the ripe changes came from.
  std::int64_t ripe_number() const { return ripe_.last; }
  // Joins both layers, the ripe one, so that one visit sees everything.
  void ripen_all();
  bool empty() const { return recent_.bytes == 0 && ripe_.bytes == 0; }
  std::size_t bytes() const { return recent_.bytes + ripe_.bytes; }

 private:
  struct Layer {
    std::vector<Changes> tables;
    std::size_t bytes = 0;  // of all changes that came in; overwritten ones too
    std::int64_t last = 0;
  };
  static constexpr std::size_t kRowOverhead = 64;
  static void merge(Changes&& from, Changes& into);
  void put(int table, std::string_view key, std::optional<std::string> value);

  std::size_t layer_bytes_;
  Layer recent_, ripe_;
};

// ---- encoding ----

// Reads numbers and byte strings of encode_changes.
class ChangesReader {
 public:
  explicit ChangesReader(std::string_view bytes) : bytes_(bytes) {}
  bool at_end() const { return bytes_.empty(); }
  Result<std::uint32_t> number();
  Result<std::string_view> text(std::uint32_t size);

 private:
  std::string_view bytes_;
};

template <class IndexOf>
Status RecentChanges::absorb(std::string_view bytes, std::int64_t number, const IndexOf& index_of) {
  ChangesReader reader(bytes);
  while (!reader.at_end()) {
    TRY_ASSIGN(const std::uint32_t name_size, reader.number());
    TRY_ASSIGN(const std::string_view name, reader.text(name_size));
    TRY_ASSIGN(const int table, index_of(name));
    TRY_ASSIGN(const std::uint32_t count, reader.number());
    for (std::uint32_t i = 0; i < count; ++i) {
      TRY_ASSIGN(const std::uint32_t key_size, reader.number());
      TRY_ASSIGN(const std::string_view key, reader.text(key_size));
      TRY_ASSIGN(const std::uint32_t value_size, reader.number());  // one more than its size; 0: erased
      if (value_size == 0) {
        put(table, key, std::nullopt);
      } else {
        TRY_ASSIGN(const std::string_view value, reader.text(value_size - 1));
        put(table, key, std::string(value));
      }
    }
  }
  recent_.last = number;
  return {};
}

template <class Store>
Result<RecentChanges::Stored> RecentChanges::visit_ripe(const Stored& from, std::size_t bytes,
                                                        const Store& store) const {
  std::size_t passed = 0;
  for (std::size_t table = from.table; table < ripe_.tables.size(); ++table) {
    const Changes& changes = ripe_.tables[table];
    const bool is_within = table == from.table && from.key;
    for (auto change = is_within ? changes.lower_bound(*from.key) : changes.begin(); change != changes.end();
         ++change) {
      const auto& [key, what] = *change;
      if (passed > bytes) return Stored{table, key};
      passed += kRowOverhead + key.size() + (what.value ? what.value->size() : 0);
      TRY(store(Entry{static_cast<int>(table), &key, &what.value}));
    }
  }
  return Stored{ripe_.tables.size()};
}

template <class Take>
void RecentChanges::for_each_last(const Stored& stored, const Take& take) const {
  for (std::size_t table = 0; table < ripe_.tables.size() && table <= stored.table; ++table) {
    const Changes& changes = ripe_.tables[table];
    if (table == stored.table && !stored.key) break;
    const auto end = table < stored.table ? changes.end() : changes.lower_bound(*stored.key);
    if (end != changes.begin()) take(static_cast<int>(table), std::prev(end)->first);
  }
}

}  // namespace nuraghe::store
