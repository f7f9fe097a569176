// OutsideServices: the services of other programs that have registered at this nuraghed (services/registry), as its
// doors and its own services and workflows reach them. Nobody else reaches them: who may is decided here, and the
// program knows this nuraghed by its certificate or, on one machine, by the site's token.
//
// Threading: every function is thread safe.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "api/outside_table.hpp"
#include "apps/nuraghed/recorded_calls.hpp"
#include "exchange/exchange.hpp"
#include "net/http_client.hpp"
#include "services/registry/registry.hpp"

namespace nuraghe::daemon {

struct OutsideOptions {
  std::string base;     // of this process, for what is listed
  std::string version;  // of Nuraghe
  std::function<bool(const std::string& name)> is_controller;
  // Whether something else is at a base: this process, a controller.
  std::function<bool(const std::string& base)> is_taken;
  // Whether a service has a certificate that counts.
  std::function<bool(const std::string& name)> is_member;
  // Told of every service that registers; null: that it is gone. As services::registry::RegistryOptions::on_service.
  std::function<void(const std::string& name, const services::registry::ServiceRow* row)> on_service;
};

class OutsideServices {
 public:
  explicit OutsideServices(OutsideOptions options);
  const api::OutsideTable& table() const { return table_; }
  // The actor that keeps the registrations; lives as long as this.
  exchange::Actor& actor() { return registry_; }
  // A router that delivers as `inner` does (which outlives it), and sends what goes to one of the services by
  // `transport`, whatever base of this process its address begins with. For the process's own exchange.
  std::unique_ptr<exchange::Router> make_router(exchange::Router& inner, exchange::RemoteTransport& transport);
  // As api::GatewayOptions::pass_on. Token and client certificate are the ones that `token` and the client have for the
  // program's base. All outlive what it returns.
  std::function<void(exchange::Message, net::ClientRequest, std::function<void(Result<net::ClientResponse>)>)> pass_on(
      net::HttpClient& http, RecordedCalls& recorded, std::function<std::string(std::string_view base)> token) const;
  // Whether the program of a service registered with a certificate; else, with the site's token.
  bool by_certificate(const std::string& service) const;
  // Soon ends what was registered with certificates that do not count any more. The exchange has actor() and outlives
  // this.
  void end_revoked(exchange::Exchange& exchange);
  // kConflict when one of the services has the name.
  Status check_controller(const std::string& name) const;
  // Whether a request is for one of the services and changes nothing.
  bool reads(const exchange::Message& request) const;

 private:
  class Outward;
  services::registry::RegistryOptions registry_options(OutsideOptions options);
  void note(const std::string& name, const services::registry::ServiceRow* row);

  api::OutsideTable table_;
  mutable std::mutex mutex_;  // guards the next one
  std::set<std::string> by_certificate_;
  services::registry::Registry registry_;
};

}  // namespace nuraghe::daemon
