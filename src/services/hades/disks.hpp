// Which disks of a machine may hold a VO's data, and what frees them of it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "services/hades/rows.hpp"

namespace nuraghe::services::hades {

// The machine's disk of that serial number and size, as it was inspected. kInvalid when there is none, or two.
Result<api::Disk> disk_of(const api::Machine& machine, const api::Disk& named);
// The first serial number that two disks have; empty: none. No order could tell such disks apart.
std::string double_serial(const std::vector<api::Disk>& disks);

// From now on the disk may hold data of the VO that has the machine.
void note_touched(MachineRow& row, const api::Disk& disk);
// A wipe of the disk is done. Only a full one leaves nothing of the VO's; when that is so of every disk, the machine
// may pass to another VO.
void note_wiped(MachineRow& row, std::string_view serial, api::WipePolicy policy);
// The disks to which the policy has something to do: none that was wiped at least as strongly since it was touched.
std::vector<api::Disk> to_wipe(const MachineRow& row, api::WipePolicy policy);
// Rows of older versions say that there is data, not on which disk: then it may be on any. (Only simulated machines
// could be deployed on then.)
void recall_touched(MachineRow& row);
// "serial A, serial B"
std::string serials_of(const MachineRow& row);

}  // namespace nuraghe::services::hades
