// What stands behind Engine; seen by engine.cpp, engine_routing.cpp, engine_children.cpp and engine_admin.cpp only.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "bpel/engine.hpp"
#include "bpel/input_check.hpp"
#include "bpel/registry.hpp"

namespace nuraghe::bpel {

// Which instances run, for askers in any thread.
class RunningInstances {
 public:
  // Flat: a hundred thousand waiting instances are to cost a few bytes each, and no nodes strewn over the memory.
  using Digests = boost::unordered_flat_set<std::uint64_t>;

  void set(Digests running) {
    const std::lock_guard lock(mutex_);
    running_ = std::move(running);
  }
  void add(std::string_view id) {
    const std::lock_guard lock(mutex_);
    running_.insert(digest(id));
  }
  void remove(std::string_view id) {
    const std::lock_guard lock(mutex_);
    running_.erase(digest(id));
  }
  bool contains(std::string_view id) const {
    const std::lock_guard lock(mutex_);
    return running_.contains(digest(id));
  }
  static std::uint64_t digest(std::string_view id) {
    runtime::Digest digest;
    digest.add(id);
    return digest.value();
  }

 private:
  mutable std::mutex mutex_;
  Digests running_;
};

struct Engine::Implementation {
  explicit Implementation(EngineOptions given) : options(std::move(given)), registry(options) {}

  struct Live {
    std::unique_ptr<runtime::Instance> instance;
    std::shared_ptr<const runtime::Program> program;
    std::list<std::string>::iterator place;
    bool answered_creator = false;  // since it is in memory
  };

  EngineOptions options;
  Registry registry;
  InputCheck inputs;
  runtime::Tables tables;
  std::unordered_map<std::string, Live> cache;
  std::list<std::string> recent;  // newest first
  std::size_t cached_bytes = 0;
  std::shared_ptr<RunningInstances> running = std::make_shared<RunningInstances>();
  bool running_unsure = true;  // an undone turn may have added or removed one
  // When the timer that removes ended instances is due; null: it is not set, as far as is known.
  std::optional<TimePoint> prune_due;
  std::int64_t ended_count = 0;  // of rows in tables.ended
  bool ended_unsure = true;      // an undone turn may have added or removed some
  bool deployed_while_running = false;
  bool reload_needed = false;

  // ---- engine.cpp ----
  // Null when there is no such instance, or it has ended.
  Result<Live*> load(exchange::Turn& turn, const std::string& id);
  void forget(const std::string& id);
  void trim();
  // An event for an instance: runs it, or keeps it while the instance is suspended.
  Status dispatch(exchange::Turn& turn, const std::string& id, const journal::StepEvent& event);
  Status step(exchange::Turn& turn, Live& live, const journal::StepEvent& event);
  Status create(exchange::Turn& turn, const exchange::Message& request,
                const std::shared_ptr<const runtime::Program>& program, const runtime::Receiver& receiver);
  Status hold(exchange::Turn& turn, Live& live, const journal::StepEvent& event);
  Status finish(exchange::Turn& turn, const runtime::HeaderRow& header);
  Status prune(exchange::Turn& turn);
  Status arm_prune(exchange::Turn& turn, TimePoint due);
  Status count_ended(exchange::Turn& turn);
  Status reload(exchange::Turn& turn);
  Status read_running(exchange::Turn& turn);
  Result<runtime::HeaderRow> header(exchange::Turn& turn, const std::string& id);

  // ---- engine_children.cpp ----
  // Row of tables.child: the instance that works on this request of another one; empty: none does, and none is to.
  static std::string child_key(const std::string& parent, const std::string& request) {
    return parent + '\0' + request;
  }
  // Has those ended that work on what the machine's step abandoned.
  Status end_children(exchange::Turn& turn, runtime::Instance& parent,
                      const std::vector<runtime::Machine::Abandoned>& abandoned);
  // Ends an instance whose answer nobody awaits.
  Status end_child(exchange::Turn& turn, const std::string& id, bool with_handlers);
  // Whether the process that sent the request does not await its answer any more.
  Result<bool> is_abandoned(exchange::Turn& turn, const exchange::Message& request);
  // After its first step: remembers that it works on the request.
  Status note_child(exchange::Turn& turn, const std::string& id, const exchange::Message& request);
  // The rows about requests of an instance that has ended.
  Status forget_abandoned(exchange::Turn& turn, const runtime::HeaderRow& header);

  // ---- engine_routing.cpp ----
  Status route(exchange::Turn& turn, const exchange::Message& request);
  Result<std::string> correlated(exchange::Turn& turn, const Registry::Entry& entry,
                                 const std::vector<runtime::SetKey>& sets);
  Status check_content(const exchange::Message& request, const Registry::Entry& entry);
  Status refuse(exchange::Turn& turn, const exchange::Message& request, const Error& error);
};

}  // namespace nuraghe::bpel
