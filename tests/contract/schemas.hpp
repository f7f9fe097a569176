// The schemas of the generated contracts, compiled, for tests.
#pragma once

#include <string>

#include "xml/schema.hpp"

namespace nuraghe::contracts::tests {

// Compiles a schema of a folder with everything below it at hand; ends the test program when it does not compile.
xml::Schema compile_schema(const std::string& folder, const std::string& main);
// All findings, one per line; empty when the element is valid.
std::string findings_of(const xml::Schema& schema, xml::Node element);

}  // namespace nuraghe::contracts::tests
