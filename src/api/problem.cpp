#include "api/problem.hpp"

#include <fmt/format.h>

#include "api/json.hpp"
#include "exchange/trace.hpp"

namespace nuraghe::api {

namespace {

void append_text(std::string& out, std::string_view name, std::string_view text) {
  out += fmt::format(",\"{}\":", name);
  append_json_string(out, text);
}

}  // namespace

net::HttpResponse problem_response(const Error& error, const ProblemSource& source, int status) {
  net::HttpResponse response;
  response.status = status != 0 ? status : net::http_status(error.code());
  response.content_type = "application/problem+json";
  const std::string_view code = error_code_name(error.code());
  std::string& out = response.body;
  out = fmt::format("{{\"type\":\"urn:nuraghe:problem:{}\"", code);
  append_text(out, "title", net::reason_phrase(response.status));
  out += fmt::format(",\"status\":{}", response.status);
  append_text(out, "detail", error.message());
  append_text(out, "instance", source.instance);
  append_text(out, "code", code);
  out += ",\"context\":[";
  for (auto level = error.context().rbegin(); level != error.context().rend(); ++level) {
    if (level != error.context().rbegin()) out.push_back(',');
    append_json_string(out, *level);
  }
  out.push_back(']');
  if (const auto parent = exchange::parse_traceparent(source.traceparent))
    append_text(out, "trace_id", parent->trace.to_string());
  out.push_back('}');
  response.headers.push_back({"Cache-Control", "no-store"});
  if (response.status == 503) response.headers.push_back({"Retry-After", "1"});
  return response;
}

}  // namespace nuraghe::api
