#include "apps/nuraghed/outside_services.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <filesystem>
#include <shared_mutex>
#include <vector>

#include "apps/controller/door.hpp"
#include "base/log.hpp"
#include "env/posix.hpp"
#include "services/notification/notification.hpp"

namespace nuraghe::daemon {

namespace {

// Of all the ways to write it the one that is compared: sockets' paths without detours, hosts in lower case, ports
// without zeros in front.
std::string normal_base(const net::Url& url) {
  if (url.scheme == "http+unix") return net::unix_base(std::filesystem::path(url.socket).lexically_normal().string());
  const std::size_t colon = url.authority.rfind(':');
  const bool has_port = colon != std::string::npos && url.authority.find(']', colon) == std::string::npos;
  std::string host = url.authority.substr(0, has_port ? colon : std::string::npos);
  std::ranges::transform(host, host.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  in6_addr six{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool is_six = host.starts_with('[') && host.ends_with(']') &&
                      ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &six) == 1 &&
                      ::inet_ntop(AF_INET6, &six, text.data(), text.size()) != nullptr;
  if (is_six) host = fmt::format("[{}]", text.data());
  std::string port = has_port ? url.authority.substr(colon + 1) : std::string();
  port.erase(0, std::min(port.find_first_not_of('0'), port.size()));
  if (port == (url.scheme == "https" ? "443" : "80")) port.clear();
  return fmt::format("{}://{}{}{}", url.scheme, host, port.empty() ? "" : ":", port);
}

Status check_address(const std::string& name, const std::string& address, bool by_certificate,
                     const api::OutsideTable& table, const std::function<bool(const std::string& base)>& is_taken) {
  const auto url = net::parse_url(address);
  if (!url) return url.error().with("registering " + name);
  if (url->target != "/services/" + name)
    return invalid(fmt::format("'{}' is not where a program serves {}: BASE/services/{}", address, name, name));
  // Whom nuraghed expects at an address is known by its base alone.
  const std::string base = normal_base(*url);
  const std::string other = table.name_of(base);
  if (is_taken(base) || is_taken(url->base()) || (!other.empty() && other != name))
    return conflict(fmt::format("{} is where {} is: serve {} at an address of its own", url->base(),
                                other.empty() ? "nuraghed or a controller" : other, name));
  if (url->base() != (url->scheme == "http+unix" ? net::unix_base(url->socket) : base))
    return invalid(fmt::format("'{}' is another way to write {}/services/{}: register that", address, base, name));
  if (url->scheme == "https") return {};
  // What listens on this machine alone is not for who is let in from others.
  if (by_certificate)
    return denied(fmt::format("{} is not https: a program that has joined the site is reached with TLS", address));
  // Without TLS, whoever is on the network would read what VOs say and are told.
  if (controller::is_local_base(base)) return {};
  return denied(
      fmt::format("{} is on another machine and not https: its program joins the site first (nuraghe service "
                  "join-token {})",
                  address, name));
}

// What an answer says that is a problem (RFC 9457), as the doors of every program write it.
Status status_of(const net::ClientResponse& response) {
  if (response.status < 400) return {};
  boost::system::error_code wrong;
  const auto value = boost::json::parse(response.body, wrong);
  const auto text = [&](std::string_view key) {
    const auto* found = wrong || !value.is_object() ? nullptr : value.get_object().if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
  };
  return Error(error_code_from_name(text("code")), fmt::format("HTTP {}: {}", response.status, text("detail")));
}

}  // namespace

class OutsideServices::Outward final : public exchange::Router {
 public:
  Outward(const api::OutsideTable& table, exchange::Router& inner, exchange::RemoteTransport& transport)
      : table_(table), inner_(inner), transport_(transport) {}
  void add_route(std::string path, std::string operation, exchange::Exchange& exchange, std::string actor) override {
    inner_.add_route(std::move(path), std::move(operation), exchange, std::move(actor));
  }
  void remove_route(std::string_view path, std::string_view operation) override {
    inner_.remove_route(path, operation);
  }
  void add_own_base(std::string base) override {
    {
      const std::unique_lock lock(mutex_);
      bases_.push_back(base);
    }
    inner_.add_own_base(std::move(base));
  }
  void deliver(exchange::Message request, exchange::ReplyHandler handler) override {
    const std::string id = request.message_id;
    attempt(std::move(request), [id, handler = std::move(handler)](Result<exchange::Message> outcome) {
      if (outcome) return handler(std::move(*outcome));
      exchange::Message reply;
      reply.relates_to = id;
      reply.fault = exchange::fault_of(outcome.error(), "", env::system_clock().now());
      handler(std::move(reply));
    });
  }
  void attempt(exchange::Message request, exchange::DeliveryHandler handler) override {
    // What somebody outside named goes to no service in the name of this process.
    const bool is_here = request.to_stranger || services::notification::is_for_producer(request);
    auto address = is_here ? std::nullopt : address_of(request.to);
    if (!address) return inner_.attempt(std::move(request), std::move(handler));
    request.to = std::move(*address);
    request.is_first_try = false;
    transport_.send(request, std::move(handler));
  }
  void accept(exchange::Message request, exchange::DeliveryHandler handler) override {
    inner_.accept(std::move(request), std::move(handler));
  }
  std::optional<Within> within(const exchange::Message& request, const exchange::Inbox& inbox) const override {
    if (address_of(request.to)) return std::nullopt;
    return inner_.within(request, inbox);
  }

