#include "api/oidc.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <mutex>
#include <set>

#include "base/log.hpp"
#include "env/posix.hpp"
#include "images/digest.hpp"
#include "jwt/jwt.hpp"
#include "pki/pki.hpp"
#include "services/tenant/rows.hpp"

namespace nuraghe::api {
namespace {

namespace json = boost::json;
using services::tenant::Account;
using services::tenant::Accounts;
using TenantRole = contracts::tenant::Role;

constexpr Duration kRefresh = std::chrono::hours(1);
constexpr Duration kShortestPause = std::chrono::seconds(10);
constexpr Duration kLongestTrust = std::chrono::hours(24);
constexpr Bytes kDocumentLimit = kib(512);

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// What travels without TLS could be anybody's.
bool is_safe_address(std::string_view url) {
  if (url.starts_with("https://")) return true;
  for (const std::string_view loopback : {"http://127.0.0.1", "http://[::1]", "http://localhost"}) {
    if (!url.starts_with(loopback)) continue;
    const auto rest = url.substr(loopback.size());
    if (rest.empty() || rest.front() == ':' || rest.front() == '/') return true;
  }
  return false;
}

Result<TenantRole> role_of(std::string_view name) {
  for (const auto role : {TenantRole::kViewer, TenantRole::kOperator, TenantRole::kOwner, TenantRole::kAdministrator}) {
    if (name == contracts::tenant::to_string(role)) return role;
  }
  return invalid(fmt::format("'{}' is no role: viewer, operator, owner or administrator", name));
}

Result<OidcRule> parse_rule(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return invalid("a rule is an object");
  OidcRule rule{text_of(*object, "claim"), text_of(*object, "value"), text_of(*object, "vo"), TenantRole::kViewer};
  if (rule.claim.empty() || rule.value.empty() || rule.vo.empty())
    return invalid("a rule has claim, value, vo and role");
  TRY_ASSIGN(rule.role, role_of(text_of(*object, "role")));
  if ((rule.role == TenantRole::kAdministrator) != (rule.vo == services::tenant::kSite))
    return invalid("administrators are members of the VO site, and its members are administrators");
  return rule;
}

Result<OidcProvider> parse_provider(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return invalid("a provider is an object");
  OidcProvider provider;
  provider.issuer = text_of(*object, "issuer");
  provider.audience = text_of(*object, "audience");
  if (!is_safe_address(provider.issuer))
    return invalid(fmt::format("the issuer '{}' is no https address", provider.issuer));
  if (provider.audience.empty()) return invalid(fmt::format("the issuer {} has no audience", provider.issuer));
  if (const auto* ca = object->if_contains("ca"); ca != nullptr) {
    provider.ca = text_of(*object, "ca");
    if (provider.ca.empty())
      return invalid(fmt::format("'ca' of the issuer {} is the name of a file with certificates", provider.issuer));
    if (!provider.issuer.starts_with("https://"))
      return invalid(fmt::format("the issuer {} has a 'ca', but no https address", provider.issuer));
  }
  if (const auto* list = object->if_contains("algorithms"); list != nullptr && list->is_array()) {
    for (const auto& one : list->get_array()) {
      const std::string name = one.is_string() ? std::string(one.get_string()) : std::string();
      if (!jwt::is_known_algorithm(name)) return invalid(fmt::format("'{}' is no algorithm that is believed", name));
      provider.algorithms.push_back(name);
    }
  }
  if (provider.algorithms.empty()) provider.algorithms = {"RS256", "ES256", "EdDSA"};
  if (const auto* list = object->if_contains("rules"); list != nullptr) {
    if (!list->is_array()) return invalid("rules is an array");
    for (const auto& one : list->get_array()) {
      TRY_ASSIGN(auto rule, parse_rule(one));
      provider.rules.push_back(std::move(rule));
    }
  }
  return provider;
}

bool holds(const OidcRule& rule, const json::object& claims) {
  const auto* value = claims.if_contains(rule.claim);
  const auto is_it = [&](const json::value& one) { return one.is_string() && one.get_string() == rule.value; };
  if (value == nullptr) return false;
  if (!value->is_array()) return is_it(*value);
  return std::any_of(value->get_array().begin(), value->get_array().end(), is_it);
}

// A name for the audit log that no member can have: what a token says of names is its holder's word.
std::string name_of(const std::string& issuer, const std::string& subject) {
  std::string name;
  for (const char c : subject.substr(0, 40)) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    name.push_back(is_plain ? c : '.');
  }
  return name + services::tenant::kRuleMark + images::digest_of(issuer + "\n" + subject).substr(7, 8);
}

}  // namespace

