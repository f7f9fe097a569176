#include "apps/nuraghed/site_authority.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "base/log.hpp"
#include "env/posix.hpp"
#include "images/digest.hpp"

namespace nuraghe::daemon {
namespace {

namespace json = boost::json;
using pki::Kind;

constexpr std::string_view kRoots = "/ca.pem";
constexpr std::string_view kJoin = "/join";
constexpr std::string_view kRenew = "/renew";

std::string own_hostname() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

// Changes whenever one of the files is replaced.
std::string stamp_of(const pki::AuthorityFolder& folder) {
  std::string out;
  for (const std::string& path : {folder.path() + "/authority.pem", folder.trusted_file(), folder.control_file()}) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) continue;
    out += fmt::format("{}:{}.{};", info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  }
  return out;
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<json::object> read_object(const std::string& text) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error || !value.is_object()) return invalid("the body is no JSON object");
  return std::move(value.get_object());
}

Kind kind_of(const contracts::ca::Certificate& certificate) {
  return certificate.kind == contracts::ca::MemberKind::kService ? Kind::kService : Kind::kHost;
}

net::HttpResponse refusal(const Error& error) {
  return net::text_response(net::http_status(error.code()), error.to_string());
}

}  // namespace

// What a request becomes if the registry agrees.
struct SiteAuthority::Prepared {
  pki::Authority signer;
  std::string request;
  contracts::ca::Certificate certificate;
};

Result<std::unique_ptr<SiteAuthority>> SiteAuthority::open(SiteAuthorityOptions options) {
  std::unique_ptr<SiteAuthority> authority(new SiteAuthority(std::move(options)));
  TRY(authority->read(env::system_clock().now()));
  return authority;
}

Status SiteAuthority::read(TimePoint now) {
  TRY_ASSIGN(const pki::Authority signer, folder_.signer());
  TRY_ASSIGN(const std::string trusted, folder_.trusted());
  TRY_ASSIGN(const auto texts, pki::split(trusted));
  TRY_ASSIGN(const auto signer_facts, pki::facts_of(signer.certificate));
  std::vector<contracts::ca::Root> roots;
  for (const std::string& text : texts) {
    TRY_ASSIGN(const auto facts, pki::facts_of(text));
    roots.push_back(
        {facts.fingerprint, facts.subject, facts.validity.until, facts.fingerprint == signer_facts.fingerprint});
  }
  TRY_ASSIGN(const std::string own, own_certificate(signer, now));
  TRY_ASSIGN(const pki::Authority parts, pki::parted(own));
  TRY_ASSIGN(auto facts, pki::facts_of(parts.certificate));
  auto credentials = std::make_shared<net::TlsCredentials>();
  // The root travels along: who joins compares its digest.
  credentials->certificates = parts.certificate + signer.certificate;
  credentials->key = parts.key;
  credentials->trusted = trusted;
  stamp_ = stamp_of(folder_);
  const std::lock_guard lock(mutex_);
  credentials_ = std::move(credentials);
  signer_ = signer;
  signer_digest_ = signer_facts.fingerprint;
  own_ = std::move(facts);
  roots_ = std::move(roots);
  return {};
}

bool SiteAuthority::is_fit(const pki::CertificateFacts& facts, const std::string& certificate,
                           const pki::Authority& signer, TimePoint now) const {
  return now < pki::renewal_due(facts.validity) && pki::check_signed_by(certificate, signer.certificate).has_value();
}

// The one in the folder when it fits, else a new one.
Result<std::string> SiteAuthority::own_certificate(const pki::Authority& signer, TimePoint now) const {
  pki::Subject subject{Kind::kControl, "control", {"localhost", "127.0.0.1", "::1"}};
  if (auto name = own_hostname(); !name.empty()) subject.more_names.push_back(std::move(name));
  for (const auto& name : options_.names) {
    if (std::find(subject.more_names.begin(), subject.more_names.end(), name) == subject.more_names.end())
      subject.more_names.push_back(name);
  }
  std::string names;
  for (const auto& name : subject.more_names) names += "# " + name + "\n";
  if (env::path_exists(folder_.control_file())) {
    TRY_ASSIGN(const std::string text, pki::read_secret_file(folder_.control_file()));
    const auto parts = pki::parted(text);
    const auto facts = parts ? pki::facts_of(parts->certificate) : Result<pki::CertificateFacts>(parts.error());
    if (facts && text.starts_with(names + "-----") && is_fit(*facts, parts->certificate, signer, now)) return text;
  }
  TRY_ASSIGN(const std::string key, pki::make_key());
  TRY_ASSIGN(const std::string request, pki::make_request(key));
  TRY_ASSIGN(const std::string serial, pki::make_serial());
  TRY_ASSIGN(const std::string certificate,
             pki::issue(signer, request, subject, serial, {now - pki::kClockSlack, now + options_.lifetime}));
  const std::string text = names + pki::joined(certificate, key);
  TRY(env::write_file_durably(folder_.control_file(), text, 0600));
  log_info("tls", "nuraghed has a new certificate", {{"serial", serial}});
  return text;
}

