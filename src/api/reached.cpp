#include "api/reached.hpp"

#include <fmt/format.h>

namespace nuraghe::api {

std::string lasting_base(const GatewayOptions& options, const net::HttpRequest& request) {
  if (!options.public_url.empty()) return options.public_url;
  return request.reached_at.empty() ? options.public_base : request.reached_at;
}

std::string base_for(const GatewayOptions& options, const net::HttpRequest& request) {
  const std::string_view host = request.header("Host");
  // What stands in Host over a UNIX socket names nothing.
  if (!options.public_url.empty() || request.reached_at.empty() || !net::is_authority(host))
    return lasting_base(options, request);
  const std::string_view scheme = std::string_view(request.reached_at).substr(0, request.reached_at.find("://"));
  return fmt::format("{}://{}", scheme, host);
}

}  // namespace nuraghe::api
