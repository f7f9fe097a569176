#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#include "env/posix.hpp"
#include "exchange/exchange.hpp"

namespace nuraghe::exchange {
namespace {

struct Route {
  std::shared_ptr<Inbox> inbox;
  std::string actor;
};

Message fault_reply(const std::string& message_id, const Error& error, TimePoint at) {
  Message reply;
  reply.relates_to = message_id;
  reply.fault = fault_of(error, "", at);
  return reply;
}

class RouterImpl : public Router {
 public:
  explicit RouterImpl(RouterOptions options) : options_(std::move(options)) {
    if (!options_.own_base.empty()) bases_.push_back(options_.own_base);
  }

  void add_route(std::string path, std::string operation, Exchange& exchange, std::string actor) override {
    const std::unique_lock lock(mutex_);
    routes_[std::move(path)][std::move(operation)] = Route{exchange.inbox(), std::move(actor)};
  }

  void remove_route(std::string_view path, std::string_view operation) override {
    const std::unique_lock lock(mutex_);
    const auto at = routes_.find(path);
    if (at == routes_.end()) return;
    if (const auto route = at->second.find(operation); route != at->second.end()) at->second.erase(route);
    if (at->second.empty()) routes_.erase(at);
  }

  void add_own_base(std::string base) override {
    const std::unique_lock lock(mutex_);
    bases_.push_back(std::move(base));
  }

  void deliver(Message request, ReplyHandler handler) override {
    std::string message_id = request.message_id;
    request.is_from_outside = true;
    env::Clock& clock = options_.clock == nullptr ? env::system_clock() : *options_.clock;
    pass_on(
        std::move(request),
        [id = std::move(message_id), &clock, handler = std::move(handler)](Result<Message> outcome) {
          handler(outcome ? std::move(*outcome) : fault_reply(id, outcome.error(), clock.now()));
        },
        &Inbox::request_here);
  }

  // Not here: an exchange that sends goes on with its own turns.
  void attempt(Message request, DeliveryHandler handler) override {
    pass_on(std::move(request), std::move(handler), &Inbox::request);
  }

  void pass_on(Message request, DeliveryHandler handler, void (Inbox::*put)(std::string, Message, DeliveryHandler)) {
    std::shared_lock lock(mutex_);
    const std::optional<std::string_view> path = own_path(request.to);
    if (path && request.to_stranger) {
      lock.unlock();
      return handler(
          denied(fmt::format("{} is an address of this process: no message goes there because somebody "
                             "outside named it",
                             request.to)));
    }
    if (!path || options_.force_remote) {
      // Whatever it was called by: a WSDL's address need not be one that somebody listens on.
      if (path && !options_.own_base.empty()) request.to = fmt::format("{}{}", options_.own_base, *path);
      request.is_first_try = false;
      lock.unlock();
      return attempt_remote(request, std::move(handler));
    }
    const Route* found = find(*path, request.operation);
    if (found == nullptr) {
      lock.unlock();
      return handler(not_found(fmt::format("nothing serves operation {} at {}", request.operation, request.to)));
    }
    Route route = *found;
    lock.unlock();
    ((*route.inbox).*put)(std::move(route.actor), std::move(request), std::move(handler));
  }

  std::optional<Within> within(const Message& request, const Inbox& inbox) const override {
    if (options_.force_remote || request.to_stranger) return std::nullopt;
    const std::shared_lock lock(mutex_);
    const std::optional<std::string_view> path = own_path(request.to);
    const Route* found = path ? find(*path, request.operation) : nullptr;
    if (found == nullptr || found->inbox.get() != &inbox) return std::nullopt;
    return Within{found->actor, request.to};
  }

  void accept(Message request, DeliveryHandler handler) override {
    request.is_from_outside = true;
    std::shared_lock lock(mutex_);
    const std::optional<std::string_view> path = own_path(request.to);
    const Route* found = path ? find(*path, request.operation) : nullptr;
    if (found == nullptr) {
      const bool known = path && is_served(*path);
      lock.unlock();
      if (!known) return handler(not_found(fmt::format("nothing is served at {}", request.to)));
      return handler(unsupported(fmt::format("{} has no operation '{}'", request.to, request.operation)));
    }
    Route route = *found;
    const Precondition* precondition = request.precondition.get();
    const auto asked_path = precondition ? own_path(precondition->question.to) : std::nullopt;
    const Route* asked = asked_path ? find(*asked_path, precondition->question.operation) : nullptr;
    std::optional<Route> question = asked ? std::optional<Route>(*asked) : std::nullopt;
    lock.unlock();
    if (precondition != nullptr) return accept_if(std::move(request), route, std::move(question), std::move(handler));
    bring(route, std::move(request), std::move(handler));
  }

