// The notification service within nuraghed: its actor, the events that it follows, and how its messages get out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/hearing.hpp"
#include "exchange/exchange.hpp"
#include "net/address_rules.hpp"
#include "net/http_client.hpp"
#include "services/notification/notification.hpp"
#include "services/registry/registry.hpp"
#include "soap/transport.hpp"

namespace nuraghe::daemon {

// Sends what goes to addresses that somebody outside named by connections of their own, which lead only where the rules
// let them and carry no token; all else as before.
class Transports final : public exchange::RemoteTransport {
 public:
  // `trusted` is not owned.
  Transports(exchange::RemoteTransport& trusted, const net::AddressRules& rules);
  void send(const exchange::Message& request, std::function<void(Result<exchange::Message>)> done) override;
  // Ends what is under way; nothing may be sent any more.
  void close() { http_.reset(); }

 private:
  exchange::RemoteTransport& trusted_;
  std::unique_ptr<net::HttpClient> http_;
  soap::SoapTransport strangers_;
};

struct NotificationAddresses {
  std::vector<std::string> own_bases;  // of this process, which are no consumer's; the first is what it calls itself by
  std::string public_url;              // what consumers are told; empty: what their subscriber came by
  soap::SharedPathOf own_paths;
};
// `hearing`: whose pointers outlive the result.
std::unique_ptr<services::notification::Notification> make_notification(const net::AddressRules& rules,
                                                                        NotificationAddresses addresses,
                                                                        api::HearingOptions hearing);
// What a service of another program tells, as it has registered.
services::notification::TellingService telling_of(const services::registry::ServiceRow& row);
// Has it told from now on; null: nothing any more.
void tell_of(services::notification::Notification& notification, const std::string& name,
             const services::registry::ServiceRow* row);

void add_notification_routes(exchange::Router& router, exchange::Exchange& control);

}  // namespace nuraghe::daemon
