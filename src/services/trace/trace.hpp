// Traces: the spans of every exchange of a site, kept as rows and told as a whole.
//
//   trace_span    TRACE '/' NUMBER (16 hex digits)   spans of one trace that were stored together
//   trace_order   NUMBER                             which trace, how many, since when: in the order of their coming
//
// Bounded by number and by age: with each piece that comes, the oldest go. Threading: as exchange::Actor; the buffer is
// filled by the exchanges' threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "contracts/trace.hpp"
#include "services/rows.hpp"
#include "services/trace/span_buffer.hpp"

namespace nuraghe::services::trace {

namespace api = contracts::trace;

struct TraceOptions {
  std::int64_t limit = 200'000;               // spans that are kept, of all traces
  Duration age = std::chrono::hours(24 * 7);  // after which they go
  std::size_t told = 10'000;                  // spans of one answer
};

struct SpansRow {
  std::vector<exchange::Span> spans;
  template <class V>
  void fields(V& v) {
    v(1, spans);
  }
};
struct OrderRow {
  std::string trace;  // 32 hex digits
  std::int64_t count = 0;
  TimePoint time;
  template <class V>
  void fields(V& v) {
    v(1, trace), v(2, count), v(3, time);
  }
};

class Traces final : public api::Skeleton {
 public:
  // The buffer outlives this.
  explicit Traces(SpanBuffer& buffer, TraceOptions options = {})
      : Skeleton("trace"), buffer_(buffer), options_(options) {}
  std::string_view name() const override { return "trace"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  void on_rollback() override { stock_.reset(); }

  // Moves what waits in the buffer into rows, a bounded number; true when there is more. Within a turn of this actor.
  Result<bool> store_waiting(exchange::Turn& turn);

 protected:
  Status get_trace(exchange::Turn& turn, const exchange::Message& request, const api::GetTraceRequest& input) override;
  Status record_spans(exchange::Turn& turn, const exchange::Message& request,
                      const api::RecordSpansRequest& input) override;

 private:
  struct Stock {
    std::int64_t spans = 0;  // that are stored
    std::uint64_t next = 0;  // number of the next piece
  };
  // Counted once after each start, and after a turn that was undone.
  Result<Stock*> stock(exchange::Turn& turn);
  Status put(exchange::Turn& turn, std::vector<exchange::Span> spans);
  // Erases the oldest pieces beyond the bounds, a bounded number; true when there are more.
  Result<bool> trim(exchange::Turn& turn);

  SpanBuffer& buffer_;
  const TraceOptions options_;
  RowTable<SpansRow> spans_;
  RowTable<OrderRow> order_;
  std::optional<Stock> stock_;
};

// The wire form of a span, and back.
api::Span to_wire(const exchange::Span& span);
Result<exchange::Span> from_wire(const api::Recorded& recorded);
// The message with which a controller's process tells of spans.
exchange::Message make_record(const std::string& address, const std::vector<exchange::Span>& spans);

}  // namespace nuraghe::services::trace
