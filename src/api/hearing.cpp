#include "api/hearing.hpp"

#include <algorithm>

#include "api/authentication.hpp"
#include "api/outside_door.hpp"
#include "services/notification/names.hpp"
#include "services/tenant/tenant.hpp"

namespace nuraghe::api {
namespace {

using services::notification::Subscriber;

constexpr std::string_view kToken = "token:";
constexpr std::string_view kMember = "member:";

// The role that the member has in the VO, or those that tokens of the name have; empty: none any more.
std::vector<Role> roles_now(const HearingOptions& options, const Subscriber& subscriber, std::string_view name,
                            bool is_member) {
  if (is_member) {
    const auto accounts = options.accounts->now();
    const std::string vo = subscriber.is_administrator ? std::string(services::tenant::kSite) : subscriber.vo;
    const auto found = accounts->members.find({vo, std::string(name)});
    if (found == accounts->members.end() || found->second.since > subscriber.since) return {};
    return {role_of(found->second.role)};
  }
  std::vector<Role> roles;
  for (const TokenEntry& entry : options.tokens) {
    const Identity& identity = entry.identity;
    // Who subscribed as an administrator does not go on as anything else, and nobody as an administrator else.
    const bool is_meant =
        identity.name == name && (identity.role == Role::kAdministrator) == subscriber.is_administrator;
    // Administrators and processes of the site act for every VO.
    if (is_meant && (!is_of_vo(identity.role) || identity.vo == subscriber.vo)) roles.push_back(identity.role);
  }
  return roles;
}

}  // namespace

bool may_hear(const HearingOptions& options, const Subscriber& subscriber) {
  const bool is_member = subscriber.caller.starts_with(kMember);
  if (!is_member && !subscriber.caller.starts_with(kToken)) return true;
  const std::string name = subscriber.caller.substr(is_member ? kMember.size() : kToken.size());
  if (is_member && services::tenant::is_name_by_rule(name)) return true;
  Identity identity;
  identity.name = name;
  identity.vo = subscriber.vo;
  static const xml::DocumentPtr kSubscribe =
      xml::Document::create({std::string(services::notification::kNotification), "Subscribe"}, "wsnt").share();
  exchange::Message request;
  request.to = subscriber.path;
  request.operation = "Subscribe";
  request.body = kSubscribe;
  return std::ranges::any_of(roles_now(options, subscriber, name, is_member), [&](Role role) {
    identity.role = role;
    return may_be_told(options.outside, identity, request).has_value();
  });
}

}  // namespace nuraghe::api
