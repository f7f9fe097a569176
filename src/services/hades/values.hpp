// The drivers' values as those of the contract, and back. Pure.
#pragma once

#include "contracts/hades.hpp"
#include "deploy/machine.hpp"
#include "deploy/power.hpp"

namespace nuraghe::services::hades {

contracts::hades::PowerState contract_value(deploy::PowerState state);
contracts::hades::Disk contract_value(const deploy::Disk& disk);
contracts::hades::Hardware contract_value(const deploy::Hardware& hardware);
deploy::BootDevice driver_value(contracts::hades::BootDevice device);
deploy::Disk driver_value(const contracts::hades::Disk& disk);
deploy::Target target_of(const contracts::hades::Machine& machine);

}  // namespace nuraghe::services::hades
