#include "services/vhir/match.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace nuraghe::services::vhir {
namespace {

std::optional<long> number_of(std::string_view text) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view take_part(std::string_view& rest, char separator) {
  const auto at = rest.find(separator);
  const auto part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return part;
}

bool bound_holds(std::string_view version, std::string_view bound) {
  for (const std::string_view sign : {">=", "<=", ">", "<", "="}) {
    if (!bound.starts_with(sign)) continue;
    const int order = compare_versions(version, bound.substr(sign.size()));
    if (sign == ">=") return order >= 0;
    if (sign == "<=") return order <= 0;
    if (sign == ">") return order > 0;
    if (sign == "<") return order < 0;
    return order == 0;
  }
  return compare_versions(version, bound) == 0;
}

// What of the requirement the image does not meet, one phrase each.
std::vector<std::string> misfits(const api::Image& image, const api::Requirement& wanted) {
  std::vector<std::string> reasons;
  const auto check = [&](const std::optional<std::string>& want, const std::string& has, std::string_view what) {
    if (want && !want->empty() && *want != has)
      reasons.push_back(fmt::format("its {} is {}, not {}", what, has, *want));
  };
  std::string name = wanted.name.value_or("");
  std::string image_version;
  if (const auto colon = name.find(':'); colon != std::string::npos) {
    image_version = name.substr(colon + 1);
    name.resize(colon);
    if (name.empty() || image_version.empty()) reasons.push_back("an image is asked for by NAME or NAME:VERSION");
  }
  check(name, image.name, "name");
  check(image_version, image.version, "image version");
  check(wanted.type, image.type, "type");
  check(wanted.system, image.system, "system");
  check(wanted.architecture, image.architecture, "architecture");
  if (wanted.version && !wanted.version->empty() && !version_meets(image.system_version, *wanted.version))
    reasons.push_back(fmt::format("its system version is {}, not {}", image.system_version, *wanted.version));
  return reasons;
}

std::string describe(const api::Requirement& wanted) {
  std::string text;
  const auto add = [&](std::string_view what, const std::optional<std::string>& value) {
    if (value && !value->empty()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", what, *value);
  };
  add("name", wanted.name);
  add("type", wanted.type);
  add("system", wanted.system);
  add("version", wanted.version);
  add("architecture", wanted.architecture);
  return text.empty() ? "any" : text;
}

bool is_newer(const api::Image& a, const api::Image& b) {
  const int system = compare_versions(a.system_version, b.system_version);
  return system != 0 ? system > 0 : compare_versions(a.version, b.version) > 0;
}

}  // namespace

int compare_versions(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    const auto x = take_part(a, '.');
    const auto y = take_part(b, '.');
    const auto m = number_of(x.empty() ? "0" : x);
    const auto n = number_of(y.empty() ? "0" : y);
    if (m && n) {
      if (*m != *n) return *m < *n ? -1 : 1;
    } else if (const int order = x.compare(y); order != 0) {
      return order < 0 ? -1 : 1;
    }
  }
  return 0;
}

bool version_meets(std::string_view version, std::string_view wanted) {
  while (!wanted.empty()) {
    if (!bound_holds(version, take_part(wanted, ','))) return false;
  }
  return true;
}

Result<const api::Image*> best_match(const std::vector<api::Image>& images, const api::Requirement& requirement) {
  const api::Image* best = nullptr;
  const api::Image* nearest = nullptr;
  std::vector<std::string> nearest_misfits;
  for (const auto& image : images) {
    auto reasons = misfits(image, requirement);
    if (reasons.empty()) {
      if (best == nullptr || is_newer(image, *best)) best = &image;
    } else if (nearest == nullptr || reasons.size() < nearest_misfits.size()) {
      nearest = &image;
      nearest_misfits = std::move(reasons);
    }
  }
  if (best != nullptr) return best;
  if (nearest == nullptr)
    return not_found(
        fmt::format("no image meets {}: the repository is empty; import one with 'nuraghe image import FOLDER'",
                    describe(requirement)));
  return not_found(fmt::format("no image meets {}; the nearest is {}:{}, but {}", describe(requirement), nearest->name,
                               nearest->version, fmt::join(nearest_misfits, " and ")));
}

}  // namespace nuraghe::services::vhir
