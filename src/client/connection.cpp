#include "client/connection.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>
#include <cstdlib>

#include "env/posix.hpp"
#include "pki/authority_folder.hpp"
#include "soap/transport.hpp"

namespace nuraghe::client {
namespace {

namespace json = boost::json;
constexpr Duration kSlack = std::chrono::seconds(10);

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): read once, before threads
  return value == nullptr ? "" : value;
}

std::string percent_encoded(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    text += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

// The secret of the first line that is no comment: NAME ROLE VO TOKEN, or TOKEN.
Result<std::string> first_token(std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const auto blank = line.find_last_of(" \t");
    if (!line.empty() && line.front() != '#') return std::string(line.substr(blank + 1));
  }
  return invalid(fmt::format("{} holds no token", path));
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<exchange::Event> read_event(std::string_view line) {
  boost::system::error_code error;
  const auto value = json::parse(line, error);
  if (error || !value.is_object()) return corrupt("nuraghed sent an event that is not JSON");
  const auto& object = value.get_object();
  exchange::Event event;
  if (const auto* sequence = object.if_contains("sequence"); sequence != nullptr && sequence->is_int64())
    event.sequence = sequence->get_int64();
  if (auto time = parse_time(text_of(object, "time"))) event.time = *time;
  event.vo = text_of(object, "vo");
  event.cluster = text_of(object, "cluster");
  event.host = text_of(object, "host");
  event.kind = text_of(object, "kind");
  event.severity = text_of(object, "severity");
  event.text = text_of(object, "text");
  if (const auto* attributes = object.if_contains("attributes"); attributes != nullptr && attributes->is_object()) {
    for (const auto& [key, item] : attributes->get_object()) {
      if (item.is_string()) event.attributes[std::string(key)] = std::string(item.get_string());
    }
  }
  return event;
}

// Names the VO in every request that names none.
class OfVo : public contracts::TransportCaller {
 public:
  OfVo(exchange::RemoteTransport& transport, std::string vo)
      : TransportCaller(transport, env::system_random()), vo_(std::move(vo)) {}
  Result<exchange::Message> call(exchange::Message request, Duration timeout) override {
    if (request.vo.empty()) request.vo = vo_;
    return TransportCaller::call(std::move(request), timeout);
  }

 private:
  std::string vo_;
};

}  // namespace

std::string default_state_folder() {
  if (auto folder = variable("NURAGHE_STATE"); !folder.empty()) return folder;
  if (auto folder = variable("XDG_STATE_HOME"); !folder.empty()) return folder + "/nuraghe";
  return variable("HOME") + "/.local/state/nuraghe";
}

std::string default_vo() { return variable("NURAGHE_VO"); }

Connection::Connection(std::string base, std::string token, std::string vo, net::HttpClientOptions http)
    : base_(std::move(base)), token_(std::move(token)), vo_(std::move(vo)) {
  http_ = net::HttpClient::make(std::move(http));
  soap::SoapTransportOptions options;
  options.token = [this](std::string_view) { return token_; };
  options.timeout = std::chrono::hours(24);  // the caller's own time-out decides
  transport_ = std::make_unique<soap::SoapTransport>(*http_, std::move(options));
  caller_ = std::make_unique<OfVo>(*transport_, vo_);
}

Connection::~Connection() {
  // The client ends its open requests before it is gone; their callbacks still use the transport.
  http_.reset();
}

Result<std::unique_ptr<Connection>> Connection::open(const std::string& state_folder, std::string vo) {
  const std::string socket = state_folder + "/nuraghed.sock";
  auto token = env::read_file(state_folder + "/token", kib(4));
  if (!token || !env::path_exists(socket))
    return not_found(
        fmt::format("no nuraghed runs with the state folder {}; start one with 'nuraghed --state {}', or name "
                    "another folder with --state",
                    state_folder, state_folder));
  TRY_ASSIGN(auto secret, first_token(*token, state_folder + "/token"));
  return to("http+unix://" + percent_encoded(socket), std::move(secret), std::move(vo));
}

