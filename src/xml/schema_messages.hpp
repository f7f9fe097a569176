// libxml2's schema messages in plain words.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "xml/xml.hpp"

namespace nuraghe::xml {

// Which attributes an element of a name may have, read from the schema documents: to say what would be right.
// Elements of one local name with different types are taken together.
class AttributeCatalogue {
 public:
  void add(Node schema_root);
  std::set<std::string> attributes_of(std::string_view element) const;

 private:
  struct Group {
    std::set<std::string> attributes;
    std::set<std::string> uses;  // names of types and attribute groups that it takes in
  };
  void collect(Node definition, Group& group);
  std::map<std::string, Group, std::less<>> types_;  // complex types and attribute groups
  std::map<std::string, Group, std::less<>> elements_;
};

// The most similar of the candidates by edit distance, if one is near enough to be a slip of the pen; else empty.
std::string nearest_name(std::string_view name, const std::set<std::string>& candidates);

// What libxml2 says of an element (`code` its xmlParserErrors), reworded to one sentence.
std::string plain_message(int code, std::string_view message, std::string_view element,
                          const AttributeCatalogue& catalogue);

}  // namespace nuraghe::xml
