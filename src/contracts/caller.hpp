// Caller: how a client's request reaches a service and its reply comes back, blocking. For programs, tools and tests;
// actors never block, they send (exchange::Turn::send).
#pragma once

#include <string>

#include "base/result.hpp"
#include "base/units.hpp"
#include "env/env.hpp"
#include "exchange/exchange.hpp"

namespace nuraghe::contracts {

struct CallOptions {
  Duration timeout = std::chrono::seconds(60);
  // Empty: the caller makes one. The same id again: the service answers with its first answer.
  std::string message_id = {};
  // The virtual organisation on whose behalf.
  std::string vo = {};
};

class Caller {
 public:
  virtual ~Caller() = default;
  // Sends and waits for the reply, which may hold a fault; for a one-way message an empty reply when it was accepted.
  // Sets a message_id when there is none. kTimeout when nothing came in time (the request may still be worked on:
  // repeat it with the same message_id), kUnavailable when nobody could be reached. Thread safe.
  virtual Result<exchange::Message> call(exchange::Message request, Duration timeout) = 0;
};

// Through a router: services of this process directly, others by its remote transport. Nothing is owned.
class RouterCaller : public Caller {
 public:
  RouterCaller(exchange::Router& router, env::Random& random) : router_(&router), random_(&random) {}
  Result<exchange::Message> call(exchange::Message request, Duration timeout) override;

 private:
  exchange::Router* router_;
  env::Random* random_;
};

// Through a transport, such as SOAP over HTTP: for programs without an exchange. Nothing is owned. A reply that comes
// after the time-out is dropped, so the transport may outlive the call but not this object's transport.
class TransportCaller : public Caller {
 public:
  TransportCaller(exchange::RemoteTransport& transport, env::Random& random)
      : transport_(&transport), random_(&random) {}
  Result<exchange::Message> call(exchange::Message request, Duration timeout) override;

 private:
  exchange::RemoteTransport* transport_;
  env::Random* random_;
};

}  // namespace nuraghe::contracts
