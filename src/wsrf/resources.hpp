// Resources: every WS-Resource of a process, as one actor: WS-ResourceProperties, WS-ResourceLifetime and
// WS-ServiceGroup 1.2 over the methods of the services (docs/wsrf.md).
//
// A request becomes requests to the service that has the resource, in the name of whoever asked: so its rules, and what
// a virtual organisation may see, are the service's own. Whether the caller may call those methods is for the door to
// ask beforehand (methods_behind). What is being worked on and when resources end are rows: a restart changes neither.
// Destroy answers when the resource is gone. At its termination time a resource is destroyed as by Destroy, in the name
// of who set the time; as long as that is refused it is tried again, with growing pauses up to ten minutes.
//
// Threading: an actor's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "exchange/exchange.hpp"
#include "wsrf/changes.hpp"
#include "wsrf/properties.hpp"
#include "xml/schema.hpp"

namespace nuraghe::wsrf {

struct ResourcesOptions {
  std::string base;  // of the addresses in answers: "http://127.0.0.1:8470"
};

class Resources final : public exchange::Actor {
 public:
  // kInternal: the schemas of the contracts do not compile.
  static Result<std::unique_ptr<Resources>> make(ResourcesOptions options);

  // Where this actor serves which operations: for the process's router.
  static void each_route(const std::function<void(const std::string& path, const std::string& operation)>& route);

  // The resource of that key in a group ("/services/hades/machines", "m1") is gone by whatever way, and another one may
  // get its name: the termination time that it had is forgotten. `vo`: whose it was; empty: there is one for all VOs,
  // and whoever's time it had is forgotten. To be called in a turn of any actor of the same exchange; not before this
  // one was opened.
  Status forget(store::Transaction& tx, std::string_view group, std::string_view key, std::string_view vo = {}) const;

  std::string_view name() const override { return "wsrf"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_request(exchange::Turn& turn, const exchange::Message& request) override;
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  Status on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) override;
  Result<std::string> run_job(const exchange::Job& job, exchange::JobContext& context) override;

 private:
  struct Work;  // a request that is being worked on, as it is in memory
  Resources(ResourcesOptions options, xml::Schema schema);

  // ---- requests ----
  Status begin(exchange::Turn& turn, Work& work);
  Status ask(exchange::Turn& turn, const Work& work, std::string_view service, std::string_view method,
             xml::DocumentPtr body);
  Status keep(exchange::Turn& turn, const Work& work);
  Result<Work> work_of(exchange::Turn& turn, std::string_view id);
  Status finish(exchange::Turn& turn, const Work& work, xml::DocumentPtr body);
  Status finish(exchange::Turn& turn, const Work& work, const Refusal& refusal);
  // The value, or the values, are there.
  Status have_read(exchange::Turn& turn, Work& work, const exchange::Message& reply);
  Status read_group(exchange::Turn& turn, const Work& work, std::vector<xml::Node> values);
  Status read_entry(exchange::Turn& turn, Work& work, xml::Node value);
  Status read_resource(exchange::Turn& turn, Work& work, xml::Node value);
  Status change(exchange::Turn& turn, Work& work, const xml::Document& document);
  Status have_changed(exchange::Turn& turn, Work& work, const exchange::Message& reply);
  Status destroy(exchange::Turn& turn, Work& work);
  Status have_destroyed(exchange::Turn& turn, const Work& work, const exchange::Message& reply);

  // ---- lifetimes (lifetimes.cpp) ----
  Status set_termination(exchange::Turn& turn, Work& work);
  // Of a resource whose service keeps the time.
  Status schedule(exchange::Turn& turn, Work& work, const contracts::PropertyInfo& property,
                  std::optional<TimePoint> end);
  Status have_scheduled(exchange::Turn& turn, const Work& work, const exchange::Message& reply);
  Result<std::optional<TimePoint>> termination(exchange::Turn& turn, const Work& work, xml::Node value) const;
  Status forget_termination(exchange::Turn& turn, const Work& work) const;
  Status have_terminated(exchange::Turn& turn, const std::string& key, const exchange::Message& reply);

  // ---- members of groups (groups.cpp) ----
  Status add_member(exchange::Turn& turn, Work& work);
  Status have_added(exchange::Turn& turn, const Work& work, const exchange::Message& reply);
  Status renew_member(exchange::Turn& turn, Work& work, Duration span);
  Status have_renewed(exchange::Turn& turn, const Work& work, const exchange::Message& reply);

  const ResourcesOptions options_;
  const xml::Schema schema_;
  store::Table work_table_{}, lifetimes_{};
};

}  // namespace nuraghe::wsrf
