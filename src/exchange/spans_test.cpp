// Spans of the work that a trace causes.
#include <algorithm>

#include "exchange/test_world.hpp"

namespace nuraghe::exchange::testing {
namespace {

using namespace std::chrono_literals;

const std::string kFromOutside = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct TracedWorld : World {
  std::vector<Span> spans;
  std::map<std::string, std::string> answers;

  ExchangeOptions traced(const std::string& name) {
    auto own = options(name);
    own.on_spans = [this](std::vector<Span> ended) { spans.insert(spans.end(), ended.begin(), ended.end()); };
    return own;
  }
  void send(Message request, const std::string& traceparent = kFromOutside) {
    request.traceparent = traceparent;
    request.vo = "vo1";
    const std::string id = request.message_id;
    router->deliver(std::move(request), [this, id](const Message& reply) { answers[id] = text_of(reply); });
  }
  const Span& span(const std::string& operation) {
    const auto found = std::ranges::find(spans, operation, &Span::operation);
    EXPECT_NE(found, spans.end()) << operation;
    return found == spans.end() ? spans.emplace_back() : *found;
  }
};

Message to(const std::string& service, const std::string& operation, const std::string& id) {
  return request_to("/services/" + service, operation, id);
}

TEST(Spans, EveryHopIsAChildOfTheOneBefore) {
  TracedWorld world;
  FunctionActor first("first"), second("second");
  std::string seen, state_seen;
  first.request = [](Turn& turn, const Message& request) -> Status {
    auto order = to("second", "inner", "2");
    order.traceparent = request.traceparent;
    order.tracestate = request.tracestate;
    return turn.send(std::move(order), "token", turn.now() + 1min);
  };
  first.reply = [](Turn& turn, const Message& reply, std::string_view) { return turn.reply("1", reply.body); };
  second.request = [&](Turn& turn, const Message& request) {
    seen = request.traceparent;
    state_seen = request.tracestate;
    return turn.reply(request.message_id, body_of("done"));
  };
  world.add(world.traced("one"), {&first});
  world.add(world.traced("two"), {&second});
  auto request = to("first", "outer", "1");
  request.tracestate = "rojo=1";
  world.send(std::move(request));
  world.drain();
  EXPECT_EQ(world.answers["1"], "done");
  ASSERT_EQ(world.spans.size(), 2U);
  const auto& outer = world.span("outer");
  const auto& inner = world.span("inner");
  EXPECT_EQ(outer.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(outer.parent, parse_traceparent(kFromOutside)->span);
  EXPECT_EQ(inner.trace, outer.trace);
  EXPECT_EQ(inner.parent, outer.id);
  EXPECT_NE(inner.id, outer.id);
  EXPECT_EQ(parse_traceparent(seen)->span, inner.id) << "a request carries its own span within its turn";
  EXPECT_EQ(state_seen, "rojo=1");
  EXPECT_EQ(outer.service, "first");
  EXPECT_EQ(outer.where, "one");
  EXPECT_EQ(inner.where, "two");
  EXPECT_EQ(inner.vo, "") << "the organisation is the message's";
  EXPECT_EQ(outer.vo, "vo1");
}

TEST(Spans, WhoTakesThemIsToldThatTheyWaitThoughTheWorkGoesOn) {
  TracedWorld world;
  FunctionActor actor("actor");
  actor.request = [](Turn& turn, const Message& request) { return turn.reply(request.message_id, body_of("done")); };
  auto options = world.traced("one");
  int told = 0;
  options.on_spans = [&, take = options.on_spans](std::vector<Span> ended) {
    told += ended.empty() ? 1 : 0;
    take(std::move(ended));
  };
  world.add(options, {&actor});
  const auto send = [&](const std::string& id, const std::string& traceparent) {
    world.send(to("actor", "x", id), traceparent);
    world.drain();
  };
  send("1", kFromOutside);
  ASSERT_EQ(world.spans.size(), 1U);
  world.clock.advance(900ms);
  send("2", "");
  EXPECT_EQ(told, 0);
  world.clock.advance(200ms);
  send("3", "");
  EXPECT_EQ(told, 1);
  world.clock.advance(5s);
  send("4", "");
  EXPECT_EQ(told, 1) << "nothing has come since";
}

TEST(Spans, AJobAndWhatItCausesArePartsOfItsRequest) {
  TracedWorld world;
  FunctionActor actor("actor"), other("other");
  actor.request = [](Turn& turn, const Message&) { return turn.start_job({"create/h", "x"}); };
  actor.job = [](Turn& turn, const Job&, const Result<std::string>&) -> Status {
    auto report = to("other", "report", "r");  // it names no trace itself
    report.one_way = true;
    TRY(turn.send(std::move(report), "", turn.now() + 1min));
    Event event;
    event.kind = "host.booted";
    TRY(turn.publish(std::move(event)));
    return turn.reply("1", body_of("made"));
  };
  auto& exchange = world.add(world.traced("one"), {&actor, &other});
  world.send(to("actor", "create", "1"));
  world.drain();
  ASSERT_EQ(world.spans.size(), 3U);
  const auto& job = world.span("create/h");
  EXPECT_EQ(job.kind, Span::Kind::kJob);
  EXPECT_EQ(job.service, "actor");
  EXPECT_EQ(job.parent, world.span("create").id);
  EXPECT_EQ(job.vo, "vo1");
  EXPECT_EQ(world.span("report").parent, job.id);
  std::string told;
  exchange.read_events(0, 10,
                       [&](const std::vector<Event>& events) { told = events.at(0).attributes.at("traceparent"); });
  world.drain();
  EXPECT_EQ(parse_traceparent(told)->span, job.id);
}

TEST(Spans, LastFromTheRequestToItsAnswerAlsoOverARestart) {
  TracedWorld world;
  FunctionActor actor("actor");
  actor.request = [](Turn& turn, const Message&) { return turn.set_timer("later", turn.now() + 1h); };
  actor.timer = [](Turn& turn, std::string_view) { return turn.reply("1", body_of("late")); };
  world.add(world.traced("one"), {&actor});
  const auto begin = world.clock.now();
  world.send(to("actor", "slow", "1"));
  world.drain();
  EXPECT_TRUE(world.spans.empty());
  world.restart();
  world.add(world.traced("one"), {&actor});
  world.clock.advance(1h);
  world.drain();
  const auto& span = world.span("slow");
  EXPECT_EQ(span.start, begin);
  EXPECT_EQ(span.took, 1h);
  EXPECT_EQ(span.parent, parse_traceparent(kFromOutside)->span);
}

TEST(Spans, AFaultIsOnesOutcomeWhateverTheUndoneTurnSaid) {
  TracedWorld world;
  FunctionActor actor("actor");
  actor.request = [](Turn& turn, const Message& request) -> Status {
    TRY(turn.reply(request.message_id, body_of("well")));
    return not_found("there is none");
  };
  world.add(world.traced("one"), {&actor});
  world.send(to("actor", "find", "1"));
  world.drain();
  ASSERT_EQ(world.spans.size(), 1U);
  EXPECT_EQ(world.span("find").fault, "not-found");
}

TEST(Spans, ARepeatIsNoWork) {
  TracedWorld world;
  FunctionActor actor("actor");
  actor.request = [&](Turn& turn, const Message& request) -> Status {
    actor.add(turn, "n");
    return turn.reply(request.message_id, body_of("once"));
  };
  world.add(world.traced("one"), {&actor});
  for (int i = 0; i < 3; ++i) {
    world.send(to("actor", "add", "1"));
    world.drain();
  }
  EXPECT_EQ(world.spans.size(), 1U);
}

TEST(Spans, AMalformedTraceparentIsReplaced) {
  TracedWorld world;
  FunctionActor actor("actor");
  std::string seen, state_seen;
  actor.request = [&](Turn& turn, const Message& request) {
    seen = request.traceparent;
    state_seen = request.tracestate;
    return turn.reply(request.message_id, body_of("ok"));
  };
  world.add(world.traced("one"), {&actor});
  auto request = to("actor", "do", "1");
  request.tracestate = "rojo=1";
  world.send(std::move(request), "00-not-a-trace-01");
  world.drain();
  ASSERT_TRUE(parse_traceparent(seen));
  EXPECT_EQ(state_seen, "") << "it went with what nobody could read";
  EXPECT_EQ(world.spans.size(), 1U);
}

TEST(Spans, NoneAreKeptOfWhatIsNotSampledOrNotTraced) {
  TracedWorld world;
  FunctionActor actor("actor");
  std::string seen;
  actor.request = [&](Turn& turn, const Message& request) {
    seen = request.traceparent;
    return turn.reply(request.message_id, body_of("ok"));
  };
  world.add(world.traced("one"), {&actor});
  world.send(to("actor", "do", "1"), kFromOutside.substr(0, 53) + "00");
  world.drain();
  EXPECT_TRUE(seen.ends_with("-00")) << seen;
  EXPECT_NE(seen, kFromOutside.substr(0, 53) + "00");
  world.send(to("actor", "do", "2"), "");
  world.drain();
  EXPECT_EQ(seen, "");
  EXPECT_TRUE(world.spans.empty());
}

TEST(Spans, WithoutATakerATraceparentPassesAsItCame) {
  TracedWorld world;
  FunctionActor actor("actor");
  std::string seen;
  actor.request = [&](Turn& turn, const Message& request) {
    seen = request.traceparent;
    return turn.reply(request.message_id, body_of("ok"));
  };
  world.add("one", {&actor});
  world.send(to("actor", "do", "1"));
  world.drain();
  EXPECT_EQ(seen, kFromOutside);
}

TEST(Spans, CostNoCommit) {
  std::int64_t commits[2] = {0, 0};
  for (const bool traced : {false, true}) {
    TracedWorld world;
    FunctionActor actor("actor");
    actor.request = [&](Turn& turn, const Message& request) -> Status {
      if (request.operation == "add") actor.add(turn, "n");
      return turn.reply(request.message_id, body_of("ok"));
    };
    auto& exchange = world.add(world.traced("one"), {&actor});
    for (int i = 0; i < 20; ++i) {
      world.send(to("actor", i % 2 == 0 ? "add" : "read", std::to_string(i)), traced ? kFromOutside : "");
      world.drain();
    }
    commits[traced ? 1 : 0] = exchange.statistics().store.commits;
    EXPECT_EQ(world.spans.size(), traced ? 20U : 0U);
  }
  EXPECT_EQ(commits[0], commits[1]);
}

}  // namespace
}  // namespace nuraghe::exchange::testing
