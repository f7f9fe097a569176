// ProgressView: events as they happen. On a terminal one line per virtual host that is redrawn, with the steps that it
// has behind it and their times; otherwise one plain line per event.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "exchange/exchange.hpp"

namespace nuraghe::cli {

class ProgressView {
 public:
  explicit ProgressView(bool is_terminal) : is_terminal_(is_terminal) {}
  void show(const exchange::Event& event);
  void finish();

 private:
  struct Line {
    std::string name;
    std::string steps;
  };
  void redraw();
  bool is_terminal_;
  std::vector<Line> lines_;
  std::map<std::string, std::size_t> line_of_host_;
  std::size_t drawn_ = 0;
  TimePoint first_;
};

}  // namespace nuraghe::cli
