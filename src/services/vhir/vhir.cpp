#include "services/vhir/vhir.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "env/posix.hpp"
#include "model/image.hpp"
#include "services/vhir/states.hpp"

namespace nuraghe::services::vhir {
namespace {

struct Order {
  std::string verb;     // import, verify, remove
  std::string request;  // message id
  std::string vo;
  std::string subject;  // import: the folder; verify: the manifest's digest; remove: NAME:VERSION
  // remove: the image's digest, and those of all images that somebody has or uses.
  std::string digest;
  std::vector<std::string> kept;
  std::string refusal;  // remove: of an import that goes too far; empty: it was asked for
  template <class V>
  void fields(V& v) {
    v(1, verb), v(2, request), v(3, vo), v(4, subject), v(5, digest), v(6, kept), v(7, refusal);
  }
};

struct Outcome {
  ImageRow row;            // import
  std::int32_t parts = 0;  // verify
  Bytes size;
  template <class V>
  void fields(V& v) {
    v(1, row), v(2, parts), v(3, size);
  }
};

std::string reference_of(const api::Image& image) { return fmt::format("{}:{}", image.name, image.version); }

std::string row_key(const std::string& vo, const api::Image& image) {
  return fmt::format("{}/{}", vo, reference_of(image));
}

Status start(exchange::Turn& turn, const Order& order) {
  return turn.start_job({order.verb + "/" + order.request, encode_record(order)});
}

}  // namespace

Status Repository::open(store::Store& store) {
  TRY(quotas_.open(store));
  TRY(rows_.open(store, "vhir_image"));
  TRY(frozen_.open(store, "vhir_state"));
  return holds_.open(store, "vhir_hold");
}

Result<std::vector<api::Image>> Repository::images_of(exchange::Turn& turn, const std::string& vo) const {
  TRY_ASSIGN(auto rows, rows_.scan(turn.transaction(), vo + "/"));
  std::vector<api::Image> images;
  images.reserve(rows.size());
  for (auto& [key, row] : rows) {
    images.push_back(std::move(row.image));
    // Rows of an older Nuraghe lack it.
    images.back().reference = reference_of(images.back());
  }
  return images;
}

Result<api::Image> Repository::named(exchange::Turn& turn, const std::string& vo, const std::string& name) const {
  // Without a name any image would do.
  if (name.empty()) return invalid("an image is asked for by NAME or NAME:VERSION");
  TRY_ASSIGN(const auto images, images_of(turn, vo));
  api::Requirement requirement;
  requirement.name = name;
  TRY_ASSIGN(const auto* image, best_match(images, requirement));
  return *image;
}

Status Repository::resolve(exchange::Turn& turn, const exchange::Message& request, const api::ResolveRequest& input) {
  if (input.from && !input.from->empty()) return resolve_state(turn, request, input);
  TRY_ASSIGN(const auto images, images_of(turn, request.vo));
  TRY_ASSIGN(const auto* image, best_match(images, input.requirement));
  if (!input.host.empty()) {
    TRY_ASSIGN(const auto hold, holds_.find(turn.transaction(), input.host));
    if (hold && hold->vo != request.vo) return not_found(fmt::format("there is no virtual host {}", input.host));
    TRY(holds_.put(turn.transaction(), input.host, {image->digest, request.vo, {}}));
    exchange::Event event;
    event.vo = request.vo;
    event.cluster = input.cluster;
    event.host = input.host;
    event.kind = "host.referenced";
    const std::string name = input.name.value_or("");
    event.text =
        fmt::format("image {}:{} is referenced for {}", image->name, image->version, name.empty() ? input.host : name);
    event.attributes["image"] = image->name + ":" + image->version;
    if (!name.empty()) event.attributes["name"] = name;
    TRY(turn.publish(std::move(event)));
  }
  api::ResolveResponse response;
  response.reference = {image->name, image->version, image->digest, images_.root()};
  return answer(turn, request.message_id, response);
}

Status Repository::list_images(exchange::Turn& turn, const exchange::Message& request, const api::ListImagesRequest&) {
  api::ListImagesResponse response;
  TRY_ASSIGN(response.catalogue.image, images_of(turn, request.vo));
  return answer(turn, request.message_id, response);
}

Status Repository::get_image(exchange::Turn& turn, const exchange::Message& request,
                             const api::GetImageRequest& input) {
  api::GetImageResponse response;
  TRY_ASSIGN(response.image, named(turn, request.vo, input.name));
  TRY_ASSIGN(const auto row, rows_.find(turn.transaction(), row_key(request.vo, response.image)));
  if (row) response.blob = row->blobs;
  return answer(turn, request.message_id, response);
}

Status Repository::import_image(exchange::Turn& turn, const exchange::Message& request,
                                const api::ImportImageRequest& input) {
  if (!input.path.starts_with('/'))
    return invalid(fmt::format("'{}' is not an absolute path; name the image folder from the root", input.path));
  return start(turn, {"import", request.message_id, request.vo, input.path, {}, {}, {}});
}

Status Repository::verify_image(exchange::Turn& turn, const exchange::Message& request,
                                const api::VerifyImageRequest& input) {
  TRY_ASSIGN(const auto image, named(turn, request.vo, input.name));
  return start(turn, {"verify", request.message_id, request.vo, image.digest, {}, {}, {}});
}

Status Repository::remove_image(exchange::Turn& turn, const exchange::Message& request,
                                const api::RemoveImageRequest& input) {
  TRY_ASSIGN(const auto image, named(turn, request.vo, input.name));
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto holds, holds_.scan(tx, ""));
  const auto users = std::count_if(holds.begin(), holds.end(), [&](const auto& hold) {
    return hold.second.digest == image.digest && hold.second.vo == request.vo;
  });
  if (users > 0)
    return conflict(fmt::format("image {}:{} is used by {} hosts; destroy virtual ones and release machines first",
                                image.name, image.version, users));
  TRY(rows_.erase(tx, row_key(request.vo, image)));
  if (on_removed_) TRY(on_removed_(tx, request.vo, reference_of(image)));
  Order order{"remove", request.message_id, request.vo, image.name + ":" + image.version, image.digest, {}, {}};
  TRY_ASSIGN(order.kept, digests_in_use(turn));
  return start(turn, order);
}

