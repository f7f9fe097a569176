// Answers one request to the test service: `echo_responder OPERATION` with the body element on standard input prints
// the reply's body element, or the fault's detail and exits 3. The way of a request within a process, for foreign
// clients.
#include <fmt/format.h>

#include <cstdio>
#include <iterator>
#include <string>

#include "echo_service.hpp"
#include "env/posix.hpp"
#include "store/memory.hpp"

namespace {

using namespace nuraghe;  // NOLINT: a program of one file

std::string read_all(std::FILE* file) {
  std::string text;
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  return text;
}

Result<exchange::Message> respond(const std::string& operation, const std::string& body) {
  const auto router = exchange::make_router({});
  exchange::ExchangeOptions options;
  options.name = "echo";
  options.clock = &env::system_clock();
  options.random = &env::system_random();
  const auto exchange =
      exchange::make_exchange(store::open_memory(store::make_memory_disk()), *router, std::move(options));
  contracts::echo::EchoService service;
  exchange->add_actor(service);
  TRY(exchange->open());
  exchange::Message request;
  request.message_id = env::make_uuid_urn(env::system_random());
  request.operation = operation;
  request.one_way = operation == "note";
  TRY_ASSIGN(auto document, xml::Document::parse(body));
  request.body = std::move(document).share();
  Result<exchange::Message> reply = internal("no answer came");
  exchange->submit("echo", request, [&](exchange::Message message) { reply = std::move(message); });
  for (int turn = 0; turn < 10 && !reply; ++turn) TRY(exchange->drain());
  return reply;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const auto reply = respond(argv[1], read_all(stdin));
  if (!reply) {
    fmt::print(stderr, "{}\n", reply.error().to_string());
    return 1;
  }
  if (reply->fault) {
    fmt::print("{}", reply->fault->detail->to_string());
    return 3;
  }
  if (reply->body) fmt::print("{}", reply->body->to_string());
  return 0;
}
