// Instances that work for other instances: who does not await an answer any more has its maker ended.
//
// The order to end is a timer that is due at once: a row of the step that abandoned the request, so it is carried out
// after every crash, in a turn of its own, and a second one changes nothing.
#include <fmt/format.h>

#include "bpel/engine_state.hpp"

namespace nuraghe::bpel {

using runtime::HeaderRow;
using runtime::InstanceState;

Status Engine::Implementation::end_children(exchange::Turn& turn, runtime::Instance& parent,
                                            const std::vector<runtime::Machine::Abandoned>& abandoned) {
  if (abandoned.empty()) return {};
  auto& transaction = turn.transaction();
  auto& header = parent.header;
  const auto known = header.abandoned;
  for (const auto& one : abandoned) {
    const auto key = child_key(header.id, one.message_id);
    TRY_ASSIGN(const auto child, transaction.get(tables.child, key));
    if (child && !child->empty()) {
      TRY(turn.set_timer((one.with_handlers ? "end/" : "exit/") + *child, turn.now()));
    } else if (!child && one.may_arrive && header.state == InstanceState::kRunning) {
      // The request may be on its way to this engine.
      TRY(transaction.insert(tables.child, key, ""));
      ++header.abandoned;
    }
  }
  if (header.abandoned == known) return {};
  return transaction.put(tables.instance, header.id, encode_record(header));
}

Status Engine::Implementation::end_child(exchange::Turn& turn, const std::string& id, bool with_handlers) {
  TRY_ASSIGN(Live * live, load(turn, id));
  if (live == nullptr) return {};
  const auto& header = live->instance->header;
  TRY_ASSIGN(const auto working, turn.transaction().get(tables.child, child_key(header.created_in, header.created_by)));
  if (!working) return {};  // it has answered meanwhile, and goes on for others
  journal::StepEvent event;
  event.kind = with_handlers ? journal::EventKind::kEnd : journal::EventKind::kTerminate;
  event.text = fmt::format("{}, which had asked, {}", header.created_in,
                           with_handlers ? "does not wait for the answer any more" : "has ended");
  return dispatch(turn, id, event);
}

Result<bool> Engine::Implementation::is_abandoned(exchange::Turn& turn, const exchange::Message& request) {
  if (running->contains(request.conversation)) {
    TRY_ASSIGN(const Live* live, load(turn, request.conversation));
    if (live == nullptr || live->instance->header.abandoned == 0) return false;
    TRY_ASSIGN(const auto row,
               turn.transaction().get(tables.child, child_key(request.conversation, request.message_id)));
    return row.has_value();
  }
  // A client's conversation has no row.
  TRY_ASSIGN(const auto row, turn.transaction().get(tables.instance, request.conversation));
  return row.has_value();
}

Status Engine::Implementation::note_child(exchange::Turn& turn, const std::string& id,
                                          const exchange::Message& request) {
  if (!running->contains(id) || !running->contains(request.conversation)) return {};
  const auto found = cache.find(id);
  if (found == cache.end() || found->second.answered_creator) return {};
  return turn.transaction().put(tables.child, child_key(request.conversation, request.message_id), id);
}

Status Engine::Implementation::forget_abandoned(exchange::Turn& turn, const HeaderRow& header) {
  if (header.abandoned == 0) return {};
  const std::string prefix = child_key(header.id, {});
  std::string after;
  for (;;) {
    TRY_ASSIGN(const auto rows, turn.transaction().scan(tables.child, prefix, after));
    if (rows.empty()) return {};
    after = rows.back().key;
    for (const auto& row : rows) {
      // The others are of instances that are ending, and go with them.
      if (row.value.empty()) TRY(turn.transaction().erase(tables.child, row.key));
    }
  }
}

}  // namespace nuraghe::bpel
