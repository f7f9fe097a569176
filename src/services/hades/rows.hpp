// HaDeS's database and the orders of its jobs.
//
// Tables: hades_machine NAME → MachineRow; hades_deployment ID → DeploymentRow, those at work or with a machine; what
// is over: hades_past (services/past.hpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "contracts/hades.hpp"
#include "deploy/machine.hpp"

namespace nuraghe::services::hades {

namespace api = contracts::hades;

// A disk to which a VO's deployment wrote, or may have written.
struct TouchedDisk {
  api::Disk disk;
  api::WipePolicy wiped = api::WipePolicy::kNone;  // the strongest wipe since then
  template <class V>
  void fields(V& v) {
    v(1, disk), v(2, wiped);
  }
};

struct MachineRow {
  api::Machine machine;
  std::optional<Duration> last_deployment;  // how long it took
  std::vector<TouchedDisk> touched;         // those that may hold data of machine.unwiped
  template <class V>
  void fields(V& v) {
    v(1, machine), v(2, last_deployment), v(3, touched);
  }
};

// An end that waits until no step is at work.
struct WaitingEnd {
  std::string request;  // message id
  std::string reason;
  bool abandons = false;  // an administrator's, without the workflow
  template <class V>
  void fields(V& v) {
    v(1, request), v(2, reason), v(3, abandons);
  }
};

struct DeploymentRow {
  api::Deployment deployment;
  std::string fragment;                    // the node as it came
  api::Disk disk;                          // that may have been written to; without a serial number: none
  bool is_stopping = false;                // nothing but power-off is done any more
  std::vector<std::string> stop_requests;  // message ids that wait until no step is at work
  api::WipePolicy wipe = api::WipePolicy::kQuick;
  Duration timeout{0};
  std::vector<WaitingEnd> ends;                // failures to be recorded as soon as no step is at work
  std::optional<api::BootDevice> boot_before;  // from where the machine started before; nullopt: nobody had said
  std::string power_failure;                   // why it could not be switched off; empty: it could, or nobody tried
  template <class V>
  void fields(V& v) {
    v(1, deployment), v(2, fragment), v(3, disk), v(4, is_stopping), v(6, stop_requests), v(7, wipe), v(8, timeout),
        v(9, ends), v(10, boot_before), v(11, power_failure);
  }
  bool is_at_work() const {
    return !deployment.step.empty() && deployment.step.back().state == api::StepState::kRunning;
  }
};

// Of the job that does a step; one at a time.
inline std::string step_key(const std::string& deployment) { return "step/" + deployment; }

// What a job has to do. Its key is "machine/NAME" for what an administrator orders, "sensors/NAME", or "step/ID".
struct Order {
  std::string verb;     // inspect, power, boot-device, abandon, sensors, step
  std::string request;  // message id to be answered
  std::string driver;
  deploy::Target machine;
  api::PowerAction action = api::PowerAction::kOn;
  api::BootDevice device = api::BootDevice::kDisk;  // to be set; abandon, power-off: from where it started before
  std::string deployment;                           // step: its id
  api::Step step = api::Step::kPowerOff;
  std::string fragment;
  api::Disk disk;
  contracts::vhir::ImageReference image;
  bool wipes_all = false;
  std::vector<api::Disk> disks;  // to be wiped
  template <class V>
  void fields(V& v) {
    v(1, verb), v(2, request), v(3, driver), v(4, machine), v(5, action), v(6, device), v(7, deployment), v(8, step),
        v(9, fragment), v(10, disk), v(11, image), v(12, wipes_all), v(13, disks);
  }
};

// What a job found out. A failure is one of it, so that what was logged before it is kept.
struct Outcome {
  std::string log;
  std::string error_code, error;  // both empty: success
  std::optional<api::PowerState> power;
  std::optional<api::Hardware> hardware;
  std::vector<api::Sensor> sensors;
  std::vector<std::string> wiped;              // serial numbers, also when another disk could not be
  std::optional<api::BootDevice> boot_device;  // that was set, also when what followed failed
  template <class V>
  void fields(V& v) {
    v(1, log), v(2, error_code), v(3, error), v(4, power), v(5, hardware), v(6, sensors), v(7, wiped),
        v(8, boot_device);
  }
};

}  // namespace nuraghe::services::hades
