// How a request finds its instance: by correlation values, else by a start activity, else it waits for a receive.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "bpel/engine_state.hpp"
#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel {
namespace {

using runtime::SetKey;

// Of the instances, of all processes, that have the same values of a correlation set.
constexpr std::size_t kInstancesLookedAt = 10'000;
constexpr std::size_t kRowsAtOnce = 100;

// The values of correlation sets in one message, each computed once.
class MessageValues {
 public:
  MessageValues(const exchange::Message& message) : message_(message) {}  // NOLINT: local to this file

  // Null when the message does not have them.
  const SetKey* of(const Registry::Entry& entry, const CorrelationSet& set) {
    const auto& wsdl = entry.program->definition->wsdl();
    const auto* input = entry.receiver->event->endpoint.input;
    auto names = runtime::property_names(set);
    const auto known = known_.find({entry.program.get(), names});
    if (known != known_.end()) return known->second ? &*known->second : nullptr;
    const auto parts = runtime::parts_of_body(*input, message_.body);
    std::optional<SetKey> key = SetKey{names, {}};
    for (const auto& property : set.properties) {
      auto value = message_property_value(wsdl, property, input->name, parts);
      if (!value) {
        key.reset();
        break;
      }
      key->values.push_back(std::move(*value));
    }
    auto& placed = known_[{entry.program.get(), std::move(names)}];
    placed = std::move(key);
    return placed ? &*placed : nullptr;
  }

 private:
  const exchange::Message& message_;
  std::map<std::pair<const runtime::Program*, std::string>, std::optional<SetKey>> known_;
};

// The lists of sets that an activity of this receiver may wait with: those that must have values, with any of those
// that may have them (initiate="join").
std::vector<std::vector<SetKey>> candidate_sets(const Registry::Entry& entry, MessageValues& values) {
  std::vector<std::vector<SetKey>> lists{{}};
  const auto& node = entry.program->node(entry.receiver->node);
  const ScopeIndex own = node.kind == NodeKind::kOnEvent ? as<OnEvent>(node).body->self : kNone;
  for (const auto& correlation : entry.receiver->event->correlations) {
    if (correlation.initiate == Initiate::kYes || correlation.set.scope == own) continue;
    const SetKey* key = values.of(entry, *correlation.declaration);
    if (correlation.initiate == Initiate::kNo) {
      if (key == nullptr) return {};
      for (auto& list : lists) list.push_back(*key);
    } else if (key != nullptr && lists.size() < 64) {
      const auto without = lists.size();
      for (std::size_t i = 0; i < without; ++i) {
        lists.push_back(lists[i]);
        lists.back().push_back(*key);
      }
    }
  }
  return lists;
}

// Whether the instance has a correlation set of the receiver with other values than the message's. A set without values
// may get them before the message is wanted.
bool contradicts(const runtime::Instance& instance, const Registry::Entry& entry, const std::vector<SetKey>& sets) {
  for (const auto& correlation : entry.receiver->event->correlations) {
    const auto names = runtime::property_names(*correlation.declaration);
    const auto wanted = std::ranges::find(sets, names, &SetKey::properties);
    if (correlation.initiate == Initiate::kYes || wanted == sets.end()) continue;
    bool other = false, same = false;
    for (const auto& [path, region] : instance.regions) {
      if (region->row.kind != runtime::RegionKind::kScope || region->row.scope != correlation.set.scope) continue;
      for (const auto& has : region->row.sets) {
        if (has.slot == correlation.set.slot) (has.values == wanted->values ? same : other) = true;
      }
    }
    if (other && !same) return true;
  }
  return false;
}

}  // namespace

