#include "echo_service.hpp"

#include "base/record.hpp"

namespace nuraghe::contracts::echo {

Status EchoService::open(store::Store& store) {
  TRY_ASSIGN(notes_, store.table("notes"));
  TRY_ASSIGN(open_, store.table("open_requests"));
  return {};
}

Status EchoService::on_timer(exchange::Turn& turn, std::string_view key) {
  TRY_ASSIGN(const auto row, turn.transaction().get(open_, key));
  if (!row) return not_found("nothing is open under this id");
  TRY_ASSIGN(const auto input, decode_record<LaterRequest>(*row));
  TRY(turn.transaction().erase(open_, key));
  return answer(turn, key, LaterResponse{input.text});
}

Status EchoService::echo(exchange::Turn& turn, const exchange::Message& request, const EchoRequest& input) {
  return answer(turn, request.message_id, EchoResponse{input.value});
}

Status EchoService::carry(exchange::Turn& turn, const exchange::Message& request, const CarryRequest& input) {
  return answer(turn, request.message_id, CarryResponse{input.parcel});
}

Status EchoService::later(exchange::Turn& turn, const exchange::Message& request, const LaterRequest& input) {
  TRY(turn.transaction().put(open_, request.message_id, encode_record(input)));
  return turn.set_timer(request.message_id, turn.now());
}

Status EchoService::refuse(exchange::Turn& turn, const exchange::Message& request, const RefuseRequest& input) {
  TRY(turn.transaction().put(notes_, request.message_id, "refused"));
  const Error error(error_code_from_name(input.code), "refused as asked");
  if (input.later) return fail(turn, request.message_id, error);
  return error;
}

Status EchoService::note(exchange::Turn& turn, const exchange::Message& request, const NoteRequest& input) {
  return turn.transaction().put(notes_, request.message_id, input.text);
}

Status EchoService::notes(exchange::Turn& turn, const exchange::Message& request, const NotesRequest&) {
  NotesResponse response;
  TRY_ASSIGN(const auto rows, turn.transaction().scan(notes_, ""));
  for (const auto& row : rows) response.text.push_back(row.value);
  return answer(turn, request.message_id, response);
}

Status EchoService::delete_(exchange::Turn& turn, const exchange::Message& request, const DeleteRequest&) {
  TRY_ASSIGN(const auto rows, turn.transaction().scan(notes_, ""));
  for (const auto& row : rows) TRY(turn.transaction().erase(notes_, row.key));
  return answer(turn, request.message_id, DeleteResponse{});
}

}  // namespace nuraghe::contracts::echo
