// Random values of the test service's types, for property tests.
#pragma once

#include <rapidcheck.h>

#include "contracts/echo.hpp"

namespace nuraghe::contracts::echo {

// Any Everything whose values XML Schema can express exactly: times of the years 1970 to 2030, spans of at most 30
// years.
rc::Gen<Everything> any_everything();
// A random element tree of namespaces that the service knows nothing of.
rc::Gen<xml::DocumentPtr> any_document();

}  // namespace nuraghe::contracts::echo
