// Checks of one node's configuration beyond the schema.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/nearest.hpp"
#include "model/blueprint_reader.hpp"

namespace nuraghe::model {

namespace {

constexpr Bytes kPartitionTable = mib(2);  // at both ends of a disk, alignment included
constexpr Bytes kSmallestFilesystem = mib(4);

// Refuses a value that no driver at hand can honour, by its name.
void check_capability(const std::string& value, std::string_view what, const std::set<std::string>& supported,
                      const Where& where, Findings& findings) {
  if (value.empty() || supported.contains(value)) return;
  if (supported.empty()) {
    findings.add(where, fmt::format("the {} '{}' cannot be chosen with the drivers at hand; remove it", what, value));
    return;
  }
  findings.add(where, fmt::format("the {} '{}' is not supported by the drivers at hand; supported: {}", what, value,
                                  fmt::join(supported, ", ")));
}

// Where what is missing is to be written: a single host's file has one place alone.
std::string_view place_of_missing(const NodeGroup& group) {
  return group.is_single ? "" : " to its configuration or the defaults";
}

std::optional<ImageFacts> check_image(const NodeGroup& group, const ParseContext& context, Findings& findings) {
  const ImageRequirement& image = group.configuration.image;
  if (image.empty()) {
    if (group.configuration.is_unread) return std::nullopt;
    if (image.where.element.empty())
      findings.add(group.where,
                   fmt::format("no image is asked for; add <image name=\"...\"/>{}", place_of_missing(group)));
    else
      findings.add_unless_reported(image.where,
                                   "it asks nothing; give a 'name', or 'type', 'system', 'version', "
                                   "'architecture'");
    return std::nullopt;
  }
  if (context.images == nullptr) return std::nullopt;
  auto facts = context.images->find(image);
  if (facts) return *facts;
  const std::set<std::string> names = context.images->names();
  const std::string name = image.name.substr(0, image.name.find(':'));
  const std::string nearest = names.contains(name) ? "" : nearest_name(name, names);
  if (!nearest.empty())
    findings.add(image.where,
                 fmt::format("the image '{}' is not in the repository; did you mean '{}'?", name, nearest));
  else
    findings.add(image.where, facts.error().message());
  return std::nullopt;
}

void check_sizes(const NodeGroup& group, const std::optional<ImageFacts>& image, const ParseContext& context,
                 Findings& findings) {
  const NodeConfiguration& configuration = group.configuration;
  if (configuration.cpus && *configuration.cpus > context.capabilities.max_cpus)
    findings.add(configuration.cpus_where, fmt::format("{} cpus are too many; at most {} are possible",
                                                       *configuration.cpus, context.capabilities.max_cpus));
  if (configuration.memory_where.element.empty()) {
    if (configuration.is_unread) return;
    findings.add(group.where,
                 fmt::format("no memory is given; add <memory>256MiB</memory>{}", place_of_missing(group)));
  } else if (configuration.memory && image && *configuration.memory < image->minimum_memory) {
    findings.add(configuration.memory_where,
                 fmt::format("{} are too little; the image {} needs at least {}", configuration.memory->to_string(),
                             image->name, image->minimum_memory.to_string()));
  }
}

void check_partitions(const Disk& disk, const ParseContext& context, const std::optional<ImageFacts>& image,
                      std::set<std::string>& mounts, Findings& findings) {
  Bytes sum = kPartitionTable;
  for (std::size_t i = 0; i < disk.partitions.size(); ++i) {
    const Partition& partition = disk.partitions[i];
    const std::string which = fmt::format("partition {}", i + 1);
    const bool is_last = i + 1 == disk.partitions.size();
    sum = sum + partition.size;
    if (partition.size.count == 0 && !is_last)
      findings.add(disk.where, which + " has no size; only the last one may go without and take the rest");
    check_capability(partition.filesystem, "file system", context.capabilities.filesystems, disk.where, findings);
    if (!partition.filesystem.empty() && partition.size.count > 0 && partition.size < kSmallestFilesystem)
      findings.add(disk.where, fmt::format("{} of {} is too small for a file system; give it {} at least", which,
                                           partition.size.to_string(), kSmallestFilesystem.to_string()));
    if (partition.mount.empty()) continue;
    if (partition.filesystem.empty())
      findings.add(disk.where, which + " is to be mounted and has no file system; add 'filesystem'");
    const std::string path = partition.mount + "/";
    if (path.find("//") != std::string::npos || path.find("/./") != std::string::npos ||
        path.find("/../") != std::string::npos)
      findings.add(disk.where, fmt::format("'{}' is not a plain path; write it without '.', '..' and empty parts",
                                           partition.mount));
    if (!mounts.insert(partition.mount).second)
      findings.add(disk.where,
                   fmt::format("two partitions are to be mounted at {}; choose another path", partition.mount));
    if (image && !image->takes_seed)
      findings.add(disk.where,
                   fmt::format("the image {} takes no configuration, so {} cannot be mounted; remove 'mount'",
                               image->name, which));
  }
  if (!disk.partitions.empty() && disk.size.count > 0 && sum > disk.size)
    findings.add(disk.where,
                 fmt::format("its partitions need {}, and it has {}", sum.to_string(), disk.size.to_string()));
}

void check_root_disk(const Disk& disk, const std::optional<ImageFacts>& image, Findings& findings) {
  if (!disk.partitions.empty())
    findings.add(disk.where, "the disk 'root' is the image's own and has its partitions; give another disk those");
  if (!image) return;
  if (image->disk_size.count == 0)
    findings.add(disk.where, fmt::format("the image {} has no disk of its own; choose another name", image->name));
  else if (disk.size.count > 0 && disk.size < image->disk_size)
    findings.add(disk.where, fmt::format("{} are too little; the image {}'s disk has {}", disk.size.to_string(),
                                         image->name, image->disk_size.to_string()));
}

void check_disks(const NodeGroup& group, const std::optional<ImageFacts>& image, const ParseContext& context,
                 Findings& findings) {
  const std::vector<Disk>& disks = group.configuration.disks;
  std::set<std::string> names;
  std::set<std::string> mounts;
  if (std::cmp_greater(disks.size(), context.capabilities.max_disks))
    findings.add(group.where,
                 fmt::format("it has {} disks; at most {} are possible", disks.size(), context.capabilities.max_disks));
  for (const Disk& disk : disks) {
    if (!disk.name.empty() && !names.insert(disk.name).second)
      findings.add(disk.where, fmt::format("the node has two disks named '{}'; choose another name", disk.name));
    if (disk.name == kRootDisk)
      check_root_disk(disk, image, findings);
    else if (disk.size.count == 0)
      findings.add_unless_reported(disk.where, "it has no size; add 'size' (only the disk 'root' has its image's)");
    if (disk.name != kRootDisk) check_partitions(disk, context, image, mounts, findings);
  }
}

void check_boot(const NodeGroup& group, const std::optional<ImageFacts>& image, const ParseContext& context,
                Findings& findings) {
  const NodeConfiguration& configuration = group.configuration;
  const Boot& boot = configuration.boot;
  check_capability(boot.firmware, "firmware", context.capabilities.firmwares, boot.where, findings);
  check_capability(boot.machine, "machine", context.capabilities.machines, boot.where, findings);
  if (boot.machine == "microvm" && boot.firmware == "uefi")
    findings.add(boot.where, "the machine 'microvm' has no firmware 'uefi'; choose the machine 'q35' or 'pc'");
  if (boot.machine == "microvm" && image && !image->takes_parameters)
    findings.add(boot.where,
                 fmt::format("the machine 'microvm' starts a kernel only, and the image {} boots from its disk; choose "
                             "the machine 'q35' or 'pc'",
                             image->name));
  if (boot.firmware == "uefi" && configuration.memory && *configuration.memory < context.capabilities.uefi_memory)
    findings.add(configuration.memory_where,
                 fmt::format("{} are too little; the firmware 'uefi' needs at least {}",
                             configuration.memory->to_string(), context.capabilities.uefi_memory.to_string()));
  if (!boot.parameters.empty() && image && !image->takes_parameters)
    findings.add(boot.where,
                 fmt::format("the image {} boots from its disk and takes no parameters; remove them", image->name));
  if (configuration.initial_conditions == "cold" || configuration.initial_conditions == "frozen")
    check_capability(configuration.initial_conditions, "initial condition", context.capabilities.initial_conditions,
                     configuration.initial_conditions_where, findings);
}

}  // namespace

void check_configuration(const NodeGroup& group, const ParseContext& context, Findings& findings) {
  if (group.type == "virtual" || group.type == "physical")
    check_capability(group.type, "node type", context.capabilities.node_types, group.where, findings);
  const std::optional<ImageFacts> image = check_image(group, context, findings);
  check_sizes(group, image, context, findings);
  check_disks(group, image, context, findings);
  check_boot(group, image, context, findings);
}

}  // namespace nuraghe::model
