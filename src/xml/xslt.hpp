// XSLT 1.0: style sheets compiled once from texts, applied to elements.
//
// Closed: a style sheet may import and include only texts that were handed in; document() and every writing or reading
// of files and of the network are errors. Recursion, operations and the depth of the result are limited.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "xml/xml.hpp"
#include "xml/xpath.hpp"

namespace nuraghe::xml {

struct XsltLimits {
  int template_depth = 1000;             // calls of templates within one another
  std::int64_t operations = 10'000'000;  // steps of XSLT and XPath together
  int result_depth = 250;                // nested elements of the result
  Bytes text = mib(16);                  // of a text that concat() makes
};

struct XsltParameter {
  QName name;
  XPathValue value;  // nodes are copied
};
// A document when the result has one document element and nothing else but comments, instructions and blanks; otherwise
// the result's text.
using XsltResult = std::variant<DocumentPtr, std::string>;

class Stylesheet {
 public:
  // `path` is the style sheet among `files`; its imports and includes are resolved relative to the file that names
  // them. kNotFound when there is no such file, kInvalid when it or what it includes is no XSLT 1.0 style sheet.
  static Result<Stylesheet> compile(const std::string& path, const std::map<std::string, std::string>& files);
  Stylesheet(Stylesheet&&) noexcept;
  Stylesheet& operator=(Stylesheet&&) noexcept;
  ~Stylesheet();

  // Transforms a copy of the element as a document of its own. kExhausted when a limit is reached, kInvalid for every
  // other error, xsl:message terminate="yes" and a result of several document elements among them. Thread safe.
  Result<XsltResult> transform(Node source, const std::vector<XsltParameter>& parameters,
                               const XsltLimits& limits = {}) const;

 private:
  struct Compiled;
  explicit Stylesheet(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace nuraghe::xml
