// What the audit log says of a request and of how it ended. Pure.
#pragma once

#include "base/result.hpp"
#include "contracts/tenant.hpp"
#include "exchange/message.hpp"

namespace nuraghe::services::tenant {

// Kind `call`, without an outcome yet. It holds no more of the request than its names: no secret, no key, no blueprint.
contracts::tenant::AuditRecord record_of_call(const exchange::Message& request);
// "done", or the error's code and sentence.
void set_outcome(contracts::tenant::AuditRecord& record, const Status& status);

}  // namespace nuraghe::services::tenant
