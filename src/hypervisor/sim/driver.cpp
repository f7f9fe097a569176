#include "hypervisor/sim/driver.hpp"

#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <optional>
#include <utility>

#include "base/log.hpp"
#include "base/record.hpp"
#include "env/posix.hpp"
#include "hypervisor/files.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::hypervisor {

namespace {

struct SimRecord {
  HostSpec spec;
  HostState state = HostState::kInitial;
  TimePoint since;  // when it entered the state
  Duration ran{};   // before `since`
  bool lost = false;
  std::string reason;  // of its loss, of a creation that failed, of a pause that nobody asked for
  std::map<std::string, bool> links;
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, spec), v(2, state), v(3, since), v(4, ran), v(5, lost), v(6, reason), v(7, links);
  }
};

// Lives as long as a verb on the host is at work or waits for its turn.
struct Turn {
  EventLock lock;
  EventFlag abort;
};

std::uint64_t mix(std::uint64_t value) {  // splitmix64
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}
double chance(std::uint64_t seed, std::string_view id, Verb verb, int attempt) {
  std::uint64_t hash = mix(seed);
  for (const char c : id) hash = mix(hash ^ static_cast<std::uint8_t>(c));
  hash = mix(hash ^ static_cast<std::uint64_t>(verb) << 32 ^ static_cast<std::uint64_t>(attempt));
  return static_cast<double>(hash >> 11) / static_cast<double>(std::uint64_t{1} << 53);
}

