#include "apps/nuraghe/machine_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace nuraghe::cli {
namespace {

struct Line {
  int number = 0;
  std::vector<std::string> fields;
};

// The next record; nullopt at the end. Quoted fields may hold separators, line ends and doubled quotes.
std::optional<Line> next_line(std::string_view& text, int& number) {
  if (text.empty()) return std::nullopt;
  Line line{++number, {""}};
  bool is_quoted = false;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c == '\n') number += is_quoted ? 1 : 0;
    if (is_quoted && c == '"' && text.starts_with('"')) {
      line.fields.back() += '"';
      text.remove_prefix(1);
    } else if (c == '"') {
      is_quoted = !is_quoted;
    } else if (c == ',' && !is_quoted) {
      line.fields.emplace_back();
    } else if (c == '\n' && !is_quoted) {
      break;
    } else if (c != '\r' || is_quoted) {
      line.fields.back() += c;
    }
  }
  return line;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool is_open = false;
  for (const char c : text) {
    if (c == ' ') {
      is_open = false;
    } else if (is_open) {
      words.back() += c;
    } else {
      words.emplace_back(1, c);
      is_open = true;
    }
  }
  return words;
}

void take_field(contracts::hades::EnrolMachineRequest& machine, const std::string& heading, const std::string& value) {
  if (heading == "name") machine.name = value;
  if (heading == "driver" && !value.empty()) machine.driver = value;
  if (heading == "address" && !value.empty()) machine.address = value;
  if (heading == "mac") machine.mac = words_of(value);
}

}  // namespace

Result<std::vector<ListedMachine>> parse_machine_list(std::string_view text, const std::string& file) {
  int number = 0;
  const auto headings = next_line(text, number);
  const std::vector<std::string> known = {"name", "driver", "address", "mac"};
  for (const auto& heading : headings ? headings->fields : std::vector<std::string>{}) {
    if (std::ranges::find(known, heading) == known.end())
      return invalid(fmt::format("{}:1: '{}' is none of the headings name, driver, address, mac", file, heading));
  }
  if (!headings || std::ranges::find(headings->fields, "name") == headings->fields.end())
    return invalid(fmt::format("{}:1: the first line must have the heading 'name'", file));
  std::vector<ListedMachine> machines;
  while (const auto line = next_line(text, number)) {
    if (line->fields.size() == 1 && line->fields.front().empty()) continue;
    if (line->fields.size() != headings->fields.size())
      return invalid(fmt::format("{}:{}: there are {} fields where the headings are {}", file, line->number,
                                 line->fields.size(), headings->fields.size()));
    contracts::hades::EnrolMachineRequest machine;
    machine.driver = "sim";
    for (std::size_t i = 0; i < line->fields.size(); ++i) take_field(machine, headings->fields[i], line->fields[i]);
    machines.push_back({line->number, std::move(machine)});
  }
  if (machines.empty()) return invalid(fmt::format("{} lists no machines", file));
  return machines;
}

}  // namespace nuraghe::cli
