#include "api/hearing.hpp"

#include <algorithm>
#include <optional>

#include "api/authentication.hpp"
#include "api/outside_door.hpp"
#include "services/notification/names.hpp"
#include "services/tenant/tenant.hpp"

namespace nuraghe::api {
namespace {

using services::notification::Subscriber;

constexpr std::string_view kToken = "token:";
constexpr std::string_view kMember = "member:";

// The role that its token has, or that the member has in the VO; nullopt: none any more.
std::optional<Role> role_now(const HearingOptions& options, const Subscriber& subscriber, std::string_view name,
                             bool is_member) {
  if (is_member) {
    const auto accounts = options.accounts->now();
    const std::string vo = subscriber.is_administrator ? std::string(services::tenant::kSite) : subscriber.vo;
    const auto found = accounts->members.find({vo, std::string(name)});
    if (found == accounts->members.end() || found->second.since > subscriber.since) return std::nullopt;
    return role_of(found->second.role);
  }
  const auto found = std::ranges::find_if(options.tokens, [&](const TokenEntry& entry) {
    const Identity& identity = entry.identity;
    if (identity.name != name) return false;
    if (is_of_vo(identity.role)) return !subscriber.is_administrator && identity.vo == subscriber.vo;
    return identity.role == Role::kAdministrator;
  });
  return found == options.tokens.end() ? std::nullopt : std::optional(found->identity.role);
}

}  // namespace

bool may_hear(const HearingOptions& options, const Subscriber& subscriber) {
  const bool is_member = subscriber.caller.starts_with(kMember);
  if (!is_member && !subscriber.caller.starts_with(kToken)) return true;
  const std::string name = subscriber.caller.substr(is_member ? kMember.size() : kToken.size());
  if (is_member && services::tenant::is_name_by_rule(name)) return true;
  const auto role = role_now(options, subscriber, name, is_member);
  if (!role) return false;
  Identity identity;
  identity.name = name;
  identity.vo = subscriber.vo;
  identity.role = *role;
  static const xml::DocumentPtr kSubscribe =
      xml::Document::create({std::string(services::notification::kNotification), "Subscribe"}, "wsnt").share();
  exchange::Message request;
  request.to = subscriber.path;
  request.operation = "Subscribe";
  request.body = kSubscribe;
  return may_be_told(options.outside, identity, request).has_value();
}

}  // namespace nuraghe::api
