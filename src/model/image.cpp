#include "model/image.hpp"

#include "model/read.hpp"

namespace nuraghe::model {

namespace {

// The description without regard to whether it is valid; parse_image_description asks that first.
ImageDescription read(xml::Node root) {
  const auto child = [&](std::string_view name) { return root.child(kImageNamespace, name); };
  const auto text = [](xml::Node element, std::string_view name, std::string_view fallback = "") {
    return element ? element.attribute_or(name, fallback) : std::string(fallback);
  };
  const auto size = [&](xml::Node element, std::string_view name) {
    return read_size(text(element, name)).value_or(Bytes{});
  };
  ImageDescription image;
  image.name = trimmed(text(root, "name"));
  image.version = trimmed(text(root, "version"));
  const xml::Node system = child("system");
  image.type = trimmed(text(system, "type"));
  image.system = trimmed(text(system, "name"));
  image.system_version = trimmed(text(system, "version"));
  image.architecture = trimmed(text(system, "architecture"));
  const xml::Node boot = child("boot");
  image.kernel = trimmed(text(boot, "kernel"));
  image.initrd = trimmed(text(boot, "initrd"));
  image.parameters = text(boot, "parameters");
  const xml::Node disk = child("disk");
  image.disk_file = trimmed(text(disk, "file"));
  image.disk_format = trimmed(text(disk, "format"));
  image.disk_size = size(disk, "size");
  const xml::Node configuration = child("configuration");
  image.minimum_memory = size(configuration, "min-memory");
  image.seed = trimmed(text(configuration, "seed", "none"));
  image.ready = text(configuration, "ready", "start");
  image.initial_conditions = trimmed(text(child("initial-conditions"), "kind", "cold"));
  return image;
}

std::vector<xml::Finding> check(const xml::Document& document) {
  std::vector<xml::Finding> findings = vhi_schema().validate(document);
  const xml::Node root = document.root();
  const auto find = [&](xml::Node element, std::string message) {
    findings.push_back({document.source(), element.position(), std::string(element.local_name()), std::move(message)});
  };
  const ImageDescription image = read(root);
  const xml::Node boot = root.child(kImageNamespace, "boot");
  if (image.kernel.empty() && image.disk_file.empty())
    find(root, "there is nothing to boot; give <boot kernel=...> or <disk file=...>");
  if (boot && image.kernel.empty() && !(image.initrd + image.parameters).empty())
    find(boot, "'initrd' and 'parameters' need a 'kernel'; add it");
  return findings;
}

}  // namespace

std::vector<xml::Finding> check_image_description(std::string_view text, const std::string& source) {
  xml::ParseOptions options;
  options.source = source;
  options.max_size = mib(1);
  const auto document = xml::Document::parse(text, options);
  if (!document) return {finding_of(document.error(), source)};
  return check(*document);
}

Result<ImageDescription> parse_image_description(std::string_view text, const std::string& source) {
  xml::ParseOptions options;
  options.source = source;
  options.max_size = mib(1);
  TRY_ASSIGN(const auto document, xml::Document::parse(text, options));
  TRY(status_of(check(document)));
  return read(document.root());
}

}  // namespace nuraghe::model
