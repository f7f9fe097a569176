#include <fmt/format.h>

#include <boost/json.hpp>
#include <map>
#include <set>

#include "apps/nuraghe/commands.hpp"
#include "contracts/trace.hpp"
#include "exchange/trace.hpp"

namespace nuraghe::cli {
namespace {

namespace json = boost::json;
using contracts::trace::Span;

// The newest trace among the events of a cluster or a single host.
Result<std::string> newest_trace(Context& context, const std::string& name) {
  const auto cluster = find_cluster(context, name);
  const auto host = cluster ? Result<contracts::vhf::VirtualHost>(not_found("")) : find_host(context, name);
  if (!cluster && !host) return cluster.error();
  TRY_ASSIGN(auto* connection, context.connection());
  std::string found;
  std::int64_t sequence = 0;
  while (true) {
    TRY_ASSIGN(const auto events, connection->events(sequence, cluster ? cluster->id : "", Duration(0)));
    if (events.empty()) break;
    for (const auto& event : events) {
      sequence = event.sequence;
      if (!cluster && event.host != host->id) continue;
      const auto attribute = event.attributes.find("traceparent");
      if (attribute == event.attributes.end()) continue;
      if (const auto parent = exchange::parse_traceparent(attribute->second)) found = parent->trace.to_string();
    }
  }
  if (found.empty())
    return not_found(fmt::format("no event of {} tells of a trace; older ones are not kept for ever", name));
  return found;
}

json::object span_json(const Span& span) {
  return {{"id", span.id},
          {"parent", span.parent},
          {"kind", contracts::trace::to_string(span.kind)},
          {"service", span.service},
          {"operation", span.operation},
          {"where", span.where},
          {"start", span.start.to_string()},
          {"seconds", static_cast<double>(span.took.count()) / 1e6},
          {"fault", span.fault ? json::value(*span.fault) : json::value()}};
}

// Depth first, what began first goes first. Every span is told once, whatever the parents say.
class Tree {
 public:
  explicit Tree(const std::vector<Span>& spans) : spans_(spans) {
    std::set<std::string> ids;
    for (const auto& span : spans_) ids.insert(span.id);
    for (std::size_t i = 0; i < spans_.size(); ++i) {
      children_[ids.contains(spans_[i].parent) ? spans_[i].parent : std::string()].push_back(i);
    }
  }
  std::vector<std::vector<std::string>> rows() {
    rows_ = {{"AFTER", "TOOK", "WHAT", "WHERE", "FAULT"}};
    add_children("", 0);
    for (std::size_t i = 0; i < spans_.size(); ++i) add(i, 0);
    return std::move(rows_);
  }

 private:
  void add_children(const std::string& parent, std::size_t depth) {
    const auto found = children_.find(parent);
    if (found == children_.end()) return;
    for (const std::size_t child : found->second) add(child, depth);
  }
  void add(std::size_t number, std::size_t depth) {
    if (!told_.insert(number).second) return;
    const auto& span = spans_[number];
    const std::string what = span.kind == contracts::trace::SpanKind::kJob
                                 ? fmt::format("{} (job)", span.operation)
                                 : fmt::format("{} of {}", span.operation, span.service);
    rows_.push_back({format_duration(span.start - spans_.front().start), format_duration(span.took),
                     std::string(2 * depth, ' ') + what, span.where, span.fault.value_or("")});
    add_children(span.id, depth + 1);
  }

  const std::vector<Span>& spans_;
  std::map<std::string, std::vector<std::size_t>> children_;  // by parent; empty: of those whose parent is not known
  std::set<std::size_t> told_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace

Status show_trace(Context& context, const std::string& what) {
  std::string trace = what;
  if (!exchange::parse_trace_id(what)) {
    TRY_ASSIGN(trace, newest_trace(context, what));
  }
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::trace::Client client(connection->caller(), connection->service("trace"));
  TRY_ASSIGN(const auto response, client.get_trace({trace}));
  if (context.json()) {
    json::array spans;
    for (const auto& span : response.span) spans.push_back(span_json(span));
    context.print_json(json::object{{"trace", trace}, {"more", response.more}, {"spans", spans}});
    return {};
  }
  context.print_line(fmt::format("trace {}", trace));
  context.print_table(Tree(response.span).rows());
  if (response.more) context.print_line("there is more than is told here");
  return {};
}

}  // namespace nuraghe::cli
