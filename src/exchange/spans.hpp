// Spans of an exchange: where a piece of work of a trace begins and ends. Internal to this room. docs/traces.md.
#pragma once

#include <optional>
#include <string_view>

#include "exchange/state.hpp"

namespace nuraghe::exchange {

// The request is one, unless it is of no trace: from now on it carries its own span. What is malformed begins a trace
// of its own (W3C Trace Context §4.3).
std::optional<OpenSpan> begin_request(State& state, Message& request);
// A job that is started within `parent`; null: of no trace.
std::optional<OpenSpan> begin_job(State& state, const OpenSpan* parent, std::string_view actor);
// They are answered, or done. Nothing happens without a span.
void end_request(State& state, Batch& batch, const RequestContext& context, const Message& reply);
void end_job(State& state, Batch& batch, const std::optional<OpenSpan>& span, std::string_view key,
             const Result<std::string>& result);

}  // namespace nuraghe::exchange
