// TLS of HttpClient: what libcurl is told, and what its failures mean to people. Inside of this room.
#pragma once

#include <curl/curl.h>

#include <string>

#include "net/tls.hpp"

namespace nuraghe::net {

// `peer` outlives the transfer.
void set_up_tls(CURL* easy, const TlsPeer& peer);

// What went wrong and what to do, when it was about TLS; else empty. `detail` is libcurl's own sentence.
std::string tls_reason(CURL* easy, CURLcode code, const std::string& detail, const TlsPeer& peer);

}  // namespace nuraghe::net
