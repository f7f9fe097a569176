#include "exchange/spans.hpp"

#include <array>
#include <bit>

namespace nuraghe::exchange {
namespace {

// splitmix64: the seed is chance, and no two ids of a process are the same.
std::uint64_t next_id(State& state) {
  if (state.span_seed == 0) {
    std::array<std::uint8_t, 8> bytes{};
    state.random->fill(bytes);
    state.span_seed = std::bit_cast<std::uint64_t>(bytes);
  }
  std::uint64_t id = state.span_seed += 0x9e3779b97f4a7c15U;
  id = (id ^ (id >> 30U)) * 0xbf58476d1ce4e5b9U;
  id = (id ^ (id >> 27U)) * 0x94d049bb133111ebU;
  id ^= id >> 31U;
  return id == 0 ? 1 : id;
}

// "vcf" of "http://127.0.0.1:8470/services/vcf?wsdl".
std::string_view service_of(std::string_view address) {
  constexpr std::string_view kServices = "/services/";
  if (const auto at = address.rfind(kServices); at != std::string_view::npos)
    address.remove_prefix(at + kServices.size());
  return address.substr(0, address.find_first_of("?#"));
}

OpenSpan child_of(State& state, TraceParent parent, std::string_view tracestate) {
  OpenSpan span;
  span.parent = parent.span;
  parent.span = next_id(state);
  span.traceparent = to_string(parent);
  span.tracestate = tracestate;
  span.start = state.clock->now();
  return span;
}

}  // namespace

std::optional<OpenSpan> begin_request(State& state, Message& request) {
  if (!state.keeps_spans || request.traceparent.empty()) return std::nullopt;
  auto parent = parse_traceparent(request.traceparent);
  if (!parent) {
    parent = begin_trace(*state.random);
    request.tracestate.clear();
  }
  OpenSpan span = child_of(state, *parent, checked_tracestate(request.tracestate));
  span.vo = request.vo;
  span.service = service_of(request.to);
  request.traceparent = span.traceparent;
  request.tracestate = span.tracestate;
  return span;
}

std::optional<OpenSpan> begin_job(State& state, const OpenSpan* parent, std::string_view actor) {
  if (parent == nullptr) return std::nullopt;
  const auto own = parse_traceparent(parent->traceparent);
  if (!own) return std::nullopt;
  OpenSpan span = child_of(state, *own, parent->tracestate);
  span.vo = parent->vo;
  span.service = actor;
  return span;
}

void end_request(State& state, Batch& batch, const RequestContext& context, const Message& reply) {
  if (!context.span || !state.keeps_spans) return;
  auto span = end_span(*context.span, state.clock->now());
  if (!span) return;
  span->operation = context.operation;
  span->where = state.name;
  if (reply.fault) span->fault = error_code_name(reply.fault->code);
  batch.spans.push_back(std::move(*span));
}

void end_job(State& state, Batch& batch, const std::optional<OpenSpan>& open, std::string_view key,
             const Result<std::string>& result) {
  if (!open || !state.keeps_spans) return;
  auto span = end_span(*open, state.clock->now());
  if (!span) return;
  span->kind = Span::Kind::kJob;
  span->operation = key;
  span->where = state.name;
  if (!result) span->fault = error_code_name(result.error().code());
  batch.spans.push_back(std::move(*span));
}

}  // namespace nuraghe::exchange
