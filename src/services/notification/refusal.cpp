#include "services/notification/refusal.hpp"

#include "services/notification/names.hpp"

namespace nuraghe::services::notification {

Refusal refuse(std::string_view fault, std::string reason) { return {fault, invalid(std::move(reason))}; }

exchange::Fault fault_of(const Refusal& refusal, TimePoint now, std::string_view originator) {
  const bool is_of_resource = refusal.fault == "ResourceUnknownFault";
  const bool is_of_properties = refusal.fault == "InvalidResourcePropertyQNameFault";
  const std::string own(is_of_resource ? kResource : is_of_properties ? kResourceProperties : kNotification);
  xml::Document detail = xml::Document::create({own, refusal.fault}, is_of_resource     ? "wsrf-r"
                                                                     : is_of_properties ? "wsrf-rp"
                                                                                        : "wsnt");
  xml::Node root = detail.root();
  root.declare_namespace("wsrf-bf", kBaseFaults);
  root.append_text_element(kBaseFaults, "Timestamp", now.to_string());
  xml::Node reference = root.append_element(kBaseFaults, "Originator");
  reference.append_text_element(kAddressing, "Address", originator);
  xml::Node code = root.append_element(kBaseFaults, "ErrorCode");
  code.set_attribute("dialect", "urn:nuraghe:fault:1");
  code.append_text(error_code_name(refusal.error.code()));
  root.append_text_element(kBaseFaults, "Description", refusal.error.to_string());
  int number = 0;
  for (const xml::QName& name : refusal.names) {
    xml::Node item = root.append_element(own, refusal.list);
    const std::string prefix = "n" + std::to_string(++number);
    if (!name.ns.empty()) item.declare_namespace(prefix, name.ns);
    item.append_text(name.ns.empty() ? name.local : prefix + ":" + name.local);
  }
  if (refusal.minimum) root.append_text_element(own, "MinimumTime", refusal.minimum->to_string());
  if (refusal.maximum) root.append_text_element(own, "MaximumTime", refusal.maximum->to_string());
  exchange::Fault fault;
  fault.reason = refusal.error.to_string();
  fault.code = refusal.error.code();
  fault.from_sender = exchange::is_of_sender(fault.code);
  fault.detail = std::move(detail).share();
  return fault;
}

}  // namespace nuraghe::services::notification
