// Where the elements of a blueprint were written: it travels with a blueprint that is sent, as attributes of its root
// in urn:nuraghe:places:1, so that findings of the other side name the file, line and column that a person knows. The
// receiver takes it off first; a blueprint without it is as good.
//
//   p:at="4:1 5:3 1:1/1 …"          line and column of each element in document order; /N: in file N, else in file 0
//   p:file-0="cluster.xml" p:file-1="worker.xml"
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "xml/schema.hpp"
#include "xml/xml.hpp"

namespace nuraghe::model {

inline constexpr const char* kPlacesNamespace = "urn:nuraghe:places:1";

struct Places {
  struct Place {
    xml::Position position;
    std::size_t file = 0;
  };
  std::vector<std::string> files;
  std::vector<Place> elements;  // in document order
  bool empty() const { return elements.empty(); }
};

// Writes them at the root, instead of those that are there.
void write_places(xml::Node root, const Places& places);
// Reads them and takes them off; empty when there are none or they are not well made.
Places take_places(xml::Node root);
// The findings about `document`, as `places` tell their elements. What they do not tell stays.
void place_findings(const xml::Document& document, const Places& places, std::vector<xml::Finding>& findings);

}  // namespace nuraghe::model