Status Engine::Implementation::route(exchange::Turn& turn, const exchange::Message& request) {
  std::string path = runtime::path_of_address(request.to);
  path = path.substr(0, path.find('?'));
  std::vector<Registry::Entry> entries;
  Status fits;  // why the last of those that do not take this body does not
  for (const auto& entry : registry.receivers({path, request.operation})) {
    auto checked = check_element(*entry.receiver->event->endpoint.input, request.operation, request.body);
    if (checked)
      entries.push_back(entry);
    else
      fits = std::move(checked);
  }
  if (entries.empty() && !fits) return refuse(turn, request, fits.error());
  if (!entries.empty()) {
    if (const auto valid = check_content(request, entries.front()); !valid) return refuse(turn, request, valid.error());
  }
  MessageValues values(request);
  struct Candidate {
    std::size_t sets;
    std::string_view link;
  };
  std::map<std::string, Candidate> keys;  // by subscription key
  for (const auto& entry : entries) {
    const auto& link = entry.receiver->key;
    for (auto& sets : candidate_sets(entry, values)) {
      const auto count = sets.size();
      keys.emplace(runtime::subscription_key(link, request.operation, std::move(sets)), Candidate{count, link});
    }
  }
  // The most sets first; two activities of one instance and partner link that both take the message are ambiguous.
  std::vector<std::pair<Candidate, std::string>> ordered;
  for (const auto& [key, candidate] : keys) ordered.emplace_back(candidate, key);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.first.sets > b.first.sets; });
  std::optional<runtime::SubscriptionRow> target;
  std::string_view target_link;
  bool ambiguous = false;
  for (const auto& [candidate, key] : ordered) {
    TRY_ASSIGN(const auto rows, turn.transaction().scan(tables.subscription, key, {}, 2));
    for (const auto& row : rows) {
      TRY_ASSIGN(auto found, decode_record<runtime::SubscriptionRow>(row.value));
      if (!target) {
        target = std::move(found);
        target_link = candidate.link;
      } else {
        ambiguous = ambiguous || (found.instance == target->instance && candidate.link == target_link);
      }
    }
  }
  journal::StepEvent event;
  event.message = exchange::encode_message(request);
  event.decoded = &request;
  if (target) {
    event.kind = ambiguous ? journal::EventKind::kAmbiguous : journal::EventKind::kMessage;
    event.path = target->path;
    event.frame = target->frame;
    event.alternative = target->alternative;
    return dispatch(turn, target->instance, event);
  }
  for (const auto& entry : entries) {
    if (entry.active && entry.receiver->start_node != kNone)
      return create(turn, request, entry.program, *entry.receiver);
  }
  for (const auto& entry : entries) {
    auto lists = candidate_sets(entry, values);
    if (lists.empty() || lists.back().empty()) continue;
    const auto& sets = lists.front().empty() ? lists.back() : lists.front();
    TRY_ASSIGN(const auto id, correlated(turn, entry, sets));
    if (id.empty()) continue;
    event.kind = journal::EventKind::kEarly;
    event.key = runtime::subscription_key(entry.receiver->key, request.operation, sets);
    return dispatch(turn, id, event);
  }
  if (entries.empty()) {
    return refuse(turn, request,
                  not_found(fmt::format("no process serves the operation {} at {}", request.operation, path)));
  }
  return refuse(
      turn, request,
      not_found(fmt::format("no running process waits for {} at {} with these values", request.operation, path)));
}

// The running instance of the receiver's process that has values of one of the sets, and no other values of the others;
// empty: there is none. Processes may share properties, so the values alone do not tell whose they are.
Result<std::string> Engine::Implementation::correlated(exchange::Turn& turn, const Registry::Entry& entry,
                                                       const std::vector<SetKey>& sets) {
  for (const auto& set : sets) {
    const auto prefix = runtime::correlation_key(set);
    std::string after;
    for (std::size_t seen = 0; seen < kInstancesLookedAt;) {
      TRY_ASSIGN(const auto rows, turn.transaction().scan(tables.correlation, prefix, after, kRowsAtOnce));
      for (const auto& row : rows) {
        TRY_ASSIGN(const auto runs, turn.transaction().get(tables.running, entry.program->id + '\0' + row.value));
        if (!runs) continue;
        TRY_ASSIGN(const Live* const live, load(turn, row.value));
        if (live != nullptr && !contradicts(*live->instance, entry, sets)) return row.value;
      }
      if (rows.size() < kRowsAtOnce) break;
      seen += rows.size();
      after = rows.back().key;
    }
  }
  return std::string();
}

// What own instances send was made by processes that were checked when they were deployed: its names are enough.
Status Engine::Implementation::check_content(const exchange::Message& request, const Registry::Entry& entry) {
  if (!entry.program->validate) return {};
  if (!request.conversation.empty() && running->contains(request.conversation)) return {};
  const auto& program = *entry.program;
  return inputs.check_content(program.package + program.id.substr(program.id.rfind('@')), program.definition->wsdl(),
                              request.operation, request.body);
}

// An answer rather than an undone turn: what other turns have in memory stays.
Status Engine::Implementation::refuse(exchange::Turn& turn, const exchange::Message& request, const Error& error) {
  if (!request.one_way) return turn.reply_fault(request.message_id, exchange::fault_of(error, request.to, turn.now()));
  log_warning("bpel", "a one-way message has no receiver",
              {{"message", request.message_id}, {"error", error.message()}});
  return {};
}

}  // namespace nuraghe::bpel
