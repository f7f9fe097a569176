#include "apps/nuraghe/context.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/json.hpp>
#include <cstdio>
#include <future>
#include <thread>

#include "apps/nuraghe/progress.hpp"
#include "env/posix.hpp"

namespace nuraghe::cli {
namespace {
constexpr Duration kAcceptance = std::chrono::seconds(2);
}  // namespace

int exit_code_of(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kInvalid:
      return kInvalidInput;
    case ErrorCode::kNotFound:
      return kNotThere;
    case ErrorCode::kConflict:
    case ErrorCode::kDenied:
      return kRefused;
    case ErrorCode::kExhausted:
      return kNoRoom;
    case ErrorCode::kTimeout:
      return kTimedOut;
    default:
      return kFailed;
  }
}

Result<client::Connection*> Context::connection() {
  if (!connection_) {
    if (options_.server.empty()) {
      TRY_ASSIGN(connection_, client::Connection::open(options_.state, options_.vo));
    } else {
      const std::string token = options_.token_file.empty() ? options_.state + "/token" : options_.token_file;
      TRY_ASSIGN(connection_, client::Connection::open_remote(options_.server, options_.ca_file, token, options_.vo));
    }
  }
  return connection_.get();
}

bool Context::is_terminal() const { return ::isatty(STDOUT_FILENO) == 1; }

Result<contracts::CallOptions> Context::call_options() const {
  contracts::CallOptions call;
  TRY_ASSIGN(call.timeout, parse_duration(options_.timeout));
  // Long enough for what is wrong with the request itself to come back.
  if (options_.no_wait) call.timeout = kAcceptance;
  return call;
}

void Context::print_table(const std::vector<std::vector<std::string>>& rows) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += i + 1 < row.size() ? fmt::format("{:<{}}  ", row[i], widths[i]) : row[i];
    std::puts(line.c_str());
  }
}

void Context::print_json(const boost::json::value& value) const { std::puts(boost::json::serialize(value).c_str()); }

void Context::print_line(const std::string& line) const {
  if (!json()) std::puts(line.c_str());
}

Status Context::confirm(const std::string& question) const {
  if (options_.yes || !is_terminal() || json()) return {};
  std::printf("%s [y/N] ", question.c_str());
  std::fflush(stdout);
  const int answer = std::getchar();
  if (answer == 'y' || answer == 'Y') return {};
  return Error(ErrorCode::kCancelled, "nothing was changed");
}

OwnSteps OwnSteps::from_start() && {
  from_start_ = true;
  return std::move(*this);
}

bool OwnSteps::takes(const exchange::Event& event) {
  if (!cluster_.empty()) return event.cluster == cluster_;
  if (!host_.empty()) return event.host == host_;
  const auto found = event.attributes.find("traceparent");
  if (traceparent_.empty() || found == event.attributes.end() || (event.cluster.empty() && event.host.empty()))
    return false;
  const auto own = exchange::parse_traceparent(traceparent_);
  const auto other = exchange::parse_traceparent(found->second);
  if (!own || !other || own->trace != other->trace) return false;
  cluster_ = event.cluster;
  host_ = event.host;
  return true;
}

Result<bool> Context::with_progress(OwnSteps steps, const std::function<Status()>& work) {
  TRY_ASSIGN(auto* connection, this->connection());
  if (options_.no_wait) {
    const auto status = work();
    if (status) return true;
    if (status.error().code() != ErrorCode::kTimeout) return status.error();
    print_line("the operation goes on; 'nuraghe events' shows it");
    return false;
  }
  if (json()) {
    TRY(work());
    return true;
  }
  std::int64_t sequence = 0;
  if (!steps.begins_at_start()) {
    TRY_ASSIGN(sequence, connection->newest_event());
  }
  auto done = std::async(std::launch::async, work);
  ProgressView view(is_terminal());
  const auto is_done = [&] { return done.wait_for(std::chrono::seconds(0)) == std::future_status::ready; };
  bool last_round = false;
  while (true) {
    // Each request waits at nuraghed for the next event; the last one picks up what came with the answer.
    const auto events =
        connection->events(sequence, steps.cluster(), last_round ? Duration(0) : std::chrono::milliseconds(400));
    if (!events) {
      done.wait();
      break;
    }
    for (const auto& event : *events) {
      sequence = std::max(sequence, event.sequence);
      if (steps.takes(event)) view.show(event);
    }
    if (last_round && events->empty()) break;
    last_round = last_round || is_done();
  }
  view.finish();
  TRY(done.get());
  return true;
}

std::string short_size(Bytes size) {
  constexpr std::pair<std::int64_t, const char*> kUnits[] = {
      {1LL << 40, "TiB"}, {1LL << 30, "GiB"}, {1LL << 20, "MiB"}, {1LL << 10, "KiB"}};
  for (const auto& [unit, name] : kUnits) {
    if (size.count >= unit)
      return fmt::format("{:.4g} {}", static_cast<double>(size.count) / static_cast<double>(unit), name);
  }
  return fmt::format("{} B", size.count);
}

std::string counted(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string age(TimePoint since) {
  if (since.micros == 0) return "-";
  return format_duration(std::max(Duration(0), env::system_clock().now() - since));
}

}  // namespace nuraghe::cli
