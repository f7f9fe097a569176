// Random values of the test service's types, for property tests.
#pragma once

#include <rapidcheck.h>

#include "contracts/echo.hpp"
#include "contracts/operation.hpp"

namespace nuraghe::contracts::echo {

// Any Everything whose values XML Schema can express exactly: times of the years 1970 to 2030, spans of at most 30
// years.
rc::Gen<Everything> any_everything();
// A random element tree of namespaces that the service knows nothing of.
rc::Gen<xml::DocumentPtr> any_document();

// The test service as the table of its operations has it.
const ServiceInfo* test_service();

}  // namespace nuraghe::contracts::echo
