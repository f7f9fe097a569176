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
               const deploy::PowerLimits& limits, const services::PastLimits& past)
      : simulated_(std::move(simulated)),
        qemu_(std::move(qemu)),
        worker_({{{"sim", {simulated_.get(), simulated_.get()}}, {"qemu", {qemu_.get(), nullptr}}}, limits}),
        service_({past}, worker_) {}
  exchange::Actor& actor() override { return service_; }

 private:
  std::unique_ptr<deploy::SimMachines> simulated_;
  std::unique_ptr<deploy::PowerDriver> qemu_;
  services::hades::Worker worker_;
  services::hades::Service service_;
};

}  // namespace

Result<std::unique_ptr<Machines>> Machines::open(const MachineSettings& settings, const std::string& folder,
                                                 bool sim_persisted, const services::PastLimits& past) {
  TRY_ASSIGN(const auto limits, parse_limits(settings.power_limits));
  TRY_ASSIGN(auto simulated, open_simulated(settings, folder, sim_persisted));
  TRY_ASSIGN(auto qemu, deploy::open_qemu_machines({folder + "/qemu"}));
  return std::unique_ptr<Machines>(std::make_unique<OpenMachines>(std::move(simulated), std::move(qemu), limits, past));
}

}  // namespace nuraghe::daemon
