// Reading envelopes; encode.cpp writes them.
#include "soap/envelope.hpp"

#include <fmt/format.h>
#include <iconv.h>

#include <algorithm>

#include "soap/references.hpp"

namespace nuraghe::soap {

namespace {

using exchange::Fault;
using exchange::Message;
using Code = ProtocolFault::Code;

template <class T>
using Decoded = tl::expected<T, ProtocolFault>;

tl::unexpected<ProtocolFault> refuse(Code code, std::string reason) {
  return tl::unexpected(ProtocolFault{code, std::move(reason), {}, {}, Version::k11});
}

// A header of WS-Addressing that is not as it has to be.
ProtocolFault bad_header(std::string reason, std::string detail_code, std::string_view header) {
  return ProtocolFault{Code::kWsAddressing, std::move(reason),      "InvalidAddressingHeader", {},
                       Version::k11,        std::move(detail_code), std::string(header)};
}

std::string trimmed(std::string text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.back())) text.pop_back();
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), blank));
  return text;
}

std::string_view unquoted(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') return text.substr(1, text.size() - 2);
  return text;
}

// What the headers said.
struct Headers {
  std::string message_id, to, action, relates_to;
  AnswerAddress reply_to, fault_to;
  std::string vo, caller, conversation, traceparent;
  bool addressed = false, is_2004 = false;
  xml::DocumentPtr reply_reference;
};

// Sets a field that may come once (WS-Addressing Core §3.2: cardinality).
bool set_once(std::string& field, std::string value, bool& seen) {
  if (seen) return false;
  seen = true;
  field = trimmed(std::move(value));
  return true;
}

class HeaderReader {
 public:
  // `options`: which blocks belong to the message. `all`: all that are not addressing or context.
  HeaderReader(std::string_view envelope, const DecodeOptions& options, bool all)
      : envelope_(envelope), options_(options), all_(all) {}
  const std::vector<xml::Node>& blocks() const { return blocks_; }
  Decoded<Headers> read(xml::Node header) {
    for (xml::Node block = header ? header.first_child() : xml::Node(); block; block = block.next_sibling()) {
      if (auto refused = take(block); !refused) {
        refused.error().relates_to = headers_.message_id;
        return tl::unexpected(std::move(refused.error()));
      }
    }
    return std::move(headers_);
  }

 private:
  // tl::expected<void>: nothing to say when the block was taken.
  tl::expected<void, ProtocolFault> take(xml::Node block) {
    if (!is_for_us(block)) return {};
    const std::string_view ns = block.namespace_uri();
    const bool is_2004 = options_.addressing_2004 && ns == kAddressing2004;
    if (ns == kAddressing || is_2004) {
      headers_.addressed = true;
      headers_.is_2004 = is_2004;
      return take_addressing(block);
    }
    if (ns == kContext) {
      take_context(block);
      return {};
    }
    if (options_.parts && (all_ || options_.header_blocks.contains(block.name()))) {
      blocks_.push_back(block);
      return {};
    }
    // Where the submission before the standard is not spoken, what it asks for is done over the connection.
    if (ns == kAddressing2004) return {};
    const std::string must = trimmed(block.attribute_or("mustUnderstand", "0", envelope_));
    if (must == "0" || must == "false") return {};
    auto refused = refuse(Code::kMustUnderstand,
                          fmt::format("the header {} must be understood and is not", block.name().to_string()));
    refused.value().problem = block.name().to_string();
    return refused;
  }

  // SOAP 1.1 §4.2.2: without an actor, or with the "next" one, a block is for whoever receives it. SOAP 1.2 part 1
  // §2.2: the same with roles; who answers is the ultimate receiver.
  bool is_for_us(xml::Node block) const {
    if (envelope_ == kEnvelope12) {
      const std::string role = trimmed(block.attribute_or("role", "", kEnvelope12));
      return role.empty() || role == "http://www.w3.org/2003/05/soap-envelope/role/next" ||
             role == "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver";
    }
    const std::string actor = trimmed(block.attribute_or("actor", "", kEnvelope11));
    return actor.empty() || actor == "http://schemas.xmlsoap.org/soap/actor/next";
  }

