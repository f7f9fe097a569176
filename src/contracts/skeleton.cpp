#include "contracts/skeleton.hpp"

#include <fmt/format.h>

namespace nuraghe::contracts {

Status ServiceActor::on_start(exchange::Turn&) { return {}; }

Status ServiceActor::on_reply(exchange::Turn&, const exchange::Message& reply, std::string_view token) {
  return internal(
      fmt::format("{} got a reply to {} that it does not wait for (token '{}')", originator_, reply.relates_to, token));
}

Status ServiceActor::on_timer(exchange::Turn&, std::string_view key) {
  return internal(fmt::format("{} got the timer '{}' that it did not set", originator_, key));
}

Status ServiceActor::on_job(exchange::Turn&, const exchange::Job& job, const Result<std::string>&) {
  return internal(fmt::format("{} got the end of the job '{}' that it did not start", originator_, job.key));
}

Result<std::string> ServiceActor::run_job(const exchange::Job& job, exchange::JobContext&) {
  return internal(fmt::format("{} has no job '{}'", originator_, job.key));
}

Status ServiceActor::fail(exchange::Turn& turn, std::string_view request_id, const Error& error) const {
  return turn.reply_fault(request_id, exchange::fault_of(error, originator_, turn.now()));
}

}  // namespace nuraghe::contracts
