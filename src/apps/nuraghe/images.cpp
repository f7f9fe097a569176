#include <fmt/format.h>
#include <limits.h>
#include <stdlib.h>

#include <boost/json.hpp>

#include "apps/nuraghe/commands.hpp"
#include "contracts/vhir.hpp"

namespace nuraghe::cli {
namespace {

namespace json = boost::json;
using contracts::vhir::Image;

json::object image_json(const Image& image) {
  return {{"name", image.name},
          {"version", image.version},
          {"digest", image.digest},
          {"type", image.type},
          {"system", image.system},
          {"system_version", image.system_version},
          {"architecture", image.architecture},
          {"minimum_memory", image.minimum_memory.count},
          {"disk_size", image.disk_size.count},
          {"stored_size", image.stored_size.count},
          {"imported", image.imported.to_string()}};
}

}  // namespace

Status list_images(Context& context) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhir::Client repository(connection->caller(), connection->service("vhir"));
  TRY_ASSIGN(const auto response, repository.list_images({}));
  if (context.json()) {
    json::array images;
    for (const auto& image : response.catalogue.image) images.push_back(image_json(image));
    context.print_json(images);
    return {};
  }
  std::vector<std::vector<std::string>> rows{
      {"NAME", "VERSION", "SYSTEM", "ARCHITECTURE", "MEMORY", "DISK", "STORED", "DIGEST"}};
  for (const auto& image : response.catalogue.image)
    rows.push_back({image.name, image.version, image.system + " " + image.system_version, image.architecture,
                    short_size(image.minimum_memory), short_size(image.disk_size), short_size(image.stored_size),
                    image.digest.substr(0, 19)});
  context.print_table(rows);
  return {};
}

Status import_image(Context& context, const std::string& folder) {
  char resolved[PATH_MAX];
  if (::realpath(folder.c_str(), resolved) == nullptr) return not_found(fmt::format("there is no folder {}", folder));
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhir::Client repository(connection->caller(), connection->service("vhir"));
  TRY_ASSIGN(const auto options, context.call_options());
  Image image;
  // One step, which is told when it is done.
  TRY_ASSIGN(const bool is_done, context.with_progress(OwnSteps::of_request({}), [&]() -> Status {
    auto response = repository.import_image({resolved}, options);
    if (!response) return response.error();
    image = std::move(response->image);
    return {};
  }));
  if (context.json()) context.print_json(is_done ? image_json(image) : json::object{{"accepted", true}});
  if (is_done) context.print_line(fmt::format("image {}:{} is in the repository", image.name, image.version));
  return {};
}

Status remove_image(Context& context, const std::string& name) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhir::Client repository(connection->caller(), connection->service("vhir"));
  TRY(repository.remove_image({name}));
  context.print_line(fmt::format("image {} is removed", name));
  if (context.json()) context.print_json(json::object{{"removed", name}});
  return {};
}

Status verify_image(Context& context, const std::string& name) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhir::Client repository(connection->caller(), connection->service("vhir"));
  TRY_ASSIGN(const auto options, context.call_options());
  TRY_ASSIGN(const auto response, repository.verify_image({name}, options));
  context.print_line(
      fmt::format("image {}: {} parts, {}, all match their digests", name, response.parts, short_size(response.size)));
  if (context.json())
    context.print_json(json::object{{"image", name}, {"parts", response.parts}, {"size", response.size.count}});
  return {};
}

}  // namespace nuraghe::cli
