// The WSDL and XSD texts of the services, built in: what `?wsdl` and the schema addresses beside it answer.
//
// Paths are relative to the contracts folder, and imports among the texts are relative too: served below one common
// address ("/services/vhf?wsdl" and "/services/fault.xsd", "/services/standards/wsa/ws-addr.xsd") they find each other.
// All functions are thread safe; views stay valid for ever.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace nuraghe::contracts {

// The WSDL of a service ("vhf") or of a kind of its resources ("vcf-cluster", "vcf-cluster-group"); empty when there is
// none.
std::string_view wsdl_text(std::string_view service);
// A schema ("vhf.xsd", "standards/wsa/ws-addr.xsd"); empty when there is none.
std::string_view xsd_text(std::string_view path);
// The OpenAPI 3.1 document of all REST routes (JSON).
std::string_view openapi_text();
// The names of all services, sorted.
std::vector<std::string> service_names();
// All texts, WSDL and XSD, by path: what resolves the imports of any of them.
const std::map<std::string, std::string>& all_texts();

// The WSDL with every soap:address (SOAP 1.1 and 1.2) replaced by this one.
std::string with_address(std::string_view wsdl, std::string_view address);

}  // namespace nuraghe::contracts
