// InputCheck: is a request's body what the WSDL operation that it names declares? Asked before a process sees it.
//
// Two checks: by qualified name (cheap, every request), and against the schemas of the process's package (requests
// from outside the engine). Schemas are compiled when first needed, once for all processes of a package version; one
// that cannot be compiled is said in the log and checks nothing.
// Threading: the engine's thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/result.hpp"
#include "bpel/definition.hpp"
#include "xml/schema.hpp"

namespace nuraghe::bpel {

// Whether the body has the element, or the parts, of the message (WSDL 1.1 §2.3, §3.5; WS-I Basic Profile 1.1 §4.4).
// kInvalid names what was got and what is expected.
Status check_element(const wsdl::Message& message, const std::string& operation, const xml::DocumentPtr& body);

class InputCheck {
 public:
  // Whether the body is valid by the schema of its root element; kInvalid names the elements that are not. The body
  // has passed check_element for a message of the definition. `version`: of the package, "PACKAGE@3".
  Status check_content(const std::string& version, const wsdl::Definitions& wsdl, const std::string& operation,
                       const xml::DocumentPtr& body);
  // Forgets the schemas of all versions.
  void clear() { by_element_.clear(), by_start_.clear(); }

 private:
  // Null: none declares this element, or none can be compiled.
  const xml::Schema* schema_of(const std::string& version, const wsdl::Definitions& wsdl, const xml::QName& element);
  using Compiled = std::shared_ptr<const xml::Schema>;
  std::map<std::pair<std::string, xml::QName>, Compiled> by_element_;
  std::map<std::pair<std::string, std::string>, Compiled> by_start_;  // the location that compiling started from
};

}  // namespace nuraghe::bpel
