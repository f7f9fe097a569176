#include "net/http.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nuraghe::net {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
}

}  // namespace

bool equal_without_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view find_header(const HttpHeaders& headers, std::string_view name) {
  for (const HttpHeader& header : headers) {
    if (equal_without_case(header.name, name)) return header.value;
  }
  return {};
}

std::string_view HttpRequest::path() const { return std::string_view(target).substr(0, target.find('?')); }

std::optional<std::string> HttpRequest::query(std::string_view name) const {
  const std::size_t mark = target.find('?');
  if (mark == std::string::npos) return std::nullopt;
  std::string_view rest = std::string_view(target).substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    const std::size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    if (equals == std::string_view::npos) return std::string();
    std::string value(pair.substr(equals + 1));
    std::replace(value.begin(), value.end(), '+', ' ');
    auto decoded = percent_decode(value);
    return decoded ? std::optional(std::move(*decoded)) : std::nullopt;
  }
  return std::nullopt;
}

HttpResponse text_response(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(text);
  if (response.body.empty() || response.body.back() != '\n') response.body.push_back('\n');
  return response;
}

int http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kConflict:
    case ErrorCode::kCancelled:  // somebody ended it: what is there now tells whether to ask again
      return 409;
    case ErrorCode::kDenied:
      return 403;
    case ErrorCode::kExhausted:
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kTimeout:
      return 504;
    case ErrorCode::kUnsupported:
      return 501;
    case ErrorCode::kCorrupt:
    case ErrorCode::kInternal:
      return 500;
  }
  return 500;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 1 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0 || high + low == 0) {
      return invalid(fmt::format("'{}' has a broken percent escape", text));
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c)) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

bool is_authority(std::string_view text) {
  if (text.empty() || text.size() > 255) return false;
  const std::size_t bracket = text.front() == '[' ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const std::size_t colon = text.find(':', bracket);
  const std::string_view host = text.substr(0, colon);
  const auto all = [](std::string_view part, auto good) { return std::all_of(part.begin(), part.end(), good); };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_hex = [&](char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); };
  const auto is_name = [&](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-';
  };
  if (bracket == 0) {
    if (host.empty() || !all(host, is_name)) return false;
  } else {
    const std::string_view address = host.substr(1, host.size() - 2);
    const bool is_address = host.back() == ']' && address.find(':') != std::string_view::npos &&
                            all(address, [&](char c) { return is_hex(c) || c == ':' || c == '.'; });
    if (!is_address) return false;
  }
  if (colon == std::string_view::npos) return true;
  const std::string_view port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || !all(port, is_digit)) return false;
  int number = 0;
  for (const char c : port) number = number * 10 + (c - '0');
  return number > 0 && number <= 65535;
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  const std::size_t colon = text.find("://");
  if (colon != std::string_view::npos) url.scheme = text.substr(0, colon);
  if (url.scheme != "http" && url.scheme != "https" && url.scheme != "http+unix") {
    return invalid(fmt::format("the address '{}' begins with none of http://, https:// and http+unix://", text));
  }
  if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; })) {
    return invalid(fmt::format("the address '{}' holds a space or control character", text));
  }
  const std::string_view rest = text.substr(colon + 3);
  const std::size_t slash = rest.find_first_of("/?#");
  url.authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) url.target = rest.substr(slash, rest.find('#') - slash);
  if (url.target.empty() || url.target.front() != '/') url.target.insert(0, "/");
  if (url.authority.empty() || url.authority.find('@') != std::string::npos) {
    return invalid(fmt::format("the address '{}' names no host, or a user, which is not supported", text));
  }
  if (url.scheme == "http+unix") {
    auto socket = percent_decode(url.authority);
    if (!socket) return invalid(fmt::format("the address '{}' has a broken percent escape", text));
    url.socket = std::move(*socket);
  }
  return url;
}

std::string unix_base(std::string_view socket_path) { return "http+unix://" + percent_encode(socket_path); }

}  // namespace nuraghe::net
