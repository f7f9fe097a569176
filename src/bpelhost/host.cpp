#include "bpelhost/host.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <mutex>

#include "base/log.hpp"
#include "bpelhost/worker.hpp"
#include "env/posix.hpp"
#include "net/http_client.hpp"
#include "soap/transport.hpp"
#include "store/location.hpp"
#include "store/memory.hpp"
#include "store/sqlite.hpp"

namespace nuraghe::bpelhost {
namespace {

using exchange::Message;

constexpr std::size_t kWorkWaiting = 64;
constexpr std::size_t kChildrenShown = 1000;
// Activities that were started, beyond which only the active ones are told: running the history again takes a second.
constexpr std::int64_t kActivitiesShown = 2'000'000;

// Addresses of own roles lead back into this process, whatever host the WSDL names.
class OwnAddresses final : public exchange::Router {
 public:
  OwnAddresses(std::unique_ptr<exchange::Router> inner, std::function<std::shared_ptr<const Catalogue>()> catalogue)
      : inner_(std::move(inner)), catalogue_(std::move(catalogue)) {}
  void add_route(std::string path, std::string operation, exchange::Exchange& exchange, std::string actor) override {
    inner_->add_route(std::move(path), std::move(operation), exchange, std::move(actor));
  }
  void remove_route(std::string_view path, std::string_view operation) override {
    inner_->remove_route(path, operation);
  }
  void add_own_base(std::string base) override { inner_->add_own_base(std::move(base)); }
  void deliver(Message request, exchange::ReplyHandler handler) override {
    inner_->deliver(resolved(std::move(request)), std::move(handler));
  }
  void attempt(Message request, exchange::DeliveryHandler handler) override {
    inner_->attempt(resolved(std::move(request)), std::move(handler));
  }
  void accept(Message request, exchange::DeliveryHandler handler) override {
    inner_->accept(std::move(request), std::move(handler));
  }
  std::optional<Within> within(const Message& request, const exchange::Inbox& inbox) const override {
    return inner_->within(resolved(request), inbox);
  }

 private:
  Message resolved(Message request) const {
    if (request.to.starts_with('/')) return request;
    std::string path = catalogue_()->path_of_address(request.to);
    if (!path.empty()) request.to = std::move(path);
    return request;
  }
  const std::unique_ptr<exchange::Router> inner_;
  const std::function<std::shared_ptr<const Catalogue>()> catalogue_;
};

Result<env::UniqueFd> lock_folder(const std::string& folder) {
  const std::string path = folder + "/lock";
  env::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return system_error("open " + path, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) return conflict(fmt::format("another bpel works on the state folder {}", folder));
  return system_error("lock " + path, errno);
}

class HostImpl final : public Host {
 public:
  ~HostImpl() override { HostImpl::stop(); }
  Status open(HostOptions options);

  void stop() override {
    if (worker_) worker_->stop();
    if (exchange_) exchange_->stop();
    http_.reset();
  }
  bool failed() const override { return exchange_->failed(); }
  std::shared_ptr<const Catalogue> catalogue() const override {
    const std::lock_guard lock(mutex_);
    return catalogue_;
  }
  void accept(Message request, exchange::DeliveryHandler handler) override {
    router_->accept(std::move(request), std::move(handler));
  }
  soap::AnswersElsewhere& elsewhere() override { return *answers_; }
  void deploy(std::string name, bpel::Package files, std::function<void(Result<DeployOutcome>)> done) override;
  void undeploy(std::string id, std::function<void(Status)> done) override;
  void list(bpel::Engine::Filter filter, std::function<void(Result<std::vector<bpel::InstanceSummary>>)> done) override;
  void show(std::string id, Detail detail, std::function<void(Result<InstanceView>)> done) override;
  void replay(std::string id, std::function<void(Result<bpel::journal::Replay>)> done) override;
  void change(std::string id, Verb verb, std::string reason, std::function<void(Status)> done) override;

 private:
  void make_engine(const HostOptions& options);
  void name_operation(Message& answer) const;
  void deploy_at_start(const HostOptions& options);
  // A turn of the engine that changes what is deployed: the new catalogue is seen after its commit.
  void redeploy(std::function<Status(exchange::Turn&)> work, std::function<void(Status)> done);
  template <class T>
  void ask(std::function<Status(exchange::Turn&, T&)> work, std::function<void(Result<T>)> done);
  void work_later(std::function<void()> work, const std::function<void(Error)>& refused);

