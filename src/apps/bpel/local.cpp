// The commands that need no server: check, run, draw.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <iostream>
#include <iterator>
#include <mutex>

#include "apps/bpel/commands.hpp"
#include "apps/bpel/server.hpp"
#include "bpelhost/drawing.hpp"
#include "bpelhost/host.hpp"
#include "env/posix.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::bpelcli {
namespace {

namespace json = boost::json;
using bpelhost::Host;
using exchange::Message;

struct Checked {
  std::string path;
  std::vector<bpel::Diagnostic> findings;  // files as the user names them
  bool accepted = false;
};

Result<Checked> check_one(const std::string& path) {
  Checked checked{path, {}, false};
  auto loaded = bpelhost::load_package(path);
  if (!loaded && loaded.error().code() == ErrorCode::kNotFound) return loaded.error();
  if (!loaded) {
    checked.findings.push_back({"", path, {}, loaded.error().message(), false});
    return checked;
  }
  const auto prepared = bpel::Engine::prepare(loaded->name, std::move(loaded->files));
  checked.accepted = prepared->deployment.accepted;
  checked.findings = prepared->deployment.diagnostics;
  for (auto& finding : checked.findings) finding.file = loaded->prefix + finding.file;
  return checked;
}

void print_findings(const std::vector<bpel::Diagnostic>& findings) {
  for (const auto& one : findings) std::printf("%s%s\n", one.to_string().c_str(), one.warning ? " (warning)" : "");
}

json::object finding_json(const bpel::Diagnostic& one) {
  return {{"rule", one.rule},           {"file", one.file},         {"line", one.where.line},
          {"column", one.where.column}, {"sentence", one.sentence}, {"severity", one.warning ? "warning" : "error"}};
}

Result<std::string> read_input(const std::string& path) {
  if (path != "-") return env::read_file(path, mib(64));
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

// A body element, or an envelope.
Result<Message> read_request(const std::string& text) {
  soap::DecodeOptions decode;
  decode.speaks_12 = true;
  decode.empty_body = true;
  decode.max_size = mib(64);
  TRY_ASSIGN(xml::Document document, xml::Document::parse(text, {.source = "the request"}));
  const auto ns = document.root().namespace_uri();
  if (document.root().local_name() == "Envelope" && (ns == soap::kEnvelope11 || ns == soap::kEnvelope12)) {
    auto envelope = soap::decode_request(text, decode);
    if (!envelope) return envelope.error().to_error();
    return std::move(envelope->message);
  }
  Message message;
  message.operation = document.root().local_name();
  message.body = std::move(document).share();
  return message;
}

// Tells when something came to an end in the host, so that whoever waits may look again.
class Progress {
 public:
  void note() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  std::uint64_t count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  // False when nothing happened until the deadline.
  bool wait_beyond(std::uint64_t seen, std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [&] { return count_ > seen; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t count_ = 0;
};

Result<std::size_t> running(Host& host) {
  auto promise = std::make_shared<std::promise<Result<std::size_t>>>();
  auto found = promise->get_future();
  bpel::Engine::Filter filter;
  filter.running_only = true;
  host.list(filter, [promise](const Result<std::vector<bpel::InstanceSummary>>& list) {
    promise->set_value(list ? Result<std::size_t>(list->size()) : Result<std::size_t>(list.error()));
  });
  return found.get();
}

// Until no instance runs.
Status wait_for_the_end(Host& host, Progress& progress, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto seen = progress.count();
    TRY_ASSIGN(const auto left, running(host));
    if (left == 0) return {};
    if (!progress.wait_beyond(seen, deadline)) return timed_out("the process has not come to its end in time");
  }
}

Result<Message> address(Message message, const Host& host, const std::string& operation) {
  const auto catalogue = host.catalogue();
  const auto body = message.body ? message.body->root().name() : xml::QName();
  std::vector<std::shared_ptr<const bpelhost::Service>> all;
  for (const auto& [id, package] : catalogue->packages()) {
    for (const auto& service : package.services) {
      bool starts = false;
      for (const auto& receiver : service->program->receivers)
        starts = starts || (receiver.start_node != bpel::kNone && receiver.own_path == service->own_path);
      if (starts) all.push_back(service);
    }
  }
  for (const auto& service : all) {
    for (const auto& served : service->operations) {
      if (operation.empty()) {
        const auto found = bpelhost::find_operation({service}, message.action, message.operation, body);
        if (!found || found->operation != served.operation->name) continue;
      } else if (served.operation->name != operation) {
        continue;
      }
      message.to = service->own_path;
      message.operation = served.operation->name;
      message.one_way = served.operation->one_way();
      return message;
    }
  }
  return invalid(operation.empty() ? fmt::format("no operation that starts a process takes {}", body.to_string())
                                   : fmt::format("there is no operation {} that starts a process", operation));
}

int print_answer(const Options& options, const Message& answer) {
  std::string body;
  if (answer.fault) {
    if (answer.fault->detail) body = answer.fault->detail->root().to_string(true);
    if (options.json()) {
      json::object fault{{"fault", answer.fault->reason}, {"detail", body}};
      std::printf("%s\n", json::serialize(fault).c_str());
    } else {
      std::fprintf(stderr, "bpel: the answer is a fault: %s\n", answer.fault->reason.c_str());
      if (!body.empty()) std::printf("%s\n", body.c_str());
    }
    return kFailed;
  }
  if (answer.body) body = answer.body->root().to_string(true);
  if (options.json())
    std::printf("%s\n", json::serialize(json::object{{"answer", body}}).c_str());
  else if (!body.empty())
    std::printf("%s%s", body.c_str(), body.back() == '\n' ? "" : "\n");
  return kOk;
}

// The states in the tree of GET /instances/ID.
void collect_states(const json::value& tree, std::vector<bpelhost::NodeState>& nodes) {
  const auto& object = tree.as_object();
  const auto index = json::value_to<std::size_t>(object.at("node"));
  if (index < nodes.size()) {
    nodes[index].state = json::value_to<std::string>(object.at("state"));
    nodes[index].times = json::value_to<std::int64_t>(object.at("times"));
  }
  const auto* below = object.if_contains("children");
  if (below == nullptr) return;
  for (const auto& child : below->as_array()) collect_states(child, nodes);
}

}  // namespace

int exit_code_of(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kInvalid:
      return kFindings;
    case ErrorCode::kNotFound:
      return kNotThere;
    case ErrorCode::kConflict:
    case ErrorCode::kDenied:
      return kRefused;
    default:
      return kFailed;
  }
}

Result<int> check(const Options& options, const std::vector<std::string>& paths) {
  bool accepted = true;
  json::array findings;
  for (const auto& path : paths) {
    TRY_ASSIGN(const auto checked, check_one(path));
    accepted = accepted && checked.accepted;
    if (!options.json()) print_findings(checked.findings);
    for (const auto& one : checked.findings) findings.push_back(finding_json(one));
  }
  if (options.json())
    std::printf("%s\n",
                json::serialize(json::object{{"accepted", accepted}, {"findings", std::move(findings)}}).c_str());
  return accepted ? kOk : kFindings;
}

Result<int> run(const Options& options, const RunOptions& run) {
  TRY_ASSIGN(auto loaded, bpelhost::load_package(run.package));
  TRY_ASSIGN(const auto text, read_input(run.request));
  TRY_ASSIGN(auto message, read_request(text));
  Progress progress;
  bpelhost::HostOptions host_options;
  host_options.memory = true;
  host_options.observer = [&progress](const bpel::runtime::Progress& one) {
    if (one.what != "started") progress.note();
  };
  TRY_ASSIGN(const auto host, Host::open(std::move(host_options)));
  auto deployed = std::make_shared<std::promise<Result<bpelhost::DeployOutcome>>>();
  auto outcome_later = deployed->get_future();
  host->deploy(loaded.name, std::move(loaded.files),
               [deployed](Result<bpelhost::DeployOutcome> outcome) { deployed->set_value(std::move(outcome)); });
  TRY_ASSIGN(auto outcome, outcome_later.get());
  if (!outcome.accepted) {
    for (auto& finding : outcome.diagnostics) finding.file = loaded.prefix + finding.file;
    for (const auto& finding : outcome.diagnostics) std::fprintf(stderr, "%s\n", finding.to_string().c_str());
    return kFindings;
  }
  TRY_ASSIGN(message, address(std::move(message), *host, run.operation));
  message.message_id = env::make_uuid_urn(env::system_random());
  const bool one_way = message.one_way;
  const auto deadline = std::chrono::steady_clock::now() + run.timeout;
  auto answered = std::make_shared<std::promise<Result<Message>>>();
  auto answer_later = answered->get_future();
  host->accept(std::move(message), [answered](Result<Message> answer) { answered->set_value(std::move(answer)); });
  if (answer_later.wait_until(deadline) != std::future_status::ready)
    return timed_out(fmt::format("no answer within {}", format_duration(run.timeout)));
  TRY_ASSIGN(const auto answer, answer_later.get());
  const int code = print_answer(options, answer);
  // Nothing more is to come of a one-way request but what the process does.
  if (one_way && code == kOk) TRY(wait_for_the_end(*host, progress, deadline));
  return code;
}

Result<int> draw(const Options& options, const std::string& file, const std::string& instance,
                 const std::string& process) {
  if (file.empty()) {
    TRY_ASSIGN(const auto picture, Server(options).get_text("/instances/" + instance + "/drawing"));
    std::fwrite(picture.data(), 1, picture.size(), stdout);
    return kOk;
  }
  TRY_ASSIGN(auto loaded, bpelhost::load_package(file));
  const auto prepared = bpel::Engine::prepare(loaded.name, std::move(loaded.files));
  std::shared_ptr<const bpel::ProcessDefinition> chosen;
  for (const auto& definition : prepared->definitions) {
    if (!process.empty() && definition->name().local != process) continue;
    if (chosen) return invalid("the package has several processes: say which with --process NAME");
    chosen = definition;
  }
  if (!chosen) {
    for (auto finding : prepared->deployment.diagnostics) {
      finding.file = loaded.prefix + finding.file;
      std::fprintf(stderr, "%s\n", finding.to_string().c_str());
    }
    return invalid("there is no such process to be drawn");
  }
  std::vector<bpelhost::NodeState> nodes;
  if (!instance.empty()) {
    TRY_ASSIGN(const auto shown, Server(options).get("/instances/" + instance));
    nodes.resize(chosen->nodes().size());
    if (const auto* tree = shown.as_object().if_contains("activities")) collect_states(*tree, nodes);
  }
  const auto picture = bpelhost::draw(*chosen, instance.empty() ? nullptr : &nodes);
  std::fwrite(picture.data(), 1, picture.size(), stdout);
  return kOk;
}

}  // namespace nuraghe::bpelcli
