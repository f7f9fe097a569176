// A program that hosts one service: its exchange over a store of its own, behind the same doors as nuraghed's: SOAP
// with its description, REST, events, metrics. What `nuraghe service new` makes calls this from its main(). Told of a
// nuraghed, it registers there: the service is then one of those behind nuraghed's doors (docs/services.md).
//
//   STATE/NAME.db     what the service stores
//   STATE/token       who may enter (mode 0600, made with one administrator)
//   STATE/NAME.sock   its UNIX socket, always served; --listen adds a TCP address
//   STATE/pki/        its certificate, when it has joined a site (apps/controller/membership.hpp)
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "exchange/exchange.hpp"

namespace nuraghe::service {

struct ServiceProgram {
  std::string_view name;                                   // of its definition: it is at /services/NAME
  std::string_view version;                                // of the program: "0.1.0"
  const std::vector<std::string>* operations;              // its Skeleton's; lives as long as the program
  std::function<std::unique_ptr<exchange::Actor>()> make;  // called once; its name() is `name`
};

// All of main(): reads the options, serves until SIGTERM or SIGINT. Exit codes: 0 stopped as told, 1 it failed, 2
// usage. Says "NAME serves on BASE" on standard output once it is ready.
int run(int argc, char** argv, const ServiceProgram& program);

}  // namespace nuraghe::service
