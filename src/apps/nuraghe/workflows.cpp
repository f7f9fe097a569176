#include <fmt/format.h>

#include <boost/json.hpp>

#include "apps/nuraghe/commands.hpp"
#include "contracts/workflow.hpp"

namespace nuraghe::cli {
namespace {

namespace json = boost::json;

json::object instance_json(const contracts::workflow::Instance& instance) {
  return {{"id", instance.id},
          {"process", instance.process},
          {"program", instance.program},
          {"state", contracts::workflow::to_string(instance.state)},
          {"started", instance.started.to_string()},
          {"ended", instance.ended.micros == 0 ? json::value() : json::value(instance.ended.to_string())},
          {"fault", instance.fault},
          {"parent", instance.parent}};
}

}  // namespace

Status list_workflows(Context& context, bool running_only) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::workflow::Client client(connection->caller(), connection->service("workflow"));
  TRY_ASSIGN(const auto processes, client.list_processes({}));
  TRY_ASSIGN(const auto instances, client.list_instances({.running_only = running_only, .limit = 1000}));
  if (context.json()) {
    json::array files;
    for (const auto& process : processes.process) {
      json::array operations;
      for (const auto& operation : process.operation) operations.emplace_back(operation);
      files.push_back(json::object{{"id", process.id},
                                   {"file", process.file},
                                   {"name", process.name},
                                   {"version", process.version},
                                   {"active", process.active},
                                   {"operations", operations}});
    }
    json::array running;
    for (const auto& instance : instances.instance) running.push_back(instance_json(instance));
    context.print_json(json::object{{"processes", files}, {"instances", running}});
    return {};
  }
  std::vector<std::vector<std::string>> rows{{"PROCESS", "FILE", "VERSION", "SERVES"}};
  for (const auto& process : processes.process) {
    if (process.active)
      rows.push_back({process.name, process.file, fmt::format("{}", process.version),
                      fmt::format("{}", fmt::join(process.operation, ", "))});
  }
  context.print_table(rows);
  context.print_line("");
  rows = {{"INSTANCE", "PROCESS", "STATE", "AGE", "FAULT"}};
  for (const auto& instance : instances.instance)
    rows.push_back({instance.id, instance.process, std::string(contracts::workflow::to_string(instance.state)),
                    age(instance.started), instance.fault});
  context.print_table(rows);
  return {};
}

Status show_workflow(Context& context, const std::string& id) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::workflow::Client client(connection->caller(), connection->service("workflow"));
  TRY_ASSIGN(const auto details, client.show_instance({id}));
  if (context.json()) {
    auto value = instance_json(details.instance);
    json::array activities;
    for (const auto& activity : details.activity)
      activities.push_back(json::object{{"kind", activity.kind},
                                        {"name", activity.name},
                                        {"path", activity.path},
                                        {"state", activity.state},
                                        {"file", activity.file},
                                        {"line", activity.line}});
    value["activities"] = activities;
    json::array steps;
    for (const auto& step : details.step)
      steps.push_back(json::object{{"sequence", step.sequence},
                                   {"time", step.time.to_string()},
                                   {"kind", step.kind},
                                   {"operation", step.operation}});
    value["history"] = steps;
    context.print_json(value);
    return {};
  }
  const auto& instance = details.instance;
  context.print_line(fmt::format("{} of {}, {}, started {}", instance.id, instance.process,
                                 contracts::workflow::to_string(instance.state), instance.started.to_string()));
  if (!instance.fault.empty()) context.print_line("fault: " + instance.fault);
  std::vector<std::vector<std::string>> rows{{"AT", "STATE", "ACTIVITY"}};
  for (const auto& activity : details.activity)
    rows.push_back(
        {fmt::format("{}:{}", activity.file, activity.line), activity.state, activity.kind + " " + activity.name});
  if (rows.size() > 1) context.print_table(rows);
  rows = {{"STEP", "TIME", "EVENT"}};
  for (const auto& step : details.step)
    rows.push_back({fmt::format("{}", step.sequence), step.time.to_string(), step.kind + " " + step.operation});
  context.print_table(rows);
  return {};
}

}  // namespace nuraghe::cli
