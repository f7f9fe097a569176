// `nuraghe service`: what there is, and `new`, which runs the generator of the tree that this program was built in.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <vector>

#include "apps/nuraghe/commands.hpp"
#include "contracts/registry.hpp"
#include "env/posix.hpp"

namespace nuraghe::cli {

Result<int> new_service(Context&, const std::string& definition, const std::string& folder) {
  const std::string generator = std::string(NURAGHE_TOOLS) + "/new_service.py";
  if (!env::path_exists(generator))
    return unavailable(fmt::format(
        "{} is not there: a service is made and built with the tree in which nuraghe was built; keep it", generator));
  std::vector<std::string> command{"/usr/bin/python3", generator, "--nuraghe", NURAGHE_BUILD};
  if (!folder.empty()) command.insert(command.end(), {"--folder", folder});
  command.insert(command.end(), {"--", definition});
  std::vector<char*> arguments;
  for (auto& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  // Its output, findings and exit code are this command's: it takes the place of this process.
  ::execv(arguments[0], arguments.data());
  return system_error("run /usr/bin/python3", errno);
}

Status list_services(Context& context, bool all) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::registry::Client registry(connection->caller(), connection->service("registry"));
  TRY_ASSIGN(const auto response, registry.list_services({}));
  boost::json::array services;
  std::vector<std::vector<std::string>> rows{{"NAME", "VERSION", "PROGRAM", "UNTIL", "WSDL"}};
  for (const auto& service : response.service) {
    if (service.own && !all) continue;
    const std::string until = service.alive_until ? service.alive_until->to_string() : "";
    services.push_back(boost::json::object{{"name", service.name},
                                           {"title", service.title},
                                           {"version", service.version},
                                           {"namespace", service.namespace_},
                                           {"own", service.own},
                                           {"address", service.address},
                                           {"wsdl", service.wsdl},
                                           {"program", service.program.value_or("")},
                                           {"until", until}});
    rows.push_back({service.name, service.version, service.program.value_or("nuraghed"), until, service.wsdl});
  }
  if (context.json())
    context.print_json(services);
  else
    context.print_table(rows);
  return {};
}

}  // namespace nuraghe::cli
