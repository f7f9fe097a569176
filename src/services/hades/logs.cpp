#include "services/hades/logs.hpp"

#include <algorithm>

namespace nuraghe::services::hades {
namespace {

constexpr std::size_t kListedLines = 10;
constexpr std::size_t kListedBytes = 1024;

}  // namespace

std::string last_bytes(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return std::string(text);
  std::size_t from = text.size() - limit;
  while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0U) == 0x80U) ++from;
  return std::string(text.substr(from));
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

void keep_lines(api::Deployment& deployment, std::size_t count, std::size_t skip) {
  for (auto& step : deployment.step) {
    const auto lines = lines_of(step.log);
    // Also of rows that were written before lines were counted.
    step.log_lines = static_cast<std::int32_t>(lines.size());
    if (skip == 0 && count >= lines.size()) continue;
    const std::size_t end = lines.size() - std::min(skip, lines.size());
    std::string kept;
    for (std::size_t i = end - std::min(count, end); i < end; ++i) kept.append(lines[i]).push_back('\n');
    step.log = std::move(kept);
  }
}

void shorten(api::Deployment& deployment) {
  keep_lines(deployment, kListedLines, 0);
  for (auto& step : deployment.step) step.log = last_bytes(step.log, kListedBytes);
}

}  // namespace nuraghe::services::hades