Result<std::vector<std::string>> Repository::digests_in_use(exchange::Turn& turn) const {
  auto& tx = turn.transaction();
  // The same bytes may be another VO's image too, or what a host was made of before its image got another content.
  std::set<std::string> kept;
  TRY_ASSIGN(const auto holds, holds_.scan(tx, ""));
  for (const auto& [host, hold] : holds) {
    kept.insert(hold.digest);
    if (!hold.state.empty()) kept.insert(hold.state);
  }
  TRY_ASSIGN(const auto rows, rows_.scan(tx, ""));
  for (const auto& [key, row] : rows) kept.insert(row.image.digest);
  TRY_ASSIGN(const auto states, frozen_.scan(tx, ""));
  for (const auto& [host, row] : states) kept.insert(row.digest);
  return std::vector<std::string>(kept.begin(), kept.end());
}

Result<std::string> Repository::refusal_of(exchange::Turn& turn, const api::Image& image) const {
  TRY_ASSIGN(const auto quota, quotas_.quota(turn.transaction(), image.vo));
  if (!quota.images) return std::string();
  TRY_ASSIGN(const auto images, images_of(turn, image.vo));
  Bytes used;
  for (const auto& other : images) {
    // What it takes the place of does not count.
    if (other.name != image.name || other.version != image.version) used.count += other.stored_size.count;
  }
  if (used + image.stored_size <= *quota.images) return std::string();
  return fmt::format(
      "the quota of the VO {} does not allow it: images: the limit is {}, {} are used, {} more are asked "
      "for; remove one, or ask an administrator of the site for more",
      image.vo, quota.images->to_string(), used.to_string(), image.stored_size.to_string());
}

