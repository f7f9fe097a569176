#include "api/problem.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace nuraghe::api {
namespace {

TEST(Problem, SaysAllThatRfc9457AndACallerNeed) {
  const Error error = not_found("there is no image \"x\"\n").with("creating host head").with("creating cluster a");
  const auto response =
      problem_response(error, {"/clusters", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"});
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.content_type, "application/problem+json");
  EXPECT_EQ(boost::json::parse(response.body), boost::json::parse(R"({
    "type": "urn:nuraghe:problem:not-found", "title": "Not Found", "status": 404,
    "detail": "there is no image \"x\"\n", "instance": "/clusters", "code": "not-found",
    "context": ["creating cluster a", "creating host head"], "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"})"));
}

TEST(Problem, EveryCodeHasItsStatus) {
  const std::pair<ErrorCode, int> expected[] = {
      {ErrorCode::kInvalid, 400}, {ErrorCode::kNotFound, 404},    {ErrorCode::kConflict, 409},
      {ErrorCode::kDenied, 403},  {ErrorCode::kExhausted, 503},   {ErrorCode::kUnavailable, 503},
      {ErrorCode::kTimeout, 504}, {ErrorCode::kUnsupported, 501}, {ErrorCode::kCancelled, 409},
      {ErrorCode::kCorrupt, 500}, {ErrorCode::kInternal, 500}};
  for (const auto& [code, status] : expected) {
    const auto response = problem_response(Error(code, "x"), {"/", ""});
    EXPECT_EQ(response.status, status) << error_code_name(code);
    const auto body = boost::json::parse(response.body).as_object();
    EXPECT_EQ(body.at("status").as_int64(), status);
    EXPECT_EQ(body.at("code").as_string(), std::string(error_code_name(code)));
    EXPECT_FALSE(body.contains("trace_id"));
    EXPECT_EQ(net::find_header(response.headers, "Retry-After"), status == 503 ? "1" : "");
  }
}

TEST(Problem, ANarrowerStatusStands) {
  const auto response = problem_response(conflict("it was changed"), {"/clusters/a", ""}, 412);
  EXPECT_EQ(response.status, 412);
  EXPECT_EQ(boost::json::parse(response.body).as_object().at("title").as_string(), "Precondition Failed");
}

}  // namespace
}  // namespace nuraghe::api
