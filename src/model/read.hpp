// Lenient readers of what contracts/node.xsd describes: they take what is there and leave out what the schema refuses,
// so that further checks run on a document with findings. Internal to this room.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/node.hpp"
#include "xml/schema.hpp"

namespace nuraghe::model {

// Compiled once.
const xml::Schema& cluster_schema();  // imports node.xsd
const xml::Schema& node_schema();
const xml::Schema& vhi_schema();

Where where_of(xml::Node element, const std::string& source);
std::optional<std::int64_t> read_number(std::string_view text);  // a decimal number without sign
std::optional<Bytes> read_size(std::string_view text);
std::string trimmed(std::string_view text);

ImageRequirement read_image(xml::Node element, const std::string& source);
Disk read_disk(xml::Node element, const std::string& source);
Boot read_boot(xml::Node element, const std::string& source);
void write_image(xml::Node parent, const ImageRequirement& image);
void write_disk(xml::Node parent, const Disk& disk);
void write_boot(xml::Node parent, const Boot& boot);

// The one finding of a text that is not well-formed, made of the parser's error.
xml::Finding finding_of(const Error& error, const std::string& source);
// kInvalid with all of them, a line each; success without any.
Status status_of(const std::vector<xml::Finding>& findings);

}  // namespace nuraghe::model
