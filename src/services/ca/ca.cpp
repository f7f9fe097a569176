#include "services/ca/ca.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nuraghe::services::ca {

namespace {

constexpr const char* kSweepTimer = "sweep";
constexpr Duration kSweepInterval = std::chrono::hours(1);
constexpr Duration kRemembered = std::chrono::hours(24);  // a token that was used, a certificate that has expired
constexpr std::size_t kLongestName = 63;                  // of one label of a DNS name (RFC 1035 §2.3.4)

using api::MemberKind;

// A service and a physical host of one name are two.
std::string prefix_of(MemberKind kind, const std::string& name) {
  return fmt::format("{}{}/", kind == MemberKind::kService ? "service:" : "", name);
}
std::string key_of(const api::Certificate& certificate) {
  return prefix_of(certificate.kind, certificate.name) + certificate.serial;
}

std::string_view words_of(MemberKind kind) { return kind == MemberKind::kService ? "service" : "physical host"; }

Status check_name(MemberKind kind, const std::string& name) {
  const char link = kind == MemberKind::kService ? '_' : '-';
  const std::string allowed = std::string("abcdefghijklmnopqrstuvwxyz0123456789") + link;
  const bool is_good = !name.empty() && name.size() <= kLongestName && name.front() != link && name.back() != link &&
                       name.find_first_not_of(allowed) == std::string::npos;
  if (is_good) return {};
  return invalid(fmt::format("'{}' is not a {}'s name; use at most {} lower-case letters, digits and '{}'", name,
                             words_of(kind), kLongestName, link));
}

Status check_digest(const std::string& text) {
  constexpr std::string_view kScheme = "sha256:";
  const bool is_one = text.starts_with(kScheme) && text.size() == kScheme.size() + 64 &&
                      text.find_first_not_of("0123456789abcdef", kScheme.size()) == std::string::npos;
  if (is_one) return {};
  return invalid("secret_digest is sha256: and 64 lower-case hex digits");
}

bool counts(const api::Certificate& certificate, TimePoint now) {
  return !certificate.revoked && certificate.valid_until > now;
}

exchange::Event event_of(std::string kind, MemberKind member, const std::string& name, std::string text) {
  exchange::Event event;
  event.kind = std::move(kind);
  event.text = std::move(text);
  event.attributes[member == MemberKind::kService ? "service" : "physical_host"] = name;
  return event;
}

// The same whatever is wrong: who tries tokens learns nothing of them.
Error refused_token() {
  return denied(
      "the join token is unknown, used or expired: have another one made (nuraghe host join-token NAME, nuraghe "
      "service join-token NAME)");
}

}  // namespace

Status Registry::open(store::Store& store) {
  TRY(tokens_.open(store, "ca_token"));
  return certificates_.open(store, "ca_certificate");
}

Status Registry::on_start(exchange::Turn& turn) {
  TRY_ASSIGN(const auto rows, certificates_.scan(turn.transaction(), ""));
  for (const auto& [key, row] : rows) {
    if (options_.on_certificate && counts(row, turn.now())) options_.on_certificate(row, true);
  }
  if (options_.on_started) options_.on_started();
  return turn.set_timer(kSweepTimer, turn.now() + kSweepInterval);
}

Status Registry::on_timer(exchange::Turn& turn, std::string_view key) {
  if (key != kSweepTimer) return Skeleton::on_timer(turn, key);
  TRY(sweep(turn));
  return turn.set_timer(kSweepTimer, turn.now() + kSweepInterval);
}

Status Registry::sweep(exchange::Turn& turn) {
  const TimePoint before = turn.now() - kRemembered;
  TRY_ASSIGN(const auto tokens, tokens_.scan(turn.transaction(), ""));
  for (const auto& [key, row] : tokens) {
    const bool is_over = row.token.expires <= turn.now() && row.token.used.value_or(TimePoint{}) <= before;
    if (is_over) TRY(tokens_.erase(turn.transaction(), key));
  }
  TRY_ASSIGN(const auto certificates, certificates_.scan(turn.transaction(), ""));
  for (const auto& [key, row] : certificates) {
    if (row.valid_until > before) continue;
    TRY(certificates_.erase(turn.transaction(), key));
    if (options_.on_certificate) options_.on_certificate(row, false);
  }
  return {};
}

Status Registry::record(exchange::Turn& turn, const api::Certificate& certificate) {
  TRY_ASSIGN(const auto rows, certificates_.scan(turn.transaction(), prefix_of(certificate.kind, certificate.name)));
  const auto now = turn.now();
  const auto valid = std::count_if(rows.begin(), rows.end(), [&](const auto& row) { return counts(row.second, now); });
  if (static_cast<std::size_t>(valid) >= kMostCertificates)
    return exhausted(fmt::format("{} {} has {} certificates already; wait until some have expired",
                                 words_of(certificate.kind), certificate.name, valid));
  TRY(certificates_.put(turn.transaction(), key_of(certificate), certificate));
  if (options_.on_certificate) options_.on_certificate(certificate, true);
  return {};
}