bool named_in(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const auto end = std::min(list.find('|'), list.size());
    if (list.substr(0, end) == name) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

constexpr const char* kFrozenFormat = "sim 1";
constexpr const char* kFrozenState = "state";  // its only file: the record

bool takes_memory(const SimRecord& record) {
  return !record.lost && (record.state == HostState::kRunning || record.state == HostState::kPaused);
}

class Sim final : public SimDriver {
 public:
  explicit Sim(SimOptions options) : options_(std::move(options)) {
    if (options_.clock == nullptr) options_.clock = &env::system_clock();
  }
  Status open();

  Capabilities capabilities() const override {
    return {"sim", "none", "nothing is run", {}, {"q35", "pc", "microvm"}, {"bios", "uefi"}, kFrozenFormat};
  }
  Status create(const HostSpec& spec, const Control& control) override;
  Status pause(const std::string& id, const Control& control) override {
    return change(Verb::kPause, id, HostState::kPaused, control);
  }
  Status resume(const std::string& id, const Control& control) override {
    return change(Verb::kResume, id, HostState::kRunning, control);
  }
  Result<FreezeReport> freeze(const std::string& id, const Control& control) override;
  Status thaw(const std::string& id, bool start_paused, const Control& control) override {
    return start_paused ? change(Verb::kThawPaused, id, HostState::kPaused, control)
                        : change(Verb::kThaw, id, HostState::kRunning, control);
  }
  Result<FrozenHost> export_frozen(const std::string& id, const Control& control) override;
  Status import_frozen(const HostSpec& spec, const FrozenHost& frozen, const Control& control) override;
  Status move_ssh(const std::string& id, int port, const Control& control) override;
  Status destroy(const std::string& id, const Control& control) override;
  Status forget(const std::string& id) override;
  Result<HostCondition> inspect(const std::string& id) override;
  Result<std::vector<std::string>> list() override;
  Result<std::string> console_tail(const std::string& id, Bytes limit) override;
  Result<int> open_console(const std::string& id) override;
  Status wait_ready(const std::string& id, ReadyCondition condition, const std::string& text,
                    const Control& control) override;
  Result<std::string> agent_command(const std::string& id, const std::string& json, const Control& control) override;
  Status set_link(const std::string& id, const std::string& nic, bool up, const Control& control) override;
  void on_lost(std::function<void(const std::string& id, const HostCondition&)> observer) override {
    const std::lock_guard lock(mutex_);
    observer_ = std::move(observer);
  }
  void on_paused(std::function<void(const std::string& id, const HostCondition&)> observer) override {
    const std::lock_guard lock(mutex_);
    paused_observer_ = std::move(observer);
  }
  Status stop(const std::string& id, const std::string& reason) override;
  Status lose(const std::string& id, const std::string& reason) override;

 private:
  using TurnPtr = std::shared_ptr<Turn>;
  using Held = std::shared_ptr<void>;  // gives the turn back

  TurnPtr turn(const std::string& id);
  Result<Held> take_turn(const std::string& id, const TurnPtr& turn, const Deadline& deadline);
  Status spend_time(Verb verb, const Deadline& deadline) const;
  Status maybe_fail(Verb verb, const HostSpec& spec);
  Status change(Verb verb, const std::string& id, HostState target, const Control& control);
  // Checks that `more` fits. Requires the mutex, as all below.
  Status check_memory(Bytes more) const;
  Result<SimRecord*> find(const std::string& id);
  Status enter(SimRecord& record, HostState state);
  Status save(const SimRecord& record) const;
  Status drop(const std::string& id);
  // True: the host is to be imported; false: it is there already.
  Result<bool> may_import(const HostSpec& spec) const;
  std::string path(const std::string& id) const { return options_.root + "/hosts/" + id; }
  std::string frozen_path(const std::string& id) const { return options_.root + "/frozen/" + id; }
  std::int64_t beats(const SimRecord& record) const;
  HostCondition condition_of(const SimRecord& record) const;
  Result<SimRecord> live(const std::string& id);

  SimOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, SimRecord> records_;
  std::map<std::string, std::weak_ptr<Turn>> turns_;
  std::size_t sweep_turns_at_ = 64;
  std::map<std::pair<std::string, Verb>, int> attempts_;
  std::vector<int> matches_;  // per SimFailure: calls that matched it
  Bytes used_;
  std::function<void(const std::string&, const HostCondition&)> observer_, paused_observer_;
};

Status Sim::open() {
  matches_.resize(options_.failures.size());
  if (!options_.persisted) return {};
  if (options_.root.empty()) return invalid("a sim driver that keeps its hosts needs a root folder");
  TRY(env::make_directories(options_.root + "/hosts", 0700));
  TRY_ASSIGN(const auto ids, env::list_directory(options_.root + "/hosts"));
  for (const auto& id : ids) {
    if (id.ends_with(".new")) {  // killed while it wrote
      TRY(env::remove_tree(path(id)));
      continue;
    }
    TRY_ASSIGN(records_[id], read_record<SimRecord>(path(id)));
    if (takes_memory(records_[id])) used_ = used_ + records_[id].spec.memory;
  }
  return {};
}

Sim::TurnPtr Sim::turn(const std::string& id) {
  const std::lock_guard lock(mutex_);
  auto& slot = turns_[id];
  TurnPtr turn = slot.lock();
  if (!turn) slot = turn = std::make_shared<Turn>();
  if (turns_.size() >= sweep_turns_at_) {
    std::erase_if(turns_, [](const auto& item) { return item.second.expired(); });
    sweep_turns_at_ = std::max<std::size_t>(64, turns_.size() * 2);
  }
  return turn;
}

Result<Sim::Held> Sim::take_turn(const std::string& id, const TurnPtr& turn, const Deadline& deadline) {
  TRY(turn->lock.acquire(deadline, fmt::format("other work on host {} to end", id)));
  return Held(nullptr, [turn](void*) { turn->lock.release(); });
}

Status Sim::spend_time(Verb verb, const Deadline& deadline) const {
  // By name, as failures: both ways of thawing take the time of thaw.
  const auto delay = std::ranges::find_if(
      options_.delays, [verb](const auto& item) { return verb_name(item.first) == verb_name(verb); });
  if (delay == options_.delays.end() || delay->second.count() <= 0) return deadline.check(verb_name(verb));
  const Status waited = deadline.at_most(delay->second).wait({}, verb_name(verb));
  if (waited || waited.error().code() != ErrorCode::kTimeout) return waited;
  return deadline.check(verb_name(verb));
}

Status Sim::maybe_fail(Verb verb, const HostSpec& spec) {
  const std::lock_guard lock(mutex_);
  const std::string& name = spec.name.empty() ? spec.id : spec.name;
  const auto wish = spec.reserved.find("fail");
  if (wish != spec.reserved.end() && named_in(wish->second, verb_name(verb))) {
    return unavailable(fmt::format("simulated failure of {} of host {}", verb_name(verb), name));
  }
  if (options_.failures.empty()) return {};
  const int attempt = ++attempts_[{spec.id, verb}];
  for (std::size_t i = 0; i < options_.failures.size(); ++i) {
    const SimFailure& failure = options_.failures[i];
    if (verb_name(failure.verb) != verb_name(verb) || ::fnmatch(failure.name.c_str(), name.c_str(), 0) != 0) continue;
    if (++matches_[i] % std::max(1, failure.every) != 0) continue;
    if (chance(options_.seed, spec.id, verb, attempt) >= failure.probability) continue;
    return Error(failure.code, fmt::format("simulated failure of {} of host {}", verb_name(verb), name));
  }
  return {};
}

Status Sim::check_memory(Bytes more) const {
  if (options_.memory.count == 0 || used_ + more <= options_.memory) return {};
  return exhausted(fmt::format("memory short: needs {}, has {} of {}", more.to_string(),
                               (options_.memory - used_).to_string(), options_.memory.to_string()));
}

Result<SimRecord*> Sim::find(const std::string& id) {
  const auto it = records_.find(id);
  if (it == records_.end()) return not_found(fmt::format("there is no host {}", id));
  return &it->second;
}

Status Sim::save(const SimRecord& record) const {
  return options_.persisted ? replace_file(path(record.spec.id), encode_record(record)) : Status();
}

Status Sim::drop(const std::string& id) {
  records_.erase(id);
  return options_.persisted ? env::remove_tree(path(id)) : Status();
}

// The new state is on disk before it is in memory: a failure to write changes nothing.
Status Sim::enter(SimRecord& record, HostState state) {
  SimRecord next = record;
  const TimePoint now = options_.clock->now();
  if (takes_memory(record) && record.state == HostState::kRunning) next.ran += now - record.since;
  next.state = state;
  next.since = now;
  if (record.state == HostState::kPaused && state != HostState::kPaused && !record.lost) next.reason.clear();
  TRY(save(next));
  if (takes_memory(record)) used_ = used_ - record.spec.memory;
  if (takes_memory(next)) used_ = used_ + next.spec.memory;
  // What it was exported as is nothing that it could be thawed from any more.
  if (record.state == HostState::kFrozen && !options_.root.empty()) TRY(env::remove_tree(frozen_path(record.spec.id)));
  record = std::move(next);
  return {};
}

Status Sim::create(const HostSpec& spec, const Control& control) {
  TRY(check_host_id(spec.id));
  const TurnPtr turn = this->turn(spec.id);
  const Deadline deadline(control, turn->abort.fd());
  TRY_ASSIGN(const Held held, take_turn(spec.id, turn, deadline));
  SimRecord fresh;
  fresh.spec = spec;
  for (const auto& nic : spec.nics) fresh.links[nic.name] = nic.link_up;
  {
    const std::lock_guard lock(mutex_);
    const auto it = records_.find(spec.id);
    if (it != records_.end()) {
      const SimRecord& record = it->second;
      if (record.lost) return conflict(fmt::format("host {} was lost ({}): destroy it first", spec.id, record.reason));
      TRY_ASSIGN(const bool act, must_act(Verb::kCreate, record.state, spec.id));
      if (!act && encode_record(record.spec) == encode_record(spec)) return {};
      if (!act) return conflict(fmt::format("host {} exists already, with another specification", spec.id));
    }
    // Reserved before the time is spent, so that two at once never share one place.
    TRY(check_memory(spec.memory));
    used_ = used_ + spec.memory;
  }
  Status created = spend_time(Verb::kCreate, deadline);
  if (created) created = maybe_fail(Verb::kCreate, spec);
  const std::lock_guard lock(mutex_);
  used_ = used_ - spec.memory;
  if (created) {
    SimRecord& record = records_[spec.id];
    record = fresh;
    return enter(record, HostState::kRunning);
  }
  fresh.reason = created.error().to_string();
  SimRecord& record = records_[spec.id];
  record = fresh;
  TRY(enter(record, HostState::kInitial));
  return created;
}

Status Sim::change(Verb verb, const std::string& id, HostState target, const Control& control) {
  TRY(check_host_id(id));
  const TurnPtr turn = this->turn(id);
  const Deadline deadline(control, turn->abort.fd());
  TRY_ASSIGN(const Held held, take_turn(id, turn, deadline));
  HostSpec spec;
  {
    const std::lock_guard lock(mutex_);
    TRY_ASSIGN(const SimRecord* record, find(id));
    if (record->lost)
      return conflict(fmt::format("host {} was lost ({}): only destroy is possible", id, record->reason));
    TRY_ASSIGN(const bool act, must_act(verb, record->state, id));
    if (!act) return {};
    spec = record->spec;
  }
  TRY(spend_time(verb, deadline));
  TRY(maybe_fail(verb, spec));
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(SimRecord * record, find(id));
  if (record->lost) return unavailable(fmt::format("host {} was lost: {}", id, record->reason));
  if (!takes_memory(*record) && target != HostState::kFrozen) TRY(check_memory(spec.memory));
  return enter(*record, target);
}

Result<FreezeReport> Sim::freeze(const std::string& id, const Control& control) {
  TRY(change(Verb::kFreeze, id, HostState::kFrozen, control));
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(const SimRecord* record, find(id));
  const auto delay = options_.delays.find(Verb::kFreeze);
  return FreezeReport{record->spec.memory, kib(256), {}, delay == options_.delays.end() ? Duration() : delay->second};
}

Result<FrozenHost> Sim::export_frozen(const std::string& id, const Control& control) {
  TRY(check_host_id(id));
  if (options_.root.empty()) return unsupported("a sim driver without a root folder exports nothing");
  const TurnPtr turn = this->turn(id);
  const Deadline deadline(control, turn->abort.fd());
  TRY_ASSIGN(const Held held, take_turn(id, turn, deadline));
  SimRecord record;
  {
    const std::lock_guard lock(mutex_);
    TRY_ASSIGN(const SimRecord* found, find(id));
    TRY(must_act(Verb::kExport, found->state, id));
    record = *found;
  }
  TRY(spend_time(Verb::kExport, deadline));
  TRY(maybe_fail(Verb::kExport, record.spec));
  const std::string file = frozen_path(id);
  TRY(env::make_directories(options_.root + "/frozen", 0700));
  TRY(replace_file(file, encode_record(record)));
  return FrozenHost{kFrozenFormat, {{kFrozenState, file}}, record.spec, false};
}

Result<bool> Sim::may_import(const HostSpec& spec) const {
  const auto at = records_.find(spec.id);
  if (at == records_.end()) return true;
  TRY_ASSIGN(const bool act, must_act(Verb::kImport, at->second.state, spec.id));
  if (act || encode_record(at->second.spec) == encode_record(spec)) return act;
  return conflict(fmt::format("host {} is frozen here already, with another specification", spec.id));
}

Status Sim::import_frozen(const HostSpec& spec, const FrozenHost& frozen, const Control& control) {
  TRY(check_host_id(spec.id));
  TRY(check_frozen_format(spec, frozen, capabilities()));
  const TurnPtr turn = this->turn(spec.id);
  const Deadline deadline(control, turn->abort.fd());
  TRY_ASSIGN(const Held held, take_turn(spec.id, turn, deadline));
  {
    const std::lock_guard lock(mutex_);
    TRY_ASSIGN(const bool act, may_import(spec));
    if (!act) return {};
  }
  if (frozen.files.size() != 1 || frozen.files.front().name != kFrozenState)
    return corrupt(fmt::format("the frozen state of host {} lacks its file '{}'", spec.id, kFrozenState));
  TRY_ASSIGN(SimRecord record, read_record<SimRecord>(frozen.files.front().path));
  if (record.state != HostState::kFrozen || record.spec.memory != spec.memory || record.spec.cpus != spec.cpus)
    return corrupt(fmt::format("the frozen state of host {} is that of another machine", spec.id));
  TRY(spend_time(Verb::kImport, deadline));
  TRY(maybe_fail(Verb::kImport, spec));
  record.spec = spec;
  const std::lock_guard lock(mutex_);
  TRY(save(record));
  records_[spec.id] = std::move(record);
  return {};
}

Status Sim::move_ssh(const std::string& id, int port, const Control& control) {
  TRY(check_host_id(id));
  const TurnPtr turn = this->turn(id);
  TRY_ASSIGN(const Held held, take_turn(id, turn, Deadline(control, turn->abort.fd())));
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(SimRecord * record, find(id));
  if (record->state == HostState::kDestroyed) return not_found(fmt::format("there is no host {}", id));
  if (record->state != HostState::kFrozen)
    return conflict(
        fmt::format("host {} is {}: only that of a frozen one can be moved", id, host_state_name(record->state)));
  SimRecord next = *record;
  TRY(hypervisor::move_ssh(next.spec, port));
  TRY(save(next));
  *record = std::move(next);
  return {};
}

Status Sim::destroy(const std::string& id, const Control& control) {
  TRY(check_host_id(id));
  const TurnPtr turn = this->turn(id);
  const Deadline deadline(control);
  turn->abort.raise();
  auto held = take_turn(id, turn, deadline);
  turn->abort.lower();
  if (!held) return std::move(held).error();
  HostSpec spec;
  spec.id = id;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = records_.find(id); it != records_.end()) {
      if (it->second.state == HostState::kDestroyed) return {};
      spec = it->second.spec;
    }
  }
  TRY(spend_time(Verb::kDestroy, deadline));
  TRY(maybe_fail(Verb::kDestroy, spec));
  const std::lock_guard lock(mutex_);
  SimRecord& record = records_[id];
  record.spec = spec;
  return enter(record, HostState::kDestroyed);
}

