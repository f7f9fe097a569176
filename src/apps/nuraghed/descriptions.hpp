// The descriptions that nuraghed's doors serve: those made of the contracts, and of services of other programs.
#pragma once

#include <string>

#include "api/outside_table.hpp"
#include "base/result.hpp"

namespace nuraghe::daemon {

// What is served at /services/SERVICE?wsdl (an empty `file`), or under the name that this one gives to another document
// of it; SERVICE may be a WS-Resource's path. `is_controller`: its first part is a controller's name, which all share
// one description. kNotFound: there is no such description.
Result<std::string> description_of(const std::string& service, const std::string& file, bool is_controller,
                                   const api::OutsideTable& table);

}  // namespace nuraghe::daemon
