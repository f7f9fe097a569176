#include "apps/service/service_program.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "apps/controller/process.hpp"
#include "apps/service/service_host.hpp"
#include "base/log.hpp"
#include "xml/xml.hpp"

namespace nuraghe::service {
namespace {

// Texts that are read when all are there.
struct Texts {
  std::string renewal = "10s", join;
};

void add_options(CLI::App& app, Settings& settings, Texts& texts) {
  app.add_option("--state", settings.state, "State folder: database, tokens, socket")->required();
  app.add_option(
      "--listen", settings.listen,
      "ADDRESS:PORT: of loopback or, with --join, by which nuraghed reaches this machine; port 0: the one of "
      "before, else any free one (default: its UNIX socket alone)");
  app.add_option("--vo", settings.vo, "Virtual organisation of the token that is made when there is none")
      ->capture_default_str();
  app.add_option(
      "--nuraghed", settings.nuraghed,
      "The nuraghed behind whose doors it stands, and that it may call: https://ADDRESS:PORT; on this machine "
      "http://127.0.0.1:PORT or unix:PATH too");
  app.add_option("--site-token", settings.site_token,
                 "Beside its nuraghed on one machine: file with the site's token (mode 0600), by which it registers");
  app.add_option("--join", texts.join,
                 "Join the site of --nuraghed with the join token in this file, '-': standard input (default: that of "
                 "$NURAGHE_JOIN_TOKEN); done once, then the certificate in STATE/pki says who this is");
  app.add_option("--renewal", texts.renewal, "How often the registration is renewed")->capture_default_str();
  app.add_option("--token-file", settings.token_file, "File with the token for its own calls to nuraghed (mode 0600)");
}

Status read_texts(const Texts& texts, Settings& settings) {
  TRY_ASSIGN(settings.renewal, parse_duration(texts.renewal));
  TRY_ASSIGN(settings.join_token, controller::read_join_token(texts.join));
  const bool wants_nuraghed =
      !settings.site_token.empty() || !settings.token_file.empty() || !settings.join_token.empty();
  if (wants_nuraghed && settings.nuraghed.empty())
    return invalid("--nuraghed is missing: say for which one the token is");
  return {};
}

}  // namespace

int run(int argc, char** argv, const ServiceProgram& program) {
  const std::string name(program.name);
  CLI::App app(fmt::format("{}: the service {} on doors of its own: SOAP, REST, events, metrics", name, name));
  Settings settings;
  Texts texts;
  add_options(app, settings, texts);
  app.set_version_flag("--version", std::string(program.version));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (const auto read = read_texts(texts, settings); !read) {
    fmt::print(stderr, "{}: {}\n", name, read.error().to_string());
    return 2;
  }
  settings.state = std::filesystem::absolute(settings.state).string();
  controller::prepare_process();
  xml::initialise();
  auto host = ServiceHost::start(program, settings);
  if (!host) {
    fmt::print(stderr, "{}: {}\n", name, host.error().to_string());
    return host.error().code() == ErrorCode::kInvalid ? 2 : 1;
  }
  log_info(name, "serving", {{"base", (*host)->base()}, {"state", settings.state}});
  fmt::print("{} serves on {}\n", name, (*host)->base());
  std::fflush(stdout);
  controller::run_until_told([&] { return (*host)->failed(); }, [&](bool reread) { (*host)->tick(reread); });
  return (*host)->failed() ? 1 : 0;
}

}  // namespace nuraghe::service
