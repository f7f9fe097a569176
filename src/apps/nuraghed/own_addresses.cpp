#include "apps/nuraghed/own_addresses.hpp"

#include <fmt/format.h>

#include "net/http.hpp"

namespace nuraghe::daemon {

Result<std::string> parse_public_url(std::string_view text) {
  const auto url = net::parse_url(text);
  const bool is_good = url && (url->scheme == "http" || url->scheme == "https") && net::is_authority(url->authority) &&
                       url->target == "/" && text.find_first_of("?#") == std::string_view::npos;
  if (!is_good)
    return invalid(
        fmt::format("'{}' is no public URL: it has a scheme, a host and perhaps a port, such as "
                    "https://site.example:8470",
                    text));
  return url->base();
}

std::string host_of(std::string_view public_url) {
  const auto url = net::parse_url(public_url);
  if (!url) return {};
  const std::string& authority = url->authority;
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

soap::SharedPathOf own_paths(std::vector<std::string> bases, std::function<std::string(std::string_view)> name_of) {
  return std::make_shared<const soap::PathOf>(
      [bases = std::move(bases), name_of = std::move(name_of)](std::string_view address) -> std::optional<std::string> {
        for (const std::string& base : bases) {
          if (auto path = soap::path_below(base, address)) return path;
        }
        const auto url = net::parse_url(address);
        if (!url) return std::nullopt;
        const std::string name = name_of(url->base());
        if (name.empty()) return std::nullopt;
        auto path = soap::path_below({}, url->target);
        const std::string own = "/services/" + name;
        const bool is_its = path && (*path == own || path->starts_with(own + "/"));
        return is_its ? std::move(path) : std::nullopt;
      });
}

}  // namespace nuraghe::daemon
