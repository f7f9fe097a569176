// Who tells what as contracts/*.service.xml has it.
#pragma once

#include "services/notification/producers.hpp"

namespace nuraghe::services::notification {

Producers producers_of_contracts();

}  // namespace nuraghe::services::notification
