#include "apps/nuraghed/notifications.hpp"

#include <fmt/format.h>

#include "services/notification/contract_producers.hpp"

namespace nuraghe::daemon {

namespace {

// A consumer says that it took a message, and no more.
constexpr Bytes kAnswerLimit = kib(64);
constexpr Duration kAnswerTime = std::chrono::seconds(30);

std::unique_ptr<net::HttpClient> make_client(const net::AddressRules& rules) {
  net::HttpClientOptions options;
  options.connections_per_host = 16;
  options.may_connect = [rules](std::string_view address) { return rules.allow(address); };
  return net::HttpClient::make(std::move(options));
}

soap::SoapTransportOptions for_strangers() {
  soap::SoapTransportOptions options;
  options.timeout = kAnswerTime;
  options.reply_limit = kAnswerLimit;
  return options;
}

}  // namespace

Transports::Transports(exchange::RemoteTransport& trusted, const net::AddressRules& rules)
    : trusted_(trusted), http_(make_client(rules)), strangers_(*http_, for_strangers()) {}

void Transports::send(const exchange::Message& request, std::function<void(Result<exchange::Message>)> done) {
  if (request.to_stranger) return strangers_.send(request, std::move(done));
  trusted_.send(request, std::move(done));
}

std::unique_ptr<services::notification::Notification> make_notification(const net::AddressRules& rules,
                                                                        NotificationAddresses addresses,
                                                                        api::HearingOptions hearing) {
  services::notification::NotificationOptions options;
  options.base = addresses.own_bases.front();
  options.public_url = std::move(addresses.public_url);
  options.own_paths = std::move(addresses.own_paths);
  options.check_consumer = [rules, bases = std::move(addresses.own_bases)](const std::string& url) -> Status {
    for (const std::string& base : bases) {
      const bool is_own = url.starts_with(base) && (url.size() == base.size() || url[base.size()] == '/');
      if (is_own) return denied(fmt::format("the address '{}' is this process's own and no pull point's", url));
    }
    return net::check_url(rules, url);
  };
  options.may_hear = [hearing = std::move(hearing)](const auto& subscriber) {
    return api::may_hear(hearing, subscriber);
  };
  return std::make_unique<services::notification::Notification>(services::notification::producers_of_contracts(),
                                                                std::move(options));
}

services::notification::TellingService telling_of(const services::registry::ServiceRow& row) {
  services::notification::TellingService out;
  out.name = row.name;
  out.name_space = row.name_space;
  out.kinds = row.topics;
  for (const auto& resource : row.resources) {
    auto& kind = out.resources.emplace_back();
    kind.name = resource.name;
    kind.path = resource.path;
    kind.get = resource.get;
    kind.get_input = resource.get_input;
    kind.get_output = resource.get_output;
    for (const auto& property : resource.property) kind.properties.push_back({property.name, property.field});
  }
  return out;
}

void tell_of(services::notification::Notification& notification, const std::string& name,
             const services::registry::ServiceRow* row) {
  if (row == nullptr) return notification.remove_service(name);
  notification.set_service(telling_of(*row));
}

void add_notification_routes(exchange::Router& router, exchange::Exchange& control) {
  for (const auto& operation : services::notification::Notification::standard_operations())
    router.add_route("/services", operation, control, "notification");
}

}  // namespace nuraghe::daemon
