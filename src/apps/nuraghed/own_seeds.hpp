#pragma once

#include <fmt/format.h>

#include <functional>
#include <future>
#include <memory>
#include <string>

#include "exchange/exchange.hpp"
#include "services/vcf/vcf.hpp"
#include "services/vhc/work.hpp"

namespace nuraghe::daemon {

// Seeds of this process's own VCF: read within a turn of its exchange.
class OwnSeeds final : public services::vhc::SeedSource {
 public:
  // `drains`: fetch is called by the thread that drains the exchange.
  OwnSeeds(exchange::Exchange& control, services::vcf::Factory& factory, bool drains)
      : control_(control), factory_(factory), drains_(drains) {}
  Result<std::string> fetch(const std::string& address, const std::string& digest, Duration timeout) override {
    constexpr std::string_view kFolder = "/seeds/";
    const auto at = address.find(kFolder);
    if (at == std::string::npos) return invalid(fmt::format("'{}' is not the address of a seed", address));
    auto promise = std::make_shared<std::promise<Result<std::string>>>();
    auto answer = promise->get_future();
    read(address.substr(at + kFolder.size()) + "/" + digest,
         [promise](Result<std::string> bytes) { promise->set_value(std::move(bytes)); });
    if (drains_) TRY(control_.drain());
    if (answer.wait_for(timeout) != std::future_status::ready) return timed_out("the seed was not read in time");
    return answer.get();
  }
  // `done` is called on the exchange's thread, or at once when that has stopped.
  void read(const std::string& path, std::function<void(Result<std::string>)> done) {
    auto bytes = std::make_shared<Result<std::string>>(internal("the seed was not read"));
    control_.post(
        "vcf",
        [this, path, bytes](exchange::Turn& turn) -> Status {
          *bytes = factory_.seed(turn, path);
          return {};
        },
        [bytes, done = std::move(done)](const Status& status) {
          if (!status) return done(status.error());
          done(std::move(*bytes));
        });
  }

 private:
  exchange::Exchange& control_;
  services::vcf::Factory& factory_;
  const bool drains_;
};

}  // namespace nuraghe::daemon
