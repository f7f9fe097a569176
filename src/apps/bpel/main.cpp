// bpel: the WS-BPEL 2.0 engine by itself. Wiring only: options and commands.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>

#include "apps/bpel/commands.hpp"
#include "base/crash_point.hpp"
#include "bpelhost/json.hpp"
#include "xml/xml.hpp"

namespace {

using nuraghe::Result;
namespace cli = nuraghe::bpelcli;
using Action = std::function<Result<int>()>;

struct Arguments {
  cli::Options options;
  cli::ServeOptions serve;
  cli::RunOptions run;
  std::vector<std::string> files;
  std::string file, id, process, reason, timeout = "60s", history = "7d";
  bool running = false;
  std::uint64_t crash_at = 0;
};

std::string is_duration(const std::string& text) {
  const auto span = nuraghe::parse_duration(text);
  return span ? std::string() : span.error().to_string();
}

void add_serve(CLI::App& app, Arguments& a, Action& action) {
  auto* serve = app.add_subcommand("serve", "Serve processes over HTTP")
                    ->footer("Example: bpel serve --listen 127.0.0.1:8480 --state ./state --deploy ./processes");
  serve->add_option("--listen", a.serve.listen, "ADDRESS:PORT; port 0: any free one")
      ->capture_default_str()
      ->take_all();
  serve->add_option("--state", a.serve.state, "Folder that keeps everything");
  serve->add_option("--store", a.serve.store,
                    "Keep everything in PostgreSQL: postgres:CONNECTION or postgresql://USER@HOST/DATABASE");
  serve->add_option("--store-schema", a.serve.schema, "Its schema that holds everything; made when missing")
      ->capture_default_str();
  serve->add_flag("--memory", a.serve.memory, "Keep nothing: instances end with the server");
  serve->add_option("--deploy", a.serve.deploy, "Folder of packages (folders and zips) to be deployed at the start");
  serve->add_option(
      "--token-file", a.serve.token_file,
      "Every request needs the token in this file; made when missing. Needed to listen on other addresses "
      "than loopback");
  serve->add_option("--history-retention", a.history, "How long ended instances are kept; 0s: not at all")
      ->capture_default_str()
      ->check(is_duration);
  serve->add_option("--history-limit", a.serve.history_limit, "How many ended instances are kept")
      ->capture_default_str();
  serve->add_option("--crash-at", a.crash_at, "For tests: end by SIGKILL at the Nth store commit or outgoing message");
  serve->callback([&] {
    action = [&] {
      a.serve.history_retention = *nuraghe::parse_duration(a.history);
      if (a.crash_at > 0) nuraghe::arm_crash_point(a.crash_at);
      return cli::serve(a.serve);
    };
  });
}

void add_local(CLI::App& app, Arguments& a, Action& action) {
  auto* check = app.add_subcommand("check", "Check processes: all findings at once")
                    ->footer("Example: bpel check order.bpel processes/ package.zip");
  check->add_option("FILE", a.files, ".bpel files, package folders, zips")->required();
  check->callback([&] { action = [&] { return cli::check(a.options, a.files); }; });
  auto* run = app.add_subcommand("run", "Run one process in memory and print its answer")
                  ->footer("Example: bpel run order.bpel --request order.xml");
  run->add_option("PROCESS", a.run.package, "A .bpel file, package folder or zip")->required();
  run->add_option("--request", a.run.request, "File with the body or SOAP envelope; -: standard input")
      ->capture_default_str();
  run->add_option("--operation", a.run.operation, "The operation, where the request does not tell it");
  run->add_option("--timeout", a.timeout, "How long to wait for the answer")->capture_default_str()->check(is_duration);
  run->callback([&] {
    action = [&] {
      a.run.timeout = *nuraghe::parse_duration(a.timeout);
      return cli::run(a.options, a.run);
    };
  });
  auto* draw = app.add_subcommand("draw", "Print a process as SVG, with an instance's state when given")
                   ->footer("Example: bpel draw order.bpel > order.svg");
  draw->add_option("FILE", a.file, "A .bpel file, package folder or zip; not needed with --instance");
  draw->add_option("--instance", a.id, "Id of an instance of the server");
  draw->add_option("--process", a.process, "Name of the process, where the package has several");
  draw->callback([&] {
    if (a.file.empty() && a.id.empty()) throw CLI::ValidationError("draw", "FILE or --instance ID is needed");
    action = [&] { return cli::draw(a.options, a.file, a.id, a.process); };
  });
}

void add_remote(CLI::App& app, Arguments& a, Action& action) {
  auto* deployments = app.add_subcommand("deployments", "List what is deployed on the server");
  deployments->footer("Example: bpel deployments");
  deployments->callback([&] { action = [&] { return cli::list_deployments(a.options); }; });
  auto* instances = app.add_subcommand("instances", "List instances")->footer("Example: bpel instances --running");
  instances->add_flag("--running", a.running, "Only those that run");
  instances->add_option("--process", a.process, "Only those of this process");
  instances->callback([&] { action = [&] { return cli::list_instances(a.options, a.process, a.running); }; });
  auto* show = app.add_subcommand("show", "Show an instance: activities, variables, history, parent and children");
  show->footer("Example: bpel show INSTANCE");
  show->add_option("ID", a.id, "Id of the instance")->required();
  show->callback([&] { action = [&] { return cli::show(a.options, a.id); }; });
  const std::pair<const char*, const char*> verbs[] = {
      {"suspend", "Suspend an instance: what comes for it waits"},
      {"resume", "Resume a suspended instance"},
      {"terminate", "End an instance at once, with the instances that work for it"}};
  for (const auto& [verb, what] : verbs) {
    auto* command = app.add_subcommand(verb, what)->footer(std::string("Example: bpel ") + verb + " INSTANCE");
    command->add_option("ID", a.id, "Id of the instance")->required();
    if (std::string(verb) == "terminate") command->add_option("--reason", a.reason, "Why: said to who waits for it");
    command->callback(
        [&, name = std::string(verb)] { action = [&, name] { return cli::change(a.options, name, a.id, a.reason); }; });
  }
  auto* replay = app.add_subcommand("replay", "Run an instance's history again; fails on the first difference");
  replay->footer("Example: bpel replay INSTANCE");
  replay->add_option("ID", a.id, "Id of the instance")->required();
  replay->callback([&] { action = [&] { return cli::replay(a.options, a.id); }; });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("bpel: WS-BPEL 2.0 processes, durable");
  Arguments arguments;
  Action action;
  app.add_option("-o,--output", arguments.options.output, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option("--server", arguments.options.server, "Where `bpel serve` listens")->capture_default_str();
  app.add_option("--server-token", arguments.options.token_file, "File with the server's token");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", NURAGHE_VERSION);
  add_serve(app, arguments, action);
  add_local(app, arguments, action);
  add_remote(app, arguments, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cli::kOk : cli::kUsage;
  }
  ::signal(SIGPIPE, SIG_IGN);
  nuraghe::xml::initialise();
  const auto code = action();
  if (code) return *code;
  if (arguments.options.json()) std::printf("%s\n", nuraghe::bpelhost::error_json(code.error()).c_str());
  std::fprintf(stderr, "bpel: %s\n", code.error().to_string().c_str());
  return cli::exit_code_of(code.error());
}
