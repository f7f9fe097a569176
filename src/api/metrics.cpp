// GET /metrics: Prometheus text format 0.0.4.
#include <fmt/format.h>

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

}  // namespace

HttpResponse serve_metrics(const GatewayOptions& options, const net::HttpServerStatistics& http) {
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
  text.family("nuraghe_http_connections", "gauge", "Open connections.");
  text.sample("nuraghe_http_connections", "", http.connections_open);
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
  return response;
}

}  // namespace nuraghe::api
