// The commands of `bpel`. Each prints what it has to say and answers an exit code; errors are printed by main.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::bpelcli {

// Stable exit codes (docs/bpel-program.md).
enum ExitCode {
  kOk = 0,
  kFailed = 1,    // a fault was the answer, a replay differs, the server cannot be reached
  kUsage = 2,     // the command line is wrong
  kFindings = 3,  // a process or another input is not accepted
  kNotThere = 4,
  kRefused = 5,  // the state does not allow it, or the token
};
int exit_code_of(const Error& error);

struct Options {
  std::string output = "text";  // or json
  std::string server = "http://127.0.0.1:8480";
  std::string token_file;
  bool json() const { return output == "json"; }
};

struct ServeOptions {
  std::vector<std::string> listen{"127.0.0.1:8480"};
  std::string state;
  bool memory = false;
  std::string store, schema = "bpel";
  std::string deploy;
  std::string token_file;
  Duration history_retention = std::chrono::hours(24 * 7);
  std::int64_t history_limit = 100'000;
};

struct RunOptions {
  std::string package;
  std::string request = "-";
  std::string operation;  // empty: the one that takes the request
  Duration timeout = std::chrono::seconds(60);
};

Result<int> serve(const ServeOptions& options);
Result<int> check(const Options& options, const std::vector<std::string>& paths);
Result<int> run(const Options& options, const RunOptions& run);
Result<int> draw(const Options& options, const std::string& file, const std::string& instance,
                 const std::string& process);
Result<int> list_deployments(const Options& options);
Result<int> list_instances(const Options& options, const std::string& process, bool running);
Result<int> show(const Options& options, const std::string& id);
// suspend, resume, terminate
Result<int> change(const Options& options, const std::string& verb, const std::string& id, const std::string& reason);
Result<int> replay(const Options& options, const std::string& id);

// The one line of a token file; kInvalid when others may read it, or it holds no token.
Result<std::string> read_token(const std::string& path);

}  // namespace nuraghe::bpelcli
