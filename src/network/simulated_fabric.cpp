// A fabric of which only the bookkeeping is real.
#include <fmt/format.h>

#include <mutex>

#include "network/configuration.hpp"
#include "network/fabric.hpp"

namespace nuraghe::network {

namespace {

class SimulatedFabric : public Fabric {
 public:
  explicit SimulatedFabric(std::string name) : files_{"/simulated/" + std::move(name)} {
    configuration_.listen = "unix:" + files_.tunnel();
  }

  std::string tunnel_address() const override { return "unix:" + files_.tunnel(); }
  Status set_segment(std::int64_t segment, const std::vector<Peer>& peers, const std::string& secret) override {
    const std::lock_guard guard(mutex_);
    return configuration_.set_segment(segment, peers, secret);
  }
  Status remove_segment(std::int64_t segment) override {
    const std::lock_guard guard(mutex_);
    configuration_.remove_segment(segment);
    return {};
  }
  Result<Port> add_port(const std::string& id, std::int64_t segment) override {
    const std::lock_guard guard(mutex_);
    TRY_ASSIGN(const PortConfiguration port, configuration_.add_port(id, segment));
    return Port{files_.port(port.number), 0, kSwitchMtu};
  }
  Status remove_port(const std::string& id) override {
    const std::lock_guard guard(mutex_);
    configuration_.remove_port(id);
    return {};
  }
  Result<std::vector<std::string>> ports() override {
    const std::lock_guard guard(mutex_);
    std::vector<std::string> ids;
    for (const auto& port : configuration_.ports) ids.push_back(port.id);
    return ids;
  }
  Result<std::vector<std::int64_t>> segments() override {
    const std::lock_guard guard(mutex_);
    std::vector<std::int64_t> numbers;
    for (const auto& segment : configuration_.segments) numbers.push_back(segment.number);
    return numbers;
  }
  Status release_if_idle() override {
    const std::lock_guard guard(mutex_);
    if (configuration_.idle()) configuration_.next_port = 1;
    return {};
  }

 private:
  const SwitchFiles files_;
  std::mutex mutex_;
  Configuration configuration_;
};

}  // namespace

std::unique_ptr<Fabric> make_simulated_fabric(std::string name) {
  return std::make_unique<SimulatedFabric>(std::move(name));
}

}  // namespace nuraghe::network
