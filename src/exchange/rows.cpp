#include "exchange/rows.hpp"

#include "base/check.hpp"

namespace nuraghe::exchange {

Result<Tables> open_tables(store::Store& store) {
  Tables tables;
  TRY_ASSIGN(tables.outbox, store.table("exchange_outbox"));
  TRY_ASSIGN(tables.inbox, store.table("exchange_inbox"));
  TRY_ASSIGN(tables.jobs, store.table("exchange_jobs"));
  TRY_ASSIGN(tables.timers, store.table("exchange_timers"));
  TRY_ASSIGN(tables.timer_index, store.table("exchange_timer_index"));
  TRY_ASSIGN(tables.events, store.table("exchange_events"));
  TRY_ASSIGN(tables.conversations, store.table("exchange_conversations"));
  return tables;
}

std::string owned_key(std::string_view actor, std::string_view key) {
  std::string owned;
  owned.reserve(actor.size() + 1 + key.size());
  owned += actor;
  owned += '\0';
  owned += key;
  return owned;
}

OwnedKey split_owned_key(std::string_view stored) {
  const auto zero = stored.find('\0');
  CHECK(zero != std::string_view::npos);
  return {std::string(stored.substr(0, zero)), std::string(stored.substr(zero + 1))};
}

std::string ordered_number(std::int64_t number) {
  auto bits = static_cast<std::uint64_t>(number) ^ (std::uint64_t{1} << 63);  // negative ones before the others
  std::string bytes(8, '\0');
  for (std::size_t i = 8; i-- > 0; bits >>= 8) bytes[i] = static_cast<char>(bits & 0xff);
  return bytes;
}

std::int64_t number_of(std::string_view ordered) {
  CHECK(ordered.size() >= 8);
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 8; ++i) bits = (bits << 8) | static_cast<unsigned char>(ordered[i]);
  return static_cast<std::int64_t>(bits ^ (std::uint64_t{1} << 63));
}

std::string due_key(TimePoint due, std::string_view owned) {
  std::string key = ordered_number(due.micros);
  key += owned;
  return key;
}

}  // namespace nuraghe::exchange