std::shared_ptr<const net::TlsCredentials> SiteAuthority::credentials() const {
  const std::lock_guard lock(mutex_);
  return credentials_;
}

void SiteAuthority::tick(bool reread) {
  const TimePoint now = env::system_clock().now();
  bool is_due = reread || stamp_of(folder_) != stamp_;
  {
    const std::lock_guard lock(mutex_);
    is_due = is_due || now >= pki::renewal_due(own_.validity);
  }
  if (!is_due) return;
  if (const Status status = read(now); !status) {
    log_error("tls", "the site's certificates cannot be read; those of before stay",
              {{"folder", folder_.path()}, {"error", status.error().to_string()}});
    return;
  }
  if (on_change_) on_change_();
}

Result<std::shared_ptr<const api::Identity>> SiteAuthority::identity_of(const net::PeerCertificate& certificate) const {
  if (certificate.not_after <= env::system_clock().now()) return denied("the certificate has expired");
  const std::shared_lock lock(members_mutex_);
  if (!is_started_) return unavailable("nuraghed is starting");
  const auto found = members_.find(certificate.serial);
  if (found == members_.end())
    return denied("this certificate does not count (any more): have the machine join anew (nuraghe host join-token)");
  const Kind kind = kind_of(found->second);
  const std::string& name = found->second.name;
  const std::string uri = pki::uri(kind, name);
  if (std::find(certificate.uris.begin(), certificate.uris.end(), uri) == certificate.uris.end())
    return denied("this certificate is not of a member of the site");
  auto identity = std::make_shared<api::Identity>();
  identity->name = name;
  identity->vo = "-";
  identity->role = kind == Kind::kHost ? api::Role::kController : api::Role::kService;
  identity->certified = (kind == Kind::kHost ? "vhc:" : "service:") + name;
  return std::shared_ptr<const api::Identity>(std::move(identity));
}

void SiteAuthority::set_certificate(const contracts::ca::Certificate& certificate, bool counts) {
  const std::unique_lock lock(members_mutex_);
  if (counts) {
    members_[certificate.serial] = certificate;
  } else {
    members_.erase(certificate.serial);
  }
}

void SiteAuthority::set_started() {
  const std::unique_lock lock(members_mutex_);
  is_started_ = true;
}

std::vector<contracts::ca::Root> SiteAuthority::roots() const {
  const std::lock_guard lock(mutex_);
  return roots_;
}

bool SiteAuthority::is_member(pki::Kind kind, const std::string& name) const {
  const std::shared_lock lock(members_mutex_);
  return std::any_of(members_.begin(), members_.end(),
                     [&](const auto& one) { return one.second.name == name && kind_of(one.second) == kind; });
}

std::optional<contracts::ca::Certificate> SiteAuthority::member_of(const net::PeerCertificate& certificate) const {
  const std::shared_lock lock(members_mutex_);
  const auto found = members_.find(certificate.serial);
  return found == members_.end() ? std::nullopt : std::optional(found->second);
}

void SiteAuthority::use(exchange::Exchange& exchange, services::ca::Registry& registry) {
  exchange_ = &exchange;
  registry_ = &registry;
}

bool SiteAuthority::has(std::string_view path) const { return path == kRoots || path == kJoin || path == kRenew; }

void SiteAuthority::serve(net::HttpRequest request, const net::HttpResponder& responder) {
  const std::string_view path = request.path();
  const bool is_read = request.method == "GET" || request.method == "HEAD";
  if (path == kRoots && is_read) return serve_roots(responder);
  if (path == kJoin && request.method == "POST") return serve_join(request, responder);
  if (path == kRenew && request.method == "POST") return serve_renewal(request, responder);
  responder.respond(net::text_response(405, path == kRoots ? "use GET" : "use POST"));
}

