// What the factory knows of physical hosts, and tells their controllers.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "net/http.hpp"
#include "services/entered.hpp"
#include "services/vcf/member_keys.hpp"
#include "services/vhf/vhf.hpp"

namespace nuraghe::services::vhf {
api::PhysicalHost Factory::seen(const PhysicalRow& row, TimePoint now) const {
  api::PhysicalHost host = row.host;
  host.alive = alive(row, now);
  host.alive_until = alive_until(row);
  return host;
}

Result<std::string> Factory::controller_address(exchange::Turn& turn, const std::string& physical_host) const {
  TRY_ASSIGN(const auto row, book_.physical_host(turn.transaction(), physical_host));
  if (!row) return not_found(fmt::format("there is no controller {}", physical_host));
  return row->host.address;
}

Status Factory::check_registration(const exchange::Message& request,
                                   const api::RegisterPhysicalHostRequest& input) const {
  if (options_.check_name) TRY(options_.check_name(input.name));
  // What listens on nuraghed's machine alone, and the site's token, are not for who is let in from others.
  if (!came_by_certificate(request) || input.address.starts_with("https://")) return {};
  return denied(fmt::format("'{}' is not https: a controller that has joined the site is reached with TLS",
                            xml::printable(input.address)));
}

// Whom nuraghed expects at an address is known by its base alone. Controllers that came by the site's token have what
// they would take from each other, and those within one process share an address.
Status Factory::check_address(exchange::Turn& turn, const exchange::Message& request,
                              const api::RegisterPhysicalHostRequest& input) const {
  const auto url = net::parse_url(input.address);
  if (!url) return {};
  if (came_by_certificate(request) && std::ranges::find(options_.own_bases, url->base()) != options_.own_bases.end())
    return conflict(
        fmt::format("{} is where nuraghed is: let {} listen at an address of its own", url->base(), input.name));
  TRY_ASSIGN(const auto rows, book_.physical_hosts(turn.transaction()));
  for (const auto& row : rows) {
    const auto there = net::parse_url(row.host.address);
    const bool is_there = row.host.name != input.name && there && there->base() == url->base();
    const bool can_be_told_apart = came_by_certificate(request) || is_by_certificate(row);
    if (!is_there || !can_be_told_apart || is_revoked(row) || !alive(row, turn.now())) continue;
    return conflict(fmt::format(
        "{} is where the controller {} is: let {} listen at an address of its own, or take {} away first (nuraghe host "
        "forget {})",
        url->base(), row.host.name, input.name, row.host.name, row.host.name));
  }
  return {};
}

Result<std::vector<api::ShutOut>> Factory::shut_out_of(exchange::Turn& turn,
                                                       const std::vector<contracts::vhc::Host>& hosts,
                                                       const std::vector<std::string>& unknown) const {
  std::set<std::string> vos;
  for (const auto& host : hosts) {
    if (std::ranges::find(unknown, host.id) == unknown.end()) vos.insert(host.vo);
  }
  std::vector<api::ShutOut> out;
  for (const auto& vo : vos) {
    TRY_ASSIGN(auto entries, shut_out_.of_vo(turn.transaction(), vo, turn.now()));
    for (auto& entry : entries) out.push_back({vo, std::move(entry.login), entry.since + vcf::kLoginValid});
  }
  return out;
}

}  // namespace nuraghe::services::vhf
