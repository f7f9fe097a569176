#include "store/memory.hpp"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "base/check.hpp"
#include "base/crash_point.hpp"
#include "store/buffered.hpp"

namespace nuraghe::store {

using Rows = std::map<std::string, std::string, std::less<>>;

class MemoryDisk {
 public:
  std::mutex mutex;
  std::map<std::string, Rows, std::less<>> tables;  // never erased from: pointers to Rows stay valid
  std::map<std::string, std::int64_t, std::less<>> epochs;
  std::int64_t bytes = 0;
  std::int64_t limit = 0;
  std::uint64_t version = 0;  // raised by every commit and acquire
};

namespace {

constexpr std::int64_t kRowOverhead = 8;  // as a journal would need for lengths

class MemoryStore : public Store, private Backend {
 public:
  explicit MemoryStore(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {}
  bool commits_at_once() const override { return true; }

  Result<Table> table(std::string_view name) override {
    TRY(check_table_name(name));
    if (in_transaction_) return conflict(fmt::format("table {} is opened within a transaction", name));
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == name) return Table{static_cast<int>(i)};
    }
    const std::lock_guard lock(disk_->mutex);
    names_.emplace_back(name);
    tables_.push_back(&disk_->tables[names_.back()]);
    return Table{static_cast<int>(tables_.size()) - 1};
  }

  Result<std::int64_t> acquire(std::string_view owner) override {
    CHECK(!in_transaction_);
    pass_crash_point(CrashPoint::kBeforeCommit);
    {
      const std::lock_guard lock(disk_->mutex);
      owner_ = std::string(owner);
      epoch_ = ++disk_->epochs[owner_];
      ++disk_->version;
    }
    ++statistics_.commits;
    pass_crash_point(CrashPoint::kAfterCommit);
    return epoch_;
  }

  Result<std::unique_ptr<Transaction>> begin() override {
    CHECK(!in_transaction_);
    {
      const std::lock_guard lock(disk_->mutex);
      TRY(verify_epoch());
      snapshot_ = disk_->version;
    }
    in_transaction_ = true;
    return make_buffered_transaction(*this);
  }

  Statistics statistics() const override { return statistics_; }

 private:
  Result<std::optional<std::string>> read(int table, std::string_view key) override {
    const std::lock_guard lock(disk_->mutex);
    TRY(verify_snapshot());
    const Rows& rows = *tables_[static_cast<std::size_t>(table)];
    const auto row = rows.find(key);
    if (row == rows.end()) return std::optional<std::string>();
    return std::optional<std::string>(row->second);
  }

  Status read_range(int table, std::string_view lower, const std::optional<std::string>& upper, std::size_t limit,
                    std::vector<Row>& out) override {
    const std::lock_guard lock(disk_->mutex);
    TRY(verify_snapshot());
    const Rows& rows = *tables_[static_cast<std::size_t>(table)];
    std::size_t count = 0;
    for (auto row = rows.lower_bound(lower); row != rows.end() && count < limit; ++row, ++count) {
      if (upper && row->first >= *upper) break;
      out.push_back({row->first, row->second});
    }
    return {};
  }

  Status write(std::vector<Changes> changes, bool) override {
    in_transaction_ = false;
    const WriteSize size = size_of(changes);
    pass_crash_point(CrashPoint::kBeforeCommit);
    {
      const std::lock_guard lock(disk_->mutex);
      TRY(verify_snapshot());
      std::int64_t bytes = disk_->bytes;
      for (std::size_t i = 0; i < changes.size(); ++i) bytes += growth(*tables_[i], changes[i]);
      if (disk_->limit > 0 && bytes > disk_->limit && bytes > disk_->bytes) return exhausted("the disk is full");
      for (std::size_t i = 0; i < changes.size(); ++i) apply(*tables_[i], changes[i]);
      disk_->bytes = bytes;
      ++disk_->version;
    }
    ++statistics_.commits;
    statistics_.rows_written += size.rows;
    statistics_.bytes_written += size.bytes;
    statistics_.journal_bytes += size.bytes + kRowOverhead * size.rows;
    pass_crash_point(CrashPoint::kAfterCommit);
    return {};
  }

  void abandon() override { in_transaction_ = false; }
  int table_count() const override { return static_cast<int>(tables_.size()); }
  bool read_only() const override { return false; }

  static std::int64_t size_of_row(std::string_view key, std::string_view value) {
    return static_cast<std::int64_t>(key.size() + value.size()) + kRowOverhead;
  }

  static std::int64_t growth(const Rows& rows, const Changes& changes) {
    std::int64_t bytes = 0;
    for (const auto& [key, change] : changes) {
      const auto old = rows.find(key);
      // The promise of insert(): where it is broken, an old row comes back in other stores.
      CHECK(!change.fresh || old == rows.end());
      if (old != rows.end()) bytes -= size_of_row(key, old->second);
      if (change.value) bytes += size_of_row(key, *change.value);
    }
    return bytes;
  }

  static void apply(Rows& rows, Changes& changes) {
    for (auto& [key, change] : changes) {
      if (change.value)
        rows.insert_or_assign(key, std::move(*change.value));
      else
        rows.erase(key);
    }
  }

  Status verify_epoch() const {
    if (owner_.empty()) return {};
    const auto epoch = disk_->epochs.find(owner_);
    if (epoch != disk_->epochs.end() && epoch->second == epoch_) return {};
    return conflict(fmt::format("a newer owner of {} has taken the store over", owner_));
  }

  // There is one version of each row: a transaction that another store's commit overtook cannot go on.
  Status verify_snapshot() const {
    if (disk_->version == snapshot_) return {};
    TRY(verify_epoch());
    return unavailable("another writer was first; repeat the transaction");
  }

  std::shared_ptr<MemoryDisk> disk_;
  std::vector<std::string> names_;
  std::vector<Rows*> tables_;
  std::string owner_;
  std::int64_t epoch_ = 0;
  std::uint64_t snapshot_ = 0;
  bool in_transaction_ = false;
  Statistics statistics_;
};

}  // namespace

std::shared_ptr<MemoryDisk> make_memory_disk() { return std::make_shared<MemoryDisk>(); }

void set_memory_disk_limit(MemoryDisk& disk, Bytes limit) {
  const std::lock_guard lock(disk.mutex);
  disk.limit = limit.count;
}

std::unique_ptr<Store> open_memory(std::shared_ptr<MemoryDisk> disk) {
  return std::make_unique<MemoryStore>(std::move(disk));
}

}  // namespace nuraghe::store
