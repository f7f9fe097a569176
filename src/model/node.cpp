#include "model/node.hpp"

#include <fmt/format.h>

#include "model/read.hpp"

namespace nuraghe::model {

namespace {

// Bounds under which sums of sizes cannot overflow.
constexpr Bytes kLargestDisk{std::int64_t{1} << 50};
constexpr std::size_t kMostDisks = 64;

Nic read_nic(xml::Node element) {
  Nic nic;
  nic.network = trimmed(element.attribute_or("name", ""));
  nic.segment = read_number(element.attribute_or("segment", "")).value_or(0);
  nic.mac = trimmed(element.attribute_or("mac", ""));
  nic.address = trimmed(element.attribute_or("address", ""));
  nic.prefix = static_cast<int>(read_number(element.attribute_or("prefix", "")).value_or(0));
  nic.mtu = static_cast<int>(read_number(element.attribute_or("mtu", "")).value_or(0));
  nic.uplink = trimmed(element.attribute_or("uplink", "none")) == "nat";
  return nic;
}

void write_nic(xml::Node parent, const Nic& nic) {
  xml::Node element = parent.append_element(kNodeNamespace, "nic");
  element.set_attribute("name", nic.network);
  if (nic.segment > 0) element.set_attribute("segment", std::to_string(nic.segment));
  if (!nic.mac.empty()) element.set_attribute("mac", nic.mac);
  if (!nic.address.empty()) element.set_attribute("address", nic.address);
  if (nic.prefix > 0) element.set_attribute("prefix", std::to_string(nic.prefix));
  if (nic.mtu > 0) element.set_attribute("mtu", std::to_string(nic.mtu));
  if (nic.uplink) element.set_attribute("uplink", "nat");
}

}  // namespace

std::string ImageRequirement::to_string() const {
  std::string text;
  const auto add = [&](std::string_view what, const std::string& value) {
    if (!value.empty()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", what, value);
  };
  add("name", name);
  add("type", type);
  add("system", system);
  add("version", version);
  add("architecture", architecture);
  return text.empty() ? "any image" : text;
}

bool is_host_name(std::string_view name) {
  constexpr std::string_view kInside = "abcdefghijklmnopqrstuvwxyz0123456789-";
  return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
         name.find_first_not_of(kInside) == std::string_view::npos;
}

Bytes disk_demand(const Node& node) {
  Bytes sum;
  for (const Disk& disk : node.disks) sum = sum + disk.size;
  return sum;
}

xml::Document node_fragment(const Node& node) {
  xml::Document document = xml::Document::create({kNodeNamespace, "node"});
  xml::Node root = document.root();
  root.set_attribute("name", node.name);
  write_image(root, node.image);
  root.append_text_element(kNodeNamespace, "cpus", std::to_string(node.cpus));
  root.append_text_element(kNodeNamespace, "memory", node.memory.to_string());
  for (const Disk& disk : node.disks) write_disk(root, disk);
  for (const Nic& nic : node.nics) write_nic(root, nic);
  write_boot(root, node.boot);
  root.append_element(kNodeNamespace, "initial-conditions").set_attribute("kind", node.initial_conditions);
  if (!node.seed_digest.empty()) {
    xml::Node seed = root.append_element(kNodeNamespace, "seed");
    seed.set_attribute("digest", node.seed_digest);
    if (!node.management_mac.empty()) seed.set_attribute("management", node.management_mac);
  }
  return document;
}

Result<Node> parse_node_fragment(xml::Node element) {
  if (!element.is(kNodeNamespace, "node"))
    return invalid(fmt::format("a node's configuration is expected: <node xmlns=\"{}\">, not <{}>", kNodeNamespace,
                               element.local_name()));
  TRY(status_of(node_schema().validate(element)));
  Node node;
  node.name = trimmed(element.attribute_or("name", ""));
  node.image = read_image(element.child(kNodeNamespace, "image"), {});
  const auto cpus = read_number(element.child(kNodeNamespace, "cpus").text());
  const auto memory = read_size(element.child(kNodeNamespace, "memory").text());
  if (!cpus || *cpus > 4096) return invalid(fmt::format("node {}: the number of cpus is too large", node.name));
  if (!memory) return invalid(fmt::format("node {}: the memory is too large", node.name));
  node.cpus = static_cast<int>(*cpus);
  node.memory = *memory;
  for (const xml::Node child : element.children(kNodeNamespace, "disk")) {
    Disk disk = read_disk(child, {});
    if (child.attribute("size") && (disk.size.count == 0 || disk.size > kLargestDisk))
      return invalid(fmt::format("node {}: the disk '{}' is too large", node.name, disk.name));
    node.disks.push_back(std::move(disk));
  }
  if (node.disks.size() > kMostDisks) return invalid(fmt::format("node {} has too many disks", node.name));
  for (const xml::Node nic : element.children(kNodeNamespace, "nic")) node.nics.push_back(read_nic(nic));
  if (const xml::Node boot = element.child(kNodeNamespace, "boot")) node.boot = read_boot(boot, {});
  if (const xml::Node initial = element.child(kNodeNamespace, "initial-conditions"))
    node.initial_conditions = trimmed(initial.attribute_or("kind", "cold"));
  if (const xml::Node seed = element.child(kNodeNamespace, "seed")) {
    node.seed_digest = trimmed(seed.attribute_or("digest", ""));
    node.management_mac = trimmed(seed.attribute_or("management", ""));
  }
  return node;
}

}  // namespace nuraghe::model
