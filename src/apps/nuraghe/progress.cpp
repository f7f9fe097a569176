#include "apps/nuraghe/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace nuraghe::cli {
namespace {

std::string attribute(const exchange::Event& event, const std::string& name) {
  const auto found = event.attributes.find(name);
  return found == event.attributes.end() ? std::string() : found->second;
}

// "host.created" → "created"
std::string word(const exchange::Event& event) { return event.kind.substr(event.kind.find('.') + 1); }

// A line that the terminal wraps would take two rows, and the next redraw would go up too few: cut to `columns`
// characters.
std::string cut(const std::string& text, std::size_t columns) {
  std::size_t characters = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool begins_character = (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;  // UTF-8
    if (begins_character && characters++ == columns) return text.substr(0, at);
  }
  return text;
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

void ProgressView::show(const exchange::Event& event) {
  if (first_.micros == 0) first_ = event.time;
  const bool is_step = event.kind.starts_with("host.") && event.severity == "info" && !event.host.empty();
  if (!is_terminal_ || !is_step) {
    const double at = static_cast<double>((event.time - first_).count()) / 1e6;
    const std::string seconds = attribute(event, "seconds");
    const std::string line =
        fmt::format("{:8.2f} s  {}{}", at, event.text, seconds.empty() ? "" : fmt::format(" ({} s)", seconds));
    if (is_terminal_ && drawn_ > 0) std::printf("\033[%zuA\033[J", drawn_);
    drawn_ = 0;
    std::puts(line.c_str());
    if (is_terminal_) redraw();
    std::fflush(stdout);
    return;
  }
  const auto [found, is_new] = line_of_host_.emplace(event.host, lines_.size());
  if (is_new) lines_.push_back({attribute(event, "name"), ""});
  // Tenths are enough here: a host's row shall fit on a terminal.
  const std::string precise = attribute(event, "seconds");
  const auto point = precise.find('.');
  const std::string seconds = point == std::string::npos ? precise : precise.substr(0, point + 2);
  const std::string where = event.kind == "host.placed" ? " on " + attribute(event, "physical_host") : "";
  lines_[found->second].steps += fmt::format("{}{}{}{}", lines_[found->second].steps.empty() ? "" : " · ", word(event),
                                             where, seconds.empty() ? "" : " " + seconds + " s");
  redraw();
}

void ProgressView::redraw() {
  if (drawn_ > 0) std::printf("\033[%zuA", drawn_);
  // More hosts than a screen holds: the last ones.
  constexpr std::size_t kMost = 20;
  const std::size_t begin = lines_.size() > kMost ? lines_.size() - kMost : 0;
  const std::size_t columns = terminal_columns();
  std::size_t width = 0;
  for (const auto& line : lines_) width = std::max(width, line.name.size());
  for (std::size_t i = begin; i < lines_.size(); ++i)
    std::printf("\033[2K%s\n",
                cut(fmt::format("  {:<{}}  {}", lines_[i].name, width, lines_[i].steps), columns).c_str());
  drawn_ = lines_.size() - begin;
  std::fflush(stdout);
}

void ProgressView::finish() {
  drawn_ = 0;
  std::fflush(stdout);
}

}  // namespace nuraghe::cli
