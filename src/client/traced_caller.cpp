#include "client/traced_caller.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "env/posix.hpp"

namespace nuraghe::client {
namespace {

// 32 hexadecimal digits; never all zero, as the version of a UUID is not.
std::string random_digits() {
  std::string text = env::make_uuid_urn(env::system_random());
  text.erase(0, text.rfind(':') + 1);
  text.erase(std::remove(text.begin(), text.end(), '-'), text.end());
  return text;
}

}  // namespace

TracedCaller::TracedCaller(contracts::Caller& caller)
    : caller_(&caller), traceparent_(fmt::format("00-{}-{}-01", random_digits(), random_digits().substr(0, 16))) {}

Result<exchange::Message> TracedCaller::call(exchange::Message request, Duration timeout) {
  request.traceparent = traceparent_;
  return caller_->call(std::move(request), timeout);
}

}  // namespace nuraghe::client
