// Catalogue: what is deployed and which services it offers, as the doors see it: a snapshot that nobody changes.
//
// A service is a partner link with an own role. It stands at two paths: its own, /processes/PROCESS/PARTNERLINK, and
// the path of its soap:address (or deploy.xml's), which it may share with others: those of the newest deployment come
// first, those that take no new instances last.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bpel/engine.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::bpelhost {

struct ServedOperation {
  const wsdl::Operation* operation = nullptr;
  const wsdl::Message* input = nullptr;
  std::string action;  // SOAPAction of its binding; may be empty
};

struct Service {
  std::shared_ptr<const bpel::runtime::Program> program;  // keeps everything below alive
  const bpel::PartnerLink* link = nullptr;
  bool active = false;
  std::int64_t order = 0;   // of its deployment
  std::string own_path;     // "/processes/PROCESS/PARTNERLINK"
  std::string shared_path;  // may be equal
  std::string address;      // soap:address as the WSDL has it; may be empty
  bool soap_11 = true, soap_12 = false;
  std::vector<ServedOperation> operations;
  std::set<xml::QName> header_blocks;  // that bindings make of parts of requests
  const bpel::ProcessDefinition& definition() const { return *program->definition; }
};

struct DeployedPackage {
  std::string id;  // "NAME-VERSION"
  std::string name;
  std::int64_t version = 0;
  bool active = false;
  std::int64_t order = 0;
  std::vector<std::shared_ptr<const bpel::runtime::Program>> programs;
  std::vector<std::shared_ptr<const Service>> services;
};

class Catalogue {
 public:
  // Of an engine, in one of its turns.
  static std::shared_ptr<const Catalogue> of(const bpel::Engine& engine);

  // In order of id.
  const std::map<std::string, DeployedPackage>& packages() const { return packages_; }
  const DeployedPackage* package(const std::string& id) const;
  // Null when nothing is served there.
  const std::vector<std::shared_ptr<const Service>>* at(std::string_view path) const;
  // The path at which an address is served here because it is the soap:address of an own role; empty: it is not.
  std::string path_of_address(std::string_view address) const;

 private:
  // Those of the service's other addresses.
  void add_more_paths(const std::shared_ptr<const bpel::runtime::Program>& program, const bpel::PartnerLinkRef& ref,
                      const std::shared_ptr<const Service>& service);
  std::map<std::string, DeployedPackage> packages_;
  std::map<std::string, std::vector<std::shared_ptr<const Service>>, std::less<>> paths_;
  std::map<std::string, std::string, std::less<>> addresses_;
};

struct FoundOperation {
  std::string operation;
  bool one_way = false;
};
// Which operation of the services at one path a request asks for: the one whose input is this element or, in
// rpc/literal, is called so; between several the one with this SOAPAction, else the one that `named` (what the envelope
// says by itself) is. kUnsupported names what is served.
Result<FoundOperation> find_operation(const std::vector<std::shared_ptr<const Service>>& services,
                                      std::string_view action, std::string_view named, const xml::QName& body);

}  // namespace nuraghe::bpelhost