Result<std::unique_ptr<Connection>> Connection::open_remote(const std::string& base, const std::string& ca_file,
                                                            const std::string& token_file, std::string vo) {
  const auto url = net::parse_url(base);
  if (!url) return url.error().with("--server");
  const bool is_loopback = url->authority.starts_with("127.") || url->authority.starts_with("[::1]");
  if (url->target != "/" || (url->scheme == "http" && !is_loopback))
    return invalid(
        fmt::format("--server {}: write https://HOST:PORT, without a path; without TLS a token would be for "
                    "everybody on the network to read",
                    base));
  TRY_ASSIGN(const std::string text, pki::read_secret_file(token_file));
  TRY_ASSIGN(auto token, first_token(text, token_file));
  net::HttpClientOptions http;
  if (!ca_file.empty()) {
    auto credentials = std::make_shared<net::TlsCredentials>();
    TRY_ASSIGN(credentials->trusted, env::read_file(ca_file, mib(1)));
    TRY_ASSIGN(const auto roots, pki::split(credentials->trusted));
    if (roots.empty()) return invalid(fmt::format("{} holds no certificate", ca_file));
    http.tls = [credentials](std::string_view) { return net::TlsPeer{credentials, {}, false}; };
  }
  return std::unique_ptr<Connection>(new Connection(url->base(), std::move(token), std::move(vo), std::move(http)));
}

std::unique_ptr<Connection> Connection::to(std::string base, std::string token, std::string vo) {
  return std::unique_ptr<Connection>(new Connection(std::move(base), std::move(token), std::move(vo)));
}

std::string Connection::service(std::string_view name) const { return fmt::format("{}/services/{}", base_, name); }

net::ClientRequest Connection::request(std::string method, const std::string& path) const {
  net::ClientRequest request;
  request.method = std::move(method);
  request.url = base_ + path;
  request.bearer = token_;
  if (!vo_.empty()) request.headers.push_back({"Nuraghe-VO", vo_});
  return request;
}

Result<std::string> Connection::get(const std::string& path) {
  TRY_ASSIGN(auto response, http_->call(request("GET", path)));
  if (response.status == 200) return std::move(response.body);
  if (response.status == 401) return denied("nuraghed does not know this token");
  if (response.status == 403) return denied(std::move(response.body));
  return unavailable(fmt::format("nuraghed answers {} to GET {}: {}", response.status, path, response.body));
}

Status Connection::post(const std::string& path, std::string body) {
  auto message = request("POST", path);
  message.content_type = "application/octet-stream";
  message.body = std::move(body);
  TRY_ASSIGN(const auto response, http_->call(std::move(message)));
  if (response.status / 100 == 2) return {};
  return unavailable(fmt::format("nuraghed answers {} to POST {}: {}", response.status, path, response.body));
}

Result<std::unique_ptr<net::ClientStream>> Connection::stream(const std::string& path) {
  TRY_ASSIGN(auto stream, http_->open_stream(request("GET", path)));
  if (stream->status() != 200) {
    const auto body = stream->read(std::chrono::seconds(5));
    return not_found(fmt::format("nuraghed answers {}: {}", stream->status(), body ? *body : std::string()));
  }
  return stream;
}

Result<std::vector<exchange::Event>> Connection::events(std::int64_t after, const std::string& cluster, Duration wait) {
  auto message = request("GET", fmt::format("/events?after={}&wait={}ms{}", after, wait.count() / 1000,
                                            cluster.empty() ? "" : "&cluster=" + cluster));
  message.timeout = wait + kSlack;
  TRY_ASSIGN(const auto response, http_->call(std::move(message)));
  if (response.status == 403) return denied(response.body);
  if (response.status != 200)
    return unavailable(fmt::format("nuraghed answers {} to GET /events: {}", response.status, response.body));
  std::vector<exchange::Event> events;
  std::string_view rest = response.body;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.empty()) continue;
    TRY_ASSIGN(auto event, read_event(line));
    events.push_back(std::move(event));
  }
  return events;
}

Result<std::int64_t> Connection::newest_event() {
  TRY_ASSIGN(const auto response, http_->call(request("GET", "/events?after=newest")));
  const auto next = response.header("Nuraghe-Next");
  if (response.status == 403) return denied(response.body);
  std::int64_t sequence = 0;
  const auto parsed = std::from_chars(next.data(), next.data() + next.size(), sequence);
  if (response.status != 200 || parsed.ec != std::errc())
    return unavailable(fmt::format("nuraghed answers {} to GET /events: {}", response.status, response.body));
  return sequence;
}

}  // namespace nuraghe::client
