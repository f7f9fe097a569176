// HTTP values shared by server and client: headers, requests, responses, URLs. No sockets here; all plain values.
//
// Sources: RFC 9110 (semantics), RFC 9112 (HTTP/1.1), RFC 3986 (percent-encoding).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::net {

struct HttpHeader {
  std::string name;
  std::string value;
};
using HttpHeaders = std::vector<HttpHeader>;

// The value of the first header of that name (compared without case); empty when there is none.
std::string_view find_header(const HttpHeaders& headers, std::string_view name);
// True when both are equal but for ASCII case.
bool equal_without_case(std::string_view a, std::string_view b);

// What a client showed of itself over TLS, after it was verified.
struct PeerCertificate {
  std::string serial;  // hex digits, lower case
  TimePoint not_after;
  std::vector<std::string> uris;  // its subject alternative names of that kind (RFC 5280 §4.2.1.6)
};

// What the server hands to its handler.
struct HttpRequest {
  std::string method;  // "GET", "POST"
  std::string target;  // origin form as sent: "/services/vhf?wsdl"
  HttpHeaders headers;
  std::string body;
  std::string peer;                                    // "127.0.0.1:4711", or "unix" for a UNIX socket
  std::string reached_at;                              // by the socket, not by what the client says:
                                                       // "https://10.0.0.1:8470"; empty for a UNIX socket
  bool is_local = false;                               // came over a UNIX socket, or over loopback without TLS
  bool is_among_many = false;                          // other connections brought requests within the last moment
  std::shared_ptr<const PeerCertificate> certificate;  // null: none was shown
  std::shared_ptr<const void> attachment;              // whatever the head hook left for the handler

  std::string_view header(std::string_view name) const { return find_header(headers, name); }
  // The target up to '?', as sent (percent-encoded).
  std::string_view path() const;
  // The decoded value of a query parameter; "" for one without '='; nullopt when it is not there.
  std::optional<std::string> query(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type;  // empty: no Content-Type
  HttpHeaders headers;       // besides Content-Type, Content-Length, Connection, Date: those the server writes
  std::string body;
};
HttpResponse text_response(int status, std::string text);

// The status that says what an error code says.
int http_status(ErrorCode code);

// "Not Found" for 404; "Unknown" for a code without a name.
std::string_view reason_phrase(int status);

// %XX decoded; kInvalid for a broken escape or an encoded NUL.
Result<std::string> percent_decode(std::string_view text);
// Everything but unreserved characters (RFC 3986 §2.3) as %XX.
std::string percent_encode(std::string_view text);

// An absolute URL of one of the schemes that Nuraghe speaks: http://HOST:PORT/PATH, https://HOST:PORT/PATH and
// http+unix://PERCENT-ENCODED-SOCKET-PATH/PATH.
struct Url {
  std::string scheme;     // "http", "https" or "http+unix"
  std::string authority;  // host[:port] or the encoded socket path, as written
  std::string target;     // "/..." with the query; "/" when empty
  std::string socket;     // http+unix: the decoded socket path
  // "scheme://authority": what addresses of one peer have in common.
  std::string base() const { return scheme + "://" + authority; }
};
// kInvalid, naming the URL, for any other scheme, an empty authority or control characters.
Result<Url> parse_url(std::string_view text);
// Whether it can stand as the authority of an http or https URL: a host (a name, an IPv4 address, an IPv6 address in
// brackets) and perhaps a port from 1 on (RFC 3986 §3.2.2, §3.2.3); no user, at most 255 characters.
bool is_authority(std::string_view text);
// "http+unix://%2Frun%2Fx.sock" of "/run/x.sock".
std::string unix_base(std::string_view socket_path);

}  // namespace nuraghe::net
