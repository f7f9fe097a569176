// Problem details: how every error looks that is answered as JSON (RFC 9457), beside SOAP's faults.
//
//   {"type":"urn:nuraghe:problem:not-found","title":"Not Found","status":404,"detail":"there is no cluster x",
//    "instance":"/clusters/x","code":"not-found","context":["freezing cluster x"],"trace_id":"4bf9…"}
//
// `code` is the word of base/result.hpp, by which a program decides; `detail` is the sentence for people; `context` is
// what was being done, the outermost first; `trace_id` is that of the request's traceparent. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "net/http.hpp"

namespace nuraghe::api {

struct ProblemSource {
  std::string_view instance;     // the path that was asked for
  std::string_view traceparent;  // empty: none
};

// With the status that says what the error's code says, or `status` where HTTP has a narrower one (405, 412, 415, …).
// 503 comes with Retry-After.
net::HttpResponse problem_response(const Error& error, const ProblemSource& source, int status = 0);

}  // namespace nuraghe::api
