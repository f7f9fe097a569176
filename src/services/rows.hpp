// RowTable: a store table whose values are records of one type. Keys are chosen by the service; those of a
// VO begin with nothing special: every row names its VO itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/record.hpp"
#include "base/result.hpp"
#include "store/store.hpp"

namespace nuraghe::services {

template <class Row>
class RowTable {
 public:
  Status open(store::Store& store, std::string_view name) {
    TRY_ASSIGN(table_, store.table(name));
    return {};
  }
  // nullopt when there is no such row.
  Result<std::optional<Row>> find(store::Transaction& transaction, std::string_view key) const {
    TRY_ASSIGN(const auto bytes, transaction.get(table_, key));
    if (!bytes) return std::optional<Row>();
    TRY_ASSIGN(auto row, decode_record<Row>(*bytes));
    return std::optional<Row>(std::move(row));
  }
  Status put(store::Transaction& transaction, std::string_view key, const Row& row) const {
    return transaction.put(table_, key, encode_record(row));
  }
  Status erase(store::Transaction& transaction, std::string_view key) const { return transaction.erase(table_, key); }
  Status erase_prefix(store::Transaction& transaction, std::string_view prefix) const {
    return transaction.erase_prefix(table_, prefix);
  }
  // The first rows whose keys begin with the prefix (empty: all) and stand behind `after`, at most `limit`.
  Result<std::vector<std::pair<std::string, Row>>> page(store::Transaction& transaction, std::string_view prefix,
                                                        std::size_t limit, std::string_view after = {}) const {
    std::vector<std::pair<std::string, Row>> rows;
    TRY_ASSIGN(const auto stored, transaction.scan(table_, prefix, after, limit));
    for (const auto& row : stored) {
      TRY_ASSIGN(auto value, decode_record<Row>(row.value));
      rows.emplace_back(row.key, std::move(value));
    }
    return rows;
  }
  // Every row whose key begins with the prefix (empty: all), in key order, with its key.
  Result<std::vector<std::pair<std::string, Row>>> scan(store::Transaction& transaction,
                                                        std::string_view prefix) const {
    std::vector<std::pair<std::string, Row>> rows;
    std::string after;
    while (true) {
      TRY_ASSIGN(const auto page, transaction.scan(table_, prefix, after, kPage));
      for (const auto& row : page) {
        TRY_ASSIGN(auto value, decode_record<Row>(row.value));
        rows.emplace_back(row.key, std::move(value));
      }
      if (page.size() < kPage) return rows;
      after = page.back().key;
    }
  }

 private:
  static constexpr std::size_t kPage = 1000;
  store::Table table_;
};

}  // namespace nuraghe::services
