// Registrant: what makes the service of a program known at a nuraghed: registers it, renews the registration, registers
// anew when nuraghed has forgotten it. An actor of the program's exchange.
//
// Table: registry_program one row: the program's own id, made once; by it nuraghed tells a restart from another
// program. Threading: as exchange::Actor.
#pragma once

#include <functional>
#include <string>

#include "contracts/registry.hpp"
#include "services/rows.hpp"

namespace nuraghe::services::registry {

struct RegistrantOptions {
  std::string registry;  // the registry's address: "https://10.0.0.1:8470/services/registry"
  // All of it but program.
  contracts::registry::RegisterServiceRequest offer;
  std::function<void()> on_registered;  // called once, on the exchange's thread; must not block; may be empty
};

// The one row of the table registry_program, under kSelf.
struct ProgramRow {
  static constexpr const char* kTable = "registry_program";
  static constexpr const char* kSelf = "self";
  std::string id;
  template <class V>
  void fields(V& v) {
    v(1, id);
  }
};

class Registrant final : public exchange::Actor {
 public:
  explicit Registrant(RegistrantOptions options) : options_(std::move(options)) {}
  std::string_view name() const override { return "registrant"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_request(exchange::Turn& turn, const exchange::Message& request) override;
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  Status on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) override;
  Result<std::string> run_job(const exchange::Job& job, exchange::JobContext& context) override;

 private:
  Status offer(exchange::Turn& turn);
  Status renew(exchange::Turn& turn);
  Status send(exchange::Turn& turn, exchange::Message message, const char* token);

  RegistrantOptions options_;
  RowTable<ProgramRow> programs_;
  bool is_registered_ = false;  // as far as is known
};

// What the definition of a service says, as it is offered: everything but address, program, interval and version.
// kNotFound when this program has no such service.
Result<contracts::registry::RegisterServiceRequest> offer_of(std::string_view service);

}  // namespace nuraghe::services::registry
