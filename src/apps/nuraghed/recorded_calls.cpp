#include "apps/nuraghed/recorded_calls.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "contracts/operation.hpp"
#include "services/tenant/audit.hpp"

namespace nuraghe::daemon {

using services::tenant::record_of_call;
using services::tenant::set_outcome;

namespace {

Status status_of(const Result<exchange::Message>& outcome) {
  if (!outcome) return outcome.error();
  if (outcome->fault) return exchange::error_of(*outcome->fault);
  return {};
}

}  // namespace

class RecordedCalls::Recording final : public exchange::Router {
 public:
  Recording(RecordedCalls& calls, exchange::Router& inner) : calls_(calls), inner_(inner) {}
  void add_route(std::string path, std::string operation, exchange::Exchange& exchange, std::string actor) override {
    inner_.add_route(std::move(path), std::move(operation), exchange, std::move(actor));
  }
  void remove_route(std::string_view path, std::string_view operation) override {
    inner_.remove_route(path, operation);
  }
  void add_own_base(std::string base) override { inner_.add_own_base(std::move(base)); }
  void deliver(exchange::Message request, exchange::ReplyHandler handler) override {
    inner_.deliver(std::move(request), std::move(handler));
  }
  void attempt(exchange::Message request, exchange::DeliveryHandler handler) override {
    inner_.attempt(std::move(request), std::move(handler));
  }
  void accept(exchange::Message request, exchange::DeliveryHandler handler) override {
    if (!calls_.is_recorded_here(request)) return inner_.accept(std::move(request), std::move(handler));
    auto shared = std::make_shared<exchange::Message>(std::move(request));
    calls_.around(*shared, [this, shared, handler = std::move(handler)](
                               const Status& written, std::function<void(const Status&)> finish) mutable {
      if (!written) return handler(written.error());
      inner_.accept(std::move(*shared),
                    [finish = std::move(finish), handler = std::move(handler)](Result<exchange::Message> outcome) {
                      finish(status_of(outcome));
                      handler(std::move(outcome));
                    });
    });
  }
  std::optional<Within> within(const exchange::Message& request, const exchange::Inbox& inbox) const override {
    return inner_.within(request, inbox);
  }

 private:
  RecordedCalls& calls_;
  exchange::Router& inner_;
};

class RecordedCalls::Answers final : public soap::AnswersElsewhere {
 public:
  Answers(RecordedCalls& calls, exchange::Exchange& control, soap::Elsewhere& actor)
      : AnswersElsewhere(control, actor), calls_(calls) {}
  void take(exchange::Message request, soap::AnswerPlan plan, std::function<void(Status)> done) override {
    if (!calls_.is_recorded_here(request))
      return AnswersElsewhere::take(std::move(request), std::move(plan), std::move(done));
    auto call = record_of_call(request);
    call.outcome = "accepted";
    calls_.write(std::move(call), [this, request = std::move(request), plan = std::move(plan),
                                   done = std::move(done)](const Status& written) mutable {
      if (!written) return done(written);
      AnswersElsewhere::take(std::move(request), std::move(plan), std::move(done));
    });
  }

 private:
  RecordedCalls& calls_;
};

std::unique_ptr<soap::AnswersElsewhere> RecordedCalls::make_answers(soap::Elsewhere& actor) {
  return std::make_unique<Answers>(*this, control_, actor);
}

bool RecordedCalls::is_recorded_here(const exchange::Message& request) const {
  constexpr std::string_view kPrefix = "/services/";
  if (request.origin.empty() || !request.to.starts_with(kPrefix)) return false;
  const auto rest = request.to.substr(kPrefix.size());
  if (is_control_(rest.substr(0, rest.find('/')))) return false;
  if (const auto reads = reads_(request)) return !*reads;
  const auto* operation = contracts::operation_at(request.to, request.operation);
  return operation == nullptr || !operation->read_only;
}

void RecordedCalls::ended(const exchange::Message& request, const Result<exchange::Message>& outcome) {
  if (!is_recorded_here(request)) return;
  auto record = record_of_call(request);
  record.kind = "outcome";
  set_outcome(record, status_of(outcome));
  write(std::move(record), [](const Status&) {});
}

void RecordedCalls::write(contracts::tenant::AuditRecord record, std::function<void(const Status&)> done) {
  const std::string what = record.operation;
  control_.post(
      "tenant", [this, record = std::move(record)](exchange::Turn& turn) { return tenant_.record(turn, record); },
      [what, done = std::move(done)](const Status& status) {
        if (!status)
          log_warning("audit", "an entry was not written",
                      {{"operation", what}, {"error", status.error().to_string()}});
        done(status);
      });
}

void RecordedCalls::around(
    const exchange::Message& request,
    std::function<void(const Status& written, std::function<void(const Status& outcome)> finish)> work) {
  auto call = record_of_call(request);
  call.outcome = "accepted";
  write(call, [this, call, work = std::move(work)](const Status& written) {
    work(written, [this, call](const Status& outcome) {
      auto record = call;
      record.kind = "outcome";
      set_outcome(record, outcome);
      write(std::move(record), [](const Status&) {});
    });
  });
}

void RecordedCalls::refused(const exchange::Message& request, const Error& error) {
  constexpr int kMostWaiting = 1000;
  auto record = record_of_call(request);
  record.kind = "refused";
  set_outcome(record, Status(error));
  if (waiting_.fetch_add(1) >= kMostWaiting) {
    waiting_.fetch_sub(1);
    log_warning("audit", "a refusal was not written down: too many wait",
                {{"who", record.who}, {"operation", record.operation}, {"outcome", record.outcome}});
    return;
  }
  write(std::move(record), [this](const Status&) { waiting_.fetch_sub(1); });
}

void RecordedCalls::write_strangers(bool all) {
  for (auto& entry : strangers_.take(env::system_clock().now(), all)) {
    contracts::tenant::AuditRecord record;
    record.kind = "stranger";
    record.who = "unknown";
    record.operation = std::move(entry.stranger.request);
    record.origin = std::move(entry.stranger.origin);
    record.outcome = error_code_name(ErrorCode::kDenied);
    record.text = entry.stranger.claim.empty() ? "several addresses or claims" : "shown: " + entry.stranger.claim;
    if (entry.times > 1) record.text += fmt::format("; {} requests since {}", entry.times, entry.first.to_string());
    write(std::move(record), [](const Status&) {});
  }
}

void RecordedCalls::console(const std::string& controller, const std::string& host, const api::Identity& caller) {
  contracts::tenant::AuditRecord record;
  record.kind = "call";
  record.who = caller.caller();
  record.vo = caller.vo;
  record.service = controller;
  record.operation = "console";
  record.object = xml::printable(host);
  record.origin = "console";
  record.outcome = "accepted";
  write(std::move(record), [](const Status&) {});
}

std::unique_ptr<exchange::Router> RecordedCalls::make_router(exchange::Router& inner) {
  return std::make_unique<Recording>(*this, inner);
}

}  // namespace nuraghe::daemon
