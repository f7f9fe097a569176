// What the headers and the query of a REST request ask for. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/rest_list.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "net/http.hpp"

namespace nuraghe::api {

// The query of a target, decoded (a plus is a blank). kInvalid for a broken percent escape.
Result<QueryParameters> query_of(std::string_view target);

// Whether an Accept header (RFC 9110 §12.5.1) takes the media type; without the header all are taken.
bool accepts(std::string_view header, std::string_view type);
// Whether a Content-Type is JSON: application/json or a type that ends with +json, in UTF-8 if it says any charset.
bool is_json(std::string_view content_type);

// Prefer (RFC 7240) as far as it is obeyed.
struct Preferences {
  bool respond_async = false;
  std::optional<Duration> wait;  // how long the client likes to wait for the answer itself
};
Preferences preferences_of(std::string_view header);

// The key of an Idempotency-Key header: a string of up to 255 visible characters, with or without the quotes of a
// structured field. nullopt: there is none; kInvalid otherwise.
Result<std::optional<std::string>> idempotency_key(const net::HttpRequest& request);

}  // namespace nuraghe::api
