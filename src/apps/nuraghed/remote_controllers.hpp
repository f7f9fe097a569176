// RemoteControllers: the controllers that are processes of their own, as this nuraghed's doors show them: their
// consoles are relayed, SOAP requests to /services/NAME are passed on. Whoever may enter here needs no other token.
//
// Threading: every function is thread safe. A live console has two threads; there are at most kMostConsoles.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "env/posix.hpp"
#include "exchange/exchange.hpp"
#include "net/http_client.hpp"

namespace nuraghe::daemon {

class RemoteControllers {
 public:
  static constexpr std::size_t kMostConsoles = 64;
  // Answers where the controller of that name is reached ("http://10.0.0.2:8471/services/host-2"), kNotFound when there
  // is none; from any thread, once.
  using Addresses = std::function<void(const std::string& controller, std::function<void(Result<std::string>)> done)>;

  // The bearer token for a base; empty: none.
  using Tokens = std::function<std::string(std::string_view base)>;

  // Client and transport outlive this; what they call back late finds it gone.
  RemoteControllers(net::HttpClient& http, exchange::RemoteTransport& transport, Tokens tokens, Addresses addresses);
  ~RemoteControllers();

  // As api::ConsoleProvider, on behalf of a virtual organisation.
  void open_console(const std::string& controller, const std::string& host, const std::string& vo,
                    std::function<void(Result<env::UniqueFd>)> done);
  void console_tail(const std::string& controller, const std::string& host, const std::string& vo, Bytes limit,
                    std::function<void(Result<std::string>)> done);
  // A request to /services/NAME/… for the controller NAME; kNotFound when there is none.
  void pass_on(exchange::Message request, exchange::DeliveryHandler handler);
  // Ends every console.
  void stop();

  // Told what came of requests from outside that are sent on from this process's own exchange. Set before the first.
  void on_ended(std::function<void(const exchange::Message& request, const Result<exchange::Message>& outcome)> ended) {
    ended_ = std::move(ended);
  }
  // A router that takes requests in and sends them as `inner` does, and passes those on whose service `is_own` does not
  // know, each time to where the controller is then. Both outlive it.
  std::unique_ptr<exchange::Router> make_router(exchange::Router& inner,
                                                std::function<bool(const std::string& service)> is_own);

 private:
  class Console;
  class Forwarding;
  // The handler, with what came of a request from outside told before.
  exchange::DeliveryHandler telling(const exchange::Message& request, exchange::DeliveryHandler handler) const;
  void begin_console(net::ClientRequest request, std::function<void(Result<env::UniqueFd>)> done);
  net::ClientRequest console_request(const std::string& address, const std::string& host, const std::string& vo) const;

  net::HttpClient& http_;
  exchange::RemoteTransport& transport_;
  const Tokens tokens_;
  const Addresses addresses_;
  std::function<void(const exchange::Message&, const Result<exchange::Message>&)> ended_;
  std::mutex mutex_;
  bool stopping_ = false;
  std::list<std::shared_ptr<Console>> consoles_;
};

}  // namespace nuraghe::daemon
