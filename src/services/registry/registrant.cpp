#include "services/registry/registrant.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "contracts/operation.hpp"
#include "contracts/texts.hpp"

namespace nuraghe::services::registry {
namespace {

constexpr const char* kTimer = "renew";
constexpr const char* kRegister = "register";
constexpr const char* kRenew = "renew";

contracts::registry::Resource offered(const contracts::ServiceInfo& service, const contracts::ResourceInfo& resource) {
  contracts::registry::Resource out;
  out.name = resource.name;
  out.path = resource.path;
  out.get = resource.get;
  out.get_input = resource.get_input_field;
  out.get_output = resource.get_output_field;
  out.list = resource.list;
  if (resource.destroy_service == service.name) out.destroy = std::string(resource.destroy);
  for (const auto& property : resource.properties) {
    out.property.push_back({std::string(property.name), std::string(property.field->name), {}});
    if (property.set_service == service.name) out.property.back().set = std::string(property.set);
  }
  return out;
}

}  // namespace

Status Registrant::open(store::Store& store) { return programs_.open(store, ProgramRow::kTable); }

Status Registrant::on_start(exchange::Turn& turn) {
  TRY_ASSIGN(auto row, programs_.find(turn.transaction(), ProgramRow::kSelf));
  if (!row) {
    row = ProgramRow{env::make_id(turn.random(), "program")};
    TRY(programs_.put(turn.transaction(), ProgramRow::kSelf, *row));
  }
  options_.offer.program = row->id;
  return offer(turn);
}

Status Registrant::on_request(exchange::Turn& /*turn*/, const exchange::Message& request) {
  return unsupported(fmt::format("{} is nothing that can be asked here", request.operation));
}

Status Registrant::on_job(exchange::Turn& /*turn*/, const exchange::Job& /*job*/,
                          const Result<std::string>& /*result*/) {
  return {};
}

Result<std::string> Registrant::run_job(const exchange::Job& /*job*/, exchange::JobContext& /*context*/) {
  return internal("there are no jobs here");
}

// Tried again until the next one is due.
Status Registrant::send(exchange::Turn& turn, exchange::Message message, const char* token) {
  TRY(turn.set_timer(kTimer, turn.now() + options_.offer.interval));
  message.message_id = env::make_uuid_urn(turn.random());
  message.caller = "service:" + options_.offer.name;
  return turn.send(std::move(message), token, turn.now() + options_.offer.interval);
}

Status Registrant::offer(exchange::Turn& turn) {
  return send(turn, contracts::registry::make_register_service(options_.registry, options_.offer), kRegister);
}

Status Registrant::renew(exchange::Turn& turn) {
  return send(turn,
              contracts::registry::make_renew_service(options_.registry,
                                                      {.name = options_.offer.name, .program = options_.offer.program}),
              kRenew);
}

Status Registrant::on_timer(exchange::Turn& turn, std::string_view key) {
  if (key != kTimer) return {};
  return is_registered_ ? renew(turn) : offer(turn);
}

Status Registrant::on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) {
  if (!reply.fault) {
    if (!is_registered_) log_info("registrant", "registered at nuraghed", {{"registry", options_.registry}});
    is_registered_ = true;
    if (options_.on_registered) {
      options_.on_registered();
      options_.on_registered = {};
    }
    return {};
  }
  const Error error = exchange::error_of(*reply.fault);
  const bool is_forgotten = token == kRenew && error.code() == ErrorCode::kNotFound;
  is_registered_ = false;
  if (is_forgotten) return offer(turn);
  log_warning("registrant", "nuraghed did not take the registration; it is tried again",
              {{"registry", options_.registry}, {"error", error.to_string()}});
  return {};
}

Result<contracts::registry::RegisterServiceRequest> offer_of(std::string_view service) {
  const auto* info = contracts::find_service(service);
  if (info == nullptr) return not_found(fmt::format("this program has no service {}", service));
  contracts::registry::RegisterServiceRequest offer;
  offer.name = info->name;
  offer.title = info->title;
  offer.namespace_ = info->name_space;
  for (const auto& operation : info->operations) {
    contracts::registry::Operation one;
    one.name = operation.name;
    TRY(contracts::registry::from_string(contracts::access_name(operation.access), one.access));
    one.read_only = operation.read_only;
    one.one_way = operation.one_way;
    if (!operation.rest_path.empty()) {
      one.rest_verb = std::string(operation.rest_verb);
      one.rest_path = std::string(operation.rest_path);
    }
    offer.operation.push_back(std::move(one));
  }
  for (const auto& resource : info->resources) offer.resource.push_back(offered(*info, resource));
  for (const auto& topic : info->topics) offer.topic.emplace_back(topic.name);
  for (const auto& [path, text] : contracts::all_texts()) {
    const bool is_own = path == offer.name + ".wsdl" || path == offer.name + ".xsd" ||
                        (path.starts_with(offer.name + "-") && path.ends_with(".wsdl"));
    if (is_own) offer.document.push_back({path, text});
  }
  offer.openapi = contracts::openapi_text();
  return offer;
}

}  // namespace nuraghe::services::registry
