// GET /events: long poll in JSON lines, or a stream of server-sent events (HTML Living Standard §9.2).
#include <fmt/format.h>

#include <charconv>

#include "api/doors.hpp"
#include "api/json.hpp"

namespace nuraghe::api {

namespace {

using Events = EventFeed::Events;
using EventsPtr = std::shared_ptr<const Events>;

constexpr Duration kLongestWait = std::chrono::minutes(10);
constexpr Duration kHeartbeat = std::chrono::seconds(20);
constexpr std::size_t kPage = 500;

struct Query {
  std::int64_t after = 0;
  Duration wait{0};
  std::size_t limit = 1000;
  std::string cluster;
  std::string vo;  // empty: all

  bool shows(const exchange::Event& event) const {
    return (cluster.empty() || event.cluster == cluster) && (vo.empty() || event.vo == vo);
  }
};

template <class T>
Result<T> number(const HttpRequest& request, std::string_view name, T fallback) {
  const auto text = request.query(name);
  if (!text) return fallback;
  T value{};
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text->data() + text->size() || value < T{0}) {
    return invalid(fmt::format("{}={} is not a number", name, *text));
  }
  return value;
}

Result<Query> parse_query(const HttpRequest& request, const EventFeed& feed) {
  Query query;
  if (request.query("after") == "newest") {
    query.after = feed.newest();
  } else {
    TRY_ASSIGN(query.after, number<std::int64_t>(request, "after", 0));
  }
  TRY_ASSIGN(query.limit, number<std::size_t>(request, "limit", query.limit));
  query.limit = std::min<std::size_t>(std::max<std::size_t>(query.limit, 1), 10'000);
  if (const auto wait = request.query("wait")) {
    TRY_ASSIGN(query.wait, parse_duration(*wait));
    if (query.wait.count() < 0) return invalid("wait must not be negative");
    query.wait = std::min(query.wait, kLongestWait);
  }
  query.cluster = request.query("cluster").value_or("");
  const Identity& identity = identity_of(request);
  if (identity.role == Role::kMember || identity.on_behalf) query.vo = identity.vo;
  return query;
}

// ---- long poll ----

class Poll : public std::enable_shared_from_this<Poll> {
 public:
  Poll(std::shared_ptr<EventFeed> feed, Query query, HttpResponder responder)
      : feed_(std::move(feed)), query_(std::move(query)), cursor_(query_.after), responder_(std::move(responder)) {}

  void begin(net::HttpServer& server) {
    if (query_.wait.count() > 0) {
      const auto weak = weak_from_this();
      {
        const std::lock_guard lock(mutex_);
        timer_ = server.run_after(query_.wait, [self = shared_from_this()] { self->answer({}); });
      }
      responder_.on_gone([weak] {
        if (const auto self = weak.lock()) self->end();
      });
    }
    read();
  }

 private:
  void read() {
    feed_->read(cursor_, query_.limit, [self = shared_from_this()](const EventsPtr& events) { self->take(*events); });
  }

  void take(const Events& events) {
    std::string lines;
    for (const exchange::Event& event : events) {
      if (!query_.shows(event)) continue;
      lines += event_json(event);
      lines.push_back('\n');
    }
    const bool more = events.size() >= query_.limit;
    {
      const std::lock_guard lock(mutex_);
      if (done_) return;
      if (!events.empty()) cursor_ = events.back().sequence;
    }
    if (!lines.empty() || (query_.wait.count() == 0 && !more)) return answer(std::move(lines));
    if (more) return read();  // a whole page of other clusters' events
    const std::uint64_t ticket =
        feed_->wait(cursor_, [self = shared_from_this()](const EventsPtr& next) { self->take(*next); });
    const std::lock_guard lock(mutex_);
    ticket_ = ticket;
    if (done_) feed_->cancel(ticket);
  }

  void answer(std::string lines) {
    HttpResponse response;
    {
      const std::lock_guard lock(mutex_);
      if (done_) return;
      response.headers.push_back({"Nuraghe-Next", fmt::format("{}", cursor_)});
    }
    response.content_type = "application/x-ndjson";
    response.body = std::move(lines);
    responder_.respond(std::move(response));
    end();
  }

  void end() {
    const auto self = shared_from_this();  // what is dropped below may hold the last other reference
    const std::lock_guard lock(mutex_);
    done_ = true;
    if (ticket_ != 0) feed_->cancel(ticket_);
    if (timer_) timer_->cancel();
    timer_.reset();
  }

  const std::shared_ptr<EventFeed> feed_;
  const Query query_;
  std::mutex mutex_;  // the timer, the feed and the client's leaving come on several io threads
  bool done_ = false;
  std::int64_t cursor_ = 0;
  std::uint64_t ticket_ = 0;
  const HttpResponder responder_;
  std::shared_ptr<net::Timer> timer_;
};

// ---- stream ----

class Follower : public std::enable_shared_from_this<Follower> {
 public:
  Follower(std::shared_ptr<EventFeed> feed, std::weak_ptr<net::HttpServer> server, Query query, net::HttpStream stream)
      : feed_(std::move(feed)), server_(std::move(server)), query_(std::move(query)), stream_(std::move(stream)) {}

  void begin() {
    stream_.on_gone([self = shared_from_this()] { self->end(); });
    arm_heartbeat();
    read(query_.after);
  }

 private:
  void read(std::int64_t cursor) {
    feed_->read(cursor, kPage, [self = shared_from_this(), cursor](const EventsPtr& events) {
      self->take(cursor, *events, events->size() >= kPage);
    });
  }

  void take(std::int64_t cursor, const Events& events, bool more) {
    if (!events.empty()) cursor = events.back().sequence;
    const auto go_on = [self = shared_from_this(), cursor, more] {
      if (more) return self->read(cursor);
      self->wait(cursor);
    };
    std::string text;
    for (const exchange::Event& event : events) {
      if (!query_.shows(event)) continue;
      fmt::format_to(std::back_inserter(text), "id: {}\nevent: {}\ndata: {}\n\n", event.sequence, one_line(event.kind),
                     event_json(event));
    }
    if (text.empty()) return go_on();
    // The next events are fetched when the client took these: a slow client holds one page, not a queue.
    if (!stream_.write(std::move(text), go_on)) end();
  }

  void wait(std::int64_t cursor) {
    const std::uint64_t ticket = feed_->wait(cursor, [self = shared_from_this(), cursor](const EventsPtr& events) {
      self->take(cursor, *events, events->size() >= kPage);
    });
    const std::lock_guard lock(mutex_);
    ticket_ = ticket;
    if (done_) feed_->cancel(ticket);
  }

  // Shows intermediaries and the client that the stream lives.
  void arm_heartbeat() {
    const auto server = server_.lock();
    if (!server) return;
    const std::lock_guard lock(mutex_);
    if (done_) return;
    timer_ = server->run_after(kHeartbeat, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      (void)self->stream_.write(": alive\n\n");  // a failure shows as gone
      self->arm_heartbeat();
    });
  }

  static std::string one_line(std::string text) {
    for (char& c : text) {
      if (c == '\n' || c == '\r') c = ' ';
    }
    return text;
  }

  void end() {
    const auto self = shared_from_this();  // what is dropped below may hold the last other reference
    const std::lock_guard lock(mutex_);
    done_ = true;
    if (ticket_ != 0) feed_->cancel(ticket_);
    if (timer_) timer_->cancel();
    timer_.reset();
  }

  const std::shared_ptr<EventFeed> feed_;
  const std::weak_ptr<net::HttpServer> server_;
  const Query query_;
  const net::HttpStream stream_;
  std::mutex mutex_;
  bool done_ = false;
  std::uint64_t ticket_ = 0;
  std::shared_ptr<net::Timer> timer_;
};

}  // namespace

void serve_events(const std::shared_ptr<EventFeed>& feed, const std::shared_ptr<net::HttpServer>& server,
                  const HttpRequest& request, const HttpResponder& responder) {
  auto query = parse_query(request, *feed);
  if (!query) return responder.respond(error_response(query.error()));
  if (request.header("Accept").find("text/event-stream") == std::string_view::npos) {
    return std::make_shared<Poll>(feed, std::move(*query), responder)->begin(*server);
  }
  const std::string_view last = request.header("Last-Event-ID");
  if (!last.empty()) std::from_chars(last.data(), last.data() + last.size(), query->after);
  HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.headers.push_back({"Cache-Control", "no-store"});
  std::make_shared<Follower>(feed, server, std::move(*query), responder.begin_stream(std::move(head)))->begin();
}

}  // namespace nuraghe::api
