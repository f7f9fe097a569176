#include "services/hades/proposal.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nuraghe::services::hades {
namespace {

namespace api = contracts::hades;

// What the disk must hold at least; 0: what the image says, which is not known yet.
Bytes demand_of(const model::Disk& disk) {
  Bytes sum;
  for (const auto& partition : disk.partitions) sum = sum + partition.size;
  return std::max(sum, disk.size);
}

void check_disks(const api::Hardware& hardware, const model::Node& node, api::Proposal& proposal) {
  Bytes demand;
  for (const auto& disk : node.disks) {
    if (disk.name == model::kRootDisk)
      demand = demand_of(disk);
    else
      proposal.reason.push_back(
          fmt::format("it asks for the disk {}; a machine gets its {} disk alone so far", disk.name, model::kRootDisk));
  }
  auto disks = hardware.disk;
  std::ranges::stable_sort(disks, {}, &api::Disk::size);
  std::vector<std::string> serials;
  for (const auto& disk : disks) serials.push_back(disk.serial);
  std::string seen;
  for (auto& disk : disks) {
    const auto same = std::ranges::count(serials, disk.serial);
    const std::string name = disk.serial.empty() ? disk.name + " without a serial number" : disk.serial;
    seen += fmt::format("{}{} of {}{}", seen.empty() ? "" : ", ", name, disk.size.to_string(),
                        same > 1 && !disk.serial.empty() ? ", one of several of that serial number" : "");
    // An order names a disk by its serial number.
    if (disk.size < demand || disk.serial.empty() || same > 1) continue;
    if (!proposal.disk)
      proposal.disk = std::move(disk);
    else
      proposal.alternative.push_back({std::move(disk), "is large enough, too"});
  }
  if (!proposal.disk)
    proposal.reason.push_back(
        fmt::format("it asks for a disk of {}; there is {}", demand.to_string(), seen.empty() ? "none" : seen));
}

// What a node of a cluster may say and a machine's agent does not do: better refused than left out silently.
void check_wishes(const model::Node& node, std::vector<std::string>& reasons) {
  if (!node.boot.parameters.empty())
    reasons.push_back(fmt::format("it asks for the kernel parameters '{}'; a machine boots with its image's own so far",
                                  node.boot.parameters));
  if (!node.boot.ready.empty())
    reasons.push_back(
        fmt::format("it is to be ready by '{}'; a machine is ready when its new system answers", node.boot.ready));
  if (node.initial_conditions != model::Node().initial_conditions)
    reasons.push_back(fmt::format("it asks for the initial conditions '{}'; a machine starts {} alone",
                                  node.initial_conditions, model::Node().initial_conditions));
  if (!node.seed_digest.empty())
    reasons.push_back(fmt::format("it brings the seed {}; a machine takes none so far", node.seed_digest));
}

std::string disks_text(const std::vector<api::Disk>& disks) {
  std::string text;
  for (const auto& disk : disks)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", disk.serial, disk.size.to_string());
  return text.empty() ? "no disk" : text;
}

std::string cards_text(const std::vector<api::NetworkCard>& cards) {
  std::string text;
  for (const auto& card : cards) text += (text.empty() ? "" : ", ") + card.mac;
  return text.empty() ? "no network card" : text;
}

std::string devices_text(const std::vector<std::string>& devices) {
  std::string text;
  for (const auto& device : devices) text += (text.empty() ? "" : ", ") + device;
  return text.empty() ? "no other device" : text;
}

}  // namespace

api::Proposal propose(const std::optional<api::Hardware>& hardware, const model::Node& node) {
  api::Proposal proposal;
  const auto take = [](const std::string& text, std::optional<std::string>& field) {
    if (!text.empty()) field = text;
  };
  take(node.image.name, proposal.requirement.name);
  take(node.image.type, proposal.requirement.type);
  take(node.image.system, proposal.requirement.system);
  take(node.image.version, proposal.requirement.version);
  take(node.image.architecture, proposal.requirement.architecture);
  if (!hardware) {
    proposal.reason.emplace_back("it was never inspected");
    return proposal;
  }
  auto& reasons = proposal.reason;
  if (hardware->cpus < node.cpus)
    reasons.push_back(fmt::format("it asks for {} cpus; there are {}", node.cpus, hardware->cpus));
  if (hardware->memory < node.memory)
    reasons.push_back(
        fmt::format("it asks for {} of memory; there are {}", node.memory.to_string(), hardware->memory.to_string()));
  const auto& architecture = node.image.architecture;
  if (!architecture.empty() && architecture != hardware->architecture)
    reasons.push_back(fmt::format("its image is for {}; the machine is {}", architecture, hardware->architecture));
  if (!node.boot.firmware.empty() && node.boot.firmware != hardware->firmware)
    reasons.push_back(
        fmt::format("it asks for the firmware {}; the machine has {}", node.boot.firmware, hardware->firmware));
  if (!node.boot.machine.empty())
    reasons.push_back(
        fmt::format("it asks for the machine type {}, which only a virtual host can have", node.boot.machine));
  if (!node.nics.empty())
    reasons.push_back(fmt::format("it asks for the network {}; networks of clusters are not laid to machines so far",
                                  node.nics.front().network));
  check_wishes(node, reasons);
  check_disks(*hardware, node, proposal);
  proposal.feasible = reasons.empty();
  return proposal;
}

std::vector<std::string> differences(const api::Hardware& before, const api::Hardware& now) {
  std::vector<std::string> found;
  const auto compare = [&found](const std::string& then, const std::string& here) {
    if (then != here) found.push_back(here + " instead of " + then);
  };
  compare(fmt::format("{} cpus", before.cpus), fmt::format("{} cpus", now.cpus));
  compare(before.memory.to_string() + " of memory", now.memory.to_string() + " of memory");
  compare("architecture " + before.architecture, "architecture " + now.architecture);
  compare("firmware " + before.firmware, "firmware " + now.firmware);
  compare(disks_text(before.disk), disks_text(now.disk));
  compare(cards_text(before.network_card), cards_text(now.network_card));
  compare(devices_text(before.device), devices_text(now.device));
  return found;
}

}  // namespace nuraghe::services::hades
