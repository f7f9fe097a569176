// The addresses of one nuraghed: what it calls itself by, and what its operator says that others call it by.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "soap/addresses.hpp"

namespace nuraghe::daemon {

// "https://site.example:8470" of what an operator writes: where clients reach the site. kInvalid for anything but a
// scheme (http or https), a host and perhaps a port.
Result<std::string> parse_public_url(std::string_view text);
// The host in it, without brackets: a name or an address for a certificate.
std::string host_of(std::string_view public_url);

// Which addresses a client of this process is told as this process's: those below `bases`, and those of programs whose
// messages it passes on: `name_of` tells the service at a base, empty: none. Thread safe as that is.
soap::SharedPathOf own_paths(std::vector<std::string> bases, std::function<std::string(std::string_view base)> name_of);

}  // namespace nuraghe::daemon