void SiteAuthority::serve_roots(const net::HttpResponder& responder) const {
  net::HttpResponse response;
  response.content_type = "application/x-pem-file";
  {
    const std::lock_guard lock(mutex_);
    response.body = credentials_->trusted;
    response.headers.push_back({"Nuraghe-Signer", signer_digest_});
  }
  responder.respond(std::move(response));
}

Result<SiteAuthority::Prepared> SiteAuthority::prepare(const std::string& request) const {
  Prepared out;
  out.request = request;
  const TimePoint now = env::system_clock().now();
  {
    const std::lock_guard lock(mutex_);
    out.signer = signer_;
    out.certificate.issuer = signer_digest_;
  }
  TRY_ASSIGN(out.certificate.key, pki::key_of_request(request));
  TRY_ASSIGN(out.certificate.serial, pki::make_serial());
  out.certificate.valid_from = now - pki::kClockSlack;
  out.certificate.valid_until = now + options_.lifetime;
  return out;
}

net::HttpResponse SiteAuthority::handed_out(const Prepared& prepared, bool is_new) const {
  const auto& facts = prepared.certificate;
  const std::string& name = facts.name;
  const Kind kind = kind_of(facts);
  const auto certificate = pki::issue(prepared.signer, prepared.request, {kind, name, {}}, facts.serial,
                                      {facts.valid_from, facts.valid_until});
  if (!certificate) return refusal(certificate.error());
  json::object answer{{"certificate", *certificate + prepared.signer.certificate}, {"name", name}};
  {
    const std::lock_guard lock(mutex_);
    answer["trusted"] = credentials_->trusted;
  }
  if (is_new && kind == Kind::kHost) answer["segment_key"] = options_.segment_key;
  net::HttpResponse response;
  response.content_type = "application/json";
  response.headers.push_back({"Cache-Control", "no-store"});
  response.body = json::serialize(answer);
  return response;
}

void SiteAuthority::serve_join(const net::HttpRequest& request, const net::HttpResponder& responder) {
  const auto object = read_object(request.body);
  if (!object) return responder.respond(refusal(object.error()));
  auto prepared = prepare(text_of(*object, "request"));
  if (!prepared) return responder.respond(refusal(prepared.error()));
  const std::string digest = images::digest_of(text_of(*object, "secret"));
  auto shared = std::make_shared<Prepared>(std::move(*prepared));
  exchange_->post(
      "ca",
      [this, digest, shared](exchange::Turn& turn) -> Status {
        TRY_ASSIGN(shared->certificate, registry_->redeem(turn, digest, shared->certificate));
        return {};
      },
      [this, shared, responder, peer = request.peer](const Status& status) {
        if (!status) {
          log_warning("tls", "a machine was not let in", {{"peer", peer}, {"error", status.error().to_string()}});
          if (on_stranger_ && status.error().code() == ErrorCode::kDenied)
            on_stranger_({fmt::format("site {}", peer.substr(0, peer.rfind(':'))), "POST /join", "a join token"});
          return responder.respond(refusal(status.error()));
        }
        log_info("tls", "a machine has joined", {{"name", shared->certificate.name}, {"peer", peer}});
        responder.respond_with([this, shared] { return handed_out(*shared, true); });
      });
}

void SiteAuthority::serve_renewal(const net::HttpRequest& request, const net::HttpResponder& responder) {
  if (!request.certificate)
    return responder.respond(net::text_response(401, "a certificate of the site is needed (mutual TLS)"));
  const auto identity = identity_of(*request.certificate);
  if (!identity) return responder.respond(refusal(identity.error()));
  const auto object = read_object(request.body);
  if (!object) return responder.respond(refusal(object.error()));
  auto prepared = prepare(text_of(*object, "request"));
  if (!prepared) return responder.respond(refusal(prepared.error()));
  const auto member = member_of(*request.certificate);
  if (!member) return responder.respond(net::text_response(403, "the certificate does not count any more"));
  prepared->certificate.name = member->name;
  prepared->certificate.kind = member->kind;
  auto shared = std::make_shared<Prepared>(std::move(*prepared));
  exchange_->post(
      "ca",
      [this, shared, serial = request.certificate->serial](exchange::Turn& turn) {
        return registry_->renew(turn, serial, shared->certificate);
      },
      [this, shared, responder](const Status& status) {
        if (!status) return responder.respond(refusal(status.error()));
        responder.respond_with([this, shared] { return handed_out(*shared, false); });
      });
}

}  // namespace nuraghe::daemon
