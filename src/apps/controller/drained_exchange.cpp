#include "apps/controller/drained_exchange.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "env/posix.hpp"

namespace nuraghe::controller {
namespace {

// The clock on the wall may be set.
constexpr Duration kLongestWait = std::chrono::seconds(5);

class WakingInbox final : public exchange::Inbox {
 public:
  WakingInbox(std::shared_ptr<exchange::Inbox> inbox, Drainer& drainer) : inbox_(std::move(inbox)), drainer_(drainer) {}
  void request(std::string actor, exchange::Message request, exchange::DeliveryHandler handler) override {
    inbox_->request(std::move(actor), std::move(request), std::move(handler));
    drainer_.wake();
  }

 private:
  std::shared_ptr<exchange::Inbox> inbox_;
  Drainer& drainer_;
};

class DrainedExchange final : public exchange::Exchange {
 public:
  DrainedExchange(std::unique_ptr<exchange::Exchange> inner, Drainer& drainer)
      : inner_(std::move(inner)), drainer_(drainer) {}
  ~DrainedExchange() override { stop(); }
  void add_actor(exchange::Actor& actor) override { inner_->add_actor(actor); }
  Status open() override { return inner_->open(); }
  void start() override { drainer_.add(*inner_); }
  void stop() override {
    drainer_.stop();
    inner_->stop();
  }
  Result<std::optional<TimePoint>> drain() override { return inner_->drain(); }
  void set_conversation_probe(exchange::ConversationProbe probe) override {
    inner_->set_conversation_probe(std::move(probe));
  }
  void collect_answers(std::function<void(std::int64_t)> done) override {
    inner_->collect_answers(std::move(done));
    drainer_.wake();
  }
  std::shared_ptr<exchange::Inbox> inbox() override { return std::make_shared<WakingInbox>(inner_->inbox(), drainer_); }
  void submit(std::string actor, exchange::Message request, exchange::ReplyHandler handler) override {
    inner_->submit(std::move(actor), std::move(request), std::move(handler));
    drainer_.wake();
  }
  void post(std::string actor, std::function<Status(exchange::Turn&)> work, std::function<void(Status)> done) override {
    inner_->post(std::move(actor), std::move(work), std::move(done));
    drainer_.wake();
  }
  void read_events(std::int64_t after, std::size_t limit,
                   std::function<void(std::vector<exchange::Event>)> done) override {
    inner_->read_events(after, limit, std::move(done));
    drainer_.wake();
  }
  void on_published(std::function<void(std::int64_t)> observer) override { inner_->on_published(std::move(observer)); }
  exchange::ExchangeStatistics statistics() const override { return inner_->statistics(); }
  bool failed() const override { return inner_->failed(); }

 private:
  std::unique_ptr<exchange::Exchange> inner_;
  Drainer& drainer_;
};

}  // namespace

void Drainer::start() {
  thread_ = std::thread([this] { run(); });
}

void Drainer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Drainer::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

void Drainer::run() {
  for (;;) {
    bool is_last = false;
    {
      const std::lock_guard lock(mutex_);
      woken_ = false;
      is_last = stopping_;
    }
    const auto next = exchange::drain_all(exchanges_);
    if (!next) log_error("exchange", "an exchange gave up", {{"error", next.error().to_string()}});
    if (!next || is_last) return;
    const Duration pause = *next ? **next - env::system_clock().now() : kLongestWait;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::clamp(pause, Duration(0), kLongestWait), [this] { return woken_ || stopping_; });
  }
}

std::unique_ptr<exchange::Exchange> make_drained(std::unique_ptr<exchange::Exchange> exchange, Drainer& drainer) {
  return std::make_unique<DrainedExchange>(std::move(exchange), drainer);
}

}  // namespace nuraghe::controller
