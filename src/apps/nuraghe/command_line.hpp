// What the words of a command line tell before a command runs.
#pragma once

#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace nuraghe::cli {

// After a failed parse: a sentence about the first word that stands where a command is expected and is none, with the
// command that is nearest to it or the list of all; absent when that was not the mistake.
std::optional<std::string> unknown_word(const CLI::App& app);

// The script that completes commands, their options and the names of what there is; for zsh by its bash emulation.
std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace nuraghe::cli
