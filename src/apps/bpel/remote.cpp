// The commands that ask the server.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "apps/bpel/commands.hpp"
#include "apps/bpel/server.hpp"

namespace nuraghe::bpelcli {
namespace {

namespace json = boost::json;

std::string text_of(const json::object& object, std::string_view member) {
  const auto* value = object.if_contains(member);
  if (value == nullptr) return {};
  return value->is_string() ? json::value_to<std::string>(*value) : json::serialize(*value);
}

const json::array& list_of(const json::object& object, std::string_view member) {
  static const json::array kNone;
  const auto* value = object.if_contains(member);
  return value == nullptr ? kNone : value->as_array();
}

void print_json(const json::value& value) { std::printf("%s\n", json::serialize(value).c_str()); }

// The first row: headings.
void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += i + 1 == row.size() ? row[i] : fmt::format("{:<{}}  ", row[i], widths[i]);
    std::printf("%s\n", line.c_str());
  }
}

void print_tree(const json::object& node, std::size_t depth, std::vector<std::vector<std::string>>& rows) {
  std::string name = std::string(2 * depth, ' ') + text_of(node, "kind");
  if (const auto own = text_of(node, "name"); !own.empty()) name += " " + own;
  auto state = text_of(node, "state");
  const auto times = text_of(node, "times");
  if (times != "0" && times != "1") state += fmt::format(" ({} times)", times);
  rows.push_back({std::move(name), state.empty() ? "-" : state, "line " + text_of(node, "line")});
  for (const auto& child : list_of(node, "children")) print_tree(child.as_object(), depth + 1, rows);
}

void print_instance(const json::object& instance) {
  std::vector<std::vector<std::string>> rows{{"instance", text_of(instance, "id")},
                                             {"process", text_of(instance, "process")},
                                             {"version", text_of(instance, "version")},
                                             {"state", text_of(instance, "state")},
                                             {"started", text_of(instance, "started")}};
  for (const char* member : {"ended", "fault", "parent"}) {
    if (const auto value = text_of(instance, member); !value.empty()) rows.push_back({member, value});
  }
  for (const auto& child : list_of(instance, "children")) {
    const auto& one = child.as_object();
    rows.push_back(
        {"child", fmt::format("{} {} {}", text_of(one, "id"), text_of(one, "process"), text_of(one, "state"))});
  }
  print_table(rows);
  if (const auto* tree = instance.if_contains("activities")) {
    rows.clear();
    print_tree(tree->as_object(), 0, rows);
    std::printf("\nACTIVITIES\n");
    print_table(rows);
  }
  if (const auto& variables = list_of(instance, "variables"); !variables.empty()) {
    rows.clear();
    for (const auto& value : variables) {
      const auto& one = value.as_object();
      const auto part = text_of(one, "part");
      rows.push_back({text_of(one, "name") + (part.empty() ? "" : "." + part), text_of(one, "value")});
    }
    std::printf("\nVARIABLES\n");
    print_table(rows);
  }
  rows.clear();
  for (const auto& value : list_of(instance, "history")) {
    const auto& one = value.as_object();
    rows.push_back({text_of(one, "sequence"), text_of(one, "time"), text_of(one, "kind"), text_of(one, "operation")});
  }
  std::printf("\nHISTORY\n");
  print_table(rows);
}

ErrorCode code_of(int status, const std::string& named) {
  if (!named.empty()) return error_code_from_name(named);
  switch (status) {
    case 401:
    case 403:
      return ErrorCode::kDenied;
    case 404:
      return ErrorCode::kNotFound;
    default:
      return ErrorCode::kInternal;
  }
}

}  // namespace