  tl::expected<void, ProtocolFault> take_addressing(xml::Node block) {
    const std::string_view name = block.local_name();
    bool once = true;
    if (name == "MessageID") {
      once = set_once(headers_.message_id, block.text(), seen_message_id_);
    } else if (name == "To") {
      once = set_once(headers_.to, block.text(), seen_to_);
    } else if (name == "Action") {
      once = set_once(headers_.action, block.text(), seen_action_);
    } else if (name == "ReplyTo") {
      once = set_once(headers_.reply_to.address, address_of(block), seen_reply_to_);
      headers_.reply_to.parameters = header_blocks_of(block);
      if (options_.callbacks && headers_.reply_to.is_elsewhere()) headers_.reply_reference = reference_in(block);
    } else if (name == "FaultTo") {
      once = set_once(headers_.fault_to.address, address_of(block), seen_fault_to_);
      headers_.fault_to.parameters = header_blocks_of(block);
    } else if (name == "From") {
      once = !std::exchange(seen_from_, true);
    } else if (name == "RelatesTo") {
      // Other relationship types than the reply's are somebody else's business.
      const std::string type = block.attribute_or("RelationshipType", "http://www.w3.org/2005/08/addressing/reply");
      if (type == "http://www.w3.org/2005/08/addressing/reply" || type.ends_with(":Reply"))
        headers_.relates_to = trimmed(block.text());
    }
    if (!once) {
      return tl::unexpected(
          bad_header(fmt::format("the header wsa:{} stands there twice", name), "InvalidCardinality", name));
    }
    const bool is_reference = name == "ReplyTo" || name == "FaultTo" || name == "From";
    if (!is_reference || !trimmed(address_of(block)).empty()) return {};
    return tl::unexpected(
        bad_header(fmt::format("the header wsa:{} has no wsa:Address", name), "MissingAddressInEPR", name));
  }

  void take_context(xml::Node block) {
    const std::string_view name = block.local_name();
    std::string* field = nullptr;
    if (name == "vo") field = &headers_.vo;
    if (name == "caller") field = &headers_.caller;
    if (name == "conversation") field = &headers_.conversation;
    if (name == "traceparent") field = &headers_.traceparent;
    // The first stands: what a reference had us repeat comes behind our own.
    if (field != nullptr && field->empty()) *field = trimmed(block.text());
  }

  static std::string address_of(xml::Node reference) {
    const xml::Node address = reference.child(reference.namespace_uri(), "Address");
    std::string text = address ? trimmed(address.text()) : std::string();
    return text == kAnonymous2004 ? std::string(kAnonymous) : text;
  }

  static xml::DocumentPtr reference_in(xml::Node header) {
    xml::Document reference = detached(header)->clone();
    reference.root().rename({std::string(header.namespace_uri()), "EndpointReference"});
    return std::move(reference).share();
  }

  const std::string_view envelope_;
  const DecodeOptions& options_;
  const bool all_;
  std::vector<xml::Node> blocks_;
  Headers headers_;
  bool seen_message_id_ = false, seen_to_ = false, seen_action_ = false, seen_reply_to_ = false;
  bool seen_fault_to_ = false, seen_from_ = false;
};

struct Parts {
  xml::Document document;
  xml::Node header;  // may be null
  xml::Node body;
  Version version = Version::k11;
  std::string_view envelope() const { return version == Version::k11 ? kEnvelope11 : kEnvelope12; }
};

// The text in UTF-8, without its XML declaration, which may say another encoding; nullopt: it is not in that charset.
std::optional<std::string> in_utf8(std::string_view text, const std::string& charset) {
  const iconv_t converter = iconv_open("UTF-8", charset.c_str());
  if (converter == reinterpret_cast<iconv_t>(-1)) return std::nullopt;  // NOLINT: as POSIX says it
  std::string input(text), output(text.size() * 4 + 16, '\0');
  char *from = input.data(), *to = output.data();
  std::size_t left = input.size(), room = output.size();
  const bool done = iconv(converter, &from, &left, &to, &room) != static_cast<std::size_t>(-1);
  iconv_close(converter);
  if (!done) return std::nullopt;
  output.resize(output.size() - room);
  if (output.starts_with("\xEF\xBB\xBF")) output.erase(0, 3);
  if (output.starts_with("<?xml")) output.erase(0, std::min(output.find("?>"), output.size() - 2) + 2);
  return output;
}

// SOAP 1.1 §3: no document type declaration. The parser refuses entities; this refuses the rest.
bool has_doctype(std::string_view text) {
  const std::size_t root = text.find("Envelope");
  return text.substr(0, root).find("<!DOCTYPE") != std::string_view::npos;
}

