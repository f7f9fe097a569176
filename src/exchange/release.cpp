#include "base/log.hpp"
#include "exchange/exchange_impl.hpp"

namespace nuraghe::exchange {
namespace {

// Until whoever takes spans is told that the first of them has waited.
constexpr Duration kLongestWaitOfSpans = std::chrono::seconds(1);

}  // namespace

bool ExchangeImpl::dies(CrashPoint point) {
  if (dead_) return true;
  // The store passes the points of its commits itself.
  if (point == CrashPoint::kBeforeSend) pass_crash_point(point);
  if (!options_.crash_hook || !options_.crash_hook(point)) return false;
  dead_ = true;
  failed_ = true;
  mailbox_->kill();
  return true;
}

void ExchangeImpl::pass_spans(std::vector<Span> spans) {
  const TimePoint now = state_.clock->now();
  const bool passes = !spans.empty();
  if (passes) options_.on_spans(std::move(spans));
  // Others that are not traced may keep the exchange at work for ever.
  if (spans_due_ && *spans_due_ <= now) {
    spans_due_.reset();
    options_.on_spans({});
  } else if (passes && !spans_due_) {
    spans_due_ = now + kLongestWaitOfSpans;
  }
}

void ExchangeImpl::release(Work& work) {
  if (!work.batch.spans.empty() || spans_due_) pass_spans(std::move(work.batch.spans));
  for (Effect& effect : work.batch.effects) {
    if (dead_) return;
    std::visit([this](auto& one) { release(one); }, effect);
  }
  if (dead_ || work.batch.published == 0) return;
  std::vector<std::function<void(std::int64_t)>> observers;
  {
    const std::lock_guard lock(mutex_);
    observers = observers_;
  }
  for (const auto& observer : observers) observer(work.newest_event);
}

void ExchangeImpl::release(SendEffect& effect) {
  if (dies(CrashPoint::kBeforeSend)) return;
  {
    const std::lock_guard lock(mutex_);
    ++statistics_.messages_sent;
  }
  std::string id = effect.message.message_id;
  router_.attempt(std::move(effect.message),
                  [mailbox = mailbox_, id = std::move(id), tries = effect.tries](Result<Message> outcome) {
                    mailbox->put(OutcomeEvent{id, tries, std::move(outcome)});
                  });
}

void ExchangeImpl::release(ReplyEffect& effect) {
  auto node = state_.pending.extract(effect.request_id);
  if (node.empty()) return;  // nobody waits since a restart: a repeat gets the row
  std::vector<DeliveryHandler>& waiters = node.mapped().waiters;
  for (std::size_t i = 0; i < waiters.size(); ++i) {
    if (dies(CrashPoint::kBeforeSend)) return;
    {
      const std::lock_guard lock(mutex_);
      ++statistics_.replies_sent;
    }
    if (i + 1 < waiters.size())
      waiters[i](Message(effect.reply));
    else
      waiters[i](std::move(effect.reply));
  }
}

void ExchangeImpl::release(StartJobEffect& effect) {
  Actor* actor = find_actor(effect.actor);
  lanes_of(effect.actor).submit({actor, std::move(effect.job), effect.generation});
}

void ExchangeImpl::release(CancelJobEffect& effect) {
  lanes_of(effect.actor).cancel(find_actor(effect.actor), effect.key);
}

}  // namespace nuraghe::exchange
