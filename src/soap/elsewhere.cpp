#include "soap/elsewhere.hpp"

#include <fmt/format.h>

#include "base/record.hpp"
#include "soap/references.hpp"

namespace nuraghe::soap {
namespace {

using exchange::Message;
using exchange::Turn;

// How long who wants an answer may be away; an answer may take a process as long as it likes.
constexpr Duration kDelivery = std::chrono::hours(1);
constexpr Duration kWork = std::chrono::hours(24 * 365 * 10);

// Key: the request's message_id. There until it is answered (docs/formats/instance.md).
struct ElsewhereRow {
  std::string reply_address, reply_parameters, fault_address, fault_parameters, action;
  bool soap_12 = false;
  std::string base;
  bool addressing_2004 = false;
  template <class V>
  void fields(V& v) {
    v(1, reply_address), v(2, reply_parameters), v(3, fault_address), v(4, fault_parameters), v(5, action),
        v(6, soap_12), v(7, base), v(8, addressing_2004);
  }
};

std::string text_of(const xml::DocumentPtr& parameters) {
  return parameters == nullptr ? std::string() : parameters->root().to_string();
}

Result<AnswerAddress> address_of(std::string address, const std::string& parameters) {
  AnswerAddress answer;
  answer.address = std::move(address);
  if (parameters.empty()) return answer;
  TRY_ASSIGN(xml::Document document, xml::Document::parse(parameters, {.source = "stored reference parameters"}));
  answer.parameters = std::move(document).share();
  return answer;
}

}  // namespace

Status Elsewhere::open(store::Store& store) {
  TRY_ASSIGN(table_, store.table(table_name_));
  return {};
}

Status Elsewhere::take(Turn& turn, Message request, const AnswerPlan& plan) {
  if (request.precondition) return internal("a precondition is not kept with what is sent later");
  const std::string id = request.message_id;
  TRY_ASSIGN(const auto known, turn.transaction().get(table_, id));
  if (known) return {};
  const ElsewhereRow row{plan.reply_to.address,
                         text_of(plan.reply_to.parameters),
                         plan.fault_to.address,
                         text_of(plan.fault_to.parameters),
                         plan.action,
                         plan.soap_12,
                         plan.base,
                         plan.addressing_2004};
  TRY(turn.transaction().put(table_, id, encode_record(row)));
  // The id that came is the answer's, and of this actor; the engine's answer to a repeat of this one is its first.
  request.message_id = id + "#elsewhere";
  request.is_passed_on = true;
  return turn.send(std::move(request), id, turn.now() + kWork);
}

Status Elsewhere::answer(Turn& turn, const std::string& request_id, const AnswerPlan& plan, const Message& reply) {
  const auto& address = reply.fault ? plan.fault_to : plan.reply_to;
  if (!address.is_elsewhere()) return {};
  Message message;
  message.message_id = env::make_uuid_urn(turn.random());
  message.to = address.address;
  message.operation = reply.operation;
  message.relates_to = request_id;
  message.one_way = true;
  message.to_stranger = !resolver_;
  message.fault = reply.fault;
  if (message.fault) message.fault->detail = told_with(message.fault->detail, own_paths_, plan.base);
  message.body = with_header_blocks(address.parameters, told_with(reply.body, own_paths_, plan.base));
  message.action = reply.fault ? std::string(kFaultAction) : plan.action;
  message.soap_12 = plan.soap_12;
  message.addressing_2004 = plan.addressing_2004;
  message.traceparent = reply.traceparent;
  if (resolver_) resolver_(message);
  return turn.send(std::move(message), "", turn.now() + kDelivery);
}

void AnswersElsewhere::take(Message request, AnswerPlan plan, std::function<void(Status)> done) {
  exchange_.post(
      std::string(actor_.name()),
      [this, request = std::move(request), plan = std::move(plan)](Turn& turn) {
        return actor_.take(turn, request, plan);
      },
      std::move(done));
}

void AnswersElsewhere::answer(std::string request_id, AnswerPlan plan, Message reply,
                              std::function<void(Status)> done) {
  exchange_.post(
      std::string(actor_.name()),
      [this, id = std::move(request_id), plan = std::move(plan), reply = std::move(reply)](Turn& turn) {
        return actor_.answer(turn, id, plan, reply);
      },
      std::move(done));
}

Status Elsewhere::on_start(Turn&) { return {}; }

Status Elsewhere::on_request(Turn&, const Message& request) {
  return internal(fmt::format("nothing is served here: {}", request.operation));
}

Status Elsewhere::on_reply(Turn& turn, const Message& reply, std::string_view token) {
  TRY_ASSIGN(const auto stored, turn.transaction().get(table_, token));
  if (!stored) return internal(fmt::format("nobody waits for the answer to {}", token));
  TRY_ASSIGN(ElsewhereRow row, decode_record<ElsewhereRow>(*stored));
  AnswerPlan plan;
  TRY_ASSIGN(plan.reply_to, address_of(std::move(row.reply_address), row.reply_parameters));
  TRY_ASSIGN(plan.fault_to, address_of(std::move(row.fault_address), row.fault_parameters));
  plan.action = std::move(row.action);
  plan.soap_12 = row.soap_12;
  plan.addressing_2004 = row.addressing_2004;
  plan.base = std::move(row.base);
  TRY(turn.transaction().erase(table_, token));
  return answer(turn, std::string(token), plan, reply);
}

Status Elsewhere::on_timer(Turn&, std::string_view key) { return internal(fmt::format("no timer {} was set", key)); }

Status Elsewhere::on_job(Turn&, const exchange::Job& job, const Result<std::string>&) {
  return internal(fmt::format("no job {} was started", job.key));
}

Result<std::string> Elsewhere::run_job(const exchange::Job& job, exchange::JobContext&) {
  return internal(fmt::format("no job {} was started", job.key));
}

}  // namespace nuraghe::soap