 private:
  std::optional<std::string> address_of(std::string_view to) const {
    if (to.starts_with('/')) return table_.address_of(to);
    const std::shared_lock lock(mutex_);
    for (const std::string& base : bases_) {
      if (to.starts_with(base) && to.substr(base.size()).starts_with('/'))
        return table_.address_of(to.substr(base.size()));
    }
    return std::nullopt;
  }

  const api::OutsideTable& table_;
  exchange::Router& inner_;
  exchange::RemoteTransport& transport_;
  mutable std::shared_mutex mutex_;
  std::vector<std::string> bases_;
};

OutsideServices::OutsideServices(OutsideOptions options) : registry_(registry_options(std::move(options))) {}

services::registry::RegistryOptions OutsideServices::registry_options(OutsideOptions options) {
  services::registry::RegistryOptions out;
  out.base = std::move(options.base);
  out.version = std::move(options.version);
  out.check_address = [this, is_taken = std::move(options.is_taken)](const std::string& name,
                                                                     const std::string& address, bool by_certificate) {
    return check_address(name, address, by_certificate, table_, is_taken);
  };
  out.is_controller = std::move(options.is_controller);
  out.is_member = std::move(options.is_member);
  out.on_service = [this, told = std::move(options.on_service)](const std::string& name,
                                                                const services::registry::ServiceRow* row) {
    note(name, row);
    if (told) told(name, row);
  };
  return out;
}

// In an order in which nobody is ever taken for who came with the site's token that did not.
void OutsideServices::note(const std::string& name, const services::registry::ServiceRow* row) {
  const bool by_certificate = row != nullptr && row->by_certificate.value_or(true);
  if (by_certificate) {
    const std::lock_guard lock(mutex_);
    by_certificate_.insert(name);
  }
  table_.set(name, row);
  if (by_certificate) return;
  const std::lock_guard lock(mutex_);
  by_certificate_.erase(name);
}

bool OutsideServices::by_certificate(const std::string& service) const {
  const std::lock_guard lock(mutex_);
  return by_certificate_.contains(service);
}

void OutsideServices::end_revoked(exchange::Exchange& exchange) {
  exchange.post(
      std::string(registry_.name()), [this](exchange::Turn& turn) { return registry_.end_revoked(turn); },
      [](const Status& status) {
        if (!status)
          log_error("registry", "a revoked service is registered until it would have to renew",
                    {{"error", status.error().to_string()}});
      });
}

std::unique_ptr<exchange::Router> OutsideServices::make_router(exchange::Router& inner,
                                                               exchange::RemoteTransport& transport) {
  return std::make_unique<Outward>(table_, inner, transport);
}

std::function<void(exchange::Message, net::ClientRequest, std::function<void(Result<net::ClientResponse>)>)>
OutsideServices::pass_on(net::HttpClient& http, RecordedCalls& recorded,
                         std::function<std::string(std::string_view base)> token) const {
  return [this, &http, &recorded, token = std::move(token)](exchange::Message what, net::ClientRequest request,
                                                            std::function<void(Result<net::ClientResponse>)> done) {
    if (const auto url = net::parse_url(request.url)) request.bearer = token(url->base());
    if (reads(what)) return http.send(std::move(request), std::move(done));
    recorded.around(what, [&http, request = std::move(request), done = std::move(done)](
                              const Status& written, std::function<void(const Status&)> finish) mutable {
      if (!written) return done(written.error());
      http.send(std::move(request),
                [done = std::move(done), finish = std::move(finish)](Result<net::ClientResponse> outcome) {
                  finish(outcome ? status_of(*outcome) : Status(outcome.error()));
                  done(std::move(outcome));
                });
    });
  };
}

Status OutsideServices::check_controller(const std::string& name) const {
  if (!table_.has("/services/" + name)) return {};
  return conflict(fmt::format("{} is a service of another program: call the controller otherwise", name));
}

bool OutsideServices::reads(const exchange::Message& request) const {
  // This process answers that itself, and its exchange writes it down.
  if (services::notification::is_for_producer(request)) return true;
  const auto operation = table_.operation_at(request.to, request.operation);
  return operation && operation->read_only;
}

}  // namespace nuraghe::daemon
