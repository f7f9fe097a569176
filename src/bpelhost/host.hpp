// Host: the WS-BPEL engine with what it stands on, without doors: store, exchange, router, SOAP to partners.
//
// A partner at an address that an own role has (its soap:address, or a base of this process) is called directly, after
// the commit. Deploying parses outside of the engine's thread, so that running instances go on.
// Threading: every function is thread safe. Callbacks come on the exchange's thread, on the worker's, or at once when
// the host has stopped; they must not block. The state folder belongs to one process at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bpel/engine.hpp"
#include "bpelhost/catalogue.hpp"
#include "bpelhost/packages.hpp"
#include "exchange/exchange.hpp"
#include "soap/elsewhere.hpp"

namespace nuraghe::bpelhost {

struct HostOptions {
  std::string state;    // folder; made when missing. Not used in memory or with `store`
  bool memory = false;  // nothing is stored: what is there ends with the process
  // As store::open_location; empty: `state` or `memory` decides. Who opens it later takes it over.
  std::string store, schema = "bpel";
  // Where others reach this process: "http://127.0.0.1:8480"; the first is used in endpoint references.
  std::vector<std::string> bases;
  Duration history_retention = std::chrono::hours(24 * 7);
  std::int64_t history_limit = 100'000;
  std::function<void(const bpel::runtime::Progress&)> observer;  // called on the exchange's thread
  // Deployed at the start, by name.
  std::vector<std::pair<std::string, bpel::Package>> packages;
  // True: `packages` and those that cannot be read (names) are all of a folder: what an earlier start deployed and is
  // not among them any more is retired.
  bool packages_are_complete = false;
  std::vector<std::string> unreadable;
};

// What became of a package.
struct DeployOutcome {
  bool accepted = false;
  std::vector<bpel::Diagnostic> diagnostics;
  std::string id;  // in the catalogue, when accepted
};

// Where an activity of an instance stands, as far as its history tells.
struct NodeState {
  std::string
      state;  // "waiting", "waiting for links", "running", "completed", "faulted", "terminated"; "": not reached
  std::int64_t times = 0;  // it was started
};
struct InstanceView {
  bpel::InstanceDetails details;
  std::shared_ptr<const bpel::ProcessDefinition> definition;  // null: its version is not known any more
  std::vector<NodeState> nodes;                               // by index; empty without definition
  std::vector<bpel::InstanceSummary> children;
};

class Host {
 public:
  // Opens the store, deploys options.packages (findings go to the log; what is not accepted is left out). kConflict
  // when another process has the state folder.
  static Result<std::unique_ptr<Host>> open(HostOptions options);
  virtual ~Host() = default;  // stops first
  virtual void stop() = 0;
  virtual bool failed() const = 0;

  virtual std::shared_ptr<const Catalogue> catalogue() const = 0;
  // A request for a served path (message.to), as Router::accept.
  virtual void accept(exchange::Message request, exchange::DeliveryHandler handler) = 0;
  // What has requests answered at another address than their sender's connection.
  virtual soap::AnswersElsewhere& elsewhere() = 0;

  // `name` empty: that of its processes.
  virtual void deploy(std::string name, bpel::Package files, std::function<void(Result<DeployOutcome>)> done) = 0;
  // kNotFound. Running instances finish. One that takes no new instances already: nothing happens.
  virtual void undeploy(std::string id, std::function<void(Status)> done) = 0;

  virtual void list(bpel::Engine::Filter filter,
                    std::function<void(Result<std::vector<bpel::InstanceSummary>>)> done) = 0;
  // kNow: without the states of activities that the history tells, for which it is run again.
  enum class Detail { kNow, kWithHistory };
  virtual void show(std::string id, Detail detail, std::function<void(Result<InstanceView>)> done) = 0;
  virtual void replay(std::string id, std::function<void(Result<bpel::journal::Replay>)> done) = 0;
  enum class Verb { kSuspend, kResume, kTerminate };
  virtual void change(std::string id, Verb verb, std::string reason, std::function<void(Status)> done) = 0;
};

}  // namespace nuraghe::bpelhost
