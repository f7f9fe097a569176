// Assignment: the copy operations of WS-BPEL 2.0 §8.4, their replacement rules (§8.4.2, §8.4.3) and atomicity.
#pragma once

#include "bpel/definition.hpp"
#include "bpel/expression/expression.hpp"

namespace nuraghe::bpel {

// What an assignment may change. The runtime implements it.
class AssignContext : public EvaluationContext {
 public:
  // Gives the variable a new value. Called after all copies of an assign succeeded, once per changed variable.
  virtual Evaluated<void> store_variable(const VariableRef& ref, VariableValue value) = 0;
  // The endpoint reference of a partner link's role: any element (wsa:EndpointReference as a rule), or null when the
  // partner's role has none. my_role: the address at which this process serves.
  virtual Evaluated<xml::DocumentPtr> endpoint_reference(const PartnerLinkRef& ref, bool my_role) = 0;
  // Sets the partner's role; `reference` is the element inside sref:service-ref.
  virtual Evaluated<void> store_endpoint_reference(const PartnerLinkRef& ref, xml::DocumentPtr reference) = 0;
  // Whether an element stands in the substitution group of another one, or is that one (XML Schema part 1 §2.2.2.2).
  virtual bool substitutes(const xml::QName& element, const xml::QName& head) = 0;
  // Whether a value fits its variable's declaration: invalidVariables when it does not.
  virtual Evaluated<void> validate(const Variable& declaration, const VariableValue& value) = 0;
};

// Runs all copies in order; a later copy sees what an earlier one wrote; nothing is stored unless all succeed.
// With validate="yes" every changed variable is validated before anything is stored. Raises selectionFailure,
// mismatchedAssignmentFailure, uninitializedVariable, uninitializedPartnerRole, unsupportedReference,
// subLanguageExecutionFault, invalidVariables.
Evaluated<void> execute_assign(const Assign& assign, AssignContext& context);
// The initialisation of a variable declared with an inline from-spec.
Evaluated<VariableValue> initial_value(const Variable& variable, AssignContext& context);

// A value of the text for a variable of a simple schema type: <value>text</value>. For counters and the like.
VariableValue simple_value(std::string_view text);
// The text of a value made of one document (element or type variable); empty when it has none.
std::string text_of(const VariableValue& value);

}  // namespace nuraghe::bpel
