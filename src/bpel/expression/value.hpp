// Values of variables, references to what a process declares, and the faults that evaluating raises.
//
// A variable's value is made of XML documents that nobody changes: writing makes a new document and puts it in the
// place of the old one. An element variable is the document whose root is that element. A variable of a schema type
// (simple or complex) is a document whose root is an element <value> without namespace that holds the content. A
// message variable has one document per part: the part's element, or, for a part given by type, an element without
// namespace named like the part.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "xml/xml.hpp"
#include "xml/xpath.hpp"

namespace nuraghe::bpel {

using NodeIndex =
    std::uint32_t;  // of an activity, handler or branch: its number in document order, from 0 (the process)
using ScopeIndex = std::uint32_t;  // into ProcessDefinition::scopes(); 0 is the process
using LinkIndex = std::uint32_t;   // into ProcessDefinition::links()
inline constexpr std::uint32_t kNone = 0xffffffffU;

// Something declared in a scope: `slot` counts the scope's declarations of that sort from 0.
struct SlotRef {
  ScopeIndex scope = kNone;
  std::uint32_t slot = kNone;
  auto operator<=>(const SlotRef&) const = default;
  explicit operator bool() const { return scope != kNone; }
};
using VariableRef = SlotRef;
using PartnerLinkRef = SlotRef;
using CorrelationSetRef = SlotRef;
using MessageExchangeRef = SlotRef;

struct VariableValue {
  bool initialised = false;
  // Element and type variables: one entry with the empty name. Message variables: one per part that has a value.
  std::map<std::string, xml::DocumentPtr, std::less<>> parts;

  static VariableValue of(xml::DocumentPtr document) {
    VariableValue value;
    value.initialised = true;
    value.parts.emplace("", std::move(document));
    return value;
  }
  // Null when that part has no value.
  xml::DocumentPtr part(std::string_view name = {}) const {
    const auto found = parts.find(name);
    return found == parts.end() ? nullptr : found->second;
  }
};

inline constexpr std::string_view kBpelNamespace = "http://docs.oasis-open.org/wsbpel/2.0/process/executable";

// The standard faults of WS-BPEL 2.0 Appendix A.
namespace faults {
inline constexpr std::string_view kAmbiguousReceive = "ambiguousReceive";
inline constexpr std::string_view kCompletionConditionFailure = "completionConditionFailure";
inline constexpr std::string_view kConflictingReceive = "conflictingReceive";
inline constexpr std::string_view kConflictingRequest = "conflictingRequest";
inline constexpr std::string_view kCorrelationViolation = "correlationViolation";
inline constexpr std::string_view kInvalidBranchCondition = "invalidBranchCondition";
inline constexpr std::string_view kInvalidExpressionValue = "invalidExpressionValue";
inline constexpr std::string_view kInvalidVariables = "invalidVariables";
inline constexpr std::string_view kJoinFailure = "joinFailure";
inline constexpr std::string_view kMismatchedAssignmentFailure = "mismatchedAssignmentFailure";
inline constexpr std::string_view kMissingReply = "missingReply";
inline constexpr std::string_view kMissingRequest = "missingRequest";
inline constexpr std::string_view kScopeInitializationFailure = "scopeInitializationFailure";
inline constexpr std::string_view kSelectionFailure = "selectionFailure";
inline constexpr std::string_view kSubLanguageExecutionFault = "subLanguageExecutionFault";
inline constexpr std::string_view kUninitializedPartnerRole = "uninitializedPartnerRole";
inline constexpr std::string_view kUninitializedVariable = "uninitializedVariable";
inline constexpr std::string_view kUnsupportedReference = "unsupportedReference";
inline constexpr std::string_view kXsltInvalidSource = "xsltInvalidSource";
inline constexpr std::string_view kXsltStylesheetNotFound = "xsltStylesheetNotFound";
}  // namespace faults
// True for a fault name in the BPEL namespace that Appendix A lists.
bool is_standard_fault(const xml::QName& name);
// True for those that end the process where exitOnStandardFault is yes: all but joinFailure (§12.5).
bool ends_process_where_asked(const xml::QName& name);

// Why an evaluation gave no value: a BPEL fault, or a failure of the engine itself (then engine_error is set and the
// turn must be given up).
struct EvaluationFault {
  xml::QName name;
  std::string message;  // one sentence for people
  std::optional<Error> engine_error;
};
inline EvaluationFault standard_fault(std::string_view local, std::string message) {
  return {{std::string(kBpelNamespace), std::string(local)}, std::move(message), std::nullopt};
}
inline EvaluationFault engine_failure(Error error) {
  std::string text = error.to_string();
  return {{}, std::move(text), std::move(error)};
}

// As Result<T>, with a fault in place of an error; TRY and TRY_ASSIGN work in functions that return it.
template <class T>
class [[nodiscard]] Evaluated : public tl::expected<T, EvaluationFault> {
 public:
  using tl::expected<T, EvaluationFault>::expected;
  Evaluated(EvaluationFault fault) : tl::expected<T, EvaluationFault>(tl::unexpect, std::move(fault)) {}  // NOLINT
};

}  // namespace nuraghe::bpel