 private:
  // Of a request from outside. Turns of many that come together are done together: their answers leave together then.
  static void bring(Route& route, Message request, DeliveryHandler handler) {
    const bool is_among_many = request.is_among_many;
    Inbox& inbox = *route.inbox;
    if (is_among_many) return inbox.request(std::move(route.actor), std::move(request), std::move(handler));
    inbox.request_here(std::move(route.actor), std::move(request), std::move(handler));
  }

  static void accept_if(Message request, Route route, std::optional<Route> asked, DeliveryHandler handler) {
    auto precondition = std::make_shared<Precondition>(*request.precondition);
    if (!asked) {
      return handler(unsupported(fmt::format("nothing answers {} at {}, which was to be asked first",
                                             precondition->question.operation, precondition->question.to)));
    }
    if (asked->inbox == route.inbox) {
      precondition->actor = asked->actor;
      request.precondition = std::move(precondition);
      return bring(route, std::move(request), std::move(handler));
    }
    request.precondition.reset();
    asked->inbox->request(asked->actor, precondition->question,
                          [precondition, route = std::move(route), request = std::move(request),
                           handler = std::move(handler)](Result<Message> outcome) mutable {
                            Result<xml::DocumentPtr> answer = xml::DocumentPtr();
                            if (!outcome) return handler(outcome.error());
                            if (outcome->fault) answer = error_of(*outcome->fault);
                            if (!outcome->fault) answer = outcome->body;
                            if (const Status holds = precondition->check(answer); !holds) return handler(holds.error());
                            route.inbox->request(std::move(route.actor), std::move(request), std::move(handler));
                          });
  }

  void attempt_remote(const Message& request, DeliveryHandler handler) {
    if (options_.remote == nullptr) {
      return handler(
          unavailable(fmt::format("{} is in another process, and there is no transport to others", request.to)));
    }
    options_.remote->send(request, std::move(handler));
  }

  // The path of an address of this process; nullopt for another's.
  std::optional<std::string_view> own_path(std::string_view address) const {
    const auto cut = [](std::string_view path) { return path.substr(0, path.find_first_of("?#")); };
    if (address.starts_with('/')) return cut(address);
    for (const std::string& base : bases_) {
      if (!address.starts_with(base)) continue;
      const std::string_view rest = cut(address.substr(base.size()));
      if (rest.empty()) return "/";
      if (rest.front() == '/') return rest;
    }
    return std::nullopt;
  }

  const Route* find(std::string_view path, std::string_view operation) const {
    for (;;) {
      if (const auto at = routes_.find(path); at != routes_.end()) {
        if (const auto named = at->second.find(operation); named != at->second.end()) return &named->second;
        if (const auto any = at->second.find("*"); any != at->second.end()) return &any->second;
      }
      const auto slash = path.find_last_of('/');
      if (slash == std::string_view::npos || path == "/") return nullptr;
      path = path.substr(0, slash == 0 ? 1 : slash);
    }
  }

  bool is_served(std::string_view path) const {
    for (;;) {
      if (routes_.find(path) != routes_.end()) return true;
      const auto slash = path.find_last_of('/');
      if (slash == std::string_view::npos || path == "/") return false;
      path = path.substr(0, slash == 0 ? 1 : slash);
    }
  }

  const RouterOptions options_;
  mutable std::shared_mutex mutex_;
  std::vector<std::string> bases_;
  std::map<std::string, std::map<std::string, Route, std::less<>>, std::less<>> routes_;
};

}  // namespace

std::unique_ptr<Router> make_router(RouterOptions options) { return std::make_unique<RouterImpl>(std::move(options)); }

Result<Message> call(Router& router, Message request, Duration timeout) {
  struct Slot {
    std::mutex mutex;
    std::condition_variable filled;
    std::optional<Message> reply;
  };
  const auto slot = std::make_shared<Slot>();
  const std::string what = fmt::format("{} at {}", request.operation, request.to);
  router.deliver(std::move(request), [slot](Message reply) {
    const std::lock_guard lock(slot->mutex);
    slot->reply = std::move(reply);
    slot->filled.notify_one();
  });
  std::unique_lock lock(slot->mutex);
  if (!slot->filled.wait_for(lock, timeout, [&] { return slot->reply.has_value(); })) {
    return timed_out(fmt::format("{} did not answer within {}", what, format_duration(timeout)));
  }
  return std::move(*slot->reply);
}

Result<std::optional<TimePoint>> drain_all(std::span<Exchange* const> exchanges) {
  for (;;) {
    std::optional<TimePoint> earliest;
    std::int64_t worked = 0;
    for (Exchange* exchange : exchanges) {
      const std::int64_t before = exchange->statistics().events;
      TRY_ASSIGN(const auto next, exchange->drain());
      worked += exchange->statistics().events - before;
      if (next && (!earliest || *next < *earliest)) earliest = next;
    }
    if (worked == 0) return earliest;
  }
}

}  // namespace nuraghe::exchange