Result<std::string> Server::text(const std::string& method, const std::string& path) {
  net::ClientRequest request;
  request.method = method;
  request.url = options_.server + path;
  if (!options_.token_file.empty()) {
    TRY_ASSIGN(request.bearer, read_token(options_.token_file));
  }
  auto response = client_->call(std::move(request));
  if (!response) return std::move(response).error().with("asking the server of --server " + options_.server);
  if (response->status >= 200 && response->status < 300) return std::move(response->body);
  boost::system::error_code error;
  const auto said = json::parse(response->body, error);
  const auto* object = error ? nullptr : said.if_object();
  const auto sentence = object == nullptr ? response->body : text_of(*object, "error");
  return Error(code_of(response->status, object == nullptr ? "" : text_of(*object, "code")), sentence);
}

Result<json::value> Server::ask(const std::string& method, const std::string& path) {
  TRY_ASSIGN(const auto answer, text(method, path));
  boost::system::error_code error;
  auto value = json::parse(answer, error);
  if (error || !value.is_object()) return corrupt(options_.server + " is no bpel server: its answer is no JSON object");
  return value;
}

Result<int> list_deployments(const Options& options) {
  TRY_ASSIGN(const auto found, Server(options).get("/deployments"));
  if (options.json()) return print_json(found), kOk;
  std::vector<std::vector<std::string>> rows{{"DEPLOYMENT", "STATE", "PROCESS", "PARTNER LINK", "ADDRESS"}};
  for (const auto& value : list_of(found.as_object(), "deployments")) {
    const auto& one = value.as_object();
    for (const auto& place : list_of(one, "endpoints")) {
      const auto& endpoint = place.as_object();
      rows.push_back({text_of(one, "id"), text_of(one, "state"), text_of(endpoint, "process"),
                      text_of(endpoint, "partnerLink"), text_of(endpoint, "address")});
    }
  }
  print_table(rows);
  return kOk;
}

Result<int> list_instances(const Options& options, const std::string& process, bool running) {
  Server server(options);
  json::array all;
  std::string after;
  do {
    std::string path = "/instances?after=" + net::percent_encode(after);
    if (!process.empty()) path += "&process=" + net::percent_encode(process);
    if (running) path += "&running=1";
    TRY_ASSIGN(const auto page, server.get(path));
    for (const auto& one : list_of(page.as_object(), "instances")) all.push_back(one);
    after = text_of(page.as_object(), "next");
  } while (!after.empty());
  if (options.json()) return print_json(json::object{{"instances", std::move(all)}}), kOk;
  std::vector<std::vector<std::string>> rows{{"INSTANCE", "PROCESS", "STATE", "STARTED", "FAULT"}};
  for (const auto& value : all) {
    const auto& one = value.as_object();
    rows.push_back({text_of(one, "id"), text_of(one, "process"), text_of(one, "state"), text_of(one, "started"),
                    text_of(one, "fault")});
  }
  print_table(rows);
  return kOk;
}

Result<int> show(const Options& options, const std::string& id) {
  TRY_ASSIGN(const auto found, Server(options).get("/instances/" + net::percent_encode(id)));
  if (options.json()) return print_json(found), kOk;
  print_instance(found.as_object());
  return kOk;
}

Result<int> change(const Options& options, const std::string& verb, const std::string& id, const std::string& reason) {
  std::string path = "/instances/" + net::percent_encode(id) + "/" + verb;
  if (!reason.empty()) path += "?reason=" + net::percent_encode(reason);
  TRY_ASSIGN(const auto found, Server(options).post(path));
  if (options.json()) return print_json(found), kOk;
  std::printf("%s is %s\n", id.c_str(), text_of(found.as_object(), "state").c_str());
  return kOk;
}

Result<int> replay(const Options& options, const std::string& id) {
  TRY_ASSIGN(const auto found, Server(options).post("/instances/" + net::percent_encode(id) + "/replay"));
  const auto& object = found.as_object();
  const bool same = json::value_to<bool>(object.at("same"));
  if (options.json())
    print_json(found);
  else if (same)
    std::printf("%s steps run again, all the same\n", text_of(object, "steps").c_str());
  else
    std::printf("different: %s\n", text_of(object, "explanation").c_str());
  return same ? kOk : kFailed;
}

}  // namespace nuraghe::bpelcli
