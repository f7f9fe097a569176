#include "images/image_json.hpp"

#include <boost/json.hpp>

#include "images/digest.hpp"

namespace nuraghe::images {
namespace {

namespace json = boost::json;
constexpr const char* kTitle = "org.opencontainers.image.title";
constexpr const char* kRefName = "org.opencontainers.image.ref.name";
constexpr const char* kIndexMediaType = "application/vnd.oci.image.index.v1+json";

json::object descriptor(const Blob& blob) {
  json::object value{{"mediaType", blob.media_type}, {"digest", blob.digest}, {"size", blob.size.count}};
  if (!blob.title.empty()) value["annotations"] = json::object{{kTitle, blob.title}};
  return value;
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(*text);
}

std::string annotation_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains("annotations");
  const auto* annotations = value == nullptr ? nullptr : value->if_object();
  return annotations == nullptr ? std::string() : text_of(*annotations, key);
}

Result<Blob> read_descriptor(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return corrupt("a descriptor of the image layout is not a JSON object");
  Blob blob{text_of(*object, "mediaType"), text_of(*object, "digest"), {}, annotation_of(*object, kTitle)};
  const auto* size = object->if_contains("size");
  if (!is_digest(blob.digest) || size == nullptr || !size->is_int64() || size->get_int64() < 0)
    return corrupt("a descriptor of the image layout lacks a sha256 digest or a size");
  blob.size = {size->get_int64()};
  return blob;
}

Result<json::object> parse_object(std::string_view text, std::string_view what) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error || !value.is_object()) return corrupt(std::string(what) + " is not a JSON object");
  return std::move(value.get_object());
}

}  // namespace

std::string write_manifest(const Manifest& manifest) {
  json::array layers;
  for (const auto& part : manifest.parts) layers.push_back(descriptor(part));
  return json::serialize(json::object{{"schemaVersion", 2},
                                      {"mediaType", kManifestMediaType},
                                      {"artifactType", manifest.config.media_type},
                                      {"config", descriptor(manifest.config)},
                                      {"layers", std::move(layers)}});
}

Result<Manifest> read_manifest(std::string_view text) {
  TRY_ASSIGN(const auto object, parse_object(text, "an image manifest"));
  const auto* config = object.if_contains("config");
  const auto* layers = object.if_contains("layers");
  if (config == nullptr || layers == nullptr || !layers->is_array())
    return corrupt("an image manifest lacks its config or its layers");
  Manifest manifest;
  TRY_ASSIGN(manifest.config, read_descriptor(*config));
  for (const auto& layer : layers->get_array()) {
    TRY_ASSIGN(auto part, read_descriptor(layer));
    manifest.parts.push_back(std::move(part));
  }
  return manifest;
}

std::string write_index_json(const std::vector<IndexEntry>& entries) {
  json::array manifests;
  for (const auto& entry : entries) {
    manifests.push_back(json::object{{"mediaType", kManifestMediaType},
                                     {"digest", entry.digest},
                                     {"size", entry.size.count},
                                     {"annotations", json::object{{kRefName, entry.reference}}}});
  }
  return json::serialize(
      json::object{{"schemaVersion", 2}, {"mediaType", kIndexMediaType}, {"manifests", std::move(manifests)}});
}

Result<std::vector<IndexEntry>> read_index_json(std::string_view text) {
  TRY_ASSIGN(const auto object, parse_object(text, "index.json"));
  const auto* manifests = object.if_contains("manifests");
  if (manifests == nullptr || !manifests->is_array()) return corrupt("index.json lacks its manifests");
  std::vector<IndexEntry> entries;
  for (const auto& value : manifests->get_array()) {
    TRY_ASSIGN(const auto blob, read_descriptor(value));
    entries.push_back({blob.digest, blob.size, annotation_of(value.get_object(), kRefName)});
  }
  return entries;
}

}  // namespace nuraghe::images
