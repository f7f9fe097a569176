// The name that somebody probably meant: for messages about unknown names.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace nuraghe {

// The candidate nearest to `name` by edit distance if it is near enough to be a slip of the pen (a third of the name's
// length, at least one); else empty. Of equals the first. Names over 64 characters have no near one.
std::string nearest_name(std::string_view name, const std::set<std::string>& candidates);

}  // namespace nuraghe
