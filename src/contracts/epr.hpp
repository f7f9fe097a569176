// Epr: a wsa:EndpointReference as the services use it: its address names the resource, without reference parameters
// (WS-Addressing 1.0 Core §2).
#pragma once

#include <string>

namespace nuraghe::contracts {

struct Epr {
  std::string address;
  bool operator==(const Epr&) const = default;
  template <class Visitor>
  void fields(Visitor& visitor) {
    visitor(1, address);
  }
};

}  // namespace nuraghe::contracts
