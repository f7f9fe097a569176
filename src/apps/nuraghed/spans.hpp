// Spans: what the exchanges of nuraghed did of traces, gathered in memory and stored by the service of traces, which is
// an actor of the control exchange (services/trace/trace.hpp). Threading: taker()'s function is called on the
// exchanges' threads, the rest belongs to whoever starts and stops nuraghed.
#pragma once

#include <functional>
#include <vector>

#include "exchange/exchange.hpp"
#include "services/trace/trace.hpp"

namespace nuraghe::daemon {

class Spans {
 public:
  Spans() : buffer_([this] { store(); }), traces_(buffer_) {}
  exchange::Actor& actor() { return traces_; }
  // For ExchangeOptions::on_spans of every exchange of the process, which do not outlive this.
  std::function<void(std::vector<exchange::Span>)> taker() {
    return [this](std::vector<exchange::Span> ended) { buffer_.add(std::move(ended)); };
  }
  // Before any exchange is started: where they are stored.
  void set_control(exchange::Exchange& control) { control_ = &control; }
  // Before the control exchange is stopped: waits until those that ended are stored, for a while.
  void finish();

 private:
  // They share the commit of whatever else is at work then.
  void store();

  exchange::Exchange* control_ = nullptr;
  services::trace::SpanBuffer buffer_;
  services::trace::Traces traces_;
};

}  // namespace nuraghe::daemon
