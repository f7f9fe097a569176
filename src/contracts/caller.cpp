#include "contracts/caller.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <optional>

namespace nuraghe::contracts {
namespace {

// What a waiting call shares with the transport's thread; the last of both frees it.
struct Waiter {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<Result<exchange::Message>> result;
};

}  // namespace

Result<exchange::Message> RouterCaller::call(exchange::Message request, Duration timeout) {
  if (request.message_id.empty()) request.message_id = env::make_uuid_urn(*random_);
  return exchange::call(*router_, std::move(request), timeout);
}

Result<exchange::Message> TransportCaller::call(exchange::Message request, Duration timeout) {
  if (request.message_id.empty()) request.message_id = env::make_uuid_urn(*random_);
  auto waiter = std::make_shared<Waiter>();
  transport_->send(request, [waiter](Result<exchange::Message> result) {
    const std::lock_guard lock(waiter->mutex);
    waiter->result.emplace(std::move(result));
    waiter->arrived.notify_all();
  });
  std::unique_lock lock(waiter->mutex);
  if (!waiter->arrived.wait_for(lock, timeout, [&] { return waiter->result.has_value(); })) {
    return timed_out(fmt::format("{} did not answer the request {} within {}", request.to, request.operation,
                                 format_duration(timeout)));
  }
  return std::move(*waiter->result);
}

}  // namespace nuraghe::contracts
