#include "store/recent_changes.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace nuraghe::store {
namespace {

void append_number(std::string& out, std::size_t number) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>((number >> shift) & 0xff));
}

}  // namespace

std::string encode_changes(const std::vector<Changes>& changes, const std::vector<std::string_view>& names) {
  const WriteSize size = size_of(changes);
  std::string out;
  out.reserve(static_cast<std::size_t>(size.bytes + 8 * size.rows) + 72 * changes.size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (changes[i].empty()) continue;
    append_number(out, names[i].size());
    out += names[i];
    const auto nothing = std::count_if(changes[i].begin(), changes[i].end(),
                                       [](const auto& entry) { return entry.second.is_nothing(); });
    append_number(out, changes[i].size() - static_cast<std::size_t>(nothing));
    for (const auto& [key, change] : changes[i]) {
      if (change.is_nothing()) continue;
      append_number(out, key.size());
      out += key;
      append_number(out, change.value ? change.value->size() + 1 : 0);
      if (change.value) out += *change.value;
    }
  }
  return out;
}

Result<std::uint32_t> ChangesReader::number() {
  TRY_ASSIGN(const std::string_view four, text(4));
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= std::uint32_t{static_cast<unsigned char>(four[i])} << (8 * i);
  return value;
}

Result<std::string_view> ChangesReader::text(std::uint32_t size) {
  if (size > bytes_.size()) return corrupt("the store's journal has an entry that is cut off");
  const std::string_view found = bytes_.substr(0, size);
  bytes_.remove_prefix(size);
  return found;
}

void RecentChanges::set_table_count(std::size_t count) {
  recent_.tables.resize(count);
  ripe_.tables.resize(count);
}

void RecentChanges::clear() {
  for (Layer* layer : {&recent_, &ripe_}) {
    for (Changes& table : layer->tables) table.clear();
    layer->bytes = 0;
    layer->last = 0;
  }
}

const std::optional<std::string>* RecentChanges::find(int table, std::string_view key) const {
  for (const Layer* layer : {&recent_, &ripe_}) {
    const Changes& changes = layer->tables[static_cast<std::size_t>(table)];
    if (changes.empty()) continue;
    const auto found = changes.find(key);
    if (found != changes.end()) return &found->second.value;
  }
  return nullptr;
}

bool RecentChanges::covers(int table) const {
  const auto index = static_cast<std::size_t>(table);
  return !recent_.tables[index].empty() || !ripe_.tables[index].empty();
}

Status RecentChanges::read_range(int table, std::string_view lower, const std::optional<std::string>& upper,
                                 std::size_t limit, const RangeReader& below, std::vector<Row>& out) const {
  const auto index = static_cast<std::size_t>(table);
  const RangeReader ripe = [&](std::string_view from, std::size_t most, std::vector<Row>& rows) {
    return merge_range(ripe_.tables[index], from, upper, most, below, rows);
  };
  return merge_range(recent_.tables[index], lower, upper, limit, ripe, out);
}

// Fresh says something of what is below the layer that it stands in: `from`'s entries are about `into` and below.
void RecentChanges::merge(Changes&& from, Changes& into) {
  // Rows of one thing have neighbouring keys: the next one's place is often just behind this one's.
  auto behind = into.end();
  while (!from.empty()) {
    auto node = from.extract(from.begin());
    if (node.mapped().is_nothing()) continue;
    auto place = into.insert(behind, std::move(node));
    behind = std::next(place);
    // A node whose key is there already is left as it was.
    if (node.empty()) continue;                           // NOLINT(bugprone-use-after-move)
    CHECK(!node.mapped().fresh || !place->second.value);  // the promise of insert()
    place->second.value = std::move(node.mapped().value);
    if (place->second.is_nothing()) into.erase(place);
  }
}

void RecentChanges::put(int table, std::string_view key, std::optional<std::string> value) {
  recent_.bytes += kRowOverhead + key.size() + (value ? value->size() : 0);
  recent_.tables[static_cast<std::size_t>(table)].insert_or_assign(std::string(key), Change{std::move(value), false});
}

void RecentChanges::absorb(std::vector<Changes>&& changes, std::int64_t number) {
  const WriteSize size = size_of(changes);
  recent_.bytes += static_cast<std::size_t>(size.bytes) + kRowOverhead * static_cast<std::size_t>(size.rows);
  for (std::size_t i = 0; i < changes.size(); ++i) merge(std::move(changes[i]), recent_.tables[i]);
  recent_.last = number;
}

bool RecentChanges::must_ripen() {
  if (ripe_.bytes > 0) return true;
  if (recent_.bytes < layer_bytes_) return false;
  std::swap(recent_, ripe_);
  return true;
}

std::size_t RecentChanges::portion(std::size_t bytes) const {
  if (recent_.bytes >= layer_bytes_) return ripe_.bytes;
  return std::max(layer_bytes_ / 1024, 2 * bytes);
}

bool RecentChanges::drop(const Stored& stored) {
  bool left = false;
  for (std::size_t i = 0; i < ripe_.tables.size(); ++i) {
    Changes& table = ripe_.tables[i];
    if (i < stored.table) {
      table.clear();
    } else if (i == stored.table && stored.key) {
      table.erase(table.begin(), table.lower_bound(*stored.key));
    }
    left = left || !table.empty();
  }
  if (!left) ripe_.bytes = 0;
  return !left;
}

void RecentChanges::ripen_all() {
  if (recent_.bytes == 0) return;
  for (std::size_t i = 0; i < recent_.tables.size(); ++i) {
    if (recent_.tables[i].empty()) continue;
    merge(std::exchange(recent_.tables[i], {}), ripe_.tables[i]);
  }
  ripe_.bytes += std::exchange(recent_.bytes, 0);
  ripe_.last = recent_.last;
}

}  // namespace nuraghe::store
