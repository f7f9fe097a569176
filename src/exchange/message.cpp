#include "exchange/message.hpp"

#include "base/record.hpp"

namespace nuraghe::exchange {
namespace {

// Text: std::string, or std::string_view to encode what others hold.
template <class Text>
struct FaultRow {
  Text reason;
  ErrorCode code = ErrorCode::kInternal;
  bool from_sender = false;
  std::optional<Text> detail;
  template <class V>
  void fields(V& v) {
    v(1, reason), v(2, code), v(3, from_sender), v(4, detail);
  }
};

template <class Text>
struct MessageRow {
  Text message_id, to, operation, relates_to;
  std::optional<Text> body;
  std::optional<FaultRow<Text>> fault;
  bool one_way = false;
  Text vo, caller, conversation, traceparent, action, origin;
  bool soap_12 = false, to_stranger = false;
  Text tracestate;
  std::optional<Text> reached_at, reply_to;
  bool addressing_2004 = false;
  template <class V>
  void fields(V& v) {
    v(1, message_id), v(2, to), v(3, operation), v(4, relates_to), v(5, body), v(6, fault), v(7, one_way), v(8, vo),
        v(9, caller), v(10, conversation), v(11, traceparent), v(12, action), v(13, soap_12), v(14, to_stranger),
        v(15, origin), v(16, tracestate), v(17, reached_at), v(18, reply_to), v(19, addressing_2004);
  }
};

Result<xml::DocumentPtr> parse_stored(const std::optional<std::string>& text) {
  if (!text) return xml::DocumentPtr();
  xml::ParseOptions options;
  options.source = "stored message";
  TRY_ASSIGN(xml::Document document, xml::Document::parse(*text, options));
  return std::move(document).share();
}

}  // namespace

std::string encode_message(const Message& message) {
  MessageRow<std::string_view> row;
  row.message_id = message.message_id;
  row.to = message.to;
  row.operation = message.operation;
  row.relates_to = message.relates_to;
  if (message.body) row.body = message.body->shared_text();
  if (message.fault) {
    FaultRow<std::string_view>& fault = row.fault.emplace();
    fault.reason = message.fault->reason;
    fault.code = message.fault->code;
    fault.from_sender = message.fault->from_sender;
    if (message.fault->detail) fault.detail = message.fault->detail->shared_text();
  }
  row.one_way = message.one_way;
  row.vo = message.vo;
  row.caller = message.caller;
  row.conversation = message.conversation;
  row.traceparent = message.traceparent;
  row.action = message.action;
  row.soap_12 = message.soap_12;
  row.to_stranger = message.to_stranger;
  row.origin = message.origin;
  row.tracestate = message.tracestate;
  if (!message.reached_at.empty()) row.reached_at = message.reached_at;
  if (message.reply_to) row.reply_to = message.reply_to->shared_text();
  row.addressing_2004 = message.addressing_2004;
  return encode_record(row);
}

Result<Message> decode_message(std::string_view bytes) {
  TRY_ASSIGN(MessageRow<std::string> row, decode_record<MessageRow<std::string>>(bytes));
  Message message;
  message.message_id = std::move(row.message_id);
  message.to = std::move(row.to);
  message.operation = std::move(row.operation);
  message.relates_to = std::move(row.relates_to);
  TRY_ASSIGN(message.body, parse_stored(row.body));
  if (row.fault) {
    Fault& fault = message.fault.emplace();
    fault.reason = std::move(row.fault->reason);
    fault.code = row.fault->code;
    fault.from_sender = row.fault->from_sender;
    TRY_ASSIGN(fault.detail, parse_stored(row.fault->detail));
  }
  message.one_way = row.one_way;
  message.vo = std::move(row.vo);
  message.caller = std::move(row.caller);
  message.conversation = std::move(row.conversation);
  message.traceparent = std::move(row.traceparent);
  message.action = std::move(row.action);
  message.soap_12 = row.soap_12;
  message.to_stranger = row.to_stranger;
  message.origin = std::move(row.origin);
  message.tracestate = std::move(row.tracestate);
  TRY_ASSIGN(message.reply_to, parse_stored(row.reply_to));
  message.addressing_2004 = row.addressing_2004;
  message.reached_at = std::move(row.reached_at).value_or(std::string());
  return message;
}

}  // namespace nuraghe::exchange
