// JSON as text, for the few small objects that the doors write (RFC 8259).
#pragma once

#include <string>
#include <string_view>

#include "exchange/exchange.hpp"

namespace nuraghe::api {

// Appends the text as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);
// {"sequence":1,"time":"…","vo":"…","cluster":"…","host":"…","kind":"…","severity":"…","text":"…","attributes":{…}}
std::string event_json(const exchange::Event& event);

}  // namespace nuraghe::api
