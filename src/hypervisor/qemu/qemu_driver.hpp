// The driver's inside: one class, its verbs spread over driver.cpp (opening, pause, resume, links, inspection),
// recovery.cpp (what a record in the middle of something becomes), creation.cpp (create, destroy, forget), freezing.cpp
// (freeze, thaw), moving.cpp (export, import of frozen hosts) and guest.cpp (console, agent, readiness).
//
// A verb: take the host's lock → settle() the record that is on disk → ask the table of states → act → write the
// record. The record says what is about to happen before it happens, so a kill at any instruction is resolved by
// settle(). The state of a host is never kept in memory: Host has its lock only.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "env/posix.hpp"
#include "hypervisor/driver.hpp"
#include "hypervisor/qemu/accelerator.hpp"
#include "hypervisor/qemu/command_line.hpp"
#include "hypervisor/qemu/driver.hpp"
#include "hypervisor/qemu/host_files.hpp"
#include "hypervisor/qemu/qmp.hpp"
#include "hypervisor/qemu/watcher.hpp"
#include "hypervisor/states.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::hypervisor::qemu {

struct Host {
  std::string id;
  HostFiles files;
  EventLock lock;                     // held by one verb at a time
  EventLock agent;                    // held by who speaks on the agent's port
  EventFlag abort;                    // raised by destroy: verbs at work give up
  std::atomic<bool> recheck = false;  // its shim ended while a verb was at work
  std::atomic<bool> stopped = false;  // its guest stood still while a verb was at work
};
using HostPtr = std::shared_ptr<Host>;

// The host's lock, held for a scope.
class HostGuard {
 public:
  HostGuard(HostPtr host, Watcher& watcher) : host_(std::move(host)), watcher_(&watcher) {}
  HostGuard(HostGuard&& other) noexcept : host_(std::move(other.host_)), watcher_(other.watcher_) {}
  HostGuard& operator=(HostGuard&&) = delete;
  ~HostGuard() {
    if (!host_) return;
    host_->lock.release();
    if (host_->recheck.exchange(false)) watcher_->check(host_->id);
    if (host_->stopped.exchange(false)) watcher_->check_stop(host_->id);
  }

 private:
  HostPtr host_;
  Watcher* watcher_;
};

// What a verb has in hand once it may act.
struct Subject {
  HostPtr host;
  HostGuard guard;
  Deadline deadline;
  HostRecord record;
  bool act = true;  // false: the verb's effect is there already
};

class QemuDriver final : public Driver {
 public:
  explicit QemuDriver(QemuOptions options);
  Status open();

  Capabilities capabilities() const override;
  Status create(const HostSpec& spec, const Control& control) override;
  Status pause(const std::string& id, const Control& control) override;
  Status resume(const std::string& id, const Control& control) override;
  Result<FreezeReport> freeze(const std::string& id, const Control& control) override;
  Status thaw(const std::string& id, bool start_paused, const Control& control) override;
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
  void on_lost(std::function<void(const std::string& id, const HostCondition&)> observer) override;
  void on_paused(std::function<void(const std::string& id, const HostCondition&)> observer) override;

 private:
  // ---- driver.cpp ----
  Status take_root();
  Status find_instance();
  void find_firmware();
  void adopt_hosts();
  HostPtr entry(const std::string& id);
  std::string tombstone(const std::string& id) const { return options_.root + "/tombstones/" + id; }
  Result<HostGuard> acquire(const HostPtr& host, const Deadline& deadline);
  Result<Subject> begin(Verb verb, const std::string& id, const Control& control);
  Status save(const Host& host, HostRecord& record, Phase phase);  // also sets record.since when the state changes
  Status change_run_state(const std::string& id, Verb verb, const Control& control);
  HostCondition condition_of(const Host& host, const HostRecord& record) const;
  void on_shim_end(const std::string& id);
  void on_stop(const std::string& id);
  void announce(const std::string& id);

  // ---- recovery.cpp ---- requires the host's lock
  Result<std::optional<HostRecord>> settle(Host& host, const Deadline& deadline);
  Status settle_phase(Host& host, HostRecord& record, const Deadline& deadline);
  Status settle_run_state(Host& host, HostRecord& record, const Deadline& deadline);
  Status watch_shim(Host& host, HostRecord& record, const Deadline& deadline);
  // A guest that should run was seen standing still: when it still does, that is its state from now on, with QEMU's
  // reason.
  Status notice_stop(Host& host, HostRecord& record, const Deadline& deadline);
  Status become_lost(Host& host, HostRecord& record, const std::string& reason, const Deadline& deadline);
  // Ends QEMU and its shim, gives back RAM and sockets. The folder stays.
  Status release(Host& host, const Deadline& deadline);

  // ---- creation.cpp ----
  Status create_host(Host& host, const HostSpec& spec, HostRecord& record, const Deadline& deadline,
                     const Control& control);
  Status abandon(Host& host, const HostSpec& spec, HostRecord& record, Error error);
  // QEMU up to the first prompt of its monitor, the guest stopped. Its own message when it dies instead.
  Result<Qmp> start_qemu(Host& host, const HostSpec& spec, const HostRecord& record, bool load_state,
                         const Deadline& deadline);
  Status plug_links(Qmp& qmp, const HostRecord& record, const Deadline& deadline);
  Status finish_destroy(Host& host, const Deadline& deadline);

  // ---- freezing.cpp ----
  Status check_room(const Host& host, bool was_paused, const Deadline& deadline);
  Status save_host(Host& host, Qmp& qmp, HostRecord& record, const Deadline& deadline, const Control& control);
  Error return_to_life(Host& host, HostRecord& record, Error error);
  Status revive(Host& host, HostRecord& record, const Deadline& deadline);
  Status thaw_host(Host& host, HostRecord& record, bool start_paused, const Deadline& deadline, const Control& control);

  // ---- moving.cpp ----
  Status import_host(Host& host, const HostSpec& spec, const FrozenHost& frozen, HostRecord& record,
                     const Deadline& deadline, const Control& control);

  // ---- guest.cpp ----
  Status wait_console(const Host& host, const std::string& text, int end_fd, const Deadline& deadline);
  Result<env::UniqueFd> live_host(const std::string& id, const HostPtr& host, const Deadline& deadline);
  Error why_ended(const std::string& id, Error error);

  QemuOptions options_;
  MachineSettings settings_;
  Accelerator accelerator_;
  std::string memory_folder_;  // MEMORY_ROOT/INSTANCE
  std::string frozen_format_;  // of what it freezes
  env::UniqueFd root_lock_;
  mutable std::mutex mutex_;  // of what follows
  std::map<std::string, std::weak_ptr<Host>> entries_;
  std::size_t sweep_entries_at_ = 64;
  std::function<void(const std::string&, const HostCondition&)> lost_observer_, paused_observer_;
  Watcher watcher_;  // last: its thread calls the rest
};

}  // namespace nuraghe::hypervisor::qemu
