#include "store/buffered.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"

namespace nuraghe::store {
namespace {

constexpr std::size_t kRowsAtOnce = 256;

class BufferedTransaction : public Transaction {
 public:
  explicit BufferedTransaction(Backend& backend)
      : backend_(backend), changes_(static_cast<std::size_t>(backend.table_count())) {}
  ~BufferedTransaction() override {
    if (open_) backend_.abandon();
  }
  BufferedTransaction(const BufferedTransaction&) = delete;
  BufferedTransaction& operator=(const BufferedTransaction&) = delete;

  Result<std::optional<std::string>> get(Table table, std::string_view key) override {
    Changes& changes = of(table);
    if (!changes.empty()) {
      const auto change = changes.find(key);
      if (change != changes.end()) return change->second.value;
    }
    return backend_.read(table.index, key);
  }

  Status put(Table table, std::string_view key, std::string_view value) override {
    return change(table, key, std::string(value), false);
  }

  Status insert(Table table, std::string_view key, std::string_view value) override {
    return change(table, key, std::string(value), true);
  }

  Status erase(Table table, std::string_view key) override { return change(table, key, std::nullopt, false); }

  Status erase_prefix(Table table, std::string_view prefix) override {
    CHECK(!prefix.empty());
    std::string after;
    for (;;) {
      TRY_ASSIGN(const auto rows, scan(table, prefix, after, kRowsAtOnce));
      for (const Row& row : rows) TRY(erase(table, row.key));
      if (rows.size() < kRowsAtOnce) return {};
      after = rows.back().key;
    }
  }

  Result<std::vector<Row>> scan(Table table, std::string_view prefix, std::string_view after,
                                std::size_t limit) override {
    const Changes& changes = of(table);
    std::string lower(prefix);
    if (!after.empty() && after >= prefix) lower = std::string(after) + '\0';  // the next string after `after`
    const auto upper = prefix_end(prefix);
    const RangeReader below = [&](std::string_view from, std::size_t most, std::vector<Row>& rows) {
      return backend_.read_range(table.index, from, upper, most, rows);
    };
    std::vector<Row> out;
    TRY(merge_range(changes, lower, upper, limit, below, out));
    return out;
  }

  Status mark() override {
    CHECK(open_);
    undo_.clear();
    marked_ = true;
    return {};
  }

  Status rollback_to_mark() override {
    CHECK(open_ && marked_);
    for (auto entry = undo_.rbegin(); entry != undo_.rend(); ++entry) {
      if (entry->was_buffered) {
        entry->position->second = std::move(entry->before);
      } else {
        entry->changes->erase(entry->position);
        --buffered_;
      }
    }
    undo_.clear();
    return {};
  }

  Status commit() override { return end(false); }
  Status commit_ahead() override { return end(true); }

  bool has_writes() const override { return buffered_ > 0; }

 private:
  Status end(bool ahead) {
    CHECK(open_);
    open_ = false;
    undo_.clear();
    if (buffered_ == 0) return backend_.end_reading();
    return backend_.write(std::move(changes_), ahead);
  }

  struct Undo {
    Changes* changes;
    Changes::iterator position;
    bool was_buffered;
    Change before;  // what stood in the buffer
  };

  Changes& of(Table table) {
    CHECK(open_);
    CHECK(table.index >= 0 && static_cast<std::size_t>(table.index) < changes_.size());
    return changes_[static_cast<std::size_t>(table.index)];
  }

  Status change(Table table, std::string_view key, std::optional<std::string> value, bool is_new) {
    Changes& changes = of(table);
    if (backend_.read_only()) [[unlikely]]
      return denied("the store was opened for reading only");
    auto position = changes.lower_bound(key);
    const bool was_buffered = position != changes.end() && position->first == key;
    if (!was_buffered) {
      position = changes.emplace_hint(position, std::string(key), Change{});
      ++buffered_;
    }
    // The promise of insert(): below the buffer nobody looks for its sake.
    CHECK(!is_new || !position->second.value);
    // What stands below is as it was: a row that came with this transaction is fresh until its end.
    const bool fresh = was_buffered ? position->second.fresh : is_new;
    if (marked_) undo_.push_back({&changes, position, was_buffered, std::exchange(position->second, Change{})});
    position->second.value = std::move(value);
    position->second.fresh = fresh;
    return {};
  }

  Backend& backend_;
  std::vector<Changes> changes_;
  std::vector<Undo> undo_;
  std::int64_t buffered_ = 0;
  bool marked_ = false;
  bool open_ = true;
};

}  // namespace

std::unique_ptr<Transaction> make_buffered_transaction(Backend& backend) {
  return std::make_unique<BufferedTransaction>(backend);
}

Status merge_range(const Changes& changes, std::string_view lower, const std::optional<std::string>& upper,
                   std::size_t limit, const RangeReader& below, std::vector<Row>& out) {
  const auto in_range = [&](Changes::const_iterator change) {
    return change != changes.end() && (!upper || change->first < *upper);
  };
  auto change = changes.lower_bound(lower);
  if (!in_range(change)) return below(lower, limit, out);
  // Merges pages of stored rows with the changes; a change hides the stored row of its key.
  std::string from(lower);
  std::vector<Row> page;
  std::size_t next = 0;
  bool more = true;
  for (const std::size_t full = out.size() + limit; out.size() < full;) {
    if (next == page.size() && more) {
      page.clear();
      next = 0;
      const std::size_t want = std::clamp<std::size_t>(full - out.size(), 16, kRowsAtOnce);
      TRY(below(from, want, page));
      more = page.size() == want;
      if (more) from = page.back().key + '\0';
    }
    if (next == page.size() && !in_range(change)) break;
    if (in_range(change) && (next == page.size() || change->first <= page[next].key)) {
      if (next < page.size() && change->first == page[next].key) ++next;
      if (change->second.value) out.push_back({change->first, *change->second.value});
      ++change;
    } else {
      out.push_back(std::move(page[next++]));
    }
  }
  return {};
}

WriteSize size_of(const std::vector<Changes>& changes) {
  WriteSize size;
  for (const Changes& table : changes) {
    for (const auto& [key, change] : table) {
      if (change.is_nothing()) continue;
      ++size.rows;
      size.values += change.value ? 1 : 0;
      size.bytes += static_cast<std::int64_t>(key.size() + (change.value ? change.value->size() : 0));
    }
  }
  return size;
}

std::optional<std::string> prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    if (end.back() != '\xff') {
      end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
      return end;
    }
    end.pop_back();
  }
  return std::nullopt;
}

Status check_table_name(std::string_view name) {
  const bool good = !name.empty() && name.size() < 64 &&
                    std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
  if (!good) return invalid(fmt::format("'{}' is not the name of a table: it is made of a-z and _", name));
  return {};
}

}  // namespace nuraghe::store
