// The processes whose crashes are tested: every construct of WS-BPEL 2.0 stands in one of them.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bpel/testing.hpp"

namespace nuraghe::bpel::testing {

struct Scenario {
  std::string name;
  std::string process;
  std::vector<std::pair<std::string, std::string>> requests;  // operation, content
  std::string failing;                                        // contents that the partner answers by a fault
  std::map<std::string, std::string> more{};                  // files of the package beside the process

  std::map<std::string, std::string> files() const {
    auto all = more;
    all["p.bpel"] = process;
    return all;
  }
};

inline void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

// Each has one request at least; all ends by itself when the client has sent its requests and the clock goes on.
std::vector<Scenario> crash_scenarios();

}  // namespace nuraghe::bpel::testing