Decoded<Parts> open_envelope(std::string_view text, const DecodeOptions& options) {
  if (has_doctype(text)) return refuse(Code::kMalformed, "a SOAP message must not have a document type declaration");
  xml::ParseOptions parse;
  parse.max_size = options.max_size;
  parse.max_depth = options.max_depth;
  parse.source = "envelope";
  auto document = xml::Document::parse(text, parse);
  if (!document && !options.charset.empty()) {
    if (const auto converted = in_utf8(text, options.charset)) document = xml::Document::parse(*converted, parse);
  }
  if (!document) return refuse(Code::kMalformed, document.error().message());
  const xml::Node root = document->root();
  if (root.local_name() != "Envelope") {
    return refuse(Code::kMalformed,
                  fmt::format("the root element is {}, not a SOAP Envelope", root.name().to_string()));
  }
  const std::string_view ns = root.namespace_uri();
  const bool is_11 = options.speaks_11 && ns == kEnvelope11;
  if (!is_11 && !(options.speaks_12 && ns == kEnvelope12)) {
    auto refused =
        refuse(Code::kVersionMismatch, fmt::format("the envelope's namespace is '{}'; this service speaks {}{}{}", ns,
                                                   options.speaks_11 ? fmt::format("SOAP 1.1 ({})", kEnvelope11) : "",
                                                   options.speaks_11 && options.speaks_12 ? " and " : "",
                                                   options.speaks_12 ? fmt::format("SOAP 1.2 ({})", kEnvelope12) : ""));
    refused.value().problem =
        fmt::format("{}{}", options.speaks_12 ? kEnvelope12 : "", options.speaks_11 ? kEnvelope11 : "");
    // SOAP 1.2 part 1, appendix A: who sent 1.1 understands an answer in 1.1.
    refused.value().version = options.speaks_11 || ns == kEnvelope11 ? Version::k11 : Version::k12;
    return refused;
  }
  const Version version = is_11 ? Version::k11 : Version::k12;
  xml::Node child = root.first_child();
  xml::Node header;
  if (child && child.is(ns, "Header")) {
    header = child;
    child = child.next_sibling();
  }
  if (!child || !child.is(ns, "Body")) {
    auto refused = refuse(Code::kMalformed, "the envelope has no Body");
    refused.value().version = version;
    return refused;
  }
  return Parts{std::move(*document), header, child, version};
}

// What stands for the envelope's content in a message: the only body element, or all of it as parts.
xml::DocumentPtr content_of(xml::Node body, const std::vector<xml::Node>& blocks, std::string_view envelope) {
  const xml::Node first = body.first_child();
  if (blocks.empty() && (!first || !first.next_sibling())) return first ? detached(first) : nullptr;
  xml::Document parts = xml::Document::create({std::string(kParts), "parts"});
  xml::Node header = parts.root().append_element(kParts, "header");
  for (const xml::Node block : blocks) {
    xml::Node copy = header.append_copy(detached(block)->root());
    for (const char* attribute : {"mustUnderstand", "actor", "role", "relay"})
      copy.remove_attribute(attribute, envelope);
  }
  xml::Node elements = parts.root().append_element(kParts, "body");
  for (xml::Node element = first; element; element = element.next_sibling())
    elements.append_copy(detached(element)->root());
  return std::move(parts).share();
}

// "NAMESPACE:name" and "NAMESPACE/name" as default_action makes them.
std::string operation_of(std::string_view action, xml::Node body) {
  const std::string_view ns = body.namespace_uri();
  std::string operation(body.local_name());
  if (ns.empty() || !action.starts_with(ns)) return operation;
  std::string_view rest = action.substr(ns.size());
  if (ns.back() != '/' && !rest.empty() && (rest.front() == ':' || rest.front() == '/' || rest.front() == '#')) {
    rest.remove_prefix(1);
  }
  if (rest.empty() || rest.find_first_of(":/#") != std::string_view::npos) return operation;
  if (rest == operation + "Request") return operation;
  return std::string(rest);
}

// Of several entries the first one, or all of them in a document of parts.
void read_detail(xml::Node detail, bool parts, Fault& fault) {
  const xml::Node entry = detail ? detail.first_child() : xml::Node();
  if (!entry) return;
  fault.detail = parts ? content_of(detail, {}, {}) : detached(entry);
  if (const auto code = exchange::code_of(entry)) fault.code = *code;
}

