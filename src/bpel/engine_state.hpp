// What stands behind Engine; seen by engine.cpp, engine_routing.cpp and engine_admin.cpp only.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "bpel/engine.hpp"
#include "bpel/registry.hpp"

namespace nuraghe::bpel {

struct Engine::Implementation {
  explicit Implementation(EngineOptions given) : options(std::move(given)), registry(options) {}

  struct Live {
    std::unique_ptr<runtime::Instance> instance;
    std::shared_ptr<const runtime::Program> program;
    std::list<std::string>::iterator place;
  };

  EngineOptions options;
  Registry registry;
  runtime::Tables tables;
  std::unordered_map<std::string, Live> cache;
  std::list<std::string> recent;  // newest first
  std::size_t cached_bytes = 0;
  bool prune_armed = false;
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
  Status reload(exchange::Turn& turn);
  Result<runtime::HeaderRow> header(exchange::Turn& turn, const std::string& id);

  // ---- engine_routing.cpp ----
  Status route(exchange::Turn& turn, const exchange::Message& request);
  Status refuse(exchange::Turn& turn, const exchange::Message& request, const Error& error);
};

}  // namespace nuraghe::bpel
