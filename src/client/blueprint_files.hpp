// Blueprints and node configurations as files of the user: read here, checked, and made self-contained, so that
// nuraghed never reads a file that a user names.
#pragma once

#include <string>

#include "base/result.hpp"
#include "model/blueprint.hpp"
#include "xml/xml.hpp"

namespace nuraghe::client {

// Reads and checks; files that the blueprint refers to are looked up beside it. With a context's catalogue images too.
Result<model::ParsedBlueprint> read_blueprint(const std::string& file, model::ParseContext context = {});
// A blueprint without findings, referenced configurations inlined; kInvalid lists every finding. `name` (when not
// empty) replaces the cluster's own. It carries where it was written (model/places.hpp).
Result<xml::DocumentPtr> load_blueprint(const std::string& file, const std::string& name);
// The fragment of one node from a file with a node configuration, or FILE#NAME: one of several. Its name is `name`,
// when empty the configuration's own, else the file's without its ending. kInvalid lists every finding.
Result<xml::DocumentPtr> load_node_configuration(const std::string& file, const std::string& name);

}  // namespace nuraghe::client
