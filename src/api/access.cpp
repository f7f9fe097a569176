#include "api/access.hpp"

#include <fmt/format.h>

namespace nuraghe::api {

namespace {

using contracts::Access;

bool has(Role role, Access access) {
  switch (access) {
    case Access::kViewer:
    case Access::kOperator:
    case Access::kOwner:
      return role != Role::kController;
    case Access::kSite:
      return role == Role::kAdministrator || role == Role::kPeer;
    case Access::kController:
      return role == Role::kController || role == Role::kPeer;
    case Access::kInternal:
      return role == Role::kPeer;
  }
  return false;
}

// What a door that is no operation asks for.
Access access_of(std::string_view method, std::string_view path) {
  // A seed holds private keys: nobody but who starts the host with it may read it.
  if (path.starts_with("/seeds/") || path.starts_with("/images/")) return Access::kController;
  // Typing into a console changes the host.
  return method == "POST" ? Access::kOperator : Access::kViewer;
}

}  // namespace

Status may(const Identity& identity, Access access, std::string_view what) {
  if (has(identity.role, access)) return {};
  if (identity.role == Role::kController) return denied(fmt::format("a controller's token does not open {}", what));
  switch (access) {
    case Access::kSite:
      return denied(
          fmt::format("{} concerns the whole site: it needs an administrator's token, and {} is a member; ask an "
                      "administrator to do it for the VO {} (nuraghe --vo {})",
                      what, identity.name, identity.vo, identity.vo));
    case Access::kController:
      return denied(fmt::format("only controllers of the site may use {}", what));
    case Access::kInternal:
      return denied(fmt::format(
          "{} is a step of Nuraghe's own workflows; call the operation of VCM or VHM that it serves", what));
    default:
      return denied(fmt::format("{} needs a token of the access {}", what, contracts::access_name(access)));
  }
}

Status may_call(const Identity& identity, std::string_view path, std::string_view operation) {
  const std::string what = fmt::format("{} of {}", operation, path);
  if (const auto* known = contracts::operation_at(path, operation)) return may(identity, known->access, what);
  const Status any = may(identity, Access::kSite, what);
  if (any || identity.role == Role::kController) return any;
  return not_found(fmt::format("there is no operation {} at {}", operation, path));
}

Status may_enter(const Identity& identity, std::string_view method, std::string_view path) {
  // That the process is alive is no secret to who has any token.
  if (path == "/healthz") return {};
  return may(identity, access_of(method, path), path);
}

}  // namespace nuraghe::api
