#include "apps/nuraghed/descriptions.hpp"

#include "contracts/texts.hpp"
#include "wsrf/address.hpp"

namespace nuraghe::daemon {

Result<std::string> description_of(const std::string& service, const std::string& file, bool is_controller,
                                   const api::OutsideTable& table) {
  const auto resource = wsrf::find_address("/services/" + service);
  const std::string name = service.substr(0, service.find('/'));
  const std::string wsdl = resource ? wsrf::description_of(*resource) : is_controller ? "vhc" : name;
  constexpr std::string_view kWsdl = ".wsdl";
  if (table.has("/services/" + name)) {
    // What its own definition does not make, it has from Nuraghe's.
    if (auto text = table.document(name, file); text || file.empty()) return text;
  }
  const auto text = file.empty()            ? contracts::wsdl_text(wsdl)
                    : file.ends_with(kWsdl) ? contracts::wsdl_text(file.substr(0, file.size() - kWsdl.size()))
                                            : contracts::xsd_text(file);
  if (text.empty()) return not_found("there is no such description");
  return std::string(text);
}

}  // namespace nuraghe::daemon
