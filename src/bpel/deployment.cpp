#include "bpel/deployment.hpp"

#include <fmt/format.h>

namespace nuraghe::bpel {
namespace {

class DescriptorReader {
 public:
  explicit DescriptorReader(std::vector<Diagnostic>& diagnostics) : diagnostics_(diagnostics) {}

  void complain(xml::Position where, std::string sentence, bool warning = false) {
    diagnostics_.push_back({"", std::string(kDeployFile), where, std::move(sentence), warning});
  }

  void read_deadline(xml::Node element, ProcessDeployment& into) {
    const auto text = element.attribute("invoke-deadline");
    if (!text) return;
    const auto span = parse_duration(*text);
    if (span && span->count() > 0)
      into.invoke_deadline = *span;
    else
      complain(element.position(), fmt::format("invoke-deadline=\"{}\" is not a duration such as 30m or PT1H", *text));
  }

  void read_validation(xml::Node element, ProcessDeployment& into) {
    const auto text = element.attribute("validate");
    if (!text) return;
    if (*text == "yes" || *text == "no")
      into.validate = *text == "yes";
    else
      complain(element.position(), fmt::format("validate=\"{}\" is neither yes nor no", *text));
  }

  // True when the element is one of those that say something about partner links.
  bool read_link(xml::Node element, ProcessDeployment& into) {
    if (element.is(kDeployNamespace, "partnerLink")) {
      put(element, "name", "address", into.addresses);
    } else if (element.is(kDeployNamespace, "myRole")) {
      put(element, "partnerLink", "path", into.paths);
    } else {
      return false;
    }
    return true;
  }

  void unknown(xml::Node element) {
    complain(element.position(), fmt::format("the element {} is not known here", element.name().to_string()));
  }

 private:
  void put(xml::Node element, std::string_view key, std::string_view value, std::map<std::string, std::string>& into) {
    const auto name = element.attribute(key);
    const auto content = element.attribute(value);
    if (name && content && !name->empty() && !content->empty()) {
      into[*name] = *content;
      return;
    }
    complain(element.position(), fmt::format("{} needs the attributes {} and {}", element.local_name(), key, value));
  }

  std::vector<Diagnostic>& diagnostics_;
};

}  // namespace

const ProcessDeployment& DeployDescriptor::of(const std::string& file) const {
  const auto found = processes.find(file);
  return found == processes.end() ? defaults : found->second;
}

DeployDescriptor read_descriptor(const Package& package, std::vector<Diagnostic>& diagnostics) {
  DeployDescriptor descriptor;
  const auto text = package.files.find(std::string(kDeployFile));
  if (text == package.files.end()) return descriptor;
  DescriptorReader reader(diagnostics);
  xml::ParseOptions options;
  options.source = std::string(kDeployFile);
  auto document = xml::Document::parse(text->second, options);
  if (!document) {
    reader.complain({}, document.error().message());
    return descriptor;
  }
  const auto root = document->root();
  if (!root.is(kDeployNamespace, "deploy")) {
    reader.complain(root.position(), fmt::format("the root must be deploy of {}", kDeployNamespace));
    return descriptor;
  }
  reader.read_deadline(root, descriptor.defaults);
  reader.read_validation(root, descriptor.defaults);
  for (const auto child : root.children()) {
    if (!reader.read_link(child, descriptor.defaults) && !child.is(kDeployNamespace, "process")) reader.unknown(child);
  }
  for (const auto process : root.children(kDeployNamespace, "process")) {
    const auto file = process.attribute_or("file", "");
    if (!package.files.contains(file)) {
      reader.complain(process.position(), fmt::format("the package has no file \"{}\"", file), true);
      continue;
    }
    auto& own = descriptor.processes.emplace(file, descriptor.defaults).first->second;
    reader.read_deadline(process, own);
    reader.read_validation(process, own);
    for (const auto child : process.children()) {
      if (!reader.read_link(child, own)) reader.unknown(child);
    }
  }
  return descriptor;
}

}  // namespace nuraghe::bpel
