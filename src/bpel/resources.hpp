// Resources: what a process needs compiled besides its expressions: the package's style sheets and schemas.
//
// Each is compiled when first needed and kept as long as the process. Every variable is checked against one schema that
// imports each namespace of the package once: libxml2 reads no second file for a namespace, so the files of a namespace
// are put together first.
// Threading: may be used by several threads.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "bpel/definition.hpp"
#include "bpel/expression/value.hpp"
#include "xml/schema.hpp"
#include "xml/xslt.hpp"

namespace nuraghe::bpel {

class Resources {
 public:
  explicit Resources(std::shared_ptr<const ProcessDefinition> definition) : definition_(std::move(definition)) {}

  // The style sheet at a location relative to the process's file. xsltStylesheetNotFound when the package has none,
  // subLanguageExecutionFault when it is no XSLT 1.0.
  Evaluated<std::shared_ptr<const xml::Stylesheet>> stylesheet(std::string_view location) const;
  bool substitutes(const xml::QName& element, const xml::QName& head) const {
    return definition_->wsdl().substitutes(element, head);
  }
  // Whether a value is valid by the declaration of its variable (§8.1): the element, the type, or each part of the
  // message. invalidVariables names what is wrong; uninitializedVariable for a part without value.
  Evaluated<void> validate(const Variable& declaration, const VariableValue& value) const;

 private:
  struct Schemas {
    std::optional<xml::Schema> compiled;
    std::string problem;                      // why there is none
    std::map<xml::QName, std::string> types;  // schema type → the element of the main schema that has it
  };
  const Schemas& schemas() const;
  std::string findings_of(const xml::QName& element, const xml::QName& type, const xml::DocumentPtr& document) const;

  std::shared_ptr<const ProcessDefinition> definition_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<const xml::Stylesheet>, std::less<>> stylesheets_;
  mutable std::unique_ptr<const Schemas> schemas_;
};

}  // namespace nuraghe::bpel
