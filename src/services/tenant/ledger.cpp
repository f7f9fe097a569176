#include "services/tenant/ledger.hpp"

#include <fmt/format.h>

#include "images/digest.hpp"

namespace nuraghe::services::tenant {
namespace {

constexpr std::string_view kHead = "head";
constexpr std::size_t kSweepPage = 500;

std::string key_of(std::int64_t sequence) { return fmt::format("{:016x}", static_cast<std::uint64_t>(sequence)); }

std::string hash_of(const LedgerRow& row) { return images::digest_of(row.before + "\n" + row.record); }

Result<api::AuditRecord> record_of(const LedgerRow& row) {
  TRY_ASSIGN(auto record, decode_record<api::AuditRecord>(row.record));
  record.hash = row.hash;
  return record;
}

}  // namespace

Status Ledger::open(store::Store& store) {
  TRY(rows_.open(store, "tenant_audit"));
  TRY(of_vo_.open(store, "tenant_audit_vo"));
  return head_.open(store, "tenant_audit_head");
}

Result<std::int64_t> Ledger::append(store::Transaction& tx, api::AuditRecord record, TimePoint now) const {
  TRY_ASSIGN(const auto last, head_.find(tx, kHead));
  record.sequence = last ? last->sequence + 1 : 1;
  record.time = now;
  record.hash.clear();
  LedgerRow row;
  row.before = last ? last->hash : "";
  row.record = encode_record(record);
  row.hash = hash_of(row);
  const auto key = key_of(record.sequence);
  TRY(rows_.put(tx, key, row));
  if (!record.vo.empty()) TRY(of_vo_.put(tx, member_key(record.vo, key), {}));
  TRY(head_.put(tx, kHead, {record.sequence, row.hash}));
  return record.sequence;
}

Result<std::optional<api::AuditRecord>> Ledger::find(store::Transaction& tx, std::int64_t sequence) const {
  TRY_ASSIGN(auto row, rows_.find(tx, key_of(sequence)));
  if (!row) return std::optional<api::AuditRecord>();
  TRY_ASSIGN(auto record, record_of(*row));
  return std::optional<api::AuditRecord>(std::move(record));
}

Result<std::vector<api::AuditRecord>> Ledger::page(store::Transaction& tx, std::string_view vo, std::int64_t after,
                                                   std::size_t limit) const {
  std::vector<api::AuditRecord> records;
  if (vo.empty()) {
    TRY_ASSIGN(auto rows, rows_.page(tx, "", limit, key_of(after)));
    for (auto& [key, row] : rows) {
      TRY_ASSIGN(auto record, record_of(row));
      records.push_back(std::move(record));
    }
    return records;
  }
  const auto prefix = member_key(vo, "");
  TRY_ASSIGN(const auto marks, of_vo_.page(tx, prefix, limit, prefix + key_of(after)));
  for (const auto& [key, mark] : marks) {
    TRY_ASSIGN(const auto row, rows_.find(tx, key.substr(prefix.size())));
    if (!row) continue;
    TRY_ASSIGN(auto record, record_of(*row));
    records.push_back(std::move(record));
  }
  return records;
}

Result<Ledger::Verified> Ledger::verify(store::Transaction& tx, std::int64_t after, std::size_t limit) const {
  Verified result;
  result.last = after;
  TRY_ASSIGN(const auto head, head_.find(tx, kHead));
  TRY_ASSIGN(const auto rows, rows_.page(tx, "", limit, key_of(after)));
  TRY_ASSIGN(auto before, rows_.find(tx, key_of(after)));
  for (const auto& [key, row] : rows) {
    const auto record = record_of(row);
    // The oldest one that is kept follows one that is gone.
    const bool follows = !before || (key == key_of(result.last + 1) && row.before == before->hash);
    if (!record || key != key_of(record->sequence) || !follows || hash_of(row) != row.hash) {
      result.broken = before ? result.last + 1 : static_cast<std::int64_t>(std::stoull(key, nullptr, 16));
      return result;
    }
    result.last = record->sequence;
    before = row;
  }
  result.more = rows.size() == limit;
  if (result.more || !head) return result;
  // What was taken off the end is missed by the head.
  if (result.last != head->sequence || (before && before->hash != head->hash)) result.broken = result.last + 1;
  return result;
}

Result<bool> Ledger::sweep(store::Transaction& tx, TimePoint oldest) const {
  TRY_ASSIGN(const auto rows, rows_.page(tx, "", kSweepPage));
  for (const auto& [key, row] : rows) {
    TRY_ASSIGN(const auto record, record_of(row));
    if (record.time >= oldest) return false;
    TRY(rows_.erase(tx, key));
    if (!record.vo.empty()) TRY(of_vo_.erase(tx, member_key(record.vo, key)));
  }
  return rows.size() == kSweepPage;
}

}  // namespace nuraghe::services::tenant
