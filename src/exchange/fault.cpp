#include "exchange/fault.hpp"

#include <fmt/format.h>

#include <vector>

namespace nuraghe::exchange {
namespace {

// A chain that others made is read so far.
constexpr std::size_t kLongestChain = 64;

// "/services/vhf" of "vhf", "/services/vhc-1" of "vhc vhc-1".
std::string address_of(std::string_view originator) {
  if (originator.find_first_of("/:") != std::string_view::npos) return std::string(originator);
  return fmt::format("/services/{}", originator.substr(originator.rfind(' ') + 1));
}

void write_content(xml::Node fault, const Error& error, std::size_t context, std::string_view originator,
                   std::string_view time) {
  fault.append_text_element(kBaseFaultNamespace, "Timestamp", time);
  if (!originator.empty()) {
    constexpr std::string_view kAddressing = "http://www.w3.org/2005/08/addressing";
    fault.append_element(kBaseFaultNamespace, "Originator")
        .append_text_element(kAddressing, "Address", address_of(originator));
  }
  xml::Node code = fault.append_text_element(kBaseFaultNamespace, "ErrorCode", error_code_name(error.code()));
  code.set_attribute("dialect", kFaultNamespace);
  Error inner(error.code(), error.message());
  for (std::size_t i = 0; i < context; ++i) inner = std::move(inner).with(error.context()[i]);
  fault.append_text_element(kBaseFaultNamespace, "Description", xml::printable(inner.to_string()));
  if (context == 0) return;
  const xml::Node cause = fault.append_element(kBaseFaultNamespace, "FaultCause");
  write_content(xml::Node(cause).append_element(kFaultNamespace, "fault"), error, context - 1, "", time);
}

xml::Node cause_of(xml::Node fault) {
  const xml::Node cause = fault.child(kBaseFaultNamespace, "FaultCause");
  return cause ? cause.first_child() : xml::Node();
}

bool is_base_fault(xml::Node detail) { return static_cast<bool>(detail.child(kBaseFaultNamespace, "Timestamp")); }

// As Nuraghe wrote its faults before they were base faults; stored answers may still have that form.
Error error_of_old(xml::Node detail, xml::Node message) {
  Error error(error_code_from_name(detail.attribute_or("code", "internal")), message.text());
  for (const xml::Node context : detail.children(kFaultNamespace, "context"))
    error = std::move(error).with(context.text());
  return error;
}

}  // namespace

bool is_of_sender(ErrorCode code) {
  return code == ErrorCode::kInvalid || code == ErrorCode::kNotFound || code == ErrorCode::kDenied ||
         code == ErrorCode::kUnsupported;
}

Fault fault_of(const Error& error, std::string_view originator, TimePoint at) {
  return fault_of(error, originator, at, {std::string(kFaultNamespace), "fault"});
}

Fault fault_of(const Error& error, std::string_view originator, TimePoint at, const xml::QName& name) {
  Fault fault;
  fault.reason = error.to_string();
  fault.code = error.code();
  fault.from_sender = is_of_sender(error.code());
  xml::Document detail = xml::Document::create(name);
  write_content(detail.root(), error, error.context().size(), originator, at.to_string());
  fault.detail = std::move(detail).share();
  return fault;
}

Error error_of(const Fault& fault) {
  if (!fault.detail) return {fault.code, fault.reason};
  const xml::Node root = fault.detail->root();
  if (!is_base_fault(root)) {
    const xml::Node message = root.is(kFaultNamespace, "fault") ? root.child(kFaultNamespace, "message") : xml::Node();
    return message ? error_of_old(root, message) : Error(fault.code, fault.reason);
  }
  std::vector<std::string> chain;
  for (xml::Node at = root; at && chain.size() < kLongestChain; at = cause_of(at)) chain.push_back(description_of(at));
  if (chain.size() == 1 && chain.front().empty()) chain.front() = fault.reason;
  Error error(code_of(root).value_or(fault.code), chain.back());
  for (std::size_t i = chain.size() - 1; i-- > 0;) {
    // A link repeats what is behind it.
    std::string_view own = chain[i];
    const std::string behind = ": " + chain[i + 1];
    if (own.ends_with(behind)) own.remove_suffix(behind.size());
    if (!own.empty() && own != chain[i + 1]) error = std::move(error).with(std::string(own));
  }
  return error;
}

std::optional<ErrorCode> code_of(xml::Node detail) {
  const xml::Node code = detail.child(kBaseFaultNamespace, "ErrorCode");
  if (code && code.attribute_or("dialect", "") == kFaultNamespace) return error_code_from_name(code.text());
  if (!detail.is(kFaultNamespace, "fault")) return std::nullopt;
  return error_code_from_name(detail.attribute_or("code", "internal"));
}

std::string description_of(xml::Node detail) {
  const xml::Node description = detail.child(kBaseFaultNamespace, "Description");
  return description ? description.text() : std::string();
}

bool lacks_timestamp(xml::Node detail) {
  return detail.is(kFaultNamespace, "fault") && detail.child(kBaseFaultNamespace, "ErrorCode") &&
         !is_base_fault(detail);
}

xml::DocumentPtr with_timestamp(xml::Node detail, TimePoint at) {
  xml::Document document = xml::Document::copy_of(detail);
  xml::Document time = xml::Document::create({std::string(kBaseFaultNamespace), "Timestamp"});
  time.root().set_text(at.to_string());
  // BaseFaultType is a sequence in which only elements of other namespaces stand before it.
  for (xml::Node child : document.root().children()) {
    if (child.namespace_uri() != kBaseFaultNamespace) continue;
    child.insert_copy_before(time.root());
    break;
  }
  return std::move(document).share();
}

}  // namespace nuraghe::exchange
