// POST /services/...: envelope in, router, envelope out.
#include "soap/door.hpp"

#include <fmt/format.h>

#include <chrono>

#include "api/access.hpp"
#include "api/doors.hpp"
#include "api/outside_door.hpp"
#include "api/reached.hpp"
#include "api/trace.hpp"
#include "services/notification/notification.hpp"
#include "services/notification/subscriber.hpp"
#include "soap/envelope.hpp"
#include "wsrf/address.hpp"

namespace nuraghe::api {

namespace {

using exchange::Message;

void set_context(Message& message, const Identity& identity, const HttpRequest& request) {
  if (identity.role != Role::kController || message.vo.empty()) message.vo = identity.vo;
  const bool is_believed =
      identity.role == Role::kPeer || (identity.role == Role::kController && identity.certified.empty());
  if (!is_believed || message.caller.empty()) message.caller = identity.caller();
  if (identity.role == Role::kAdministrator)
    message.administrator = identity.on_behalf ? exchange::Administrator::kForVo : exchange::Administrator::kForSite;
  // Whoever is refused has one too.
  if (message.traceparent.empty()) message.traceparent = std::string(request.header("traceparent"));
  message.origin = origin_of(identity, "soap", request.peer);
}

// Who may do something with a resource is who may call what it stands for.
Status may_ask(const GatewayOptions& options, const Identity& identity, const Message& message) {
  TRY(may_be_told(options.outside, identity, message));
  if (const auto address = wsrf::find_address(message.to)) {
    const auto methods = wsrf::methods_behind(*address, message.operation, message.body->root());
    for (const auto* method : methods)
      TRY(may_call(identity, fmt::format("/services/{}", method->service), method->name));
    if (!methods.empty()) return {};
  }
  return may_send(identity, message.to, message.operation, message.body->root().name());
}

// Counts a request with what it came to.
class Counted {
 public:
  Counted(std::shared_ptr<RequestMetrics> metrics, const Message& message)
      : metrics_(std::move(metrics)), operation_(contracts::operation_at(message.to, message.operation)) {}
  void count(Outcome outcome) const {
    const auto took = std::chrono::steady_clock::now() - arrived_;
    if (metrics_) metrics_->count(Door::kSoap, operation_, outcome, std::chrono::duration_cast<Duration>(took));
  }
  void count(const Result<Message>& outcome) const {
    if (!outcome) return count(outcome_of(net::http_status(outcome.error().code())));
    if (!outcome->fault) return count(Outcome::kAnswered);
    count(outcome->fault->from_sender ? Outcome::kRefused : outcome_of(net::http_status(outcome->fault->code)));
  }

 private:
  std::shared_ptr<RequestMetrics> metrics_;
  const contracts::OperationInfo* operation_;
  std::chrono::steady_clock::time_point arrived_ = std::chrono::steady_clock::now();
};

TimePoint now() { return env::system_clock().now(); }

// What a request's precondition says of the answer of its question.
Status check_answer(const exchange::Precondition& precondition, const Result<Message>& outcome) {
  if (!outcome) return outcome.error();
  if (outcome->fault) return precondition.check(exchange::error_of(*outcome->fault));
  return precondition.check(outcome->body);
}

// For requests that a later turn takes; what is refused is recorded and counted.
auto ask_first(const GatewayOptions& options) {
  return [router = options.router, random = options.random, refused = options.refused,
          metrics = options.request_metrics](const Message& request, std::function<void(const Status&)> done) {
    Message question = request.precondition->question;
    question.message_id = env::make_uuid_urn(*random);
    question.traceparent = request.traceparent;
    Message about = request;
    about.body = nullptr;
    router->accept(std::move(question), [refused, counted = Counted(metrics, request), about = std::move(about),
                                         done = std::move(done)](const Result<Message>& outcome) {
      const Status holds = check_answer(*about.precondition, outcome);
      if (!holds) {
        counted.count(Result<Message>(holds.error()));
        if (refused && !about.origin.empty()) refused(about, holds.error());
      }
      done(holds);
    });
  };
}

}  // namespace

HttpResponse soap_refusal(int status, const std::string& reason) {
  using Code = soap::ProtocolFault::Code;
  return soap::refused(status, {status >= 500 ? Code::kServer : Code::kClient, reason, {}, {}, soap::Version::k11},
                       now());
}

void serve_soap(const GatewayOptions& options, HttpRequest request, const HttpResponder& responder) {
  const auto entered = std::static_pointer_cast<const Identity>(request.attachment);
  soap::DecodeOptions decode;
  decode.speaks_12 = true;
  decode.any_reply_address = true;
  decode.strict_addressing = true;
  decode.trust_context = !is_of_vo(entered->role);
  auto envelope = soap::read_request(request, decode, now());
  if (!envelope) return responder.respond(std::move(envelope.error()));
  Message& message = envelope->message;
  set_context(message, *entered, request);
  // The address that counts is the one that the request came to.
  message.to = std::string(request.path());
  message.soap_12 = envelope->version == soap::Version::k12;
  if (!envelope->had_message_id) message.message_id = env::make_uuid_urn(*options.random);
  soap::Asked asked = soap::asked_of(*envelope);
  // This process itself holds to its own addresses.
  if (entered->role != Role::kPeer) {
    asked.base = base_for(options, request);
    asked.lasting_base = lasting_base(options, request);
    message.reached_at = request.reached_at;
    asked.own_paths = options.own_paths;
  }
  if (asked.action.empty()) asked.action = soap::default_action(message);
  // Its sender may not.
  const auto refuse = [&](const Error& error) {
    if (options.refused && !message.origin.empty()) options.refused(message, error);
    Counted(options.request_metrics, message).count(Result<Message>(error));
    responder.respond(soap::undelivered(error, asked, now()));
  };
  const auto acting = acting_in(entered, envelope->claimed_vo, message);
  if (!acting) return refuse(acting.error());
  const Identity& identity = **acting;
  set_context(message, identity, request);
  bool one_way = false;
  if (options.lookup) {
    auto known = options.lookup(message.to, envelope->action, message.body->root().name());
    if (!known) return refuse(known.error());
    message.operation = asked.operation = std::move(known->operation);
    one_way = known->one_way;
  }
  const bool is_outside = options.outside != nullptr && options.outside->has(message.to) &&
                          !services::notification::is_for_producer(message);
  if (is_outside) {
    const auto operation = may_call_outside(*options.outside, identity, message);
    if (!operation) return refuse(operation.error());
    if (!operation->read_only && message.traceparent.empty())
      message.traceparent = traceparent_of(request.header("traceparent"), *options.random);
    one_way = operation->one_way;
  } else if (const Status may = may_ask(options, identity, message); !may) {
    return refuse(may.error());
  }
  if (identity.role == Role::kViewer) message.precondition = services::notification::only_by_subscriber(message);
  set_trace(message, request.headers, *options.random);
  message.is_among_many = request.is_among_many;
  const auto may_call_back = [&options](const std::string& address) {
    return net::check_url(options.strangers, address);
  };
  request = {};  // the text is not needed while the operation takes its minutes
  const soap::HandOn way{
      [router = options.router, metrics = options.request_metrics](Message handed, exchange::DeliveryHandler done) {
        const Counted counted(metrics, handed);
        router->accept(std::move(handed), [counted, done = std::move(done)](Result<Message> outcome) {
          counted.count(outcome);
          done(std::move(outcome));
        });
      },
      options.elsewhere, may_call_back, now, ask_first(options)};
  soap::hand_on(way, std::move(*envelope), std::move(asked), one_way, responder);
}

}  // namespace nuraghe::api