Status Sim::forget(const std::string& id) {
  TRY(check_host_id(id));
  const std::lock_guard lock(mutex_);
  const auto it = records_.find(id);
  if (it == records_.end()) return {};
  const HostState state = it->second.state;
  if (state != HostState::kDestroyed && state != HostState::kInitial) {
    return conflict(fmt::format("host {} is {}: destroy it before it is forgotten", id, host_state_name(state)));
  }
  return drop(id);
}

HostCondition Sim::condition_of(const SimRecord& record) const {
  HostCondition condition;
  condition.state = record.state;
  condition.lost = record.lost && record.state != HostState::kDestroyed;
  const bool is_stopped = record.state == HostState::kPaused && !record.lost;
  (is_stopped ? condition.pause_reason : condition.exit_reason) = record.reason;
  condition.since = record.since;
  if (takes_memory(record)) condition.memory_resident = record.spec.memory;
  if (record.state != HostState::kDestroyed) condition.ssh_port = ssh_port_of(record.spec);
  return condition;
}

Result<HostCondition> Sim::inspect(const std::string& id) {
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(const SimRecord* record, find(id));
  return condition_of(*record);
}

Result<std::vector<std::string>> Sim::list() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, record] : records_) {
    if (record.state != HostState::kDestroyed) ids.push_back(id);
  }
  return ids;
}

