#include "model/read.hpp"

#include <charconv>

#include "base/check.hpp"
#include "model/image.hpp"
#include "model/schema_texts.hpp"

namespace nuraghe::model {

namespace {

xml::Schema compiled(const std::string& main, const std::map<std::string, std::string>& files) {
  auto schema = xml::Schema::compile(main, files);
  CHECK(schema.has_value());  // the schemas are part of the program
  return std::move(*schema);
}

void set_if(xml::Node element, std::string_view name, const std::string& value) {
  if (!value.empty()) element.set_attribute(name, value);
}

// "12:34: what" at the start of what the parser says after the source's name.
int take_number(std::string_view& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size() || *end != ':') return 0;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return number;
}

}  // namespace

const xml::Schema& cluster_schema() {
  static const xml::Schema schema =
      compiled("cluster.xsd", {{"cluster.xsd", k_cluster_schema}, {"node.xsd", k_node_schema}});
  return schema;
}
const xml::Schema& node_schema() {
  static const xml::Schema schema = compiled("node.xsd", {{"node.xsd", k_node_schema}});
  return schema;
}
const xml::Schema& vhi_schema() {
  static const xml::Schema schema = compiled("vhi.xsd", {{"vhi.xsd", k_vhi_schema}});
  return schema;
}

Where where_of(xml::Node element, const std::string& source) {
  return {source, element.position(), std::string(element.local_name())};
}

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::optional<std::int64_t> read_number(std::string_view text) {
  const std::string digits = trimmed(text);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < 0) return std::nullopt;
  return number;
}

std::optional<Bytes> read_size(std::string_view text) {
  const auto size = parse_bytes(trimmed(text));
  if (!size || size->count <= 0) return std::nullopt;
  return *size;
}

ImageRequirement read_image(xml::Node element, const std::string& source) {
  ImageRequirement image;
  image.name = trimmed(element.attribute_or("name", ""));
  image.type = trimmed(element.attribute_or("type", ""));
  image.system = trimmed(element.attribute_or("system", ""));
  image.version = trimmed(element.attribute_or("version", ""));
  image.architecture = trimmed(element.attribute_or("architecture", ""));
  image.where = where_of(element, source);
  return image;
}

Disk read_disk(xml::Node element, const std::string& source) {
  Disk disk;
  disk.name = trimmed(element.attribute_or("name", ""));
  disk.size = read_size(element.attribute_or("size", "")).value_or(Bytes{});
  disk.where = where_of(element, source);
  for (const xml::Node child : element.children(kNodeNamespace, "partition"))
    disk.partitions.push_back({read_size(child.attribute_or("size", "")).value_or(Bytes{}),
                               trimmed(child.attribute_or("filesystem", "")),
                               trimmed(child.attribute_or("mount", ""))});
  return disk;
}

Boot read_boot(xml::Node element, const std::string& source) {
  Boot boot;
  boot.firmware = trimmed(element.attribute_or("firmware", ""));
  boot.machine = trimmed(element.attribute_or("machine", ""));
  boot.parameters = element.attribute_or("parameters", "");
  boot.ready = element.attribute_or("ready", "");
  boot.where = where_of(element, source);
  return boot;
}

void write_image(xml::Node parent, const ImageRequirement& image) {
  xml::Node element = parent.append_element(kNodeNamespace, "image");
  set_if(element, "name", image.name);
  set_if(element, "type", image.type);
  set_if(element, "system", image.system);
  set_if(element, "version", image.version);
  set_if(element, "architecture", image.architecture);
}

void write_disk(xml::Node parent, const Disk& disk) {
  xml::Node element = parent.append_element(kNodeNamespace, "disk");
  element.set_attribute("name", disk.name);
  if (disk.size.count > 0) element.set_attribute("size", disk.size.to_string());
  for (const Partition& partition : disk.partitions) {
    xml::Node child = element.append_element(kNodeNamespace, "partition");
    if (partition.size.count > 0) child.set_attribute("size", partition.size.to_string());
    set_if(child, "filesystem", partition.filesystem);
    set_if(child, "mount", partition.mount);
  }
}

void write_boot(xml::Node parent, const Boot& boot) {
  if ((boot.firmware + boot.machine + boot.parameters + boot.ready).empty()) return;
  xml::Node element = parent.append_element(kNodeNamespace, "boot");
  set_if(element, "firmware", boot.firmware);
  set_if(element, "machine", boot.machine);
  set_if(element, "parameters", boot.parameters);
  set_if(element, "ready", boot.ready);
}

xml::Finding finding_of(const Error& error, const std::string& source) {
  xml::Finding finding;
  finding.source = source;
  std::string_view text = error.message();
  if (text.starts_with(source + ":")) {
    text.remove_prefix(source.size() + 1);
    finding.position.line = take_number(text);
    if (finding.position.line > 0) finding.position.column = take_number(text);
  }
  finding.message = trimmed(text);
  return finding;
}

Status status_of(const std::vector<xml::Finding>& findings) {
  if (findings.empty()) return {};
  std::string text;
  for (const xml::Finding& finding : findings) text += (text.empty() ? "" : "\n") + finding.to_string();
  return invalid(text);
}

}  // namespace nuraghe::model
