// libxml2's schema messages in plain words.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "xml/xml.hpp"

namespace nuraghe::xml {

constexpr std::string_view kSchemaNamespace = "http://www.w3.org/2001/XMLSchema";

// What the schema documents themselves say, to tell what would be right: which attributes and children an element of a
// name may have (elements of one local name with different types are taken together), and the documentation of a simple
// type, which describes the type's pattern in words and completes the sentence "it must be ...".
class SchemaCatalogue {
 public:
  void add(Node schema_root);
  std::set<std::string> attributes_of(std::string_view element) const;
  std::set<std::string> children_of(std::string_view element) const;
  std::string words_of_pattern(const std::string& pattern) const;  // empty when there are none

 private:
  struct Group {
    std::set<std::string> attributes;
    std::set<std::string> children;
    std::set<std::string> uses;  // names of types and attribute groups that it takes in
  };
  void collect(Node definition, Group& group);
  std::set<std::string> gather(std::string_view element, std::set<std::string> Group::*what) const;
  void note_patterns(Node simple_type);
  std::map<std::string, Group, std::less<>> types_;  // complex types and attribute groups
  std::map<std::string, Group, std::less<>> elements_;
  std::map<std::string, std::string> patterns_;
};

// What libxml2 says of an element (`code` its xmlParserErrors), reworded to one sentence.
std::string plain_message(int code, std::string_view message, std::string_view element, std::string_view parent,
                          const SchemaCatalogue& catalogue);

}  // namespace nuraghe::xml
