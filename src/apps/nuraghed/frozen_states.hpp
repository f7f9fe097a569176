// FrozenStates: where nuraghed's repository fetches the states of frozen hosts: from its own controllers, and over HTTP
// from those of other processes. Threading: every function is thread safe, and blocks.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "images/byte_source.hpp"
#include "net/http_client.hpp"
#include "services/vhir/vhir.hpp"

namespace nuraghe::daemon {

class FrozenStates final : public services::vhir::StateSource {
 public:
  struct Options {
    // A part on a controller of this process, by the controller's name; nullopt: it is none of this process.
    std::function<std::optional<Result<std::unique_ptr<images::ByteSource>>>(
        const std::string& controller, const std::string& host, const std::string& digest)>
        own;
    std::function<std::string(std::string_view base)> token;  // that is shown there; empty: none
    Duration silence = std::chrono::seconds(60);              // of a controller while it sends a part
  };
  // The client outlives this.
  FrozenStates(net::HttpClient& http, Options options) : http_(http), options_(std::move(options)) {}
  Result<Next> open(const std::string& controller, const std::string& host, const std::string& digest,
                    const std::function<bool()>& cancelled) override;

 private:
  net::HttpClient& http_;
  const Options options_;
};

}  // namespace nuraghe::daemon
