// The site's certificates: its authority (files of nuraghed's state folder, so on its machine), join tokens,
// revocation.
#include <fmt/format.h>

#include <algorithm>

#include "apps/nuraghe/commands.hpp"
#include "contracts/ca.hpp"
#include "env/posix.hpp"
#include "images/digest.hpp"
#include "pki/authority_folder.hpp"

namespace nuraghe::cli {
namespace {

namespace ca = contracts::ca;

constexpr std::string_view kScheme = "sha256:";

Result<ca::Client> registry(Context& context) {
  TRY_ASSIGN(auto* connection, context.connection());
  return ca::Client(connection->caller(), connection->service("ca"));
}

ca::MemberKind kind_of(Member member) {
  return member == Member::kService ? ca::MemberKind::kService : ca::MemberKind::kHost;
}

pki::AuthorityFolder authority_of(const Context& context) {
  return pki::AuthorityFolder(context.options().state + "/ca");
}

Status print_authority(Context& context, const std::string& did) {
  const auto folder = authority_of(context);
  TRY_ASSIGN(const auto signer, folder.signer());
  TRY_ASSIGN(const auto facts, pki::facts_of(signer.certificate));
  if (context.json()) {
    context.print_json(boost::json::object{{"subject", facts.subject},
                                           {"fingerprint", facts.fingerprint},
                                           {"until", facts.validity.until.to_string()},
                                           {"trusted", folder.trusted_file()}});
    return {};
  }
  context.print_line(
      fmt::format("{}: {}, {}, until {}", did, facts.subject, facts.fingerprint, facts.validity.until.to_string()));
  return {};
}

// Hosts that would be locked out if only the root that signs were trusted.
Status check_all_follow(Context& context) {
  TRY_ASSIGN(auto client, registry(context));
  TRY_ASSIGN(const auto roots, client.list_roots({}));
  TRY_ASSIGN(const auto certificates, client.list_certificates({}));
  std::string signer;
  for (const auto& root : roots.root) {
    if (root.signs) signer = root.fingerprint;
  }
  std::vector<std::string> left;
  for (const auto& one : certificates.certificate) {
    const auto is_newer = [&](const ca::Certificate& other) {
      return other.name == one.name && other.kind == one.kind && !other.revoked && other.issuer == signer;
    };
    const auto& all = certificates.certificate;
    const bool is_named = std::find(left.begin(), left.end(), one.name) != left.end();
    if (!one.revoked && !is_named && std::none_of(all.begin(), all.end(), is_newer)) left.push_back(one.name);
  }
  if (left.empty()) return {};
  std::string names;
  for (const auto& name : left) names += (names.empty() ? "" : ", ") + name;
  return conflict(fmt::format(
      "{} still {} a certificate of the root of before: start vhcd (the service) there and wait until it has "
      "another one (a minute), or revoke what is gone for good (nuraghe host revoke NAME, nuraghe service "
      "revoke NAME)",
      names, left.size() == 1 ? "has" : "have"));
}

}  // namespace

Status init_authority(Context& context, const AuthorityOptions& options) {
  TRY_ASSIGN(const Duration lifetime, parse_duration(options.lifetime));
  TRY(env::make_directories(context.options().state, 0700));
  TRY(authority_of(context).init(options.site, env::system_clock().now(), lifetime));
  TRY(print_authority(context, "made the CA"));
  context.print_line("nuraghed serves with TLS when it is started (again) with --listen ADDRESS:PORT");
  return {};
}

Status show_authority(Context& context) {
  TRY_ASSIGN(auto client, registry(context));
  TRY_ASSIGN(const auto roots, client.list_roots({}));
  TRY_ASSIGN(const auto certificates, client.list_certificates({}));
  if (context.json()) {
    boost::json::array list;
    for (const auto& root : roots.root)
      list.push_back(boost::json::object{{"subject", root.subject},
                                         {"fingerprint", root.fingerprint},
                                         {"until", root.valid_until.to_string()},
                                         {"signs", root.signs}});
    boost::json::array hosts;
    for (const auto& one : certificates.certificate)
      hosts.push_back(boost::json::object{{"host", one.name},
                                          {"serial", one.serial},
                                          {"issuer", one.issuer},
                                          {"until", one.valid_until.to_string()},
                                          {"revoked", one.revoked ? one.revoked->to_string() : ""},
                                          {"kind", ca::to_string(one.kind)}});
    context.print_json(boost::json::object{{"roots", std::move(list)}, {"certificates", std::move(hosts)}});
    return {};
  }
  std::vector<std::vector<std::string>> rows{{"OF", "UNTIL", "STATE", "SERIAL OR FINGERPRINT"}};
  for (const auto& root : roots.root)
    rows.push_back({root.subject, root.valid_until.to_string(), root.signs ? "signs" : "trusted", root.fingerprint});
  for (const auto& one : certificates.certificate)
    rows.push_back({(one.kind == ca::MemberKind::kService ? "service " : "") + one.name, one.valid_until.to_string(),
                    one.revoked ? "revoked" : "valid", one.serial});
  context.print_table(rows);
  return {};
}

Status rotate_authority(Context& context, const AuthorityOptions& options) {
  const auto folder = authority_of(context);
  if (options.change_over) {
    TRY(folder.change_over());
    return print_authority(context, "signs from now on");
  }
  if (options.finish) {
    if (!options.force) TRY(check_all_follow(context));
    TRY(folder.finish());
    return print_authority(context, "trusted alone from now on");
  }
  TRY_ASSIGN(const Duration lifetime, parse_duration(options.lifetime));
  TRY(folder.prepare(options.site, env::system_clock().now(), lifetime));
  context.print_line(
      "the next root is trusted beside the one of before; when every vhcd knows it (they look once a minute): "
      "nuraghe ca rotate --change-over");
  return {};
}

Status make_join_token(Context& context, Member member, const std::string& name, const std::string& lifetime,
                       const std::string& file) {
  TRY_ASSIGN(auto client, registry(context));
  TRY_ASSIGN(const Duration span, parse_duration(lifetime));
  const std::string secret = env::make_id(env::system_random(), "join");
  TRY_ASSIGN(
      const auto made,
      client.create_join_token(
          {.name = name, .secret_digest = images::digest_of(secret), .lifetime = span, .kind = kind_of(member)}));
  const std::string token = fmt::format("{}.{}.{}", name, secret, made.root.substr(kScheme.size()));
  if (!file.empty()) {
    TRY(env::write_file_durably(file, token + "\n", 0600));
    context.print_line(
        fmt::format("{} holds a token for {}, good once and until {}", file, name, made.expires.to_string()));
    return {};
  }
  if (context.json()) {
    context.print_json(boost::json::object{{"token", token}, {"expires", made.expires.to_string()}});
  } else {
    context.print_line(token);
  }
  return {};
}

Status revoke_member(Context& context, Member member, const std::string& name) {
  TRY(context.confirm(
      fmt::format("Withdraw the certificates of {}? It can come back with a new join token only.", name)));
  TRY_ASSIGN(auto client, registry(context));
  TRY_ASSIGN(const auto done, client.revoke_host({.name = name, .kind = kind_of(member)}));
  if (context.json()) {
    context.print_json(boost::json::object{{"certificates", done.certificates}, {"tokens", done.tokens}});
    return {};
  }
  context.print_line(fmt::format("{}: {} and {} withdrawn", name,
                                 counted(static_cast<std::size_t>(done.certificates), "certificate"),
                                 counted(static_cast<std::size_t>(done.tokens), "join token")));
  return {};
}

}  // namespace nuraghe::cli