Status Repository::release_image(exchange::Turn& turn, const exchange::Message& request,
                                 const api::ReleaseImageRequest& input) {
  TRY_ASSIGN(const auto hold, holds_.find(turn.transaction(), input.host));
  // Another VO's hold is answered as one that is not there.
  if (hold && hold->vo == request.vo) {
    TRY(holds_.erase(turn.transaction(), input.host));
    if (!hold->state.empty()) TRY(delete_state(turn, input.host, request.vo, hold->state));
  }
  TRY_ASSIGN(const auto state, frozen_.find(turn.transaction(), input.host));
  if (state && state->vo == request.vo) TRY(forget_state(turn, input.host, *state));
  return answer(turn, request.message_id, api::ReleaseImageResponse{});
}

Result<std::string> Repository::run_job(const exchange::Job& job, exchange::JobContext& context) {
  if (is_state_job(job)) {
    TRY_ASSIGN(const auto state, decode_record<StateOrder>(job.payload));
    return fetch_state(state, context);
  }
  TRY_ASSIGN(const auto order, decode_record<Order>(job.payload));
  const auto go_on = [&](double) { return !context.cancelled(); };
  Outcome outcome;
  if (order.verb == "remove") {
    TRY(images_.remove({order.vo, order.subject, order.digest}, order.kept));
    return encode_record(outcome);
  }
  if (order.verb == "verify") {
    TRY_ASSIGN(const auto manifest, images_.manifest(order.subject));
    TRY(images_.verify(manifest, go_on));
    outcome.parts = static_cast<std::int32_t>(manifest.parts.size()) + 1;
    outcome.size = manifest.stored_size();
    return encode_record(outcome);
  }
  // The description is checked before a byte is copied.
  TRY_ASSIGN(const auto text, env::read_file(order.subject + "/vhi.xml", mib(1)));
  TRY_ASSIGN(const auto description, model::parse_image_description(text, order.subject + "/vhi.xml"));
  TRY_ASSIGN(const auto manifest, images_.import_folder(order.subject, order.vo, go_on));
  auto& image = outcome.row.image;
  image.name = description.name;
  image.version = description.version;
  image.vo = order.vo;
  image.digest = manifest.digest;
  image.type = description.type;
  image.system = description.system;
  image.system_version = description.system_version;
  image.architecture = description.architecture;
  image.minimum_memory = description.minimum_memory;
  image.disk_size = description.disk_size;
  image.stored_size = manifest.stored_size();
  image.seed = description.seed;
  image.ready = description.ready;
  image.initial_conditions = "cold";
  image.reference = reference_of(image);
  outcome.row.blobs.push_back(manifest.config.digest);
  for (const auto& part : manifest.parts) outcome.row.blobs.push_back(part.digest);
  return encode_record(outcome);
}

Status Repository::on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) {
  if (is_state_job(job)) {
    TRY_ASSIGN(const auto state, decode_record<StateOrder>(job.payload));
    return state_stored(turn, state, result);
  }
  TRY_ASSIGN(const auto order, decode_record<Order>(job.payload));
  if (!result) return fail(turn, order.request, result.error());
  TRY_ASSIGN(auto outcome, decode_record<Outcome>(*result));
  if (!order.refusal.empty()) return fail(turn, order.request, exhausted(order.refusal));
  if (order.verb == "remove") return answer(turn, order.request, api::RemoveImageResponse{});
  if (order.verb == "verify") return answer(turn, order.request, api::VerifyImageResponse{outcome.parts, outcome.size});
  TRY_ASSIGN(const auto refusal, refusal_of(turn, outcome.row.image));
  if (!refusal.empty()) {
    const auto& image = outcome.row.image;
    Order takes_back{"remove", order.request, image.vo, image.name + ":" + image.version, image.digest, {}, refusal};
    TRY_ASSIGN(takes_back.kept, digests_in_use(turn));
    return start(turn, takes_back);
  }
  outcome.row.image.imported = turn.now();
  TRY(rows_.put(turn.transaction(), row_key(order.vo, outcome.row.image), outcome.row));
  exchange::Event event;
  event.vo = order.vo;
  event.kind = "image.imported";
  event.text = fmt::format("image {} is in the repository", outcome.row.image.reference);
  event.attributes["image"] = outcome.row.image.reference;
  TRY(turn.publish(std::move(event)));
  api::ImportImageResponse response;
  response.image = outcome.row.image;
  return answer(turn, order.request, response);
}

}  // namespace nuraghe::services::vhir
