// Engine: WS-BPEL 2.0 processes as an actor of an exchange (name "engine").
//
// A package is stored with its version; the rows of a version stay while an instance that is remembered ran it.
// Deploying: a package (folder of .bpel, .wsdl, .xsd, deploy.xml) is stored with its version; new instances run the
// newest active version, running ones finish on theirs. Packages handed in before the exchange opens are compared with
// what is stored at the start: an equal one changes nothing, a changed one is a new version, and a process whose file
// is gone is not started any more.
//
// A request goes to the waiting activity that its (path, operation) and correlation values name; else it creates an
// instance where a start activity takes it; else, when an instance holds its correlation values but does not wait yet,
// it is kept for it; else it is answered by a fault kNotFound. One service path may be served by several processes, and
// several instances may wait for one operation, told apart by correlation.
//
// State: the rows of docs/formats/instance.md. Instances that wait take no memory but what the cache (bounded by
// bytes, least recently used out first) holds. All instances of all virtual organisations are in one engine; what lists
// them takes the organisation as filter.
// Threading: the exchange's thread, but for deploy() and routes() before the exchange opens.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "bpel/definition.hpp"
#include "bpel/deployment.hpp"
#include "bpel/journal/history.hpp"
#include "bpel/runtime/machine.hpp"
#include "exchange/exchange.hpp"

namespace nuraghe::bpel {

struct Route {
  std::string path;
  std::string operation;
  auto operator<=>(const Route&) const = default;
};

// What becomes at the start of a stored package that is not deployed before it: instances that run it finish anyway.
enum class OtherPackages {
  kKeep,
  kRetireFormer,  // retired, when it was deployed before an earlier start; one deployed while the engine ran stays
  kRetire,
};

struct EngineOptions {
  runtime::Limits limits;
  Bytes cache = mib(64);
  // How long the header and history of an ended instance are kept; zero: not at all, and no history is written.
  Duration history_retention = std::chrono::hours(24 * 7);
  // How many ended instances are kept at most; the first that ended go first.
  std::int64_t history_limit = 100'000;
  // What a path is prefixed with in endpoint references of own roles, as "http://127.0.0.1:8470".
  std::string own_base;
  // Whether requests from outside are checked against the schemas of their process's package, where deploy.xml does not
  // say it.
  bool validate_messages = false;
  // How long an invoke is tried again while its partner cannot be reached, where deploy.xml does not say it.
  Duration unreachable_deadline = Duration::max();
  OtherPackages others = OtherPackages::kKeep;
  // Called when an operation begins or ceases to be served (exchange's thread; at the start for all of them).
  std::function<void(const Route&, bool served)> route_changed;
  std::function<void(const runtime::Progress&)> observer;
};

struct DeployedProcess {
  std::string id;  // of the version: "PACKAGE/FILE@VERSION"
  std::string package;
  std::string file;
  xml::QName name;
  std::int64_t version = 0;
  bool active = false;            // takes new instances
  std::int64_t order = 0;         // of deploying, over all packages
  std::vector<Route> routes;      // at paths that may be shared
  std::vector<Route> own_routes;  // the same operations at /processes/PROCESS/PARTNERLINK
};

struct Deployment {
  bool accepted = false;
  std::vector<Diagnostic> diagnostics;     // warnings too
  std::vector<DeployedProcess> processes;  // of this package; empty when not accepted
  std::vector<Route> routes;               // of those processes, each once
};

// A package that was parsed and checked.
struct PreparedPackage {
  std::string package;
  Package files;
  Deployment deployment;  // accepted and diagnostics
  std::vector<std::shared_ptr<const ProcessDefinition>> definitions;
  DeployDescriptor descriptor;
};

struct InstanceSummary {
  std::string id;
  std::string process;
  std::string program;  // version
  std::string vo;
  std::string state;  // "running", "suspended", "completed", "faulted", "terminated"
  TimePoint started, ended;
  std::string fault;   // one sentence; empty: none
  std::string parent;  // the conversation that created it: an instance's id when a process did
};
struct ActivityState {
  NodeIndex node = kNone;
  std::string kind;    // "invoke"
  std::string name;    // may be empty
  std::string path;    // "/process/sequence/invoke[2]"
  std::string region;  // "1.4": which instance of its scope
  std::string state;   // "waiting", "running", "waiting for links"
  std::string file;
  int line = 0;
};
struct VariableState {
  std::string scope;  // the scope's name or element path
  std::string region;
  std::string name;
  std::string part;
  std::string text;  // XML
};
struct HistoryEntry {
  std::int64_t sequence = 0;
  TimePoint time;
  std::string kind;
  std::string operation;  // of the message, when there is one
};
struct InstanceDetails {
  InstanceSummary summary;
  std::vector<ActivityState> activities;  // that are active; in the order of regions and frames
  std::vector<VariableState> variables;
  std::vector<HistoryEntry> history;
};

class Engine : public exchange::Actor {
 public:
  explicit Engine(EngineOptions options = {});
  ~Engine() override;

