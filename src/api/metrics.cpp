// GET /metrics: Prometheus text format 0.0.4, or OpenMetrics 1.0 for who accepts that.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "api/doors.hpp"

namespace nuraghe::api {

namespace {

class Text {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void sample(std::string_view name, std::string_view labels, std::int64_t value) {
    fmt::format_to(std::back_inserter(out_), "{}{} {}\n", name, labels, value);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// Names of exchanges are Nuraghe's own, but a quote in one must not break the format.
std::string label(std::string_view name) {
  std::string out = "{exchange=\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c == '\n' ? ' ' : c);
  }
  return out + "\"}";
}

struct Counter {
  const char* name;
  const char* help;
  std::int64_t (*of)(const exchange::ExchangeStatistics&);
};

constexpr Counter kCounters[] = {
    {"nuraghe_exchange_events_total", "Events that an exchange's actors handled.",
     [](const exchange::ExchangeStatistics& s) { return s.events; }},
    {"nuraghe_exchange_batches_total", "Transactions in which they did so.",
     [](const exchange::ExchangeStatistics& s) { return s.batches; }},
    {"nuraghe_exchange_messages_sent_total", "Requests sent.",
     [](const exchange::ExchangeStatistics& s) { return s.messages_sent; }},
    {"nuraghe_exchange_replies_sent_total", "Requests answered.",
     [](const exchange::ExchangeStatistics& s) { return s.replies_sent; }},
    {"nuraghe_exchange_jobs_total", "Jobs run.", [](const exchange::ExchangeStatistics& s) { return s.jobs_run; }},
    {"nuraghe_store_commits_total", "Durable commits.",
     [](const exchange::ExchangeStatistics& s) { return s.store.commits; }},
    {"nuraghe_store_rows_written_total", "Rows written.",
     [](const exchange::ExchangeStatistics& s) { return s.store.rows_written; }},
    {"nuraghe_store_bytes_written_total", "Bytes of keys and values written.",
     [](const exchange::ExchangeStatistics& s) { return s.store.bytes_written; }},
    {"nuraghe_store_journal_bytes_total", "Bytes handed to the write-ahead log.",
     [](const exchange::ExchangeStatistics& s) { return s.store.journal_bytes; }},
};

// OpenMetrics names the family of a counter without the suffix of its samples, and tells its end.
std::string as_open_metrics(std::string_view text) {
  constexpr std::string_view kSuffix = "_total";
  std::string out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const bool is_about = line.starts_with("# HELP ") || line.starts_with("# TYPE ");
    const auto end = is_about ? line.find(' ', 7) : std::string_view::npos;
    if (end != std::string_view::npos && line.substr(0, end).ends_with(kSuffix)) {
      out.append(line.substr(0, end - kSuffix.size())).append(line.substr(end));
    } else {
      out.append(line);
    }
    out.push_back('\n');
  }
  return out + "# EOF\n";
}

}  // namespace

HttpResponse serve_metrics(const GatewayOptions& options, const net::HttpServerStatistics& http,
                           std::string_view accept) {
  Text text;
  std::vector<std::pair<std::string, exchange::ExchangeStatistics>> all;
  for (const auto& [name, exchange] : options.metrics) all.emplace_back(label(name), exchange->statistics());
  for (const Counter& counter : kCounters) {
    text.family(counter.name, "counter", counter.help);
    for (const auto& [labels, statistics] : all) text.sample(counter.name, labels, counter.of(statistics));
  }
  text.family("nuraghe_exchange_failed", "gauge", "1 when the exchange gave up.");
  for (const auto& [name, exchange] : options.metrics) {
    text.sample("nuraghe_exchange_failed", label(name), exchange->failed() ? 1 : 0);
  }
  text.family("nuraghe_http_connections_open", "gauge", "Open connections.");
  text.sample("nuraghe_http_connections_open", "", http.connections_open);
  text.family("nuraghe_http_connections_total", "counter", "Connections accepted.");
  text.sample("nuraghe_http_connections_total", "", http.connections_accepted);
  text.family("nuraghe_http_connections_refused_total", "counter", "Connections turned away.");
  text.sample("nuraghe_http_connections_refused_total", "", http.connections_refused);
  text.family("nuraghe_http_requests_total", "counter", "Requests.");
  text.sample("nuraghe_http_requests_total", "", http.requests);
  text.family("nuraghe_http_requests_refused_total", "counter",
              "Requests refused by limits, time-outs or for a token.");
  text.sample("nuraghe_http_requests_refused_total", "", http.requests_refused);
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = text.take();
  if (options.request_metrics) options.request_metrics->append_to(response.body);
  if (accept.find("application/openmetrics-text") != std::string_view::npos) {
    response.content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    response.body = as_open_metrics(response.body);
  }
  return response;
}

}  // namespace nuraghe::api