  env::UniqueFd lock_;
  std::unique_ptr<net::HttpClient> http_;
  std::unique_ptr<soap::SoapTransport> transport_;
  std::unique_ptr<OwnAddresses> router_;
  std::unique_ptr<bpel::Engine> engine_;
  soap::Elsewhere elsewhere_{"bpel_elsewhere", [this](Message& answer) { name_operation(answer); }};
  std::unique_ptr<soap::AnswersElsewhere> answers_;
  std::vector<std::string> bases_;
  std::unique_ptr<exchange::Exchange> exchange_;
  std::unique_ptr<Worker> worker_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Catalogue> catalogue_ = std::make_shared<Catalogue>();
};

void HostImpl::make_engine(const HostOptions& options) {
  bpel::EngineOptions engine_options;
  if (!options.bases.empty()) engine_options.own_base = options.bases.front();
  engine_options.history_retention = options.history_retention;
  // A partner that is being restarted comes back meanwhile; a caller who waits for an answer is told in time.
  engine_options.unreachable_deadline = std::chrono::seconds(10);
  engine_options.history_limit = options.history_limit;
  if (options.packages_are_complete) engine_options.others = bpel::OtherPackages::kRetireFormer;
  engine_options.observer = options.observer;
  engine_options.route_changed = [this](const bpel::Route& route, bool served) {
    if (served)
      router_->add_route(route.path, route.operation, *exchange_, "engine");
    else
      router_->remove_route(route.path, route.operation);
  };
  engine_ = std::make_unique<bpel::Engine>(std::move(engine_options));
}

// An answer to one of our own processes is a request there: its content tells the operation.
void HostImpl::name_operation(Message& answer) const {
  const auto catalogue = this->catalogue();
  std::string path = catalogue->path_of_address(answer.to);
  const bool own = std::any_of(bases_.begin(), bases_.end(),
                               [&](const std::string& base) { return answer.to.starts_with(base + "/"); });
  if (path.empty() && own) path = bpel::runtime::path_of_address(answer.to);
  const auto* services = catalogue->at(path);
  if (services == nullptr) return;
  const auto element = soap::body_element(answer.body);
  const auto found = find_operation(*services, "", answer.operation, element ? element.name() : xml::QName());
  if (found) answer.operation = found->operation;
}

void HostImpl::deploy_at_start(const HostOptions& options) {
  for (const auto& name : options.unreadable) engine_->keep(name);
  for (const auto& [name, files] : options.packages) {
    const auto deployment = engine_->deploy(name, files);
    for (const auto& finding : deployment.diagnostics) {
      const auto text = finding.to_string();
      if (finding.warning)
        log_warning("bpel", text, {{"package", name}});
      else
        log_error("bpel", text, {{"package", name}});
    }
  }
}

Status HostImpl::open(HostOptions options) {
  http_ = net::HttpClient::make();
  soap::SoapTransportOptions soap_options;
  soap_options.default_soap_action = false;
  soap_options.parts = true;
  transport_ = std::make_unique<soap::SoapTransport>(*http_, std::move(soap_options));
  router_ = std::make_unique<OwnAddresses>(exchange::make_router({transport_.get(), false, ""}),
                                           [this] { return catalogue(); });
  bases_ = options.bases;
  for (const auto& base : bases_) router_->add_own_base(base);
  make_engine(options);
  deploy_at_start(options);
  std::unique_ptr<store::Store> store;
  if (options.memory) {
    store = store::open_memory(store::make_memory_disk());
  } else if (!options.store.empty()) {
    TRY_ASSIGN(store, store::open_location(options.store, options.schema));
  } else {
    TRY(env::make_directories(options.state, 0700));
    TRY_ASSIGN(lock_, lock_folder(options.state));
    TRY_ASSIGN(store, store::open_sqlite(options.state + "/bpel.db"));
  }
  exchange::ExchangeOptions exchange_options;
  exchange_options.name = "bpel";
  exchange_options.lanes = 1;
  exchange_options.clock = &env::system_clock();
  exchange_options.random = &env::system_random();
  exchange_ = exchange::make_exchange(std::move(store), *router_, exchange_options);
  exchange_->add_actor(*engine_);
  exchange_->add_actor(elsewhere_);
  answers_ = std::make_unique<soap::AnswersElsewhere>(*exchange_, elsewhere_);
  exchange_->set_conversation_probe(engine_->conversation_probe());
  TRY(exchange_->open());
  exchange_->start();
  worker_ = std::make_unique<Worker>(kWorkWaiting);
  auto promise = std::make_shared<std::promise<Status>>();
  auto ready = promise->get_future();
  redeploy([](exchange::Turn&) { return Status(); },
           [promise](Status status) { promise->set_value(std::move(status)); });
  return ready.get();
}

void HostImpl::redeploy(std::function<Status(exchange::Turn&)> work, std::function<void(Status)> done) {
  auto fresh = std::make_shared<std::shared_ptr<const Catalogue>>();
  exchange_->post(
      "engine",
      [this, fresh, work = std::move(work)](exchange::Turn& turn) -> Status {
        TRY(work(turn));
        *fresh = Catalogue::of(*engine_);
        return {};
      },
      [this, fresh, done = std::move(done)](Status status) {
        if (status) {
          const std::lock_guard lock(mutex_);
          catalogue_ = *fresh;
        }
        done(std::move(status));
      });
}

template <class T>
void HostImpl::ask(std::function<Status(exchange::Turn&, T&)> work, std::function<void(Result<T>)> done) {
  auto found = std::make_shared<T>();
  exchange_->post(
      "engine", [found, work = std::move(work)](exchange::Turn& turn) { return work(turn, *found); },
      [found, done = std::move(done)](const Status& status) {
        if (!status) return done(status.error());
        done(std::move(*found));
      });
}

void HostImpl::work_later(std::function<void()> work, const std::function<void(Error)>& refused) {
  if (!worker_->post(std::move(work))) refused(exhausted("too much is being deployed and replayed at once; try again"));
}

void HostImpl::deploy(std::string name, bpel::Package files, std::function<void(Result<DeployOutcome>)> done) {
  auto work = [this, name = std::move(name), files = std::move(files), done]() mutable {
    auto prepared = bpel::Engine::prepare(name, std::move(files));
    if (!prepared->deployment.accepted) return done(DeployOutcome{false, prepared->deployment.diagnostics, {}});
    auto outcome = std::make_shared<DeployOutcome>(DeployOutcome{true, prepared->deployment.diagnostics, {}});
    redeploy(
        [this, prepared, outcome](exchange::Turn& turn) mutable -> Status {
          if (prepared->package.empty()) {
            auto named = *prepared;
            named.package = default_name(prepared->definitions, engine_->processes());
            prepared = std::make_shared<const bpel::PreparedPackage>(std::move(named));
          }
          TRY_ASSIGN(const auto deployment, engine_->deploy(turn, *prepared));
          for (const auto& process : deployment.processes)
            outcome->id = fmt::format("{}-{}", process.package, process.version);
          return {};
        },
        [outcome, done](const Status& status) {
          if (!status) return done(status.error());
          done(std::move(*outcome));
        });
  };
  work_later(std::move(work), [done](Error error) { done(std::move(error)); });
}

void HostImpl::undeploy(std::string id, std::function<void(Status)> done) {
  redeploy(
      [this, id = std::move(id)](exchange::Turn& turn) -> Status {
        const auto now = Catalogue::of(*engine_);
        const auto* package = now->package(id);
        if (package == nullptr) return not_found(fmt::format("there is no deployment {}", id));
        return package->active ? engine_->undeploy(turn, package->name) : Status();
      },
      std::move(done));
}

void HostImpl::list(bpel::Engine::Filter filter, std::function<void(Result<std::vector<bpel::InstanceSummary>>)> done) {
  ask<std::vector<bpel::InstanceSummary>>(
      [this, filter = std::move(filter)](exchange::Turn& turn, auto& found) -> Status {
        TRY_ASSIGN(found, engine_->list(turn, filter));
        return {};
      },
      std::move(done));
}

namespace {

// What the history tells of every activity, and on top of it what is active now.
void fill_nodes(InstanceView& view, const bpel::Engine::Recorded& recorded, const bpel::Engine& engine) {
  view.nodes.resize(view.definition->nodes().size());
  std::int64_t started = 0;
  const auto observe = [&](const bpel::runtime::Progress& progress) {
    if (progress.what == "started") ++started;
    if (progress.node >= view.nodes.size()) return;
    auto& node = view.nodes[progress.node];
    if (progress.what == "started") ++node.times;
    node.state = progress.what == "started" ? "running" : std::string(progress.what);
  };
  const bool ended = view.details.summary.ended.micros != 0;
  const auto replayed =
      bpel::journal::replay(recorded.history, view.details.summary.id, *recorded.program, engine.limits(),
                            engine.own_base(), observe, [&started] { return started <= kActivitiesShown; });
  if (!replayed || !replayed->same) view.nodes.assign(view.nodes.size(), {});
  // What the replay left running and is not active was ended with what is around it.
  for (auto& node : view.nodes) {
    if (node.state == "running") node.state = ended ? "terminated" : "";
  }
  for (const auto& activity : view.details.activities) {
    if (activity.node >= view.nodes.size()) continue;
    auto& node = view.nodes[activity.node];
    node.state = activity.state;
    node.times = std::max<std::int64_t>(node.times, 1);
  }
  // Around what is active something runs.
  for (auto index = static_cast<bpel::NodeIndex>(view.nodes.size()); index-- > 0;) {
    const auto& state = view.nodes[index].state;
    const auto parent = view.definition->node(index).parent;
    const bool active = state == "running" || state.starts_with("waiting");
    if (active && parent != bpel::kNone && !view.nodes[parent].state.starts_with("waiting")) {
      view.nodes[parent].state = "running";
      view.nodes[parent].times = std::max<std::int64_t>(view.nodes[parent].times, 1);
    }
  }
  auto& root = view.nodes.front();
  const auto& state = view.details.summary.state;
  root.times = 1;
  root.state = state == "suspended" ? "running" : state;
}

}  // namespace

void HostImpl::show(std::string id, Detail detail, std::function<void(Result<InstanceView>)> done) {
  struct Found {
    InstanceView view;
    bpel::Engine::Recorded recorded;
  };
  ask<Found>(
      [this, id = std::move(id), detail](exchange::Turn& turn, Found& found) -> Status {
        TRY_ASSIGN(found.view.details, engine_->show(turn, id));
        TRY_ASSIGN(found.view.children, engine_->children(turn, id, kChildrenShown));
        if (detail == Detail::kNow) return {};
        auto recorded = engine_->recorded(turn, id);
        if (recorded) found.recorded = std::move(*recorded);
        return {};
      },
      [this, done = std::move(done)](Result<Found> found) {
        if (!found) return done(found.error());
        if (!found->recorded.program) return done(std::move(found->view));
        auto shared = std::make_shared<Found>(std::move(*found));
        work_later(
            [this, shared, done] {
              shared->view.definition = shared->recorded.program->definition;
              fill_nodes(shared->view, shared->recorded, *engine_);
              done(std::move(shared->view));
            },
            [done](Error error) { done(std::move(error)); });
      });
}

void HostImpl::replay(std::string id, std::function<void(Result<bpel::journal::Replay>)> done) {
  ask<bpel::Engine::Recorded>(
      [this, id](exchange::Turn& turn, bpel::Engine::Recorded& found) -> Status {
        TRY_ASSIGN(found, engine_->recorded(turn, id));
        return found.history.empty() ? Status(unsupported("no history is kept of " + id)) : Status();
      },
      [this, id, done = std::move(done)](Result<bpel::Engine::Recorded> found) {
        if (!found) return done(found.error());
        auto shared = std::make_shared<bpel::Engine::Recorded>(std::move(*found));
        work_later(
            [this, id, shared, done] {
              done(
                  bpel::journal::replay(shared->history, id, *shared->program, engine_->limits(), engine_->own_base()));
            },
            [done](Error error) { done(std::move(error)); });
      });
}

void HostImpl::change(std::string id, Verb verb, std::string reason, std::function<void(Status)> done) {
  exchange_->post(
      "engine",
      [this, id = std::move(id), verb, reason = std::move(reason)](exchange::Turn& turn) -> Status {
        if (verb == Verb::kSuspend) return engine_->suspend(turn, id);
        if (verb == Verb::kResume) return engine_->resume(turn, id);
        return engine_->terminate(turn, id, reason.empty() ? "terminated by an operator" : reason);
      },
      std::move(done));
}

}  // namespace

Result<std::unique_ptr<Host>> Host::open(HostOptions options) {
  auto host = std::make_unique<HostImpl>();
  TRY(host->open(std::move(options)));
  return std::unique_ptr<Host>(std::move(host));
}

}  // namespace nuraghe::bpelhost
