#include "apps/controller/settings.hpp"

#include <fmt/format.h>

#include <string_view>

#include "apps/controller/words.hpp"
#include "contracts/operation.hpp"

namespace nuraghe::controller {

bool is_service_name(const std::string& name) { return contracts::find_service(name) != nullptr; }

Status check_controller_name(const std::string& name) {
  if (name.empty() || name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
    return invalid(fmt::format("'{}' is not a controller's name; use lower-case letters, digits and '-'", name));
  if (is_service_name(name))
    return invalid(fmt::format("a controller cannot be called {}: that is the name of a service", name));
  return {};
}

Result<ControllerSettings> parse_controller(const std::string& text) {
  ControllerSettings controller;
  const auto colon = text.find(':');
  controller.name = text.substr(0, colon);
  TRY(check_controller_name(controller.name));
  if (colon == std::string::npos) return controller;
  for (const auto& part : split(text.substr(colon + 1), ',')) {
    const auto equals = part.find('=');
    const std::string key = part.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (key == "cpus") {
      TRY_ASSIGN(controller.cpus, to_int(value));
    } else if (key == "memory") {
      TRY_ASSIGN(controller.memory, parse_bytes(value));
    } else if (key == "disk") {
      TRY_ASSIGN(controller.disk, parse_bytes(value));
    } else if (key == "site") {
      controller.site = value;
    } else if (key == "driver") {
      controller.driver = value;
    } else if (key == "tunnel") {
      controller.tunnel = value;
    } else {
      return invalid(
          fmt::format("'{}' is no property of a controller; there are cpus, memory, disk, site, driver, tunnel", key));
    }
  }
  return controller;
}

}  // namespace nuraghe::controller
