// What every command of `nuraghe` shares: how it reaches nuraghed, how it prints, its exit codes.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "client/connection.hpp"
#include "contracts/vcf.hpp"

namespace nuraghe::cli {

// Stable exit codes: scripts rely on them (docs/cli.md).
enum ExitCode {
  kOk = 0,
  kFailed = 1,        // the operation failed; the reason was printed
  kUsage = 2,         // the command line is wrong
  kInvalidInput = 3,  // a blueprint or another input has findings
  kNotThere = 4,      // what was named does not exist
  kRefused = 5,       // the state or somebody else's operation does not allow it
  kNoRoom = 6,        // resources are missing; the message says which and how much
  kTimedOut = 8,      // the time given with --timeout is over; the operation goes on
};
int exit_code_of(const Error& error);

struct Options {
  std::string state;
  std::string server;           // https://HOST:PORT of a nuraghed on another machine; empty: the one of `state`
  std::string ca_file;          // roots that it is known by; empty: those of the operating system
  std::string token_file;       // mode 0600; empty: STATE/token
  std::string vo;               // to act for; empty: the token's own
  std::string output = "text";  // or json
  bool no_wait = false;
  std::string timeout = "30m";
  bool yes = false;
};

// Which of a nuraghed's events are the steps of one's own operation.
class OwnSteps {
 public:
  static OwnSteps of_cluster(std::string id) { return OwnSteps(std::move(id), {}, {}); }
  static OwnSteps of_host(std::string id) { return OwnSteps({}, std::move(id), {}); }
  // Of what the request with this traceparent makes: its first event names the cluster or the host. A request that is
  // refused makes none, so no other's steps are taken for its own.
  static OwnSteps of_request(std::string traceparent) { return OwnSteps({}, {}, std::move(traceparent)); }
  // Those of before too: for an operation that is at work already.
  OwnSteps from_start() &&;

  // To be asked of every event in its order.
  bool takes(const exchange::Event& event);
  const std::string& cluster() const { return cluster_; }  // id; empty: none, or not known yet
  bool begins_at_start() const { return from_start_; }

 private:
  OwnSteps(std::string cluster, std::string host, std::string traceparent)
      : cluster_(std::move(cluster)), host_(std::move(host)), traceparent_(std::move(traceparent)) {}
  std::string cluster_;
  std::string host_;
  std::string traceparent_;
  bool from_start_ = false;
};

class Context {
 public:
  explicit Context(Options options) : options_(std::move(options)) {}
  Result<client::Connection*> connection();
  const Options& options() const { return options_; }
  bool json() const { return options_.output == "json"; }
  // Standard output is a terminal.
  bool is_terminal() const;
  Result<contracts::CallOptions> call_options() const;

  // Prints a table (first row: headings) or, with -o json, the value.
  void print_table(const std::vector<std::vector<std::string>>& rows) const;
  void print_json(const boost::json::value& value) const;
  void print_line(const std::string& line) const;  // text only
  // Before something is destroyed: asks on a terminal, unless --yes or -o json stands there. kCancelled when the answer
  // is not yes.
  Status confirm(const std::string& question) const;

  // Runs a long operation while its own steps are shown as they come: a list that is redrawn on a terminal, plain lines
  // otherwise, nothing with -o json. `work` runs in another thread. True: it is done; false: with --no-wait it was
  // accepted and goes on.
  Result<bool> with_progress(OwnSteps steps, const std::function<Status()>& work);

 private:
  Options options_;
  std::unique_ptr<client::Connection> connection_;
};

// What a client shows of states and sizes.
std::string short_size(Bytes size);
// "1 network", "2 networks"
std::string counted(std::size_t count, std::string_view what);
std::string age(TimePoint since);

}  // namespace nuraghe::cli
