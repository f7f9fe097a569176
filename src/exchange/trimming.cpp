// Events that are too old, or too many of one virtual organisation, go: the oldest first, a page in a turn.
//
// Counting and erasing are two walks over the events in order of their sequence. The counting walk is left out as long
// as all events together are no more than one organisation may have. The newest event stays whatever its age: its
// sequence is the one that the next event is counted from.
#include "base/record.hpp"
#include "exchange/exchange_impl.hpp"

namespace nuraghe::exchange {
namespace {}  // namespace

// The event itself is left as it is: a batch that cannot commit gets it again.
Status ExchangeImpl::handle(Batch& batch, TrimEvent& event) {
  if (event.erases) return erase_page(batch, event);
  if (event.after.empty()) {
    TRY_ASSIGN(const bool may, may_have_surplus(batch));
    if (!may) return erase_page(batch, event);
  }
  return count_page(batch, event);
}

Result<bool> ExchangeImpl::may_have_surplus(Batch& batch) const {
  TRY_ASSIGN(const auto first, batch.transaction->scan(state_.tables.events, "", "", 1));
  return !first.empty() && state_.last_sequence - number_of(first.front().key) + 1 > options_.event_limit;
}

Status ExchangeImpl::count_page(Batch& batch, const TrimEvent& event) {
  TRY_ASSIGN(const auto rows, batch.transaction->scan(state_.tables.events, "", event.after, kRowsAtOnce));
  TrimEvent next = event;
  for (const store::Row& row : rows) {
    TRY_ASSIGN(const Event stored, decode_record<Event>(row.value));
    ++next.surplus[stored.vo];
  }
  if (rows.size() == kRowsAtOnce) {
    next.after = rows.back().key;
  } else {
    next.erases = true;
    next.after.clear();
    for (auto& [vo, count] : next.surplus) count -= options_.event_limit;
    std::erase_if(next.surplus, [](const auto& item) { return item.second <= 0; });
  }
  batch.effects.emplace_back(CallEffect{[this, next = std::move(next)] { mailbox_->put(next); }});
  return {};
}

Status ExchangeImpl::erase_page(Batch& batch, const TrimEvent& event) {
  const TimePoint oldest = state_.clock->now() - options_.event_retention;
  TRY_ASSIGN(const auto rows, batch.transaction->scan(state_.tables.events, "", event.after, kRowsAtOnce));
  TrimEvent next{true, "", event.surplus};
  for (const store::Row& row : rows) {
    if (number_of(row.key) >= state_.last_sequence) return {};
    TRY_ASSIGN(const Event stored, decode_record<Event>(row.value));
    const bool is_old = stored.time < oldest;
    if (!is_old && next.surplus.empty()) return {};  // those behind it are younger still
    const auto surplus = next.surplus.find(stored.vo);
    if (!is_old && surplus == next.surplus.end()) continue;
    TRY(batch.transaction->erase(state_.tables.events, row.key));
    if (surplus != next.surplus.end() && --surplus->second == 0) next.surplus.erase(surplus);
  }
  if (rows.size() < kRowsAtOnce) return {};
  next.after = rows.back().key;
  batch.effects.emplace_back(CallEffect{[this, next = std::move(next)] { mailbox_->put(next); }});
  return {};
}

}  // namespace nuraghe::exchange
