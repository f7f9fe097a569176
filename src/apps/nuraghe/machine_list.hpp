// Machines as a file: CSV (RFC 4180) with a line of headings: name, driver, address, mac; a machine's several MAC
// addresses stand in one field, with blanks between them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "contracts/hades.hpp"

namespace nuraghe::cli {

struct ListedMachine {
  int line = 0;  // of the file, from 1
  contracts::hades::EnrolMachineRequest machine;
};

// kInvalid names file and line. `driver` is sim where the column or the field is not there.
Result<std::vector<ListedMachine>> parse_machine_list(std::string_view text, const std::string& file);

}  // namespace nuraghe::cli
