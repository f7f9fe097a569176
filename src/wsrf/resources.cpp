#include "wsrf/resources.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "contracts/texts.hpp"
#include "wsrf/resources_state.hpp"

namespace nuraghe::wsrf {
namespace {

using exchange::Message;
using exchange::Turn;

// A service of this process answers a question at once.
constexpr Duration kRead = std::chrono::minutes(1);
// A workflow takes the time that it takes.
constexpr Duration kChange = std::chrono::hours(24 * 30);
constexpr Duration kPatience = std::chrono::seconds(30);

// The fault of an operation whose request is not what its schema says.
Refusal malformed(std::string_view operation, const Error& error) {
  const auto named = [&](std::string_view ns, std::string_view fault) { return Refusal{name_of(ns, fault), error}; };
  if (operation == "SetTerminationTime") return named(kLifetime, "UnableToSetTerminationTimeFault");
  if (operation == "Add") return named(kServiceGroup, "AddRefusedFault");
  const bool puts = operation == "PutResourcePropertyDocument";
  const bool sets = operation.ends_with("ResourceProperties") && !operation.starts_with("Query");
  if (!puts && !sets) return refusal_of(error);
  Refusal refusal = named(kProperties, puts ? "UnableToPutResourcePropertyDocumentFault" : "InvalidModificationFault");
  xml::Document failure = xml::Document::create(name_of(kProperties, "ResourcePropertyChangeFailure"));
  failure.root().set_attribute("Restored", "true");
  refusal.extra = std::move(failure).share();
  return refusal;
}

// What a resource is when it is only kept to be read about.
bool is_gone(const Address& address, xml::Node value) {
  const xml::Node state = value.child(address.resource->type->name_space, "state");
  if (!state || address.resource->destroy.empty()) return false;
  const std::string word = state.text();
  return word == "destroyed" || word == "undone";
}

bool is_of_wsrf(xml::Node body) {
  const std::string_view ns = body.namespace_uri();
  return ns == kProperties || ns == kLifetime || ns == kServiceGroup;
}

}  // namespace

Result<xml::Schema> message_schema() {
  std::string imports;
  const auto import = [&](std::string_view ns, std::string_view file) {
    imports += fmt::format("<x:import namespace='{}' schemaLocation='{}'/>", ns, file);
  };
  import(kResource, "standards/wsrf/r-2.xsd");
  import(kProperties, "standards/wsrf/rp-2.xsd");
  import(kLifetime, "standards/wsrf/rl-2.xsd");
  import(kServiceGroup, "standards/wsrf/sg-2.xsd");
  import(kNotification, "standards/wsn/b-2.xsd");
  import(kTopics, "standards/wsn/t-1.xsd");
  import(kOwn, "resource.xsd");
  import(exchange::kFaultNamespace, "fault.xsd");
  for (const auto& service : contracts::all_services()) import(service.name_space, fmt::format("{}.xsd", service.name));
  auto files = contracts::all_texts();
  files["messages.xsd"] = fmt::format("<x:schema xmlns:x='http://www.w3.org/2001/XMLSchema'>{}</x:schema>", imports);
  return xml::Schema::compile("messages.xsd", files);
}

xml::DocumentPtr request_body(std::string_view service, std::string_view method,
                              const std::vector<std::pair<std::string_view, std::string>>& fields) {
  const std::string_view ns = contracts::find_service(service)->name_space;
  xml::Document body = xml::Document::create(name_of(ns, method));
  for (const auto& [field, text] : fields) body.root().append_text_element(ns, field, text);
  return std::move(body).share();
}

std::string duration_text(Duration span) {
  return fmt::format("PT{}.{:06}S", span.count() / 1'000'000, span.count() % 1'000'000);
}

Status status_of(const Message& reply) {
  if (reply.fault) return exchange::error_of(*reply.fault);
  return {};
}

Resources::Resources(ResourcesOptions options, xml::Schema schema)
    : options_(std::move(options)), schema_(std::move(schema)) {}

Result<std::unique_ptr<Resources>> Resources::make(ResourcesOptions options) {
  auto schema = message_schema();
  if (!schema) return internal(schema.error().to_string()).with("compiling the schemas of WSRF messages");
  return std::unique_ptr<Resources>(new Resources(std::move(options), std::move(*schema)));
}

void Resources::each_route(const std::function<void(const std::string&, const std::string&)>& route) {
  for (const auto& service : contracts::all_services()) {
    for (const auto& resource : service.resources) {
      const std::string path = fmt::format("/services/{}/{}", service.name, resource.path);
      for (const auto& operation : operations_of(resource)) route(path, operation);
    }
  }
}

Status Resources::open(store::Store& store) {
  TRY_ASSIGN(work_table_, store.table("wsrf_work"));
  TRY_ASSIGN(lifetimes_, store.table("wsrf_lifetimes"));
  return {};
}

Status Resources::on_start(Turn&) { return {}; }

Status Resources::on_request(Turn& turn, const Message& request) {
  Work work{request, {}, {}};
  auto address = find_address(request.to);
  if (!address || request.body == nullptr) {
    return finish(turn, work, refusal_of(not_found(fmt::format("there is no resource at {}", request.to))));
  }
  work.address = std::move(*address);
  work.row.request = exchange::encode_message(request);
  const xml::Node body = work.body();
  if (methods_behind(work.address, request.operation, body).empty()) {
    return unsupported(fmt::format("{} has no operation {}", request.to, request.operation));
  }
  // A QName may stand between blanks, which libxml2 does not take; read() looks at these closely enough.
  const bool names_properties =
      request.operation == "GetResourceProperty" || request.operation == "GetMultipleResourceProperties";
  if (is_of_wsrf(body) && !names_properties) {
    const auto findings = schema_.validate(body);
    if (!findings.empty())
      return finish(turn, work, malformed(request.operation, invalid(findings.front().to_string())));
  }
  return begin(turn, work);
}

Status Resources::begin(Turn& turn, Work& work) {
  const auto& [part, service, resource, membership, key] = work.address;
  const xml::Node body = work.body();
  if (!is_of_wsrf(body)) {
    const xml::Node named = body.child(body.namespace_uri(), resource->destroy_input_field);
    if (!named || named.text() != key) {
      return invalid(fmt::format("{} is about '{}', but was sent to {}: the field {} has to be '{}'",
                                 work.request.operation, named ? named.text() : "", work.request.to,
                                 resource->destroy_input_field, key));
    }
    work.row.stage = kForwarding;
    TRY(keep(turn, work));
    return ask(turn, work, resource->destroy_service, work.request.operation, work.request.body);
  }
  if (work.request.operation == "Add") return add_member(turn, work);
  work.row.stage = kReading;
  TRY(keep(turn, work));
  if (part == Part::kGroup)
    return ask(turn, work, service->name, resource->list, request_body(service->name, resource->list, {}));
  return ask(turn, work, service->name, resource->get,
             request_body(service->name, resource->get, {{resource->get_input_field, key}}));
}

Status Resources::ask(Turn& turn, const Work& work, std::string_view service, std::string_view method,
                      xml::DocumentPtr body) {
  Message message;
  message.message_id = env::make_uuid_urn(turn.random());
  message.to = fmt::format("/services/{}", service);
  message.operation = method;
  message.body = std::move(body);
  message.vo = work.request.vo;
  message.caller = work.request.caller;
  message.reached_at = work.request.reached_at;
  message.traceparent = work.request.traceparent;
  message.conversation = work.request.conversation;
  const Duration limit = work.row.stage == kReading ? kRead : kChange;
  return turn.send(std::move(message), "w" + work.request.message_id, turn.now() + limit, kPatience);
}

Status Resources::keep(Turn& turn, const Work& work) {
  return turn.transaction().put(work_table_, work.request.message_id, encode_record(work.row));
}

Result<Resources::Work> Resources::work_of(Turn& turn, std::string_view id) {
  TRY_ASSIGN(const auto stored, turn.transaction().get(work_table_, id));
  if (!stored) return internal(fmt::format("nobody waits for an answer about {}", id));
  Work work;
  TRY_ASSIGN(work.row, decode_record<WorkRow>(*stored));
  TRY_ASSIGN(work.request, exchange::decode_message(work.row.request));
  auto address = find_address(work.request.to);
  if (!address) return internal(fmt::format("{} was a resource and is none any more", work.request.to));
  work.address = std::move(*address);
  return work;
}

Status Resources::finish(Turn& turn, const Work& work, xml::DocumentPtr body) {
  TRY(turn.transaction().erase(work_table_, work.request.message_id));
  return turn.reply(work.request.message_id, std::move(body));
}

Status Resources::finish(Turn& turn, const Work& work, const Refusal& refusal) {
  TRY(turn.transaction().erase(work_table_, work.request.message_id));
  return turn.reply_fault(work.request.message_id, fault_of(refusal, work.request.to, turn.now()));
}

Status Resources::on_reply(Turn& turn, const Message& reply, std::string_view token) {
  if (token.starts_with('t')) return have_terminated(turn, std::string(token.substr(1)), reply);
  TRY_ASSIGN(Work work, work_of(turn, token.substr(1)));
  switch (work.row.stage) {
    case kReading:
      return have_read(turn, work, reply);
    case kChanging:
      return have_changed(turn, work, reply);
    case kDestroying:
      return have_destroyed(turn, work, reply);
    case kAdding:
      return have_added(turn, work, reply);
    case kRenewing:
      return have_renewed(turn, work, reply);
    case kScheduling:
      return have_scheduled(turn, work, reply);
    default:
      break;
  }
  TRY(turn.transaction().erase(work_table_, work.request.message_id));
  if (reply.fault) return turn.reply_fault(work.request.message_id, *reply.fault);
  return turn.reply(work.request.message_id, reply.body);
}

Status Resources::have_read(Turn& turn, Work& work, const Message& reply) {
  if (const Status status = status_of(reply); !status) return finish(turn, work, refusal_of(status.error()));
  const auto& resource = *work.address.resource;
  const bool is_group = work.address.part == Part::kGroup;
  const auto values =
      values_of(work.address, reply.body->root(), is_group ? resource.list_output_field : resource.get_output_field);
  if (is_group) return read_group(turn, work, values);
  if (values.size() != 1) {
    return finish(turn, work,
                  refusal_of(internal(
                      fmt::format("{} answered {} values for {}", resource.get, values.size(), work.request.to))));
  }
  if (work.address.part == Part::kEntry) return read_entry(turn, work, values.front());
  return read_resource(turn, work, values.front());
}

Status Resources::read_group(Turn& turn, const Work& work, std::vector<xml::Node> values) {
  std::erase_if(values, [&](xml::Node value) { return is_gone(work.address, value); });
  const auto answer = read(work.address, group_document(work.address, values, options_.base), work.body());
  return answer ? finish(turn, work, *answer) : finish(turn, work, answer.error());
}

Status Resources::read_resource(Turn& turn, Work& work, xml::Node value) {
  if (is_gone(work.address, value)) {
    return finish(turn, work, refusal_of(not_found(fmt::format("{} is gone: it was destroyed", work.request.to))));
  }
  work.row.key = key_of(work.address, value);
  const std::string& operation = work.request.operation;
  if (operation == "Destroy") return destroy(turn, work);
  if (operation == "SetTerminationTime") return set_termination(turn, work);
  TRY_ASSIGN(const auto end, termination(turn, work, value));
  const xml::Document document = resource_document(work.address, value, {turn.now(), end});
  const xml::Node body = work.body();
  const bool is_change =
      operation.ends_with("ResourceProperties") && !operation.starts_with("Get") && !operation.starts_with("Query");
  if (is_change || operation == "PutResourcePropertyDocument") return change(turn, work, document);
  const auto answer = read(work.address, document, body);
  return answer ? finish(turn, work, *answer) : finish(turn, work, answer.error());
}

Status Resources::change(Turn& turn, Work& work, const xml::Document& document) {
  const auto changes = changes_of(work.address, document, work.body());
  if (!changes) return finish(turn, work, changes.error());
  if (static_cast<std::size_t>(work.row.step) >= changes->size()) {
    return finish(turn, work, xml::Document::create(name_of(kProperties, work.request.operation + "Response")).share());
  }
  const Change& next = (*changes)[static_cast<std::size_t>(work.row.step)];
  work.row.stage = kChanging;
  work.row.document = document.to_string();
  TRY(keep(turn, work));
  return ask(turn, work, next.property->set_service, next.property->set, next.call(work.row.key));
}

Status Resources::have_changed(Turn& turn, Work& work, const Message& reply) {
  TRY_ASSIGN(const xml::Document document, xml::Document::parse(work.row.document));
  if (const Status status = status_of(reply); !status) {
    const auto changes = changes_of(work.address, document, work.body());
    if (!changes) return finish(turn, work, changes.error());
    const Change& failed = changes->at(static_cast<std::size_t>(work.row.step));
    return finish(turn, work, failure_of(work.request.operation, failed, document, status.error(), work.row.step == 0));
  }
  ++work.row.step;
  return change(turn, work, document);
}

Status Resources::destroy(Turn& turn, Work& work) {
  const auto& resource = *work.address.resource;
  work.row.stage = kDestroying;
  TRY(keep(turn, work));
  return ask(turn, work, resource.destroy_service, resource.destroy,
             request_body(resource.destroy_service, resource.destroy, {{resource.destroy_input_field, work.row.key}}));
}

Status Resources::have_destroyed(Turn& turn, const Work& work, const Message& reply) {
  if (const Status status = status_of(reply); !status) {
    Refusal refusal = refusal_of(status.error());
    if (refusal.name.ns != kResource) refusal.name = name_of(kLifetime, "ResourceNotDestroyedFault");
    return finish(turn, work, refusal);
  }
  TRY(forget_termination(turn, work));
  return finish(turn, work, xml::Document::create(name_of(kLifetime, "DestroyResponse")).share());
}

Status Resources::on_job(Turn&, const exchange::Job& job, const Result<std::string>&) {
  return internal(fmt::format("no job {} was started", job.key));
}

Result<std::string> Resources::run_job(const exchange::Job& job, exchange::JobContext&) {
  return internal(fmt::format("no job {} was started", job.key));
}

}  // namespace nuraghe::wsrf
