#include "apps/controller/membership.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>

#include "base/log.hpp"
#include "env/posix.hpp"
#include "images/digest.hpp"

namespace nuraghe::controller {
namespace {

namespace json = boost::json;

constexpr Duration kLook = std::chrono::minutes(1);  // at the site's roots, at most
constexpr Duration kRetry = std::chrono::seconds(10);
constexpr Duration kPatience = std::chrono::seconds(5);
constexpr Bytes kAnswerLimit = kib(256);

std::string own_file(const std::string& state) { return state + "/pki/own.pem"; }
std::string trusted_file(const std::string& state) { return state + "/pki/trusted.pem"; }
// Kept until the site has answered: the same token lets the same key in again.
std::string new_key_file(const std::string& state) { return state + "/pki/joining.key"; }

std::string stamp_of(const std::string& state) {
  std::string out;
  for (const std::string& path : {own_file(state), trusted_file(state)}) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0)
      out += fmt::format("{}:{}.{};", info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  }
  return out;
}

std::string digest_file(const std::string& state) { return state + "/pki/token-digest"; }

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

struct Token {
  std::string name, secret, root;
};
Result<Token> parse_token(const std::string& given) {
  const std::string text = trimmed(given);
  const auto first = text.find('.');
  const auto last = text.rfind('.');
  if (first == std::string::npos || first == last || text.size() - last != 65)
    return invalid(
        "this is no join token; 'nuraghe host join-token NAME' and 'nuraghe service join-token NAME' make one");
  return Token{text.substr(0, first), text.substr(first + 1, last - first - 1), "sha256:" + text.substr(last + 1)};
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Error answer_error(const net::ClientResponse& response) {
  std::string said = response.body.substr(0, 500);
  while (!said.empty() && said.back() == '\n') said.pop_back();
  if (response.status == 401 || response.status == 403) return denied(said);
  if (response.status == 429 || response.status >= 500) return unavailable(said);
  return invalid(fmt::format("nuraghed answers HTTP {}: {}", response.status, said));
}

Result<json::object> post_json(net::HttpClient& http, const std::string& url, const net::TlsPeer& peer,
                               const json::object& body) {
  net::ClientRequest request;
  request.url = url;
  request.content_type = "application/json";
  request.body = json::serialize(body);
  request.timeout = kPatience;
  request.body_limit = kAnswerLimit;
  request.tls = peer;
  TRY_ASSIGN(const auto response, http.call(std::move(request)));
  if (response.status != 200) return answer_error(response);
  boost::system::error_code error;
  auto value = json::parse(response.body, error);
  if (error || !value.is_object()) return corrupt(url + " answered no JSON object");
  return std::move(value.get_object());
}

Result<net::ClientResponse> get_roots(net::HttpClient& http, const std::string& nuraghed, const net::TlsPeer& peer) {
  net::ClientRequest request;
  request.method = "GET";
  request.url = nuraghed + "/ca.pem";
  request.timeout = kPatience;
  request.body_limit = kAnswerLimit;
  request.tls = peer;
  TRY_ASSIGN(auto response, http.call(std::move(request)));
  if (response.status == 200) return response;
  if (response.status == 401 || response.status == 404)
    return conflict(fmt::format("{} has no CA: make one there with 'nuraghe ca init'", nuraghed));
  return answer_error(response);
}

// The one of the site's roots that the token names: nothing is believed of who shows another.
Result<std::string> expected_root(net::HttpClient& http, const std::string& nuraghed, const std::string& digest) {
  net::TlsPeer unchecked;
  unchecked.is_unchecked = true;
  TRY_ASSIGN(const auto response, get_roots(http, nuraghed, unchecked));
  TRY_ASSIGN(const auto roots, pki::split(response.body));
  for (const std::string& root : roots) {
    TRY_ASSIGN(const auto facts, pki::facts_of(root));
    if (facts.fingerprint == digest) return root;
  }
  return denied(fmt::format("{} is not the site that made this join token: its CA is another", nuraghed));
}

net::TlsPeer peer_of(std::shared_ptr<const net::TlsCredentials> credentials) {
  return {std::move(credentials), pki::dns_name(pki::Kind::kControl, ""), false};
}

// What the site gave: checked before anything is replaced by it.
Status store(const std::string& state, const Member& member, const std::string& key, const json::object& answer) {
  const std::string certificate = text_of(answer, "certificate");
  const std::string trusted = text_of(answer, "trusted");
  TRY_ASSIGN(const auto facts, pki::facts_of(certificate));
  const std::string uri = pki::uri(member.kind, member.name);
  if (std::find(facts.uris.begin(), facts.uris.end(), uri) == facts.uris.end())
    return denied(
        fmt::format("the certificate is of {}, not of {}", facts.uris.empty() ? facts.subject : facts.uris[0], uri));
  TRY(pki::check_signed_by(certificate, trusted));
  TRY_ASSIGN(const std::string request, pki::make_request(key));
  TRY_ASSIGN(const std::string own, pki::key_of_request(request));
  if (facts.key != own) return corrupt("the certificate is of another key");
  TRY(env::write_file_durably(trusted_file(state), trusted, 0644));
  return env::write_file_durably(own_file(state), pki::joined(certificate, key), 0600);
}

Result<std::string> joining_key(const std::string& state) {
  TRY(env::make_directories(state + "/pki", 0700));
  if (env::path_exists(new_key_file(state))) return pki::read_secret_file(new_key_file(state));
  TRY_ASSIGN(auto key, pki::make_key());
  TRY(env::write_file_durably(new_key_file(state), key, 0600));
  return key;
}

// What a person types to have a token made.
std::string join_command(const Member& member) {
  return fmt::format("nuraghe {} join-token {}", member.kind == pki::Kind::kHost ? "host" : "service", member.name);
}

}  // namespace

bool Membership::exists(const std::string& state) { return env::path_exists(own_file(state)); }

bool Membership::has_used(const std::string& state, const std::string& token) {
  const auto digest = env::read_file(digest_file(state), kAnswerLimit);
  return digest && *digest == images::digest_of(trimmed(token));
}

Result<std::unique_ptr<Membership>> Membership::open(const std::string& state, const Member& member,
                                                     const std::string& nuraghed) {
  if (!exists(state))
    return not_found(
        fmt::format("{} does not belong to a site: have a token made there ({}) and start {} with --join FILE",
                    member.name, join_command(member), member.program));
  std::unique_ptr<Membership> out(new Membership(state, member, nuraghed));
  TRY(out->read());
  return out;
}

Result<std::unique_ptr<Membership>> Membership::open_or_join(const std::string& state, const Member& member,
                                                             const std::string& nuraghed, const std::string& token) {
  const bool is_joined = exists(state);
  if (!token.empty() && !(is_joined && has_used(state, token))) return join(state, member, nuraghed, token);
  if (is_joined) return open(state, member, nuraghed);
  return std::unique_ptr<Membership>();
}

Result<std::unique_ptr<Membership>> Membership::join(const std::string& state, const Member& member,
                                                     const std::string& nuraghed, const std::string& token) {
  TRY_ASSIGN(const Token parsed, parse_token(token));
  if (parsed.name != member.name)
    return denied(fmt::format("the join token is for {}, and this is {}", parsed.name, member.name));
  TRY_ASSIGN(const std::string key, joining_key(state));
  TRY_ASSIGN(const std::string request, pki::make_request(key));
  const auto http = net::HttpClient::make();
  TRY_ASSIGN(const std::string root, expected_root(*http, nuraghed, parsed.root));
  auto credentials = std::make_shared<net::TlsCredentials>();
  credentials->trusted = root;
  TRY_ASSIGN(const auto answer, post_json(*http, nuraghed + "/join", peer_of(credentials),
                                          {{"secret", parsed.secret}, {"request", request}}));
  if (member.kind == pki::Kind::kHost)
    TRY(env::write_file_durably(state + "/segment-key", text_of(answer, "segment_key") + "\n", 0600));
  TRY(store(state, member, key, answer));
  TRY(env::write_file_durably(digest_file(state), images::digest_of(trimmed(token)), 0600));
  TRY(env::remove_tree(new_key_file(state)));
  log_info("tls", "joined the site", {{"name", member.name}, {"nuraghed", nuraghed}});
  return open(state, member, nuraghed);
}

Status Membership::read() {
  TRY_ASSIGN(const std::string text, pki::read_secret_file(own_file(state_)));
  auto parts = pki::parted(text);
  if (!parts) return std::move(parts).error().with(own_file(state_));
  auto credentials = std::make_shared<net::TlsCredentials>();
  credentials->certificates = parts->certificate;
  credentials->key = parts->key;
  TRY_ASSIGN(credentials->trusted, env::read_file(trusted_file(state_), kAnswerLimit));
  TRY_ASSIGN(const auto chain, pki::split(parts->certificate));
  TRY_ASSIGN(auto facts, pki::facts_of(chain.front()));
  const std::string uri = pki::uri(member_.kind, member_.name);
  if (std::find(facts.uris.begin(), facts.uris.end(), uri) == facts.uris.end())
    return conflict(fmt::format("{} belongs to {}, not to {}", own_file(state_), facts.subject, member_.name));
  TRY_ASSIGN(const auto root, pki::facts_of(chain.back()));
  stamp_ = stamp_of(state_);
  const std::lock_guard lock(mutex_);
  credentials_ = std::move(credentials);
  own_ = std::move(facts);
  issuer_ = root.fingerprint;
  return {};
}

std::shared_ptr<const net::TlsCredentials> Membership::credentials() const {
  const std::lock_guard lock(mutex_);
  return credentials_;
}

net::TlsPeer Membership::nuraghed_peer() const { return peer_of(credentials()); }

Result<std::string> Membership::follow_roots(net::HttpClient& http) {
  TRY_ASSIGN(const auto response, get_roots(http, nuraghed_, nuraghed_peer()));
  const std::string signer(response.header("Nuraghe-Signer"));
  TRY_ASSIGN(const auto roots, pki::split(response.body));
  if (roots.empty()) return corrupt("the site trusts no root");
  if (response.body != credentials()->trusted) {
    TRY(env::write_file_durably(trusted_file(state_), response.body, 0644));
    TRY(read());
    log_info("tls", "the site trusts other roots now", {{"roots", fmt::format("{}", roots.size())}});
    if (on_change_) on_change_();
  }
  return signer;
}

Status Membership::renew(net::HttpClient& http) {
  TRY_ASSIGN(const std::string key, pki::make_key());
  TRY_ASSIGN(const std::string request, pki::make_request(key));
  TRY_ASSIGN(const auto answer, post_json(http, nuraghed_ + "/renew", nuraghed_peer(), {{"request", request}}));
  TRY(store(state_, member_, key, answer));
  TRY(read());
  log_info("tls", "another certificate", {{"name", member_.name}});
  if (on_change_) on_change_();
  return {};
}

void Membership::tick(net::HttpClient& http, bool reread) {
  const TimePoint now = env::system_clock().now();
  if (reread || stamp_of(state_) != stamp_) {
    const Status status = read();
    if (!status) {
      log_error("tls", "the certificate cannot be read; that of before stays", {{"error", status.error().to_string()}});
    } else if (on_change_) {
      on_change_();
    }
  }
  pki::Validity validity;
  std::string issuer;
  {
    const std::lock_guard lock(mutex_);
    validity = own_.validity;
    issuer = issuer_;
  }
  bool is_due = now >= pki::renewal_due(validity);
  if (now < next_try_ || (!is_due && now < next_look_)) return;
  const Duration tenth = (validity.until - validity.from - pki::kClockSlack) / 10;
  next_look_ = now + std::min(kLook, tenth);
  auto signer = follow_roots(http);
  is_due = is_due || (signer && *signer != issuer);
  Status status = signer ? Status() : Status(signer.error());
  if (status && is_due) status = renew(http);
  if (status) return;
  next_try_ = now + std::min(kRetry, tenth);
  log_warning("tls", "the site's certificates cannot be renewed; it is tried again",
              {{"until", validity.until.to_string()}, {"error", status.error().to_string()}});
}

Result<std::shared_ptr<const api::Identity>> nuraghed_of(const net::PeerCertificate& certificate) {
  if (certificate.not_after <= env::system_clock().now()) return denied("the certificate has expired");
  const std::string uri = pki::uri(pki::Kind::kControl, "");
  if (std::find(certificate.uris.begin(), certificate.uris.end(), uri) == certificate.uris.end())
    return denied("only the site's nuraghed gives orders here");
  auto identity = std::make_shared<api::Identity>();
  identity->name = "nuraghed";
  identity->role = api::Role::kPeer;
  return std::shared_ptr<const api::Identity>(std::move(identity));
}

Result<std::string> read_join_token(const std::string& option) {
  if (option == "-") {
    std::array<char, 1024> line{};
    return std::string(std::fgets(line.data(), static_cast<int>(line.size()), stdin) != nullptr ? line.data() : "");
  }
  // Never an argument: everybody on the machine may read those.
  if (!option.empty()) return pki::read_secret_file(option);
  const char* value = std::getenv("NURAGHE_JOIN_TOKEN");  // NOLINT(concurrency-mt-unsafe): before threads
  std::string token = value == nullptr ? "" : value;
  ::unsetenv("NURAGHE_JOIN_TOKEN");  // NOLINT(concurrency-mt-unsafe): programs that it starts need it not
  return token;
}

}  // namespace nuraghe::controller
