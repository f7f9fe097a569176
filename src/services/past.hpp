// PastTable: the last state of what is gone, found by id or name, so that what happened can be read afterwards.
// Bounded by age and by number of each VO: the oldest go first, a bounded number of them in a turn.
//
//   NAME         VO '/' ID                             the last state
//   NAME_name    VO '/' NAME                           the id of the newest that had the name
//   NAME_order   VO '/' TIME (16 hex digits) '/' ID    its name: in order of their ends
//   NAME_vo      VO                                    how many there are
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "services/rows.hpp"

namespace nuraghe::services {

struct PastLimits {
  Duration age = std::chrono::hours(24 * 90);
  std::int64_t count = 1000;  // of one VO
};

template <class Row>
class PastTable {
 public:
  Status open(store::Store& store, const std::string& name) {
    TRY(rows_.open(store, name));
    TRY(names_.open(store, name + "_name"));
    TRY(order_.open(store, name + "_order"));
    return counts_.open(store, name + "_vo");
  }

  // `row` is gone as of now. The oldest of the VO go when there are too many.
  Status add(store::Transaction& tx, const std::string& vo, const std::string& id, const std::string& name,
             const Row& row, TimePoint now, const PastLimits& limits) const {
    TRY(rows_.put(tx, key(vo, id), row));
    TRY(names_.put(tx, key(vo, name), {id}));
    TRY(order_.put(tx, fmt::format("{}/{:016x}/{}", vo, static_cast<std::uint64_t>(now.micros), id), {name}));
    TRY_ASSIGN(auto count, counts_.find(tx, vo));
    CountRow counted = count.value_or(CountRow{});
    ++counted.count;
    TRY(counts_.put(tx, vo, counted));
    if (counted.count <= limits.count) return {};
    const auto surplus = static_cast<std::size_t>(counted.count - limits.count);
    TRY(drop(tx, vo, std::min(surplus, kBatch), {std::numeric_limits<std::int64_t>::max()}));
    return {};
  }

  Result<std::optional<Row>> find(store::Transaction& tx, const std::string& vo, const std::string& id_or_name) const {
    TRY_ASSIGN(auto row, rows_.find(tx, key(vo, id_or_name)));
    if (row) return row;
    TRY_ASSIGN(const auto named, names_.find(tx, key(vo, id_or_name)));
    if (!named) return std::optional<Row>();
    return rows_.find(tx, key(vo, named->text));
  }

  // Removes what is too old, a bounded number of each VO; true when there is more.
  Result<bool> sweep(store::Transaction& tx, TimePoint now, const PastLimits& limits) const {
    TRY_ASSIGN(const auto organisations, counts_.scan(tx, ""));
    bool is_more = false;
    for (const auto& [vo, counted] : organisations) {
      TRY_ASSIGN(const std::size_t dropped, drop(tx, vo, kBatch, now - limits.age));
      is_more = is_more || dropped == kBatch;
    }
    return is_more;
  }

 private:
  struct TextRow {
    std::string text;
    template <class V>
    void fields(V& v) {
      v(1, text);
    }
  };
  struct CountRow {
    std::int64_t count = 0;
    template <class V>
    void fields(V& v) {
      v(1, count);
    }
  };
  static constexpr std::size_t kBatch = 100;
  static std::string key(const std::string& vo, const std::string& id) { return vo + "/" + id; }

  // The oldest of a VO that ended before `end`, at most `most`; how many.
  Result<std::size_t> drop(store::Transaction& tx, const std::string& vo, std::size_t most, TimePoint end) const {
    TRY_ASSIGN(const auto oldest, order_.page(tx, vo + "/", most));
    std::size_t dropped = 0;
    for (const auto& [stored, name] : oldest) {
      const auto time = std::stoull(stored.substr(vo.size() + 1, 16), nullptr, 16);
      if (static_cast<std::int64_t>(time) >= end.micros) break;
      const std::string id = stored.substr(vo.size() + 18);
      TRY(rows_.erase(tx, key(vo, id)));
      TRY_ASSIGN(const auto newest, names_.find(tx, key(vo, name.text)));
      if (newest && newest->text == id) TRY(names_.erase(tx, key(vo, name.text)));
      TRY(order_.erase(tx, stored));
      ++dropped;
    }
    if (dropped == 0) return dropped;
    TRY_ASSIGN(const auto count, counts_.find(tx, vo));
    const CountRow left{count.value_or(CountRow{}).count - static_cast<std::int64_t>(dropped)};
    if (left.count > 0)
      TRY(counts_.put(tx, vo, left));
    else
      TRY(counts_.erase(tx, vo));
    return dropped;
  }

  RowTable<Row> rows_;
  RowTable<TextRow> names_, order_;
  RowTable<CountRow> counts_;
};

}  // namespace nuraghe::services
