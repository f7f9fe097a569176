#include "bpel/journal/history.hpp"

namespace nuraghe::bpel::journal {

std::string encode_history(TimePoint now, const StepEvent& event, std::uint64_t digest) {
  // A HistoryRow that borrows its event.
  struct View {
    std::uint32_t version;
    TimePoint now;
    StepEvent& event;
    std::uint64_t digest;
    void fields(record_detail::Encoder& v) { v(1, version), v(2, now), v(3, event), v(4, digest); }
  };
  // The encoder does not modify the value.
  return encode_record(View{kHistoryVersion, now, const_cast<StepEvent&>(event),  // NOLINT(*-const-cast)
                            digest});
}

std::string_view event_kind_name(EventKind kind) {
  switch (kind) {
    case EventKind::kCreate:
      return "create";
    case EventKind::kMessage:
      return "message";
    case EventKind::kReply:
      return "reply";
    case EventKind::kTimer:
      return "timer";
    case EventKind::kContinue:
      return "continue";
    case EventKind::kEarly:
      return "early message";
    case EventKind::kAmbiguous:
      return "ambiguous message";
    case EventKind::kTerminate:
      return "terminate";
    case EventKind::kEnd:
      return "end";
  }
  return "unknown";
}

Result<runtime::HeaderRow> header_for(const StepEvent& event, const runtime::Program& program, const std::string& id,
                                      TimePoint now) {
  std::optional<exchange::Message> stored;
  if (event.decoded == nullptr) {
    TRY_ASSIGN(stored, exchange::decode_message(event.message));
  }
  const exchange::Message& message = stored ? *stored : *event.decoded;
  runtime::HeaderRow header;
  header.id = id;
  header.program = program.id;
  header.process = program.definition->name().local;
  header.vo = message.vo;
  header.caller = message.caller;
  header.traceparent = message.traceparent;
  header.tracestate = message.tracestate;
  header.created_by = message.message_id;
  header.created_in = message.conversation;
  header.started = now;
  header.start_node = event.node;
  header.start_alternative = event.alternative;
  header.start_message = event.message;
  return header;
}

Status apply_event(runtime::Machine& machine, const std::string& instance, const StepEvent& event) {
  const runtime::Token target{instance, event.path, event.frame, event.alternative};
  exchange::Message stored;
  if (event.kind != EventKind::kCreate && event.decoded == nullptr && !event.message.empty()) {
    TRY_ASSIGN(stored, exchange::decode_message(event.message));
  }
  const exchange::Message& message = event.decoded != nullptr ? *event.decoded : stored;
  switch (event.kind) {
    case EventKind::kCreate:
      machine.start_process(event.decoded);
      break;
    case EventKind::kMessage:
      machine.take_message(target, message);
      break;
    case EventKind::kReply:
      machine.take_reply(target, message);
      break;
    case EventKind::kTimer:
      machine.take_timer(target);
      break;
    case EventKind::kContinue:
      break;
    case EventKind::kEarly:
      machine.take_early(event.key, message);
      break;
    case EventKind::kAmbiguous:
      machine.take_ambiguous(target, message);
      break;
    case EventKind::kTerminate:
      machine.terminate(event.text);
      break;
    case EventKind::kEnd:
      machine.end_by_force(event.text);
      break;
  }
  machine.run();
  return {};
}

}  // namespace nuraghe::bpel::journal
