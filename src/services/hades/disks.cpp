#include "services/hades/disks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace nuraghe::services::hades {
namespace {

// The contract lists the policies in another order than that of their strength.
int strength(api::WipePolicy policy) {
  switch (policy) {
    case api::WipePolicy::kNone:
      return 0;
    case api::WipePolicy::kQuick:
      return 1;
    case api::WipePolicy::kFull:
      return 2;
  }
  return 0;
}

auto find(std::vector<TouchedDisk>& disks, std::string_view serial) {
  return std::ranges::find_if(disks, [serial](const TouchedDisk& one) { return one.disk.serial == serial; });
}

}  // namespace

Result<api::Disk> disk_of(const api::Machine& machine, const api::Disk& named) {
  if (named.serial.empty()) return invalid("a disk is named by its serial number; this one has none");
  const auto disks = machine.hardware ? machine.hardware->disk : std::vector<api::Disk>();
  const auto is_it = [&named](const api::Disk& one) { return one.serial == named.serial; };
  const auto found = std::ranges::find_if(disks, is_it);
  if (found == disks.end())
    return invalid(
        fmt::format("machine {} had no disk with the serial number '{}' when it was inspected; inspect it again",
                    machine.name, named.serial));
  if (std::ranges::count_if(disks, is_it) > 1)
    return invalid(fmt::format("machine {} has several disks with the serial number '{}': nothing was written",
                               machine.name, named.serial));
  if (found->size != named.size)
    return invalid(fmt::format("disk {} of machine {} has {}, not {}: nothing was written", named.serial, machine.name,
                               found->size.to_string(), named.size.to_string()));
  return *found;
}

std::string double_serial(const std::vector<api::Disk>& disks) {
  std::set<std::string_view> seen;
  for (const auto& disk : disks) {
    if (!disk.serial.empty() && !seen.insert(disk.serial).second) return disk.serial;
  }
  return {};
}

void note_touched(MachineRow& row, const api::Disk& disk) {
  const auto found = find(row.touched, disk.serial);
  if (found == row.touched.end())
    row.touched.push_back({disk, api::WipePolicy::kNone});
  else
    *found = {disk, api::WipePolicy::kNone};
  row.machine.unwiped = row.machine.vo;
}

void note_wiped(MachineRow& row, std::string_view serial, api::WipePolicy policy) {
  const auto found = find(row.touched, serial);
  if (found == row.touched.end()) return;
  if (strength(policy) > strength(found->wiped)) found->wiped = policy;
  if (found->wiped == api::WipePolicy::kFull) row.touched.erase(found);
  if (row.touched.empty()) row.machine.unwiped.clear();
}

std::vector<api::Disk> to_wipe(const MachineRow& row, api::WipePolicy policy) {
  std::vector<api::Disk> disks;
  for (const auto& one : row.touched) {
    if (strength(one.wiped) < strength(policy)) disks.push_back(one.disk);
  }
  return disks;
}

void recall_touched(MachineRow& row) {
  if (row.machine.unwiped.empty() || !row.touched.empty() || !row.machine.hardware) return;
  for (const auto& disk : row.machine.hardware->disk) {
    if (!disk.serial.empty()) row.touched.push_back({disk, api::WipePolicy::kNone});
  }
}

std::string serials_of(const MachineRow& row) {
  std::string text;
  for (const auto& one : row.touched) text += (text.empty() ? "" : ", ") + one.disk.serial;
  return text;
}

}  // namespace nuraghe::services::hades
