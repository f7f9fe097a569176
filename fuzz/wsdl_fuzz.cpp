// Any bytes as a WSDL, and as a schema that a WSDL includes. Whatever comes, there are definitions and findings that
// each say what is wrong.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "soap/wsdl.hpp"

namespace {

using namespace nuraghe;  // NOLINT: a program of its own

constexpr std::string_view kIncluding =
    R"(<w:definitions targetNamespace="urn:t" xmlns:w="http://schemas.xmlsoap.org/wsdl/" xmlns:x="http://www.w3.org/2001/XMLSchema">
<w:types><x:schema targetNamespace="urn:t"><x:include schemaLocation="a.xsd"/></x:schema></w:types></w:definitions>)";

void read(const wsdl::Files& files, const std::string& path) {
  std::vector<xml::Finding> findings;
  const auto definitions = wsdl::Definitions::read({path}, files, findings);
  CHECK(definitions != nullptr);
  for (const auto& finding : findings) CHECK(!finding.message.empty());
  for (const auto& [name, type] : definitions->port_types()) {
    (void)definitions->address_of_port_type(name);
    (void)definitions->binding_at(name, "http://x");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  read({{"a.wsdl", input}}, "a.wsdl");
  read({{"b.wsdl", std::string(kIncluding)}, {"a.xsd", input}}, "b.wsdl");
  return 0;
}