Result<api::Certificate> Registry::redeem(exchange::Turn& turn, const std::string& secret_digest,
                                          api::Certificate certificate) {
  TRY_ASSIGN(auto row, tokens_.find(turn.transaction(), secret_digest));
  if (!row || row->token.expires <= turn.now()) return refused_token();
  if (row->token.used && row->key != certificate.key) return refused_token();
  certificate.name = row->token.name;
  certificate.kind = row->token.kind;
  const bool is_repeat = row->token.used.has_value();
  if (!is_repeat) row->token.used = turn.now();
  row->key = certificate.key;
  TRY(tokens_.put(turn.transaction(), secret_digest, *row));
  TRY(record(turn, certificate));
  const bool is_service = certificate.kind == MemberKind::kService;
  if (!is_repeat)
    TRY(turn.publish(event_of(is_service ? "service.joined" : "physical_host.joined", certificate.kind,
                              certificate.name,
                              fmt::format("{} {} has joined the site", words_of(certificate.kind), certificate.name))));
  return certificate;
}

Status Registry::renew(exchange::Turn& turn, const std::string& serial, const api::Certificate& certificate) {
  TRY_ASSIGN(const auto row,
             certificates_.find(turn.transaction(), prefix_of(certificate.kind, certificate.name) + serial));
  if (!row || !counts(*row, turn.now()))
    return denied(fmt::format("the certificate of {} does not count any more: join anew", certificate.name));
  return record(turn, certificate);
}

Status Registry::create_join_token(exchange::Turn& turn, const exchange::Message& request,
                                   const api::CreateJoinTokenRequest& input) {
  const auto kind = input.kind.value_or(MemberKind::kHost);
  TRY(check_name(kind, input.name));
  TRY(check_digest(input.secret_digest));
  if (input.lifetime <= Duration(0) || input.lifetime > kLongestToken)
    return invalid("a join token lives for more than no time and at most 30 days");
  const auto roots = options_.roots ? options_.roots() : std::vector<api::Root>();
  const auto signer = std::find_if(roots.begin(), roots.end(), [](const auto& root) { return root.signs; });
  if (signer == roots.end())
    return conflict("the site has no CA: make one with 'nuraghe ca init' on the machine of nuraghed");
  TRY_ASSIGN(const auto rows, tokens_.scan(turn.transaction(), ""));
  std::size_t open = 0;
  for (const auto& [key, row] : rows) {
    if (row.token.used || row.token.expires <= turn.now()) continue;
    ++open;
    if (row.token.name == input.name && row.token.kind == kind) TRY(tokens_.erase(turn.transaction(), key));
    if (key == input.secret_digest) return conflict("there is a token of that secret already");
  }
  if (open >= kMostTokens) return exhausted(fmt::format("{} join tokens are open already", open));
  TokenRow row;
  row.token.name = input.name;
  row.token.kind = kind;
  row.token.created = turn.now();
  row.token.expires = turn.now() + input.lifetime;
  row.token.created_by = request.caller;
  TRY(tokens_.put(turn.transaction(), input.secret_digest, row));
  return answer(turn, request.message_id,
                api::CreateJoinTokenResponse{.root = signer->fingerprint, .expires = row.token.expires});
}

Status Registry::list_join_tokens(exchange::Turn& turn, const exchange::Message& request,
                                  const api::ListJoinTokensRequest& /*input*/) {
  TRY_ASSIGN(const auto rows, tokens_.scan(turn.transaction(), ""));
  api::ListJoinTokensResponse response;
  for (const auto& [key, row] : rows) {
    if (row.token.used || row.token.expires > turn.now()) response.token.push_back(row.token);
  }
  std::sort(response.token.begin(), response.token.end(),
            [](const auto& a, const auto& b) { return a.created < b.created; });
  return answer(turn, request.message_id, response);
}

Status Registry::list_certificates(exchange::Turn& turn, const exchange::Message& request,
                                   const api::ListCertificatesRequest& input) {
  TRY_ASSIGN(const auto rows, certificates_.scan(turn.transaction(), ""));
  api::ListCertificatesResponse response;
  for (const auto& [key, row] : rows) {
    const bool is_asked = !input.name || *input.name == row.name;
    if (is_asked && row.valid_until > turn.now()) response.certificate.push_back(row);
  }
  return answer(turn, request.message_id, response);
}

Status Registry::list_roots(exchange::Turn& turn, const exchange::Message& request,
                            const api::ListRootsRequest& /*input*/) {
  return answer(turn, request.message_id,
                api::ListRootsResponse{.root = options_.roots ? options_.roots() : std::vector<api::Root>()});
}

Status Registry::revoke_host(exchange::Turn& turn, const exchange::Message& request,
                             const api::RevokeHostRequest& input) {
  const auto kind = input.kind.value_or(MemberKind::kHost);
  TRY(check_name(kind, input.name));
  api::RevokeHostResponse response;
  TRY_ASSIGN(const auto tokens, tokens_.scan(turn.transaction(), ""));
  for (const auto& [key, row] : tokens) {
    if (row.token.name != input.name || row.token.kind != kind) continue;
    if (!row.token.used && row.token.expires > turn.now()) ++response.tokens;
    TRY(tokens_.erase(turn.transaction(), key));
  }
  TRY_ASSIGN(const auto rows, certificates_.scan(turn.transaction(), prefix_of(kind, input.name)));
  for (auto [key, row] : rows) {
    if (!counts(row, turn.now())) continue;
    row.revoked = turn.now();
    TRY(certificates_.put(turn.transaction(), key, row));
    if (options_.on_certificate) options_.on_certificate(row, false);
    ++response.certificates;
  }
  if (response.certificates > 0)
    TRY(turn.publish(event_of(kind == MemberKind::kService ? "service.revoked" : "physical_host.revoked", kind,
                              input.name,
                              fmt::format("the certificates of {} {} were withdrawn", words_of(kind), input.name))));
  return answer(turn, request.message_id, response);
}

}  // namespace nuraghe::services::ca