std::int64_t Sim::beats(const SimRecord& record) const {
  Duration ran = record.ran;
  if (takes_memory(record) && record.state == HostState::kRunning) ran += options_.clock->now() - record.since;
  return ran / options_.beat;
}

Result<std::string> Sim::console_tail(const std::string& id, Bytes limit) {
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(const SimRecord* record, find(id));
  if (record->state == HostState::kInitial) return std::string();
  const std::int64_t count = beats(*record);
  std::string text = "READY\n";
  for (std::int64_t beat = std::max<std::int64_t>(1, count - 4096); beat <= count; ++beat) {
    text += fmt::format("beat {}\n", beat);
  }
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(0, limit.count));
  return text.size() <= most ? text : text.substr(text.size() - most);
}

Result<SimRecord> Sim::live(const std::string& id) {
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(const SimRecord* record, find(id));
  if (record->lost) return unavailable(fmt::format("host {} was lost: {}", id, record->reason));
  if (takes_memory(*record)) return *record;
  return conflict(fmt::format("host {} is {}: its guest cannot be reached", id, host_state_name(record->state)));
}

Result<int> Sim::open_console(const std::string& id) {
  TRY(live(id));
  TRY_ASSIGN(const std::string text, console_tail(id, kib(4)));
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return system_error("socketpair", errno);
  const env::UniqueFd ours(ends[0]);
  env::UniqueFd theirs(ends[1]);
  if (::send(ours.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) return system_error("send", errno);
  return theirs.release();
}

Status Sim::wait_ready(const std::string& id, ReadyCondition condition, const std::string& text,
                       const Control& control) {
  TRY(check_host_id(id));
  const TurnPtr turn = this->turn(id);
  const Deadline deadline(control, turn->abort.fd());
  for (;;) {
    TRY_ASSIGN(const SimRecord record, live(id));
    if (condition != ReadyCondition::kConsoleText) return {};
    TRY_ASSIGN(const std::string console, console_tail(id, mib(1)));
    if (console.find(text) != std::string::npos) return {};
    const Status waited = deadline.at_most(options_.beat).wait({}, fmt::format("'{}' on the console of {}", text, id));
    if (!waited && waited.error().code() != ErrorCode::kTimeout) return waited;
    TRY(deadline.check(fmt::format("'{}' on the console of {}", text, id)));
  }
}

Result<std::string> Sim::agent_command(const std::string& id, const std::string& json, const Control& control) {
  TRY(live(id));
  TRY(Deadline(control).check("answer of the guest agent"));
  if (!json.starts_with('{') || json.find("\"execute\"") == std::string::npos) {
    return invalid("a guest agent command is a JSON object with the member \"execute\"");
  }
  if (options_.agent) return options_.agent(id, json);
  // No guest is there: whatever it is to run ends well at once.
  if (json.find("\"guest-exec-status\"") != std::string::npos) return std::string(R"({"exited":true,"exitcode":0})");
  if (json.find("\"guest-exec\"") == std::string::npos) return std::string("{}");
  log_info("sim", "a guest is to run something", {{"host", id}, {"command", json}});
  return std::string(R"({"pid":1})");
}

Status Sim::set_link(const std::string& id, const std::string& nic, bool up, const Control& control) {
  TRY(check_host_id(id));
  const TurnPtr turn = this->turn(id);
  TRY_ASSIGN(const Held held, take_turn(id, turn, Deadline(control, turn->abort.fd())));
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(SimRecord * record, find(id));
  if (record->lost) return conflict(fmt::format("host {} was lost ({}): only destroy is possible", id, record->reason));
  TRY(must_act(Verb::kSetLink, record->state, id));
  const auto link = record->links.find(nic);
  if (link == record->links.end()) return not_found(fmt::format("host {} has no NIC {}", id, nic));
  link->second = up;
  return save(*record);
}

Status Sim::stop(const std::string& id, const std::string& reason) {
  std::function<void(const std::string&, const HostCondition&)> observer;
  HostCondition condition;
  {
    const std::lock_guard lock(mutex_);
    TRY_ASSIGN(SimRecord * record, find(id));
    if (!takes_memory(*record) || record->state != HostState::kRunning)
      return conflict(fmt::format("host {} does not run", id));
    TRY(enter(*record, HostState::kPaused));
    record->reason = reason;
    TRY(save(*record));
    observer = paused_observer_;
    condition = condition_of(*record);
  }
  if (observer) observer(id, condition);
  return {};
}

Status Sim::lose(const std::string& id, const std::string& reason) {
  std::function<void(const std::string&, const HostCondition&)> observer;
  HostCondition condition;
  {
    const std::lock_guard lock(mutex_);
    TRY_ASSIGN(SimRecord * record, find(id));
    if (!takes_memory(*record)) return conflict(fmt::format("host {} does not run", id));
    TRY(enter(*record, record->state));  // adds the time that it ran
    used_ = used_ - record->spec.memory;
    record->lost = true;
    record->reason = reason;
    TRY(save(*record));
    observer = observer_;
    condition = condition_of(*record);
  }
  if (observer) observer(id, condition);
  return {};
}

}  // namespace

Result<std::unique_ptr<SimDriver>> open_sim_driver(SimOptions options) {
  auto driver = std::make_unique<Sim>(std::move(options));
  TRY(driver->open());
  return std::unique_ptr<SimDriver>(std::move(driver));
}

}  // namespace nuraghe::hypervisor
