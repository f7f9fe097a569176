// Doors: what `bpel serve` answers over HTTP (docs/bpel-program.md lists the requests).
//
//   POST PATH                       SOAP 1.1 and 1.2, for every path of the catalogue
//   GET  PATH?wsdl                  the description with live addresses; PATH?wsdl=FILE, PATH?xsd=FILE: what it imports
//   POST /deployments[?name=NAME]   a zip; GET /deployments, GET and DELETE /deployments/ID
//   GET  /instances, /instances/ID, /instances/ID/drawing
//   POST /instances/ID/suspend, /resume, /terminate, /replay
//   GET  /healthz
//
// Paths of the catalogue go before the others. With a token every request needs "Authorization: Bearer TOKEN".
// Threading: handlers run on the server's io threads, answers come from the host's threads.
#pragma once

#include <memory>
#include <string>

#include "bpelhost/host.hpp"
#include "net/http_server.hpp"

namespace nuraghe::bpelhost {

class Doors {
 public:
  explicit Doors(Host& host);
  void handle(net::HttpRequest request, const net::HttpResponder& responder) const;
  // For HttpServerOptions::on_head. `token` empty: whoever reaches the address may ask.
  static std::optional<net::HttpResponse> authenticate(const std::string& token, const net::HttpRequest& head);

 private:
  void handle_deployments(net::HttpRequest request, const net::HttpResponder& responder) const;
  void handle_instances(const net::HttpRequest& request, const net::HttpResponder& responder) const;
  Host& host_;
};

// ---- the parts ----

net::HttpResponse json_error(const Error& error);
net::HttpResponse json_response(int status, std::string json);
// "http://HOST" as the client called this server; only characters that a host has.
std::string base_of(const net::HttpRequest& request);

// soap_door.cpp
void serve_soap(Host& host, const std::vector<std::shared_ptr<const Service>>& services,
                const net::HttpRequest& request, const net::HttpResponder& responder);
// description.cpp
net::HttpResponse serve_description(const Service& service, const net::HttpRequest& request);
Result<std::string> live_wsdl(const Service& service, const std::string& file, const std::string& address);

}  // namespace nuraghe::bpelhost
