// Writing envelopes: text put together by hand, since header and frame never need a tree.
#include <fmt/format.h>

#include <iterator>

#include "soap/envelope.hpp"

namespace nuraghe::soap {

namespace {

using exchange::Message;
using Code = ProtocolFault::Code;

constexpr std::string_view kOpen11 = "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"";
constexpr std::string_view kOpen12 = "<soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\"";
constexpr std::string_view kHeader =
    " xmlns:wsa=\"http://www.w3.org/2005/08/addressing\" xmlns:ctx=\"urn:nuraghe:context:1\"><soap:Header>";
constexpr std::string_view kHeader2004 =
    " xmlns:wsa=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:ctx=\"urn:nuraghe:context:1\">"
    "<soap:Header>";
constexpr std::string_view kFaultAction2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault";
constexpr std::string_view kBody = "</soap:Header><soap:Body>";
constexpr std::string_view kClose = "</soap:Body></soap:Envelope>";

void put(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  fmt::format_to(std::back_inserter(out), "<{}>{}</{}>", name, xml::escape_text(value), name);
}

// Several entries come as a document of parts.
std::string entries_of(xml::Node detail) {
  if (!detail.is(kParts, "parts")) return detail.to_string();
  std::string out;
  for (const xml::Node child : detail.child(kParts, "body").children()) out += child.to_string();
  return out;
}

std::string escape_attribute(std::string_view text) {
  std::string out = xml::escape_text(text);
  for (auto at = out.find('"'); at != std::string::npos; at = out.find('"', at)) out.replace(at, 1, "&quot;");
  return out;
}

std::string_view opening(Version version) { return version == Version::k11 ? kOpen11 : kOpen12; }

// SOAP 1.2 part 1 §5.4; `subcodes`: the element, or nothing.
void put_fault_12(std::string& out, std::string_view code, std::string_view subcodes, std::string_view reason,
                  std::string_view detail) {
  fmt::format_to(std::back_inserter(out), "<soap:Fault><soap:Code><soap:Value>{}</soap:Value>{}", code, subcodes);
  fmt::format_to(std::back_inserter(out),
                 "</soap:Code><soap:Reason><soap:Text xml:lang=\"en\">{}</soap:Text></soap:Reason>",
                 xml::escape_text(reason));
  if (!detail.empty()) fmt::format_to(std::back_inserter(out), "<soap:Detail>{}</soap:Detail>", detail);
  out += "</soap:Fault>";
}

void put_fault(std::string& out, std::string_view code, std::string_view reason, std::string_view detail) {
  fmt::format_to(std::back_inserter(out), "<soap:Fault><faultcode>{}</faultcode><faultstring>{}</faultstring>", code,
                 xml::escape_text(reason));
  if (!detail.empty()) fmt::format_to(std::back_inserter(out), "<detail>{}</detail>", detail);
  out += "</soap:Fault>";
}

std::string_view fault_code_12(const ProtocolFault& fault) {
  switch (fault.code) {
    case Code::kVersionMismatch:
      return "soap:VersionMismatch";
    case Code::kMustUnderstand:
      return "soap:MustUnderstand";
    case Code::kServer:
      return "soap:Receiver";
    default:
      return fault.subcode == "EndpointUnavailable" ? "soap:Receiver" : "soap:Sender";
  }
}

std::string_view fault_code(const ProtocolFault& fault) {
  switch (fault.code) {
    case Code::kVersionMismatch:
      return "soap:VersionMismatch";
    case Code::kMustUnderstand:
      return "soap:MustUnderstand";
    case Code::kServer:
      return "soap:Server";
    default:
      return "soap:Client";
  }
}

}  // namespace

std::string default_action(const Message& message) {
  if (!message.body) return message.operation;
  const xml::Node element = body_element(message.body);
  const std::string_view ns = element ? element.namespace_uri() : std::string_view();
  if (ns.empty()) return message.operation;
  const std::string_view delimiter = ns.back() == '/' ? "" : ns.starts_with("urn:") ? ":" : "/";
  return fmt::format("{}{}{}", ns, delimiter, message.operation);
}

std::string reply_action(std::string_view action) {
  if (action.ends_with("Request")) action.remove_suffix(7);
  return std::string(action) + "Response";
}

namespace {

// The specifications of WSRF have one action for all of their faults (WS-ResourceProperties 1.2 §5 and its sisters).
std::string_view fault_action(const exchange::Fault& fault) {
  constexpr std::string_view kWsrf = "http://docs.oasis-open.org/wsrf/";
  const bool is_of_wsrf = fault.detail && fault.detail->root().namespace_uri().starts_with(kWsrf);
  return is_of_wsrf ? "http://docs.oasis-open.org/wsrf/fault" : kFaultAction;
}

void put_headers(std::string& out, const Message& message, const EncodeOptions& options) {
  out += message.addressing_2004 ? kHeader2004 : kHeader;
  put(out, "wsa:MessageID", message.message_id);
  put(out, "wsa:To", message.to);
  if (message.fault) {
    put(out, "wsa:Action", message.addressing_2004 ? kFaultAction2004 : fault_action(*message.fault));
  } else {
    put(out, "wsa:Action", options.action.empty() ? default_action(message) : options.action);
  }
  if (message.is_reply()) {
    put(out, "wsa:RelatesTo", message.relates_to);
  } else if (!message.addressing_2004 || !message.one_way) {
    // The submission has no address that says "none".
    fmt::format_to(std::back_inserter(out), "<wsa:ReplyTo><wsa:Address>{}</wsa:Address></wsa:ReplyTo>",
                   message.one_way           ? kNone
                   : message.addressing_2004 ? kAnonymous2004
                                             : kAnonymous);
  }
  put(out, "ctx:vo", message.vo);
  put(out, "ctx:caller", message.caller);
  put(out, "ctx:conversation", message.conversation);
  put(out, "ctx:traceparent", message.traceparent);
}

// The children of one half of a document of parts.
std::string children_of(xml::Node parts, std::string_view half) {
  std::string out;
  if (const xml::Node around = parts.child(kParts, half)) {
    for (const xml::Node child : around.children()) out += child.to_string();
  }
  return out;
}

}  // namespace

std::string encode(const Message& message, const EncodeOptions& options) {
  std::string out;
  out.reserve(2048);
  out += opening(options.version);
  const bool parts = message.body && message.body->root().is(kParts, "parts");
  const std::string blocks = parts ? children_of(message.body->root(), "header") : std::string();
  if (options.addressing)
    put_headers(out, message, options);
  else if (!blocks.empty())
    out += "><soap:Header>";
  else
    out += "><soap:Body>";
  out += blocks;
  if (options.addressing || !blocks.empty()) out += kBody;
  if (message.fault) {
    const xml::Node detail = message.fault->detail ? message.fault->detail->root() : xml::Node();
    const bool from_sender = message.fault->from_sender;
    if (options.version == Version::k12)
      put_fault_12(out, from_sender ? "soap:Sender" : "soap:Receiver", "", message.fault->reason,
                   detail ? entries_of(detail) : std::string());
    else
      put_fault(out, from_sender ? "soap:Client" : "soap:Server", message.fault->reason,
                detail ? entries_of(detail) : std::string());
  } else if (parts) {
    out += children_of(message.body->root(), "body");
  } else if (message.body) {
    out += message.body->root().to_string();
  }
  out += kClose;
  return out;
}

namespace {

// WS-Addressing SOAP Binding §6.3: what the fault is about.
std::string problem_of(const ProtocolFault& fault) {
  if (fault.problem.empty()) return {};
  const std::string text = xml::escape_text(fault.problem);
  if (fault.subcode == "ActionNotSupported") {
    return fmt::format("<wsa:ProblemAction><wsa:Action>{}</wsa:Action></wsa:ProblemAction>", text);
  }
  if (fault.subcode == "DestinationUnreachable" || fault.subcode == "EndpointUnavailable") {
    return fmt::format("<wsa:ProblemIRI>{}</wsa:ProblemIRI>", text);
  }
  return fmt::format("<wsa:ProblemHeaderQName>wsa:{}</wsa:ProblemHeaderQName>", text);
}

// SOAP 1.2 part 1 §5.4.7, §5.4.8: which versions are spoken, which header was not understood.
std::string explanation_of(const ProtocolFault& fault) {
  if (fault.code == Code::kVersionMismatch) {
    std::string spoken;
    for (const std::string_view version : {kEnvelope12, kEnvelope11}) {
      if (fault.problem.find(version) == std::string::npos) continue;
      spoken += fmt::format("<env12:SupportedEnvelope xmlns:v=\"{}\" qname=\"v:Envelope\"/>", version);
    }
    if (spoken.empty()) return {};
    return fmt::format("<env12:Upgrade xmlns:env12=\"{}\">{}</env12:Upgrade>", kEnvelope12, spoken);
  }
  if (fault.code != Code::kMustUnderstand || fault.version != Version::k12 || fault.problem.empty()) return {};
  const auto end = fault.problem.find('}');
  if (end == std::string::npos) return {};
  return fmt::format("<soap:NotUnderstood xmlns:h=\"{}\" qname=\"h:{}\"/>",
                     escape_attribute(std::string_view(fault.problem).substr(1, end - 1)),
                     fault.problem.substr(end + 1));
}

std::string subcodes_of(const ProtocolFault& fault) {
  if (fault.code != Code::kWsAddressing) return {};
  const std::string inner =
      fault.detail_code.empty()
          ? std::string()
          : fmt::format("<soap:Subcode><soap:Value>wsa:{}</soap:Value></soap:Subcode>", fault.detail_code);
  return fmt::format("<soap:Subcode><soap:Value>wsa:{}</soap:Value>{}</soap:Subcode>", fault.subcode, inner);
}

}  // namespace

std::string encode(const ProtocolFault& fault, TimePoint at) {
  const bool of_addressing = fault.code == Code::kWsAddressing;
  const std::string problem = of_addressing ? problem_of(fault) : std::string();
  std::string out(opening(fault.version));
  out += kHeader;
  put(out, "wsa:Action", of_addressing ? "http://www.w3.org/2005/08/addressing/fault" : kFaultAction);
  put(out, "wsa:RelatesTo", fault.relates_to);
  out += explanation_of(fault);
  if (fault.version == Version::k11 && !problem.empty()) out += "<wsa:FaultDetail>" + problem + "</wsa:FaultDetail>";
  out += kBody;
  // A fault about a header has no detail of the body (SOAP 1.1 §4.4).
  std::string detail;
  if (!of_addressing && fault.code != Code::kMustUnderstand) {
    detail = exchange::fault_of(fault.to_error(), "", at).detail->root().to_string();
  }
  if (fault.version == Version::k12) {
    put_fault_12(out, fault_code_12(fault), subcodes_of(fault), fault.reason, of_addressing ? problem : detail);
  } else {
    // §6.2: the most exact code is the fault code.
    const std::string& exact = fault.detail_code.empty() ? fault.subcode : fault.detail_code;
    put_fault(out, of_addressing ? "wsa:" + exact : std::string(fault_code(fault)), fault.reason, detail);
  }
  out += kClose;
  return out;
}

}  // namespace nuraghe::soap
