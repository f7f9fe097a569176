#include "api/access.hpp"

#include <fmt/format.h>

namespace nuraghe::api {

namespace {

using contracts::Access;

// Another process of the site that is no peer.
bool is_process(Role role) { return role == Role::kController || role == Role::kService; }

bool has(Role role, Access access) {
  switch (access) {
    case Access::kViewer:
      return !is_process(role);
    case Access::kOperator:
      return !is_process(role) && role != Role::kViewer;
    case Access::kOwner:
      return role == Role::kOwner || role == Role::kAdministrator || role == Role::kPeer;
    case Access::kSite:
      return role == Role::kAdministrator || role == Role::kPeer;
    case Access::kController:
      return is_process(role) || role == Role::kPeer;
    case Access::kInternal:
      return role == Role::kPeer;
  }
  return false;
}

Error which_vo(const Identity& identity) {
  std::string vos;
  for (const auto& membership : identity.memberships) vos += (vos.empty() ? "" : ", ") + membership.vo;
  return invalid(
      fmt::format("{} is a member of several VOs ({}): say for which one this is, by the header Nuraghe-VO, "
                  "the SOAP header vo, or nuraghe --vo",
                  identity.caller(), vos));
}

// What a door that is no operation asks for.
Access access_of(std::string_view method, std::string_view path) {
  // A seed holds private keys: nobody but who starts the host with it may read it.
  if (path.starts_with("/seeds/") || path.starts_with("/images/")) return Access::kController;
  // The memory of a host holds all its secrets.
  if (path.starts_with("/services/") && path.find("/frozen/") != std::string_view::npos) return Access::kInternal;
  // Typing into a console changes the host.
  return method == "POST" ? Access::kOperator : Access::kViewer;
}

}  // namespace

Status may(const Identity& identity, Access access, std::string_view what) {
  if (is_of_vo(identity.role) && identity.vo.empty()) return which_vo(identity);
  if (has(identity.role, access)) return {};
  if (is_process(identity.role))
    return denied(fmt::format("a {}'s token does not open {}", role_name(identity.role), what));
  switch (access) {
    case Access::kSite:
      return denied(
          fmt::format("{} concerns the whole site: it needs an administrator, and {} is {} of {}; ask an "
                      "administrator to do it for the VO {} (nuraghe --vo {})",
                      what, identity.name, role_name(identity.role), identity.vo, identity.vo, identity.vo));
    case Access::kController:
      return denied(fmt::format("only controllers and services of the site may use {}", what));
    case Access::kInternal:
      return denied(fmt::format(
          "{} is a step of Nuraghe's own workflows; call the operation of VCM or VHM that it serves", what));
    default:
      return denied(fmt::format("{} needs the role {} in the VO {}, where {} is {}; an owner of the VO can change that",
                                what, contracts::access_name(access), identity.vo, identity.name,
                                role_name(identity.role)));
  }
}

Status may_call(const Identity& identity, std::string_view path, std::string_view operation) {
  const std::string what = fmt::format("{} of {}", operation, path);
  if (const auto* known = contracts::operation_at(path, operation)) return may(identity, known->access, what);
  const Status any = may(identity, Access::kSite, what);
  if (any || is_process(identity.role)) return any;
  return not_found(fmt::format("there is no operation {} at {}", operation, path));
}

Status may_send(const Identity& identity, std::string_view path, std::string_view operation, const xml::QName& body) {
  // Only by its own name: an action that names another operation makes it no other message.
  // Those of a resource were answered for before; what is left are the topics that a service tells of.
  const bool is_of_producer = body.ns == "http://docs.oasis-open.org/wsrf/rp-2" &&
                              (operation == "GetResourceProperty" || operation == "GetResourcePropertyDocument");
  const bool is_known = body.ns == "http://docs.oasis-open.org/wsn/b-2" || is_of_producer;
  const bool is_notification = is_known && body.local == operation;
  if (is_notification) return may(identity, Access::kViewer, fmt::format("{} at {}", operation, path));
  return may_call(identity, path, operation);
}

Result<std::shared_ptr<const Identity>> acting_in(const std::shared_ptr<const Identity>& identity,
                                                  std::string_view claimed_vo, const exchange::Message& request) {
  TRY_ASSIGN(auto acting, acting_for(identity, claimed_vo));
  constexpr std::string_view kTenants = "/services/tenant";
  const bool is_tenants = request.to == kTenants || request.to.starts_with(std::string(kTenants) + "/");
  if (!is_tenants || !request.body) return acting;
  const xml::Node root = request.body->root();
  const xml::Node about = root.child(root.namespace_uri(), "vo");
  const std::string vo = about ? about.text() : std::string();
  return vo.empty() ? acting : acting_about(identity, vo);
}

Result<std::shared_ptr<const Identity>> acting_about(const std::shared_ptr<const Identity>& identity,
                                                     std::string_view vo) {
  auto found = acting_for(identity, vo);
  if (found || found.error().code() != ErrorCode::kDenied) return found;
  return not_found(fmt::format("there is no VO {}; 'nuraghe vo ls' lists what there is", xml::printable(vo)));
}

std::string origin_of(const Identity& identity, std::string_view door, std::string_view peer) {
  if (identity.role == Role::kPeer || is_process(identity.role)) return "";
  const std::size_t port = peer.rfind(':');
  return fmt::format("{} {}", door, peer.substr(0, port));
}

Status may_enter(const Identity& identity, std::string_view method, std::string_view path) {
  // That the process is alive is no secret to who has any token.
  if (path == "/healthz") return {};
  // Seeds and images are for controllers: of processes, nobody else starts hosts.
  if (identity.role == Role::kService) return denied(fmt::format("a service's certificate does not open {}", path));
  return may(identity, access_of(method, path), path);
}

}  // namespace nuraghe::api
