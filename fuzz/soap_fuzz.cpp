// Any bytes as a SOAP request and as an answer. What decodes must encode again to an envelope that says the same: a
// difference is a defect and aborts, as does everything that the sanitizers see. The first line is a Content-Type, too,
// for what follows it.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "soap/attachments.hpp"
#include "soap/envelope.hpp"

namespace {

using namespace nuraghe;  // NOLINT: a program of its own

// Texts that XML cannot carry unchanged, such as a carriage return, are not compared.
bool plain(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7E) return false;
  }
  return true;
}

// A fault tells its reader what it told its sender, in its version.
void check_fault(const soap::ProtocolFault& fault) {
  const auto decoded = soap::decode_reply(soap::encode(fault, TimePoint{}));
  CHECK(decoded.has_value() && decoded->fault.has_value());
  CHECK(decoded->fault->code == fault.to_error().code());
}

void check_request(std::string_view input, const soap::DecodeOptions& options) {
  const auto first = soap::decode_request(input, options);
  if (!first) return check_fault(first.error());
  // Where answers go is asked of the address: it must be one, and what is to be repeated there must be header blocks.
  for (const auto* answer : {&first->reply_to, &first->fault_to}) {
    CHECK(options.any_reply_address || !answer->is_elsewhere());
    if (answer->parameters) CHECK(answer->parameters->root().is(soap::kParts, "parts"));
  }
  const auto second = soap::decode_request(soap::encode(first->message), options);
  CHECK(second.has_value());
  CHECK(xml::equivalent(first->message.body->root(), second->message.body->root()));
  if (plain(first->message.message_id)) CHECK(first->message.message_id == second->message.message_id);
  if (plain(first->message.caller)) CHECK(first->message.caller == second->message.caller);
  CHECK(first->message.one_way == second->message.one_way);
}

void check_reply(std::string_view input) {
  soap::DecodeOptions options;
  options.max_size = mib(1);
  auto reply = soap::decode_reply(input, options);
  if (!reply) return;
  if (reply->relates_to.empty()) reply->relates_to = "urn:x";
  const auto again = soap::decode_reply(soap::encode(*reply), options);
  CHECK(again.has_value());
  CHECK(again->fault.has_value() == reply->fault.has_value());
  if (reply->fault) (void)exchange::error_of(*reply->fault);
}

void check_attachments(std::string_view input) {
  const auto end = input.find('\n');
  if (end == std::string_view::npos) return;
  const std::string_view body = input.substr(end + 1);
  const auto part = soap::envelope_part(input.substr(0, end), body);
  if (!part) return;
  CHECK(part->text.empty() || (part->text.data() >= body.data() && part->text.end() <= body.end()));
  (void)soap::charset_of(part->type);
}

}  // namespace

// As the doors decode: of services, which speak both versions and all of WS-Addressing, and of a careful receiver.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  soap::DecodeOptions options;
  options.trust_context = true;
  options.max_size = mib(1);
  check_request(input, options);
  options.speaks_12 = options.any_reply_address = options.strict_addressing = true;
  check_request(input, options);
  check_reply(input);
  check_attachments(input);
  return 0;
}
