// GET /events: long poll in JSON lines, or a stream of server-sent events (HTML Living Standard §9.2).
#include <fmt/format.h>

#include <charconv>
#include <set>

#include "api/doors.hpp"
#include "api/json.hpp"
#include "api/problem.hpp"
#include "contracts/vcf.hpp"

namespace nuraghe::api {

namespace {

using Events = EventFeed::Events;
using EventsPtr = std::shared_ptr<const Events>;

constexpr Duration kLongestWait = std::chrono::minutes(10);
constexpr Duration kHeartbeat = std::chrono::seconds(20);
constexpr std::size_t kEventsAtOnce = 500;

// A new client's pause before it comes again after its stream broke, so that many do not come back at once.
constexpr int kShortestPauseMs = 500;
constexpr int kLongestPauseMs = 3000;

struct Query {
  std::int64_t after = 0;
  Duration wait{0};
  std::size_t limit = 1000;
  std::string cluster;        // id or name; empty: all
  std::set<std::string> ids;  // of clusters of that name
  std::string vo;             // empty: all
  std::shared_ptr<const Identity> identity;

  // Whoever was shut out meanwhile is told nothing more.
  bool is_valid() const { return identity->is_valid(env::system_clock().now()); }

  // Learns the ids of clusters that get the name later.
  bool shows(const exchange::Event& event) {
    if (!vo.empty() && event.vo != vo) return false;
    if (cluster.empty() || event.cluster == cluster) return true;
    if (event.cluster.empty()) return false;
    if (event.kind.starts_with("cluster.")) {
      const auto name = event.attributes.find("name");
      if (name != event.attributes.end() && name->second == cluster) ids.insert(event.cluster);
    }
    return ids.contains(event.cluster);
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
  query.identity = std::static_pointer_cast<const Identity>(request.attachment);
  const Identity& identity = *query.identity;
  if (is_of_vo(identity.role) || identity.on_behalf) query.vo = identity.vo;
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
    if (!query_.is_valid()) return answer({});
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
  Query query_;       // changed by take() alone, of which there is one at a time
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
    feed_->read(cursor, kEventsAtOnce, [self = shared_from_this(), cursor](const EventsPtr& events) {
      self->take(cursor, *events, events->size() >= kEventsAtOnce);
    });
  }

  void take(std::int64_t cursor, const Events& events, bool more) {
    if (!query_.is_valid()) return close();
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
      self->take(cursor, *events, events->size() >= kEventsAtOnce);
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
      if (!self->query_.is_valid()) return self->close();
      (void)self->stream_.write(": alive\n\n");  // a failure shows as gone
      self->arm_heartbeat();
    });
  }

  void close() {
    stream_.close();
    end();
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
  Query query_;  // changed by take() alone, of which there is one at a time
  const net::HttpStream stream_;
  std::mutex mutex_;
  bool done_ = false;
  std::uint64_t ticket_ = 0;
  std::shared_ptr<net::Timer> timer_;
};

HttpResponse stream_head(env::Random& random) {
  HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.headers.push_back({"Cache-Control", "no-store"});
  std::uint8_t chance = 0;
  random.fill({&chance, 1});
  head.body = fmt::format("retry: {}\n\n", kShortestPauseMs + (kLongestPauseMs - kShortestPauseMs) * chance / 255);
  return head;
}

// What is asked for is known: answers it.
void follow(const EventsDoor& door, bool streams, Query query, const HttpResponder& responder) {
  const auto server = door.server.lock();
  if (!server) return;
  if (!streams) return std::make_shared<Poll>(door.feed, std::move(query), responder)->begin(*server);
  auto stream = responder.begin_stream(stream_head(*door.random));
  std::make_shared<Follower>(door.feed, server, std::move(query), std::move(stream))->begin();
}

// The id of the cluster that has the name now. Nobody has it: its events come when somebody gets it.
void find_cluster(const EventsDoor& door, const Identity& identity, Query query, std::function<void(Query)> done) {
  exchange::Message question = contracts::vcf::make_get_cluster("/services/vcf", {.cluster = query.cluster});
  question.message_id = env::make_uuid_urn(*door.random);
  question.is_first_try = true;
  question.vo = identity.vo;
  question.caller = identity.caller();
  auto shared = std::make_shared<Query>(std::move(query));
  door.router->accept(std::move(question), [shared, done = std::move(done)](Result<exchange::Message> outcome) {
    if (outcome) {
      if (auto found = contracts::vcf::parse_get_cluster_response(*outcome)) shared->ids.insert(found->cluster.id);
    }
    done(std::move(*shared));
  });
}

}  // namespace

void serve_events(const EventsDoor& door, const HttpRequest& request, const HttpResponder& responder) {
  auto query = parse_query(request, *door.feed);
  if (!query) {
    return responder.respond(problem_response(query.error(), {request.path(), request.header("traceparent")}));
  }
  const bool streams = request.header("Accept").find("text/event-stream") != std::string_view::npos;
  if (const std::string_view last = request.header("Last-Event-ID"); streams && !last.empty()) {
    std::int64_t id = 0;
    const auto read = std::from_chars(last.data(), last.data() + last.size(), id);
    // One that was never given goes on with what comes next.
    if (read.ec == std::errc() && id >= 0) query->after = std::min(id, door.feed->newest());
  }
  if (query->cluster.empty()) return follow(door, streams, std::move(*query), responder);
  find_cluster(door, identity_of(request), std::move(*query),
               [door, streams, responder](Query found) { follow(door, streams, std::move(found), responder); });
}

}  // namespace nuraghe::api
