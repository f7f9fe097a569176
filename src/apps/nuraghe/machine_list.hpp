// Machines as a file: CSV (RFC 4180) with a line of headings: name, driver, address, mac; a machine's several MAC
// addresses stand in one field, with blanks between them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "contracts/hades.hpp"

namespace nuraghe::cli {

// kInvalid names file and line. `driver` is sim where the column or the field is not there.
Result<std::vector<contracts::hades::EnrolMachineRequest>> parse_machine_list(std::string_view text,
                                                                              const std::string& file);

}  // namespace nuraghe::cli
