// The completion in a shell: its script, made of the commands and options that there are, and the names that it asks
// for.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <set>

#include "apps/nuraghe/command_line.hpp"
#include "apps/nuraghe/commands.hpp"
#include "contracts/hades.hpp"
#include "contracts/vhir.hpp"

namespace nuraghe::cli {
namespace {

constexpr std::string_view kScript = R"script(_nuraghe() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" command="" options="" kind="" words="" behind=0 i
  local site=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{COMP_WORDS[i]}}" in
      --state|--vo) site+=("${{COMP_WORDS[i]}}" "${{COMP_WORDS[i+1]}}"); ((++i)) ;;
      {with_value}) ((++i)) ;;
      -*) ;;
      *) case "$command" in
           "") command="${{COMP_WORDS[i]}}" ;;
           {parents}) command+=" ${{COMP_WORDS[i]}}" ;;
           *) ((++behind)) ;;
         esac ;;
    esac
  done
  case "$command" in
    "") kind="words"; words="{commands}" ;;
{cases}  esac
  case "$previous" in
    -o|--output) words="text json"; kind="words" ;;
    --policy) words="random round-robin pack spread optimise"; kind="words" ;;
    --state) kind="folder" ;;
    --vo) kind="" ;;
    {with_value}) kind="" ;;
    *) case "$current" in
         -*) words="$options {global}"; kind="words" ;;
         *) [ "$behind" -eq 0 ] || [ "$kind" = copy ] || kind="file" ;;
       esac ;;
  esac
  local names=("${{COMP_WORDS[0]}}" "${{site[@]}}" names)
  COMPREPLY=()
  case "$kind" in
    clusters|hosts|singles|images|machines) words="$("${{names[@]}}" "$kind" 2>/dev/null)" ;;
    either) words="$("${{names[@]}}" clusters 2>/dev/null; "${{names[@]}}" singles 2>/dev/null)" ;;
    copy) words="$("${{names[@]}}" hosts 2>/dev/null | sed 's/$/:/')"
          COMPREPLY=($(compgen -f -- "$current"))
          compopt -o nospace 2>/dev/null ;;
    file) COMPREPLY=($(compgen -f -- "$current")) ;;
    folder) COMPREPLY=($(compgen -d -- "$current")) ;;
  esac
  COMPREPLY+=($(compgen -W "$words" -- "$current"))
}}
complete -o filenames -F _nuraghe nuraghe
)script";

// The names that stand where an argument of this name is expected.
std::string kind_of(const std::string& argument, bool is_single) {
  if (argument == "BLUEPRINT" || argument == "NODE") return "file";
  if (argument == "FOLDER") return "folder";
  if (argument == "CLUSTER") return "clusters";
  if (argument == "NAME") return "either";
  if (argument == "HOST") return is_single ? "singles" : "hosts";
  if (argument == "IMAGE") return "images";
  if (argument == "MACHINE") return "machines";
  if (argument == "FROM") return "copy";
  return "";
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* one) { return !one->get_group().empty(); });
}

struct Options {
  std::string all;                   // "--name --policy"
  std::set<std::string> with_value;  // "--name"
};

Options options_of(const CLI::App& app) {
  Options found;
  for (const auto* option : app.get_options([](const CLI::Option* one) { return !one->get_positional(); })) {
    std::vector<std::string> names;
    for (const auto& name : option->get_snames()) names.push_back("-" + name);
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    for (const auto& name : names) {
      found.all += (found.all.empty() ? "" : " ") + name;
      if (option->get_items_expected_max() > 0) found.with_value.insert(name);
    }
  }
  return found;
}

struct Cases {
  std::string text;
  std::string words;                 // the commands
  std::vector<std::string> parents;  // of further commands
  std::set<std::string> with_value;
};

void add_cases(const CLI::App& app, const std::string& prefix, Cases& cases) {
  for (const auto* command : commands_of(app)) {
    const std::string path = prefix + command->get_name();
    std::string pattern = fmt::format("\"{}\"", path);
    std::string words = command->get_name();
    for (const auto& alias : command->get_aliases()) {
      pattern += fmt::format("|\"{}{}\"", prefix, alias);
      words += " " + alias;
    }
    cases.words += (cases.words.empty() ? "" : " ") + words;
    auto options = options_of(*command);
    cases.with_value.merge(options.with_value);
    Cases below;
    add_cases(*command, path + " ", below);
    std::string kind = "";
    for (const auto* option : command->get_options([](const CLI::Option* one) { return one->get_positional(); })) {
      const std::string name = option->get_name(true);
      if (kind.empty()) kind = name == "SHELL" ? "words\"; words=\"bash zsh" : kind_of(name, prefix == "vh ");
    }
    if (!below.words.empty()) {
      kind = fmt::format("words\"; words=\"{}", below.words);
      cases.parents.push_back(path);
    }
    cases.text += fmt::format("    {}) options=\"{}\"; kind=\"{}\" ;;\n{}", pattern, options.all, kind, below.text);
    cases.with_value.merge(below.with_value);
  }
}

}  // namespace

std::string completion_script(const CLI::App& app, const std::string& shell) {
  Cases cases;
  add_cases(app, "", cases);
  auto global = options_of(app);
  cases.with_value.merge(global.with_value);
  for (const char* option : {"--state", "--vo"}) cases.with_value.erase(option);  // they have a line of their own
  const std::string script =
      fmt::format(fmt::runtime(kScript), fmt::arg("with_value", fmt::join(cases.with_value, "|")),
                  fmt::arg("parents", fmt::join(cases.parents, "|")), fmt::arg("commands", cases.words),
                  fmt::arg("cases", cases.text), fmt::arg("global", global.all));
  return (shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "") + script;
}

Status list_names(Context& context, const std::string& kind) {
  TRY_ASSIGN(auto* connection, context.connection());
  std::set<std::string> names;
  if (kind == "images") {
    contracts::vhir::Client repository(connection->caller(), connection->service("vhir"));
    TRY_ASSIGN(const auto response, repository.list_images({}));
    for (const auto& image : response.catalogue.image) names.insert(image.name);
  }
  if (kind == "machines") {
    contracts::hades::Client machines(connection->caller(), connection->service("hades"));
    TRY_ASSIGN(const auto response, machines.list_machines({}));
    for (const auto& machine : response.machine) names.insert(machine.name);
  }
  if (kind == "clusters" || kind == "hosts") {
    contracts::vcf::Client clusters(connection->caller(), connection->service("vcf"));
    TRY_ASSIGN(const auto response, clusters.list_clusters({}));
    for (const auto& cluster : response.cluster) {
      if (kind == "clusters") names.insert(cluster.name);
      if (kind == "hosts") {
        for (const auto& member : cluster.member) names.insert(cluster.name + "/" + member.name);
      }
    }
  }
  if (kind == "singles" || kind == "hosts") {
    contracts::vhf::Client hosts(connection->caller(), connection->service("vhf"));
    TRY_ASSIGN(const auto response, hosts.list_virtual_hosts({}));
    for (const auto& host : response.host) {
      if (host.cluster.empty()) names.insert(host.name);
    }
  }
  for (const auto& name : names) std::puts(name.c_str());
  return {};
}

}  // namespace nuraghe::cli