// A fault code of WS-Addressing (SOAP Binding §6.4): it stands for the detail that such a fault has not.
void read_code(xml::Node word, Fault& fault) {
  const auto name = word.resolve_qname(trimmed(word.text()));
  if (!name || name->ns != kAddressing) return;
  const ProtocolFault protocol{Code::kWsAddressing, "", name->local, "", Version::k11};
  fault.code = protocol.to_error().code();
  fault.from_sender = fault.code != ErrorCode::kUnavailable;
}

// SOAP 1.2 part 1 §5.4.
Fault read_fault_12(xml::Node element, bool parts) {
  Fault fault;
  if (const xml::Node reason = element.child(kEnvelope12, "Reason")) {
    if (const xml::Node text = reason.child(kEnvelope12, "Text")) fault.reason = trimmed(text.text());
  }
  const xml::Node code = element.child(kEnvelope12, "Code");
  if (const xml::Node value = code ? code.child(kEnvelope12, "Value") : xml::Node()) {
    const std::string text = trimmed(value.text());
    const std::string local = text.substr(text.find(':') == std::string::npos ? 0 : text.find(':') + 1);
    fault.from_sender = local == "Sender";
    fault.code = fault.from_sender ? ErrorCode::kInvalid : ErrorCode::kInternal;
    if (local == "MustUnderstand" || local == "VersionMismatch") fault.code = ErrorCode::kUnsupported;
    const xml::Node subcode = code.child(kEnvelope12, "Subcode");
    if (const xml::Node word = subcode ? subcode.child(kEnvelope12, "Value") : xml::Node()) read_code(word, fault);
  }
  read_detail(element.child(kEnvelope12, "Detail"), parts, fault);
  return fault;
}

// SOAP 1.1 §4.4.
Fault read_fault(xml::Node element, bool parts) {
  Fault fault;
  if (const xml::Node reason = element.child("", "faultstring")) fault.reason = trimmed(reason.text());
  if (const xml::Node code = element.child("", "faultcode")) {
    const std::string text = trimmed(code.text());
    const std::size_t colon = text.find(':');
    std::string local = colon == std::string::npos ? text : text.substr(colon + 1);
    fault.from_sender = local == "Client" || local.starts_with("Client.");
    fault.code = fault.from_sender ? ErrorCode::kInvalid : ErrorCode::kInternal;
    if (local == "MustUnderstand" || local == "VersionMismatch") fault.code = ErrorCode::kUnsupported;
    read_code(code, fault);
  }
  read_detail(element.child("", "detail"), parts, fault);
  return fault;
}

void apply(Headers headers, Message& message) {
  message.message_id = std::move(headers.message_id);
  message.to = std::move(headers.to);
  message.conversation = std::move(headers.conversation);
  message.traceparent = std::move(headers.traceparent);
}

}  // namespace

xml::Node body_element(const xml::DocumentPtr& body) {
  if (body == nullptr) return {};
  const xml::Node root = body->root();
  if (!root.is(kParts, "parts")) return root;
  const xml::Node elements = root.child(kParts, "body");
  return elements ? elements.first_child() : xml::Node();
}

Error ProtocolFault::to_error() const {
  if (subcode == "ActionNotSupported") return unsupported(reason);
  if (subcode == "DestinationUnreachable") return not_found(reason);
  if (subcode == "EndpointUnavailable") return unavailable(reason);
  switch (code) {
    case Code::kMustUnderstand:
    case Code::kVersionMismatch:
      return unsupported(reason);
    case Code::kServer:
      return internal(reason);
    default:
      return invalid(reason);
  }
}

std::string_view content_type(Version version) {
  return version == Version::k11 ? "text/xml; charset=utf-8" : "application/soap+xml; charset=utf-8";
}

std::string charset_of(const net::MediaType& type) {
  std::string_view charset = type.parameter("charset");
  // Some put it into the quotes of XML.
  if (charset.size() > 1 && charset.starts_with('\'') && charset.ends_with('\'')) {
    charset = charset.substr(1, charset.size() - 2);
  }
  return std::string(charset);
}

