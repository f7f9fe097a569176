// SoapTransport: sends exchange messages to other processes as SOAP over HTTP, on TCP and UNIX sockets: in the version
// that the message asks for, 1.1 by itself.
//
// What the sender gets (exchange::RemoteTransport): a reply or a SOAP fault as a Message; an Error when no answer came
// that could be one. kUnavailable (not reached, 502, 503, 504, 429) and kTimeout may be repeated; kDenied (401, 403),
// kNotFound (404 without a fault) and kCorrupt (an answer that is no envelope, or another request's) are final.
// Thread safe; replies come on the HTTP client's thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "exchange/exchange.hpp"
#include "net/http_client.hpp"

namespace nuraghe::soap {

// The bearer token for a target ("http://host:port", "http+unix://…"); empty: none is sent. Thread safe, does not
// block.
using TokenSource = std::function<std::string(std::string_view base)>;

struct SoapTransportOptions {
  TokenSource token;
  // wsa:Action and SOAPAction of a request; empty function or result: default_action().
  std::function<std::string(const exchange::Message& request)> action;
  // The SOAPAction header of a message without an action; false: "" (SOAP 1.1 §6.1.1), as WSDL says it.
  bool default_soap_action = true;
  // For one attempt: operations take minutes, and a repeat with the same MessageID joins the first.
  Duration timeout = std::chrono::minutes(15);
  Bytes reply_limit = mib(64);
  bool parts = false;  // DecodeOptions::parts, of answers
};

class SoapTransport final : public exchange::RemoteTransport {
 public:
  // The client is not owned and must outlive this.
  explicit SoapTransport(net::HttpClient& client, SoapTransportOptions options = {})
      : client_(client), options_(std::move(options)) {}
  void send(const exchange::Message& request, std::function<void(Result<exchange::Message>)> done) override;

 private:
  net::HttpClient& client_;
  SoapTransportOptions options_;
};

}  // namespace nuraghe::soap
