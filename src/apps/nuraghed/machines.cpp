#include "apps/nuraghed/machines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "deploy/qemu/machines.hpp"
#include "deploy/sim/machines.hpp"
#include "services/hades/hades.hpp"
#include "services/hades/work.hpp"

namespace nuraghe::daemon {
namespace {

// "WORD=DURATION"
Result<std::pair<std::string, Duration>> parse_span(const std::string& text) {
  const auto equals = std::min(text.find('='), text.size());
  TRY_ASSIGN(const auto span, parse_duration(equals == text.size() ? "" : text.substr(equals + 1)));
  if (span.count() < 0) return invalid(fmt::format("'{}' is before its beginning", text));
  return std::pair(text.substr(0, equals), span);
}

Result<deploy::PowerLimits> parse_limits(const std::vector<std::string>& texts) {
  deploy::PowerLimits limits;
  for (const auto& text : texts) {
    auto parsed = parse_span(text);
    if (!parsed) return std::move(parsed).error().with("--power-limit " + text);
    const auto command = std::ranges::find_if(
        deploy::kPowerCommands, [&](deploy::PowerCommand one) { return deploy::name_of(one) == parsed->first; });
    if (command == deploy::kPowerCommands.end())
      return invalid(fmt::format("'{}' is no power command; there are on, soft-off, hard-off, cycle", parsed->first))
          .with("--power-limit " + text);
    limits.commands[*command] = parsed->second;
  }
  return limits;
}

// Nothing ends before all means to switch a machine were tried for as long as they may take.
void leave_time_for_power(services::hades::WorkerOptions& options) {
  Duration all = std::chrono::minutes(1);
  for (const auto& [command, limit] : options.limits.commands) all += limit;
  options.order_timeout = std::max(options.order_timeout, all);
  for (auto& [step, limit] : options.step_limits) limit = std::max(limit, all);
}

Status take_step_limits(const std::vector<std::string>& texts, services::hades::WorkerOptions& options) {
  for (const auto& text : texts) {
    auto parsed = parse_span(text);
    if (!parsed) return std::move(parsed).error().with("--step-limit " + text);
    contracts::hades::Step step{};
    if (const auto known = contracts::hades::from_string(parsed->first, step); !known)
      return Error(known.error()).with("--step-limit " + text);
    if (parsed->second.count() == 0) return invalid("a step needs some time").with("--step-limit " + text);
    options.step_limits.insert_or_assign(step, parsed->second);
  }
  return {};
}

Result<std::unique_ptr<deploy::SimMachines>> open_simulated(const MachineSettings& settings, const std::string& folder,
                                                            bool persisted) {
  deploy::SimMachinesOptions options;
  options.root = folder + "/sim";
  options.persisted = persisted;
  for (const auto& text : settings.sim_failures) {
    auto failure = deploy::parse_sim_machine_failure(text);
    if (!failure) return std::move(failure).error().with("--sim-machine-fail " + text);
    options.failures.push_back(std::move(*failure));
  }
  for (const auto& text : settings.sim_delays) {
    auto delay = parse_span(text);
    if (!delay) return std::move(delay).error().with("--sim-machine-delay " + text);
    options.delays.insert_or_assign(delay->first, delay->second);
  }
  return deploy::open_sim_machines(std::move(options));
}

class OpenMachines final : public Machines {
 public:
  OpenMachines(std::unique_ptr<deploy::SimMachines> simulated, std::unique_ptr<deploy::PowerDriver> qemu,
               services::hades::WorkerOptions options, const services::PastLimits& past, MachineHooks hooks)
      : simulated_(std::move(simulated)),
        qemu_(std::move(qemu)),
        worker_(with_drivers(std::move(options))),
        service_({.past = past, .on_removed = std::move(hooks.on_removed), .has_vo = std::move(hooks.has_vo)},
                 worker_) {}
  exchange::Actor& actor() override { return service_; }
  Result<std::vector<std::string>> machines_of(store::Transaction& tx, const std::string& vo) const override {
    return service_.machines_of(tx, vo);
  }

 private:
  services::hades::WorkerOptions with_drivers(services::hades::WorkerOptions options) const {
    options.drivers = {{"sim", {simulated_.get(), simulated_.get()}}, {"qemu", {qemu_.get(), nullptr}}};
    return options;
  }

  std::unique_ptr<deploy::SimMachines> simulated_;
  std::unique_ptr<deploy::PowerDriver> qemu_;
  services::hades::Worker worker_;
  services::hades::Service service_;
};

}  // namespace

Result<std::unique_ptr<Machines>> Machines::open(const MachineSettings& settings, const std::string& folder,
                                                 bool sim_persisted, const services::PastLimits& past,
                                                 MachineHooks hooks) {
  services::hades::WorkerOptions options;
  TRY_ASSIGN(options.limits, parse_limits(settings.power_limits));
  leave_time_for_power(options);
  TRY(take_step_limits(settings.step_limits, options));
  TRY_ASSIGN(auto simulated, open_simulated(settings, folder, sim_persisted));
  TRY_ASSIGN(auto qemu, deploy::open_qemu_machines({folder + "/qemu"}));
  return std::unique_ptr<Machines>(std::make_unique<OpenMachines>(std::move(simulated), std::move(qemu),
                                                                  std::move(options), past, std::move(hooks)));
}

}  // namespace nuraghe::daemon
