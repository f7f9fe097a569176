// A lifecycle as a table of transitions: what lifecycle.hpp and machine_lifecycle.hpp have in common. Pure.
#pragma once

#include <optional>
#include <string>

namespace nuraghe::model {

template <class State, class Event>
struct Transition {
  State source;
  Event event;
  State destination;
};

// nullopt: not legal in this state.
template <class Table, class State, class Event>
constexpr std::optional<State> next_in(const Table& table, State state, Event event) {
  for (const auto& transition : table)
    if (transition.source == state && transition.event == event) return transition.destination;
  return std::nullopt;
}

// The table as lines of a Mermaid state diagram; `name_of` is found for states and events.
template <class Table>
std::string diagram_of(const Table& table) {
  std::string text;
  for (const auto& transition : table)
    text.append("  ")
        .append(name_of(transition.source))
        .append(" --> ")
        .append(name_of(transition.destination))
        .append(": ")
        .append(name_of(transition.event))
        .append("\n");
  return text;
}

}  // namespace nuraghe::model
