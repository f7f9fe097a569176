// The repository's frozen states: fetched from the controllers that exported them, kept until they are dropped.
#include "services/vhir/states.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "env/env.hpp"
#include "images/digest.hpp"
#include "services/vhir/vhir.hpp"

namespace nuraghe::services::vhir {
namespace {

constexpr Bytes kTextLimit = mib(4);  // of manifests and configurations
// Images cannot be called so.
std::string state_name(const std::string& host) { return ".frozen/" + host + ":1"; }

api::ImageReference reference_of_state(const std::string& host, const std::string& digest, const std::string& folder) {
  return {".frozen/" + host, "1", digest, folder};
}

Status start_state_job(exchange::Turn& turn, const StateOrder& order) {
  return turn.start_job(
      {fmt::format("{}{}/{}", kStateJob, order.removes ? "remove" : "store", order.request), encode_record(order)});
}

}  // namespace

Status Repository::store_state(exchange::Turn& turn, const exchange::Message& request,
                               const api::StoreStateRequest& input) {
  if (!images::is_digest(input.state)) return invalid(fmt::format("'{}' is not the digest of a state", input.state));
  if (states_ == nullptr) return unsupported("this repository fetches no frozen states");
  TRY_ASSIGN(const auto before, frozen_.find(turn.transaction(), input.host));
  if (before && before->vo != request.vo) return not_found(fmt::format("there is no virtual host {}", input.host));
  if (before && before->digest == input.state) {
    api::StoreStateResponse response;
    response.reference = reference_of_state(input.host, input.state, images_.root());
    response.size = before->size;
    return answer(turn, request.message_id, response);
  }
  StateOrder order;
  order.request = request.message_id;
  order.host = input.host;
  order.vo = request.vo;
  order.controller = input.controller;
  order.digest = input.state;
  return start_state_job(turn, order);
}

Result<std::string> Repository::fetch_state(const StateOrder& order, exchange::JobContext& context) {
  if (order.removes) {
    TRY(images_.remove({order.vo, state_name(order.host), order.digest}, order.kept));
    // Copies of the host may have needed them longer.
    TRY(images_.discard(order.digest, order.kept));
    return encode_record(StateRow{});
  }
  if (states_ == nullptr) return unsupported("this repository fetches no frozen states");
  const auto cancelled = [&context] { return context.cancelled(); };
  const auto take = [&](const std::string& digest, Bytes limit) -> Status {
    if (images_.blob_file(digest)) return {};
    TRY_ASSIGN(const auto next, states_->open(order.controller, order.host, digest, cancelled));
    return images_.take_blob(digest, limit, next);
  };
  TRY(take(order.digest, kTextLimit));
  TRY_ASSIGN(auto manifest, images_.manifest(order.digest));
  const images::ImageStore::Arriving arriving(images_, manifest);
  TRY(take(order.digest, kTextLimit));
  TRY(take(manifest.config.digest, kTextLimit));
  TRY(images_.check_room(manifest));
  for (const auto& part : manifest.parts) TRY(take(part.digest, part.size));
  manifest.reference = fmt::format("{}/{}", order.vo, state_name(order.host));
  TRY(images_.add(manifest));
  return encode_record(StateRow{order.digest, order.vo, manifest.stored_size(), {}});
}

Status Repository::forget_state(exchange::Turn& turn, const std::string& host, const StateRow& row) {
  TRY(frozen_.erase(turn.transaction(), host));
  return delete_state(turn, host, row.vo, row.digest);
}

Status Repository::delete_state(exchange::Turn& turn, const std::string& host, const std::string& vo,
                                const std::string& digest) {
  StateOrder order;
  order.removes = true;
  order.request = env::make_id(turn.random(), "drop");
  order.host = host;
  order.vo = vo;
  order.digest = digest;
  TRY_ASSIGN(order.kept, digests_in_use(turn));
  return start_state_job(turn, order);
}

Status Repository::resolve_state(exchange::Turn& turn, const exchange::Message& request,
                                 const api::ResolveRequest& input) {
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto state, frozen_.find(tx, *input.from));
  if (!state || state->vo != request.vo)
    return not_found(fmt::format("the repository has no frozen state of virtual host {}", *input.from));
  if (!input.host.empty()) {
    TRY_ASSIGN(const auto image, holds_.find(tx, *input.from));
    if (!image) return internal(fmt::format("nothing holds the image of virtual host {}", *input.from));
    TRY_ASSIGN(const auto hold, holds_.find(tx, input.host));
    if (hold && hold->vo != request.vo) return not_found(fmt::format("there is no virtual host {}", input.host));
    TRY(holds_.put(tx, input.host, {image->digest, request.vo, state->digest}));
    exchange::Event event;
    event.vo = request.vo;
    event.cluster = input.cluster;
    event.host = input.host;
    event.kind = "host.referenced";
    const std::string name = input.name.value_or("");
    event.text =
        fmt::format("the frozen state of {} is referenced for {}", *input.from, name.empty() ? input.host : name);
    event.attributes["from"] = *input.from;
    if (!name.empty()) event.attributes["name"] = name;
    TRY(turn.publish(std::move(event)));
  }
  api::ResolveResponse response;
  response.reference = reference_of_state(*input.from, state->digest, images_.root());
  return answer(turn, request.message_id, response);
}

Status Repository::state_stored(exchange::Turn& turn, const StateOrder& order, const Result<std::string>& result) {
  if (order.removes) {
    if (!result)
      log_warning("vhir", "parts of a frozen state stay",
                  {{"host", order.host}, {"error", result.error().to_string()}});
    return {};
  }
  if (!result)
    return fail(turn, order.request, result.error().with(fmt::format("fetching the frozen state of {}", order.host)));
  TRY_ASSIGN(auto row, decode_record<StateRow>(*result));
  TRY_ASSIGN(const auto before, frozen_.find(turn.transaction(), order.host));
  row.stored = turn.now();
  TRY(frozen_.put(turn.transaction(), order.host, row));
  if (before && before->digest != row.digest) TRY(delete_state(turn, order.host, before->vo, before->digest));
  api::StoreStateResponse response;
  response.reference = reference_of_state(order.host, row.digest, images_.root());
  response.size = row.size;
  return answer(turn, order.request, response);
}

Status Repository::drop_state(exchange::Turn& turn, const exchange::Message& request,
                              const api::DropStateRequest& input) {
  TRY_ASSIGN(const auto row, frozen_.find(turn.transaction(), input.host));
  if (row && row->vo == request.vo) TRY(forget_state(turn, input.host, *row));
  return answer(turn, request.message_id, api::DropStateResponse{});
}

}  // namespace nuraghe::services::vhir