namespace {

// What the headers of WS-Addressing have to be together; nullopt: they are.
std::optional<ProtocolFault> check_addressing(const Headers& headers, const DecodeOptions& options) {
  for (const auto& [answer, name] :
       {std::pair(&headers.reply_to, "ReplyTo"), std::pair(&headers.fault_to, "FaultTo")}) {
    if (!answer->is_elsewhere() || options.any_reply_address) continue;
    return bad_header(fmt::format("replies to {} are not sent: only the anonymous address", answer->address),
                      "OnlyAnonymousAddressSupported", name);
  }
  if (!options.strict_addressing || !headers.addressed) return std::nullopt;
  const std::string_view soap_action = unquoted(options.soap_action);
  if (headers.action.empty() && soap_action.empty()) {
    ProtocolFault fault = bad_header("a message with headers of WS-Addressing has a wsa:Action", "", "Action");
    fault.subcode = "MessageAddressingHeaderRequired";
    return fault;
  }
  if (headers.action.empty() || soap_action.empty() || soap_action == headers.action) return std::nullopt;
  return bad_header(
      fmt::format("the SOAPAction is {} and the wsa:Action {}: both have to be the same", soap_action, headers.action),
      "ActionMismatch", "Action");
}

}  // namespace

Decoded<Envelope> decode_request(std::string_view text, const DecodeOptions& options) {
  auto parts = open_envelope(text, options);
  if (!parts) return tl::unexpected(std::move(parts.error()));
  const Version version = parts->version;
  HeaderReader reader(parts->envelope(), options, false);
  auto headers = reader.read(parts->header);
  if (!headers) {
    headers.error().version = version;
    return tl::unexpected(std::move(headers.error()));
  }
  const auto refused = [id = headers->message_id, version](Code code, std::string reason) {
    return tl::unexpected(ProtocolFault{code, std::move(reason), {}, id, version});
  };
  if (auto bad = check_addressing(*headers, options)) {
    bad->relates_to = headers->message_id;
    bad->version = version;
    return tl::unexpected(std::move(*bad));
  }
  const xml::Node payload = parts->body.first_child();
  if (!payload && !options.empty_body)
    return refused(Code::kClient, "the Body holds no element, so no operation is named");
  if (payload && payload.next_sibling() && !options.parts)
    return refused(Code::kClient, "the Body holds more than one element");
  if (payload && payload.is(parts->envelope(), "Fault")) return refused(Code::kClient, "a request cannot be a Fault");
  Envelope out;
  out.version = version;
  out.addressed = headers->addressed;
  out.action = headers->action.empty() ? std::string(unquoted(options.soap_action)) : headers->action;
  out.had_message_id = !headers->message_id.empty();
  out.message.one_way = headers->reply_to.address == kNone;
  out.reply_to = std::move(headers->reply_to);
  out.fault_to = std::move(headers->fault_to);
  out.claimed_vo = std::move(headers->vo);
  if (options.trust_context) {
    out.message.vo = out.claimed_vo;
    out.message.caller = std::move(headers->caller);
  }
  out.message.addressing_2004 = headers->is_2004;
  out.message.reply_to = std::move(headers->reply_reference);
  if (payload) out.message.operation = operation_of(out.action, payload);
  apply(std::move(*headers), out.message);
  out.message.body = content_of(parts->body, reader.blocks(), parts->envelope());
  return out;
}

Result<Message> decode_reply(std::string_view text, const DecodeOptions& options) {
  DecodeOptions any = options;
  any.speaks_11 = any.speaks_12 = true;
  auto parts = open_envelope(text, any);
  if (!parts) return corrupt("the answer is not a SOAP envelope: " + parts.error().reason);
  HeaderReader reader(parts->envelope(), options, true);
  auto headers = reader.read(parts->header);
  if (!headers) return corrupt("the answer's headers cannot be used: " + headers.error().reason);
  Message message;
  message.relates_to = std::move(headers->relates_to);
  apply(std::move(*headers), message);
  const xml::Node payload = parts->body.first_child();
  if (payload && payload.is(parts->envelope(), "Fault")) {
    message.fault =
        parts->version == Version::k11 ? read_fault(payload, options.parts) : read_fault_12(payload, options.parts);
  } else if (options.parts) {
    message.body = content_of(parts->body, reader.blocks(), parts->envelope());
  } else if (payload) {
    message.body = detached(payload);
  }
  return message;
}

}  // namespace nuraghe::soap
