#include "bpel/deployment.hpp"

#include <fmt/format.h>

#include "bpel/runtime/program.hpp"

namespace nuraghe::bpel {
namespace {

class DescriptorReader {
 public:
  DescriptorReader(std::string file, std::vector<Diagnostic>& diagnostics)
      : file_(std::move(file)), diagnostics_(diagnostics) {}

  void complain(xml::Position where, std::string sentence, bool warning = false) {
    diagnostics_.push_back({"", file_, where, std::move(sentence), warning});
  }

  void read_deadlines(xml::Node element, ProcessDeployment& into) {
    if (const auto span = read_span(element, "invoke-deadline")) into.invoke_deadline = *span;
    if (const auto span = read_span(element, "unreachable-deadline")) into.unreachable_deadline = *span;
  }

  std::optional<Duration> read_span(xml::Node element, const char* attribute) {
    const auto text = element.attribute(attribute);
    if (!text) return std::nullopt;
    const auto span = parse_duration(*text);
    if (span && span->count() > 0) return *span;
    complain(element.position(), fmt::format("{}=\"{}\" is not a duration such as 30m or PT1H", attribute, *text));
    return std::nullopt;
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

  const std::string file_;
  std::vector<Diagnostic>& diagnostics_;
};

}  // namespace

const ProcessDeployment& DeployDescriptor::of(const std::string& file) const {
  const auto found = processes.find(file);
  return found == processes.end() ? defaults : found->second;
}

namespace {

// The descriptor of the package: at its top, else beside the processes.
std::string descriptor_file(const Package& package) {
  if (package.files.contains(std::string(kDeployFile))) return std::string(kDeployFile);
  for (const auto& [path, text] : package.files) {
    if (!path.ends_with(".bpel")) continue;
    const std::string beside = wsdl::resolve_location(path, kDeployFile);
    if (package.files.contains(beside)) return beside;
  }
  return {};
}

void read_own(xml::Node root, const Package& package, DescriptorReader& reader, DeployDescriptor& descriptor) {
  reader.read_deadlines(root, descriptor.defaults);
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
    reader.read_deadlines(process, own);
    reader.read_validation(process, own);
    for (const auto child : process.children()) {
      if (!reader.read_link(child, own)) reader.unknown(child);
    }
  }
}

// Apache ODE's: processes go by their names; of what it says only the ports of partner links mean something here.
void read_ports(xml::Node process, std::string_view element, std::map<std::string, PortName>& into) {
  for (const auto link : process.children(kOdeDeployNamespace, element)) {
    const auto service = link.child(kOdeDeployNamespace, "service");
    const auto name =
        service ? service.resolve_qname(service.attribute_or("name", "")) : Result<xml::QName>(xml::QName());
    const auto partner_link = link.attribute_or("partnerLink", "");
    if (!partner_link.empty() && name && !name->empty())
      into[partner_link] = {*name, service.attribute_or("port", ""), service.position()};
  }
}

void read_ode(xml::Node root, const Package& package, DescriptorReader& reader, DeployDescriptor& descriptor) {
  std::map<xml::QName, std::vector<std::string>> files;
  for (const auto& [path, text] : package.files) {
    if (!path.ends_with(".bpel")) continue;
    xml::ParseOptions options;
    options.source = path;
    const auto document = xml::Document::parse(text, options);
    if (!document) continue;  // reported when the process is parsed
    files[{document->root().attribute_or("targetNamespace", ""), document->root().attribute_or("name", "")}].push_back(
        path);
  }
  for (const auto process : root.children(kOdeDeployNamespace, "process")) {
    const auto name = process.resolve_qname(process.attribute_or("name", ""));
    const auto found = name ? files.find(*name) : files.end();
    if (found == files.end()) {
      reader.complain(process.position(),
                      fmt::format("the package has no process \"{}\"", process.attribute_or("name", "")), true);
      continue;
    }
    for (const auto& file : found->second) {
      auto& own = descriptor.processes[file];
      read_ports(process, "provide", own.provided);
      read_ports(process, "invoke", own.invoked);
    }
  }
}

}  // namespace

DeployDescriptor read_descriptor(const Package& package, std::vector<Diagnostic>& diagnostics) {
  DeployDescriptor descriptor;
  descriptor.source = descriptor_file(package);
  if (descriptor.source.empty()) return descriptor;
  const std::string& text = package.files.at(descriptor.source);
  DescriptorReader reader(descriptor.source, diagnostics);
  xml::ParseOptions options;
  options.source = descriptor.source;
  auto document = xml::Document::parse(text, options);
  if (!document) {
    // What another product wrote must not stand in the way; ours is meant to be read.
    reader.complain({}, document.error().message(), text.find(kDeployNamespace) == std::string::npos);
    return descriptor;
  }
  const auto root = document->root();
  if (root.is(kDeployNamespace, "deploy")) {
    read_own(root, package, reader, descriptor);
  } else if (root.is(kOdeDeployNamespace, "deploy")) {
    read_ode(root, package, reader, descriptor);
  } else {
    reader.complain(root.position(),
                    fmt::format("{} is not read: it is {}, not deploy of {} or {}", descriptor.source,
                                root.name().to_string(), kDeployNamespace, kOdeDeployNamespace),
                    true);
  }
  return descriptor;
}

namespace {

const wsdl::Port* find_port(const wsdl::Definitions& wsdl, const PortName& name) {
  const wsdl::Service* service = wsdl.service(name.service);
  return service == nullptr ? nullptr : service->port(name.port);
}

}  // namespace

void resolve_ports(const wsdl::Definitions& wsdl, const std::string& descriptor_file, ProcessDeployment& deployment,
                   std::vector<Diagnostic>* diagnostics) {
  const auto take = [&](const std::map<std::string, PortName>& ports, std::map<std::string, std::string>& into) {
    for (const auto& [link, name] : ports) {
      const auto* port = find_port(wsdl, name);
      if (port != nullptr && !port->address.empty()) {
        into.emplace(link, port->address);
      } else if (diagnostics != nullptr) {
        diagnostics->push_back({"", descriptor_file, name.where,
                                fmt::format("the WSDL files have no address for the service {}{}{}",
                                            name.service.to_string(), name.port.empty() ? "" : ", port ", name.port),
                                true});
      }
    }
  };
  std::map<std::string, std::string> served;
  take(deployment.provided, served);
  for (const auto& [link, address] : served) deployment.paths.emplace(link, runtime::path_of_address(address));
  take(deployment.invoked, deployment.addresses);
}

}  // namespace nuraghe::bpel
