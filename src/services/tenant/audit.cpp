#include "services/tenant/audit.hpp"

#include <algorithm>

#include "contracts/operation.hpp"
#include "services/tenant/tenant.hpp"

namespace nuraghe::services::tenant {
namespace {

constexpr std::size_t kLongestNote = 500;
std::string cut(std::string text) {
  if (text.size() > kLongestNote) text.resize(kLongestNote);
  return xml::printable(text);
}

std::string service_of(std::string_view path) {
  constexpr std::string_view kPrefix = "/services/";
  const auto at = path.find(kPrefix);
  if (at == std::string_view::npos) return std::string(path);
  path.remove_prefix(at + kPrefix.size());
  return std::string(path.substr(0, path.find('/')));
}

// Of a blueprint or a node configuration within a request: its name.
std::string name_below(const xml::Node& element, int depth) {
  if (const auto name = element.attribute("name"); name && !name->empty()) return *name;
  if (depth == 0) return "";
  for (const xml::Node child : element.children()) {
    if (auto name = name_below(child, depth - 1); !name.empty()) return name;
  }
  return "";
}

// What a request is about, in the words of its own fields.
std::string object_of(const exchange::Message& request) {
  if (!request.body) return "";
  for (const std::string_view field : {"cluster", "host", "id", "name", "member", "vo", "path"}) {
    for (const xml::Node child : request.body->root().children()) {
      if (child.local_name() != field || child.has_element_children() || child.text().empty()) continue;
      return cut(child.text());
    }
  }
  if (auto name = name_below(request.body->root(), 4); !name.empty()) return cut(std::move(name));
  // Of a WS-Resource: its key ends the address.
  const auto key = request.to.rfind('/');
  return std::count(request.to.begin(), request.to.end(), '/') > 2 ? cut(request.to.substr(key + 1)) : std::string();
}

std::string trace_of(std::string_view traceparent) {
  const auto parent = exchange::parse_traceparent(traceparent);
  return parent ? parent->trace.to_string() : std::string();
}

}  // namespace

api::AuditRecord record_of_call(const exchange::Message& request) {
  api::AuditRecord record;
  record.kind = "call";
  record.who = cut(request.caller);
  record.vo = request.vo;
  record.service = service_of(request.to);
  record.operation = request.operation;
  record.object = object_of(request);
  record.origin = cut(request.origin);
  record.trace = trace_of(request.traceparent);
  record.request = cut(request.message_id);
  return record;
}

void set_outcome(api::AuditRecord& record, const Status& status) {
  record.outcome = status ? "done" : std::string(error_code_name(status.error().code()));
  if (!status) record.text = cut(status.error().to_string());
}

// ---- the exchange's recorder ----

bool Service::records(const exchange::Message& request) const {
  const auto* operation = contracts::operation_at(request.to, request.operation);
  if (operation != nullptr) return !operation->read_only;
  return !options_.reads || !options_.reads(request);
}

Status Service::on_handled(store::Transaction& tx, TimePoint now, const exchange::Message& request,
                           const exchange::Message* reply) {
  auto record = record_of_call(request);
  if (reply != nullptr) {
    set_outcome(record, reply->fault ? Status(exchange::error_of(*reply->fault)) : Status());
  } else {
    record.outcome = "accepted";
    TRY(open_calls_.put(tx, request.message_id, record));
  }
  TRY(ledger_.append(tx, std::move(record), now));
  return {};
}

Status Service::on_answered(store::Transaction& tx, TimePoint now, std::string_view request_id,
                            const exchange::Message& reply) {
  TRY_ASSIGN(auto call, open_calls_.find(tx, request_id));
  if (!call) return {};
  call->kind = "outcome";
  set_outcome(*call, reply.fault ? Status(exchange::error_of(*reply.fault)) : Status());
  TRY(ledger_.append(tx, std::move(*call), now));
  return open_calls_.erase(tx, request_id);
}

Status Service::record(exchange::Turn& turn, api::AuditRecord record) const {
  TRY(ledger_.append(turn.transaction(), std::move(record), turn.now()));
  return {};
}

}  // namespace nuraghe::services::tenant
