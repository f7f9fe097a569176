// W3C XML Schema 1.0 validation. Schemas are given as texts with their locations; imports and includes are resolved
// among them by location or namespace and never over the network.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "xml/xml.hpp"

namespace nuraghe::xml {

// One thing that is wrong with an input.
struct Finding {
  std::string source;             // file
  Position position;              // where
  std::string element;            // the element's local name, or empty
  std::string message;            // what is wrong and what would be right, one sentence
  bool warning = false;           // true: it may be left as it is
  std::string to_string() const;  // "file:line:column: element: message"
};

class Schema {
 public:
  // `main` is the location of the schema to start from; `files` maps every location that may be imported to its text.
  static Result<Schema> compile(const std::string& main, const std::map<std::string, std::string>& files);
  Schema(Schema&&) noexcept;
  Schema& operator=(Schema&&) noexcept;
  ~Schema();
  // All findings of the document; empty when valid. Thread safe.
  std::vector<Finding> validate(const Document& document) const;
  std::vector<Finding> validate(Node element) const;  // the element as a root of its own

 private:
  struct Compiled;
  explicit Schema(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace nuraghe::xml
