// The power contract: what every driver does that switches physical machines on and off, whatever its wire.
//
// Every verb is idempotent: where its effect is there already it succeeds and does nothing (but cycle, which a repeat
// does again). A verb that succeeds was accepted by the machine's controller; whether the machine then is as wished,
// status tells. deploy/escalation.hpp has what is done when it is not. Every call ends within Control::timeout
// (kTimeout) or when it is cancelled (kCancelled).
//
// Failures: kUnavailable, kTimeout: the controller refused or did not answer now; kUnsupported: this driver has no such
// verb; kInvalid: the target's address is not one of this driver's. Drivers are thread safe.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "deploy/machine.hpp"
#include "hypervisor/driver.hpp"

namespace nuraghe::deploy {

using hypervisor::Control;

enum class PowerState { kUnknown, kOn, kOff };
enum class BootDevice { kDisk, kNetwork };
enum class PowerCommand {
  kOn,
  kSoftOff,  // the system is asked to end
  kHardOff,  // the power is cut
  kCycle,    // cut and given again by the controller itself: status shows it off for a while, or sees_cycles()
};
inline constexpr std::array kPowerCommands = {PowerCommand::kOn, PowerCommand::kSoftOff, PowerCommand::kHardOff,
                                              PowerCommand::kCycle};

std::string_view name_of(PowerState state);      // "unknown", "on", "off"
std::string_view name_of(BootDevice device);     // "disk", "network"
std::string_view name_of(PowerCommand command);  // "on", "soft-off", "hard-off", "cycle"

class PowerDriver {
 public:
  virtual ~PowerDriver() = default;
  // Whether the address is one of this driver's; kInvalid says what is wrong with it. Asks nobody.
  virtual Status check(const Target& target) const = 0;
  virtual Result<PowerState> status(const Target& target, const Control& control) = 0;
  virtual Status command(const Target& target, PowerCommand command, const Control& control) = 0;
  // True: a cycle is accepted only after the driver itself has seen the machine off, so that status need not show it.
  virtual bool sees_cycles() const { return false; }
  // From where the machine starts from its next start on, until this is called again.
  virtual Status set_boot_device(const Target& target, BootDevice device, const Control& control) = 0;
  virtual Result<std::vector<Sensor>> read_sensors(const Target& target, const Control& control) = 0;
  // What the controller knows of the machine's hardware, whether that is on or off.
  virtual Result<Hardware> inventory(const Target& target, const Control& control) = 0;
};

}  // namespace nuraghe::deploy
