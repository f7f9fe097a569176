#include "apps/nuraghe/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <numeric>
#include <string_view>
#include <vector>

namespace nuraghe::cli {
namespace {

// How many characters are to be put in, taken away or changed (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string> unknown_word(const CLI::App& app) {
  const CLI::App* at = &app;
  std::string prefix;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    prefix += at->get_name() + " ";
  }
  const auto words = app.remaining(true);
  if (at->get_require_subcommand_min() == 0 || words.empty()) return std::nullopt;
  const std::string& word = words.front();
  if (word.starts_with('-'))
    return fmt::format("there is no option '{}'; 'nuraghe {}--help' lists what there is", word, prefix);
  std::vector<std::string> names;
  std::string nearest;
  std::size_t least = 0;
  for (const auto* command : at->get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); })) {
    names.push_back(command->get_name());
    const std::size_t far = distance(word, names.back());
    if (nearest.empty() || far < least) {
      nearest = names.back();
      least = far;
    }
  }
  // A third of the letters may be wrong.
  if (least <= std::max<std::size_t>(1, word.size() / 3))
    return fmt::format("there is no command '{}{}'; did you mean '{}{}'?", prefix, word, prefix, nearest);
  return fmt::format("there is no command '{}{}'; there are: {}", prefix, word, fmt::join(names, ", "));
}

}  // namespace nuraghe::cli
