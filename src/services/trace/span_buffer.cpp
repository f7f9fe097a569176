#include "services/trace/span_buffer.hpp"

#include <algorithm>
#include <iterator>

namespace nuraghe::services::trace {
namespace {

constexpr Duration kLongestWait = std::chrono::seconds(1);

TimePoint end_of(const exchange::Span& span) { return span.start + span.took; }

}  // namespace

void SpanBuffer::add(std::vector<exchange::Span> spans) {
  bool is_due = false;
  {
    const std::lock_guard lock(mutex_);
    const bool is_at_rest = spans.empty();
    const std::size_t taken = std::min(spans.size(), kLimit - std::min(kLimit, spans_.size()));
    dropped_ += static_cast<std::int64_t>(spans.size() - taken);
    spans_.insert(spans_.end(), std::make_move_iterator(spans.begin()),
                  std::make_move_iterator(spans.begin() + static_cast<std::ptrdiff_t>(taken)));
    is_due = !is_told_ && !spans_.empty() &&
             (is_at_rest || spans_.size() >= kWorth || end_of(spans_.back()) - end_of(spans_.front()) >= kLongestWait);
    is_told_ = is_told_ || is_due;
  }
  if (is_due) due_();
}

std::vector<exchange::Span> SpanBuffer::take(std::size_t most) {
  const std::lock_guard lock(mutex_);
  is_told_ = false;
  const auto end = spans_.begin() + static_cast<std::ptrdiff_t>(std::min(most, spans_.size()));
  std::vector<exchange::Span> taken(std::make_move_iterator(spans_.begin()), std::make_move_iterator(end));
  spans_.erase(spans_.begin(), end);
  return taken;
}

std::vector<exchange::Span> SpanBuffer::of(const exchange::TraceId& trace) const {
  const std::lock_guard lock(mutex_);
  std::vector<exchange::Span> found;
  std::ranges::copy_if(spans_, std::back_inserter(found), [&](const auto& span) { return span.trace == trace; });
  return found;
}

bool SpanBuffer::empty() const {
  const std::lock_guard lock(mutex_);
  return spans_.empty();
}

std::int64_t SpanBuffer::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace nuraghe::services::trace