  // ---- before the exchange opens ----
  // Parses and checks; not accepted when any process has an error. Stored and made active by on_start.
  Deployment deploy(const std::string& package, Package files);
  // The package cannot be read now: what is stored of it is not retired. The same holds of one that is not accepted.
  void keep(const std::string& package);

  // ---- within a turn of the engine (exchange.post("engine", …)) ----
  Result<Deployment> deploy(exchange::Turn& turn, const std::string& package, Package files);
  // In two steps: what takes long needs no turn. prepare() may be called by any thread.
  static std::shared_ptr<const PreparedPackage> prepare(const std::string& package, Package files);
  Result<Deployment> deploy(exchange::Turn& turn, const PreparedPackage& prepared);
  // New instances are no longer made; running ones finish. kNotFound.
  Status undeploy(exchange::Turn& turn, const std::string& package);
  std::vector<DeployedProcess> processes() const;
  // A file of a deployed package (its newest version), for `?wsdl`; null when there is none.
  std::shared_ptr<const ProcessDefinition> definition(const std::string& program) const;
  std::shared_ptr<const runtime::Program> deployed_program(const std::string& id) const;
  // The same of any version that an instance, also one that has ended, still refers to; kNotFound.
  Result<std::shared_ptr<const runtime::Program>> program(exchange::Turn& turn, const std::string& id) const;
  std::vector<Route> routes() const;

  struct Filter {
    std::optional<std::string> vo;
    std::string process;  // local name; empty: all
    bool running_only = false;
    std::string after;  // an id: go on behind it
    std::size_t limit = 1000;
  };
  Result<std::vector<InstanceSummary>> list(exchange::Turn& turn, const Filter& filter);
  // kNotFound too for an instance of another organisation than `vo`, when that is given.
  Result<InstanceDetails> show(exchange::Turn& turn, const std::string& id, const std::optional<std::string>& vo = {});
  // Those that were created by messages of this instance, oldest first.
  Result<std::vector<InstanceSummary>> children(exchange::Turn& turn, const std::string& id, std::size_t limit);
  // Events for a suspended instance are kept, in order, until it is resumed. kConflict when it has ended.
  Status suspend(exchange::Turn& turn, const std::string& id);
  Status resume(exchange::Turn& turn, const std::string& id);
  // Ends it at once, without handlers (as exit does); open requests are answered by a fault kCancelled. The instances
  // of this engine that work on its two-way requests, and theirs, are ended so in turns of their own that the same
  // commit orders.
  Status terminate(exchange::Turn& turn, const std::string& id, const std::string& reason);
  // Runs the recorded history again in memory. kUnsupported when no history is kept.
  Result<journal::Replay> replay(exchange::Turn& turn, const std::string& id);
  // What replaying needs, for who does it outside of the turn (journal::replay with limits() and own_base()).
  struct Recorded {
    std::vector<journal::HistoryRow> history;  // empty: none is kept
    std::shared_ptr<const runtime::Program> program;
  };
  Result<Recorded> recorded(exchange::Turn& turn, const std::string& id);
  const runtime::Limits& limits() const;
  const std::string& own_base() const;
  Result<bool> lives(exchange::Turn& turn, const std::string& id);
  // For Exchange::set_conversation_probe: whether an instance of that id runs. Thread safe; may outlive the engine. It
  // remembers eight bytes of each running instance, so one in 2^64 of the ended ones is taken for living.
  exchange::ConversationProbe conversation_probe() const;
  // Of the cache; for tests and statistics.
  std::size_t cached_instances() const;

  // ---- exchange::Actor ----
  std::string_view name() const override { return "engine"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_request(exchange::Turn& turn, const exchange::Message& request) override;
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  Status on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) override;
  Result<std::string> run_job(const exchange::Job& job, exchange::JobContext& context) override;
  void on_rollback() override;
  void on_quiet() override;  // empties the cache

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace nuraghe::bpel
