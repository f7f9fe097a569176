// Any bytes as a blueprint. Whatever comes, the answer is a blueprint or findings that each say where; a blueprint that
// is accepted is accepted again in the form with everything inlined, and means the same.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "model/blueprint.hpp"

namespace {

using namespace nuraghe;  // NOLINT: a program of its own

void check_blueprint(std::string_view input) {
  const auto parsed = model::parse_blueprint(input, "input.xml", {});
  for (const xml::Finding& finding : parsed.findings) CHECK(!finding.message.empty());
  if (!parsed.ok()) return;
  CHECK(parsed.inlined.has_value());
  const auto again = model::parse_blueprint(parsed.inlined->to_string(), "inlined.xml", {});
  CHECK(again.ok());
  CHECK(again.blueprint.name == parsed.blueprint.name);
  CHECK(again.inlined->to_string() == parsed.inlined->to_string());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_blueprint({reinterpret_cast<const char*>(data), size});
  return 0;
}
