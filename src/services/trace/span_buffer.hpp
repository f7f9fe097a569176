// SpanBuffer: spans that ended and are not stored yet, from all exchanges of a process. So no request pays for a commit
// of its own: they are taken out many at a time. What is in it when the process dies is lost.
//
// Thread safe. Bound: kLimit spans; what comes beyond is dropped and counted.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "exchange/trace.hpp"

namespace nuraghe::services::trace {

class SpanBuffer {
 public:
  static constexpr std::size_t kLimit = 65'536;
  // So many are worth being taken out.
  static constexpr std::size_t kWorth = 512;

  // `due` is called once, on the thread of whoever adds, when spans are to be taken out: enough are there, the oldest
  // waits for a second, or nothing else is to be done. It must not block, and may take them out itself.
  explicit SpanBuffer(std::function<void()> due) : due_(std::move(due)) {}

  // For ExchangeOptions::on_spans: none at all means that the exchange has nothing to do, or that some have waited.
  void add(std::vector<exchange::Span> spans);
  std::vector<exchange::Span> take(std::size_t most);
  // Copies of those of one trace.
  std::vector<exchange::Span> of(const exchange::TraceId& trace) const;
  bool empty() const;
  std::int64_t dropped() const;

 private:
  std::function<void()> due_;
  mutable std::mutex mutex_;
  std::deque<exchange::Span> spans_;
  bool is_told_ = false;  // that they are to be taken out
  std::int64_t dropped_ = 0;
};

}  // namespace nuraghe::services::trace
