// What is shown of the logs of a deployment's steps. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/hades/rows.hpp"

namespace nuraghe::services::hades {

// At most so many bytes, the last ones, and no part of a character.
std::string last_bytes(std::string_view text, std::size_t limit);
// Without their line ends.
std::vector<std::string_view> lines_of(std::string_view text);
// Of each step's log only `count` lines stay: those before the last `skip`.
void keep_lines(api::Deployment& deployment, std::size_t count, std::size_t skip);
// As a list shows it: a few last lines of each log.
void shorten(api::Deployment& deployment);

}  // namespace nuraghe::services::hades
