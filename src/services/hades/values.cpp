#include "services/hades/values.hpp"

namespace nuraghe::services::hades {

namespace api = contracts::hades;

api::PowerState contract_value(deploy::PowerState state) {
  switch (state) {
    case deploy::PowerState::kOn:
      return api::PowerState::kOn;
    case deploy::PowerState::kOff:
      return api::PowerState::kOff;
    case deploy::PowerState::kUnknown:
      break;
  }
  return api::PowerState::kUnknown;
}

api::Disk contract_value(const deploy::Disk& disk) { return {disk.name, disk.serial, disk.size}; }

api::Hardware contract_value(const deploy::Hardware& hardware) {
  api::Hardware value;
  value.cpus = hardware.cpus;
  value.memory = hardware.memory;
  value.architecture = hardware.architecture;
  value.firmware = hardware.firmware;
  for (const auto& disk : hardware.disks) value.disk.push_back(contract_value(disk));
  for (const auto& card : hardware.network_cards) value.network_card.push_back({card.mac, card.name});
  value.device = hardware.devices;
  return value;
}

deploy::BootDevice driver_value(api::BootDevice device) {
  return device == api::BootDevice::kNetwork ? deploy::BootDevice::kNetwork : deploy::BootDevice::kDisk;
}

deploy::Disk driver_value(const api::Disk& disk) { return {disk.name, disk.serial, disk.size}; }

deploy::Target target_of(const api::Machine& machine) { return {machine.name, machine.address, machine.mac}; }

}  // namespace nuraghe::services::hades
