// Addresses: a process has several (loopback, its socket, a listener for other machines, the site's public URL), and
// each client is told those that lead it there. Inside, references have the process's own base, or are paths; what
// leaves is told with the base that its receiver reaches.
//
// Source: WS-Addressing 1.0 Core §2 (wsa:Address of an endpoint reference). Pure; thread safe.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "xml/xml.hpp"

namespace nuraghe::soap {

// The path of an address that this process serves, or passes on: "/services/vcf" of
// "http://127.0.0.1:8470/services/vcf" and of "/services/vcf"; nullopt: it is another's. Thread safe.
using PathOf = std::function<std::optional<std::string>(std::string_view address)>;
using SharedPathOf = std::shared_ptr<const PathOf>;

// The path of an address below `base`, and of a path itself.
std::optional<std::string> path_below(std::string_view base, std::string_view address);

// The document with `base` before the path of every wsa:Address in it that is this process's (the path alone, where
// `path_of` is null); the same document when there is none, or without a base.
xml::DocumentPtr told_with(const xml::DocumentPtr& document, const SharedPathOf& path_of, const std::string& base);

}  // namespace nuraghe::soap