Result<std::vector<OidcProvider>> parse_oidc(std::string_view text) {
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* list = object != nullptr ? object->if_contains("providers") : nullptr;
  if (list == nullptr || !list->is_array()) return invalid("it is no JSON object with an array providers");
  std::vector<OidcProvider> providers;
  std::set<std::string> issuers;
  for (const auto& one : list->get_array()) {
    TRY_ASSIGN(auto provider, parse_provider(one));
    if (!issuers.insert(provider.issuer).second)
      return invalid(fmt::format("the issuer {} is there twice", provider.issuer));
    providers.push_back(std::move(provider));
  }
  return providers;
}

namespace {

Result<std::string> read_ca(const std::string& file) {
  TRY_ASSIGN(auto pem, env::read_file(file, mib(1)));
  const auto certificates = pki::split(pem);
  if (!certificates || certificates->empty())
    return invalid(fmt::format("{} holds no certificate that can be read as PEM", file));
  return pem;
}

// Changes when the file is replaced.
std::string stamp_of(const std::string& file) {
  struct stat info {};
  if (file.empty() || ::stat(file.c_str(), &info) != 0) return {};
  return fmt::format("{}:{}.{}", info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

}  // namespace

Result<std::vector<OidcProvider>> read_oidc_file(const std::string& path) {
  auto text = env::read_file(path, mib(1));
  if (!text) return std::move(text).error().with("reading the OIDC providers");
  auto providers = parse_oidc(*text);
  if (!providers) return std::move(providers).error().with(path);
  for (auto& provider : *providers) {
    if (provider.ca.empty()) continue;
    const auto slash = path.rfind('/');
    const bool is_beside = !provider.ca.starts_with('/') && slash != std::string::npos;
    provider.ca_file = is_beside ? path.substr(0, slash + 1) + provider.ca : provider.ca;
    auto pem = read_ca(provider.ca_file);
    if (!pem) return std::move(pem).error().with(fmt::format("{}: the CA of {}", path, provider.issuer));
    provider.trusted = std::move(*pem);
  }
  return providers;
}

// One provider and its keys.
struct OidcVerifier::Issuer : std::enable_shared_from_this<Issuer> {
  Issuer(OidcProvider given, net::HttpClient& client, const env::Clock& watch)
      : provider(std::move(given)), http(client), clock(watch) {
    if (!provider.trusted.empty()) trust(provider.trusted);
    peer.remedy =
        fmt::format("name the CA of {} as its \"ca\" in the file of --oidc (docs/tenants.md)", provider.issuer);
  }

  void trust(std::string roots) {
    net::TlsCredentials only;
    only.trusted = std::move(roots);
    auto credentials = std::make_shared<const net::TlsCredentials>(std::move(only));
    const std::lock_guard lock(mutex);
    peer.credentials = std::move(credentials);
  }
  void refresh(bool reread) {
    if (provider.ca_file.empty()) return;
    auto now = stamp_of(provider.ca_file);
    if (!reread && now == ca_stamp) return;
    ca_stamp = std::move(now);
    auto pem = read_ca(provider.ca_file);
    if (!pem) {
      return log_error("oidc", "the CA of a provider cannot be read; that of before stays",
                       {{"issuer", provider.issuer}, {"error", pem.error().to_string()}});
    }
    trust(std::move(*pem));
    // What was not believed is looked at again when somebody needs it, without the pause.
    const std::lock_guard lock(mutex);
    if (!has_keys) tried = TimePoint{INT64_MIN / 2};
  }

  // Keys that may be believed now; begins to fetch others when they are old.
  Result<jwt::KeySet> keys_now() {
    bool fetches = false;
    Result<jwt::KeySet> result = unavailable("the keys of the issuer are not known yet; try again");
    {
      const std::lock_guard lock(mutex);
      const TimePoint now = clock.now();
      if (has_keys && now - fetched < kLongestTrust) result = keys;
      fetches = (!has_keys || now - fetched > kRefresh) && may_fetch(now);
    }
    if (fetches) fetch();
    return result;
  }
  // A token names a key that is not known. True: it is worth trying again.
  bool look_for_new_keys() {
    {
      const std::lock_guard lock(mutex);
      if (is_fetching) return true;
      if (!may_fetch(clock.now())) return false;
    }
    fetch();
    return true;
  }
  bool may_fetch(TimePoint now) {
    if (is_fetching || now - tried < kShortestPause) return false;
    tried = now;
    is_fetching = true;
    return true;
  }
  void fetch() {
    std::string issuer = provider.issuer;
    if (issuer.ends_with('/')) issuer.pop_back();
    get(issuer + "/.well-known/openid-configuration", [self = shared_from_this()](const Result<json::object>& found) {
      if (!found) return self->failed(found.error());
      const std::string address = text_of(*found, "jwks_uri");
      // Discovery 1.0 §4.3: another issuer's document is not this one's.
      if (text_of(*found, "issuer") != self->provider.issuer) return self->failed(invalid("it names another issuer"));
      if (!is_safe_address(address)) return self->failed(invalid("jwks_uri is no https address"));
      self->get(address, [self](const Result<json::object>& set) {
        if (!set) return self->failed(set.error());
        auto parsed = jwt::KeySet::parse(json::serialize(*set));
        if (!parsed) return self->failed(parsed.error());
        const std::lock_guard lock(self->mutex);
        self->keys = std::move(*parsed);
        self->has_keys = true;
        self->is_fetching = false;
        self->fetched = self->clock.now();
      });
    });
  }
  void get(const std::string& url, std::function<void(const Result<json::object>&)> done) {
    net::ClientRequest request;
    request.method = "GET";
    request.url = url;
    request.timeout = std::chrono::seconds(10);
    {
      const std::lock_guard lock(mutex);
      request.tls = peer;
    }
    request.body_limit = kDocumentLimit;
    request.headers.push_back({"Accept", "application/json"});
    http.send(std::move(request), [done = std::move(done), url](const Result<net::ClientResponse>& response) {
      if (!response) return done(response.error());
      if (response->status != 200) return done(unavailable(fmt::format("{} answers {}", url, response->status)));
      boost::system::error_code error;
      auto value = json::parse(response->body, error);
      if (error || !value.is_object()) return done(invalid(fmt::format("{} is no JSON object", url)));
      done(std::move(value.get_object()));
    });
  }
  void failed(const Error& error) {
    log_warning("oidc", "the keys of an issuer cannot be fetched",
                {{"issuer", provider.issuer}, {"error", error.to_string()}});
    const std::lock_guard lock(mutex);
    is_fetching = false;
  }

  const OidcProvider provider;
  net::HttpClient& http;
  const env::Clock& clock;
  std::string ca_stamp;  // of refresh() alone; empty: the file may have changed since it was read
  std::mutex mutex;      // guards all below; never held while somebody is called
  net::TlsPeer peer;     // never known by what the site's own processes are known by
  jwt::KeySet keys;
  bool has_keys = false;
  bool is_fetching = false;
  TimePoint fetched{}, tried{INT64_MIN / 2};
};

OidcVerifier::OidcVerifier(std::vector<OidcProvider> providers, net::HttpClient& http, const env::Clock& clock)
    : clock_(clock) {
  for (auto& provider : providers) {
    issuers_.push_back(std::make_shared<Issuer>(std::move(provider), http, clock));
    (void)issuers_.back()->keys_now();  // begins to fetch
  }
}

OidcVerifier::~OidcVerifier() = default;

void OidcVerifier::refresh(bool reread) {
  for (const auto& issuer : issuers_) issuer->refresh(reread);
}

Result<std::shared_ptr<const Account>> OidcVerifier::account_of(std::string_view token,
                                                                const Accounts& accounts) const {
  TRY_ASSIGN(const auto parsed, jwt::parse(token));
  const auto found = std::find_if(issuers_.begin(), issuers_.end(),
                                  [&](const auto& issuer) { return issuer->provider.issuer == parsed.issuer; });
  if (found == issuers_.end()) return denied("the token is of an issuer that is not trusted");
  Issuer& issuer = **found;
  TRY_ASSIGN(const auto keys, issuer.keys_now());
  jwt::Expected expected;
  expected.issuer = issuer.provider.issuer;
  expected.audience = issuer.provider.audience;
  expected.algorithms = issuer.provider.algorithms;
  expected.now = clock_.now();
  const auto verified = jwt::verify(parsed, keys, expected);
  if (!verified && verified.error().code() == ErrorCode::kNotFound && issuer.look_for_new_keys())
    return unavailable("the keys of the issuer are being fetched again; try again");
  if (!verified) return denied(verified.error().message());
  auto account = std::make_shared<Account>();
  const auto member = accounts.by_subject.find(std::pair(issuer.provider.issuer, verified->subject));
  if (member != accounts.by_subject.end()) *account = *member->second;
  account->expires = verified->expires + expected.leeway;
  for (const auto& rule : issuer.provider.rules) {
    if (!holds(rule, parsed.claims)) continue;
    const auto same = std::find_if(account->roles.begin(), account->roles.end(),
                                   [&](const auto& role) { return role.vo == rule.vo; });
    // Whom a VO made its member is what it says; of several rules the first one counts.
    if (same != account->roles.end()) continue;
    account->roles.push_back({rule.vo, name_of(issuer.provider.issuer, verified->subject), rule.role});
  }
  if (account->roles.empty()) return denied("the token's subject is a member of no VO here");
  return std::shared_ptr<const Account>(std::move(account));
}

}  // namespace nuraghe::api
