// Any bytes as a process beside a fixed WSDL. Whatever comes, the answer is a definition or findings that each say
// what is wrong; what is accepted is drawn and listed without a defect.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "bpel/engine.hpp"

namespace {

using namespace nuraghe;  // NOLINT: a program of its own

constexpr std::string_view kWsdl =
    R"(<w:definitions targetNamespace="urn:t" xmlns:t="urn:t" xmlns:w="http://schemas.xmlsoap.org/wsdl/"
 xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:p="http://docs.oasis-open.org/wsbpel/2.0/plnktype"
 xmlns:v="http://docs.oasis-open.org/wsbpel/2.0/varprop"><w:types><x:schema targetNamespace="urn:t">
 <x:element name="in" type="x:string"/></x:schema></w:types><w:message name="M"><w:part name="p" element="t:in"/></w:message>
 <w:portType name="P"><w:operation name="o"><w:input message="t:M"/><w:output message="t:M"/></w:operation></w:portType>
 <p:partnerLinkType name="L"><p:role name="r" portType="t:P"/></p:partnerLinkType><v:property name="k" type="x:string"/>
 <v:propertyAlias propertyName="t:k" messageType="t:M" part="p"/></w:definitions>)";

void check_process(std::string_view input) {
  const bpel::Package files{{{"p.bpel", std::string(input)}, {"t.wsdl", std::string(kWsdl)}}};
  const auto prepared = bpel::Engine::prepare("p", files);
  for (const auto& finding : prepared->deployment.diagnostics) CHECK(!finding.sentence.empty());
  CHECK(prepared->deployment.accepted || !prepared->deployment.diagnostics.empty());
  if (!prepared->deployment.accepted) return;
  for (const auto& definition : prepared->definitions) {
    for (const auto& node : definition->nodes()) CHECK(!definition->path_of(node->index).empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_process({reinterpret_cast<const char*>(data), size});
  return 0;
}
