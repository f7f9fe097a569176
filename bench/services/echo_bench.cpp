// The service of bench/run services.
//
//   echo_bench serve --state DIR --listen 127.0.0.1:0   behind all doors, until SIGTERM
//   (apps/service/service_program.hpp) echo_bench call SECONDS                             typed calls within this
//   process, one after the other
//
// `call` prints one JSON object, microseconds of each: `through` a client, router and exchange to the handler and back;
// `handler`: the handler's own work without any of these.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/service/service_program.hpp"
#include "contracts/bench_echo.hpp"
#include "env/posix.hpp"
#include "exchange/exchange.hpp"
#include "store/memory.hpp"

namespace nuraghe {
namespace {

namespace echo = contracts::bench_echo;
using SteadyClock = std::chrono::steady_clock;

echo::EchoResponse said(const echo::EchoRequest& input) { return {.text = input.text}; }

class Echo final : public echo::Skeleton {
 public:
  Echo() : Skeleton("bench_echo") {}
  std::string_view name() const override { return echo::kName; }
  Status open(store::Store&) override { return {}; }

 protected:
  Status echo(exchange::Turn& turn, const exchange::Message& request, const echo::EchoRequest& input) override {
    return answer(turn, request.message_id, said(input));
  }
};

// The median of the microseconds that one call of `work` takes, measured for so many seconds.
template <class Work>
double median_microseconds(double seconds, Work work) {
  std::vector<double> each;
  const auto end = SteadyClock::now() + std::chrono::duration<double>(seconds);
  for (auto start = SteadyClock::now(); start < end;) {
    work();
    const auto now = SteadyClock::now();
    each.push_back(std::chrono::duration<double, std::micro>(now - start).count());
    start = now;
  }
  std::nth_element(each.begin(), each.begin() + static_cast<std::ptrdiff_t>(each.size() / 2), each.end());
  return each[each.size() / 2];
}

int call(double seconds) {
  const auto router = exchange::make_router({});
  exchange::ExchangeOptions options;
  options.name = "bench_echo";
  options.clock = &env::system_clock();
  options.random = &env::system_random();
  auto exchange = exchange::make_exchange(store::open_memory(store::make_memory_disk()), *router, options);
  Echo service;
  exchange->add_actor(service);
  if (const Status opened = exchange->open(); !opened) {
    fmt::print(stderr, "{}\n", opened.error().to_string());
    return 1;
  }
  router->add_route("/services/bench_echo", "echo", *exchange, "bench_echo");
  exchange->start();
  contracts::RouterCaller caller(*router, env::system_random());
  echo::Client client(caller, "/services/bench_echo");
  const echo::EchoRequest request{.text = "hello"};
  std::size_t wrong = 0;
  const double through = median_microseconds(seconds, [&] {
    const auto response = client.echo(request);
    if (!response || response->text != "hello") ++wrong;
  });
  const double handler = median_microseconds(seconds / 4, [&] {
    if (said(request).text != "hello") ++wrong;
  });
  exchange->stop();
  fmt::print(R"({{"through": {:.3f}, "handler": {:.3f}, "wrong": {}}})"
             "\n",
             through, handler, wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace nuraghe

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "call" && argc == 3) return nuraghe::call(std::strtod(argv[2], nullptr));
  if (mode != "serve") {
    std::fputs("usage: echo_bench call SECONDS | echo_bench serve --state DIR [--listen ADDRESS:PORT]\n", stderr);
    return 2;
  }
  nuraghe::service::ServiceProgram program{.name = nuraghe::contracts::bench_echo::kName,
                                           .version = "0",
                                           .operations = &nuraghe::contracts::bench_echo::Skeleton::operations(),
                                           .make = [] { return std::make_unique<nuraghe::Echo>(); }};
  return nuraghe::service::run(argc - 1, argv + 1, program);
}
