// What the virtual hosts of a VO hold and use, in the transactions in which that changes.
#include <map>
#include <set>

#include "base/log.hpp"
#include "services/vhf/vhf.hpp"

namespace nuraghe::services::vhf {
namespace {

using tenant::Holding;

// What a freeze may leave on disk at most: the memory, everything on the disks, and the state of the devices.
constexpr Bytes kMostDeviceState = mib(64);
Bytes most_frozen(const HostRow& row) { return row.host.memory + row.host.disk + kMostDeviceState; }

// What a row counts for; what its cluster counts for comes on top.
Holding held_by(const HostRow& row) {
  Holding held;
  if (row.is_lost) return held;
  held.hosts = 1;
  if (row.holds_cpu_and_memory) {
    held.cpus = row.host.cpus;
    held.memory = row.host.memory;
  }
  if (row.holds_disk) held.disk = row.host.disk;
  // From the begin of the operation on, so that of two at once the second sees the first; how much it is, its end
  // tells.
  const bool is_frozen = row.host.state == HostState::kFrozen;
  if (is_frozen) held.frozen = row.frozen == Bytes{} ? row.host.memory : row.frozen;
  if (!is_frozen && row.host.operation == "freeze") held.frozen = most_frozen(row);
  return held;
}

Holding asked_by(const std::vector<api::NodeRequest>& nodes) {
  Holding asked;
  asked.clusters = 1;
  for (const auto& node : nodes) {
    ++asked.hosts;
    asked.cpus += node.cpus;
    asked.memory.count += node.memory.count;
    asked.disk.count += node.disk.count;
  }
  return asked;
}

std::string used_state(const HostRow& row) {
  if (row.is_lost) return "";
  switch (row.host.state) {
    case HostState::kRunning:
    case HostState::kMigrating:
      return "running";
    case HostState::kPaused:
      return "paused";
    case HostState::kFrozen:
      return "frozen";
    default:
      return "";
  }
}

tenant::HostUse use_of(const HostRow& row) {
  tenant::HostUse use;
  use.vo = row.host.vo;
  use.host = row.host.id;
  use.cluster = row.host.cluster;
  use.who = row.creator;
  use.state = used_state(row);
  if (use.state == "frozen") {
    use.frozen = held_by(row).frozen;
  } else if (!use.state.empty()) {
    use.cpus = row.host.cpus;
    use.memory = row.host.memory;
  }
  return use;
}

}  // namespace

Status Factory::open(store::Store& store) {
  TRY(quotas_.open(store));
  TRY(ledger_.open(store));
  TRY(usage_.open(store));
  TRY(shut_out_.open(store));
  return book_.open(store);
}

Status Factory::put(exchange::Turn& turn, const HostRow& row) const {
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto before, book_.host(tx, row.host.id));
  Holding difference = held_by(row);
  if (before) difference += -held_by(*before);
  TRY(quotas_.book(tx, row.host.vo, difference));
  TRY(usage_.change(tx, ledger_, use_of(row), turn.now()));
  return book_.put_host(tx, row);
}

Status Factory::remove(exchange::Turn& turn, HostRow row) const {
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto before, book_.host(tx, row.host.id));
  Holding difference;
  if (before) difference += -held_by(*before);
  auto use = use_of(row);
  use.state.clear();
  TRY(usage_.change(tx, ledger_, use, turn.now()));
  const std::string vo = row.host.vo;
  const std::string cluster = row.host.cluster;
  TRY(book_.remove_host(tx, std::move(row), turn.now(), options_.past));
  bool was_last = cluster.empty();
  if (!was_last) {
    TRY_ASSIGN(const bool has_more, book_.has_hosts(tx, cluster));
    was_last = !has_more;
  }
  if (was_last) difference.clusters -= 1;
  return quotas_.book(tx, vo, difference);
}

Status Factory::check_quota(exchange::Turn& turn, const std::string& vo,
                            const std::vector<api::NodeRequest>& nodes) const {
  return quotas_.check(turn.transaction(), vo, asked_by(nodes));
}

Status Factory::check_quota(exchange::Turn& turn, const HostRow& row, model::HostOperation operation) const {
  Holding asked;
  if (operation == model::HostOperation::kFreeze && held_by(row).frozen == Bytes{}) asked.frozen = most_frozen(row);
  if (operation == model::HostOperation::kThaw && !row.holds_cpu_and_memory) {
    asked.cpus = row.host.cpus;
    asked.memory = row.host.memory;
  }
  return quotas_.check(turn.transaction(), row.host.vo, asked);
}

Status Factory::book_new(exchange::Turn& turn, const std::string& vo,
                         const std::vector<api::NodeRequest>& nodes) const {
  return quotas_.book(turn.transaction(), vo, asked_by(nodes));
}

Status Factory::correct_accounts(exchange::Turn& turn) const {
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto rows, book_.hosts(tx, ""));
  std::map<std::string, Holding> right;
  std::set<std::string> clusters;
  for (const auto& row : rows) {
    auto& holding = right[row.host.vo];
    holding += held_by(row);
    if (row.host.cluster.empty() || clusters.insert(row.host.cluster).second) ++holding.clusters;
    TRY(usage_.change(tx, ledger_, use_of(row), turn.now()));
  }
  std::erase_if(right, [](const auto& one) { return one.second.is_nothing(); });
  TRY_ASSIGN(const int wrong, quotas_.correct(tx, right));
  if (wrong > 0) log_warning("vhf", "what VOs hold was counted again", {{"corrected", std::to_string(wrong)}});
  return {};
}

}  // namespace nuraghe::services::vhf
