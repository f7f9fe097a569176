// For tests: network namespaces as physical hosts, and NICs on taps.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <functional>
#include <thread>

#include "network/links.hpp"
#include "network/test_world.hpp"

namespace nuraghe::network::testing_world {

// Ends, with everything in it, when the last of these objects is gone.
class Namespace {
 public:
  // kUnsupported or kDenied where none can be made.
  static Result<std::shared_ptr<Namespace>> make() {
    auto made = std::make_shared<Namespace>();
    int error = 0;
    std::thread([&] {
      if (::unshare(CLONE_NEWNET) != 0) {
        error = errno;
        return;
      }
      made->fd_ = env::UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    }).join();
    if (error != 0) return system_error("make a network namespace", error);
    return made;
  }
  const env::UniqueFd& fd() const { return fd_; }
  // On a thread of its own, for a namespace is a thread's.
  void run(const std::function<void()>& work) const {
    std::thread([&] {
      ASSERT_EQ(::setns(fd_.get(), CLONE_NEWNET), 0);
      work();
    }).join();
  }
  template <class T>
  T get(const std::function<T()>& work) const {
    std::optional<T> answer;
    run([&] { answer.emplace(work()); });
    return std::move(*answer);
  }
  // A tool that knows nothing of this room.
  std::string tool(const std::vector<std::string>& argv) const {
    return get<std::string>([&] {
      const auto output = env::run_command_ok(argv);
      if (!output) ADD_FAILURE() << output.error().to_string();
      return output.value_or("");
    });
  }
  std::vector<Link> links() const {
    return get<std::vector<Link>>([] {
      auto links = Links::open();
      return links->list().value();
    });
  }
  // What the namespace had not at first.
  std::vector<std::string> links_but(const std::vector<std::string>& known) const {
    std::vector<std::string> names;
    for (const Link& link : links()) {
      if (std::find(known.begin(), known.end(), link.name) == known.end()) names.push_back(link.name);
    }
    return names;
  }

 private:
  env::UniqueFd fd_;
};

// Why no bridges can be tried here; empty when they can.
inline std::string why_no_bridges() {
  const auto place = Namespace::make();
  if (!place) return place.error().to_string();
  const auto support = (*place)->get<Status>([] { return check_bridge_support(); });
  return support ? "" : support.error().to_string();
}

// A fabric that works in a namespace, whoever calls it.
class NamespacedFabric : public Fabric {
 public:
  NamespacedFabric(std::shared_ptr<Namespace> place, std::unique_ptr<Fabric> fabric)
      : place_(std::move(place)), fabric_(std::move(fabric)) {}
  std::string tunnel_address() const override { return fabric_->tunnel_address(); }
  Status set_segment(std::int64_t segment, const std::vector<Peer>& peers, const std::string& secret) override {
    return place_->get<Status>([&] { return fabric_->set_segment(segment, peers, secret); });
  }
  Status remove_segment(std::int64_t segment) override {
    return place_->get<Status>([&] { return fabric_->remove_segment(segment); });
  }
  Result<Port> add_port(const std::string& id, std::int64_t segment) override {
    return place_->get<Result<Port>>([&] { return fabric_->add_port(id, segment); });
  }
  Status remove_port(const std::string& id) override {
    return place_->get<Status>([&] { return fabric_->remove_port(id); });
  }
  Result<std::vector<std::string>> ports() override {
    return place_->get<Result<std::vector<std::string>>>([&] { return fabric_->ports(); });
  }
  Result<std::vector<std::int64_t>> segments() override {
    return place_->get<Result<std::vector<std::int64_t>>>([&] { return fabric_->segments(); });
  }
  Status release_if_idle() override {
    return place_->get<Status>([&] { return fabric_->release_if_idle(); });
  }

 private:
  std::shared_ptr<Namespace> place_;
  std::unique_ptr<Fabric> fabric_;
};

// A hypervisor's end of a tap.
class TapNic : public Nic {
 public:
  TapNic(std::shared_ptr<Namespace> place, std::string device) : place_(std::move(place)), device_(std::move(device)) {
    plug();
  }
  void plug() override {
    place_->run([&] {
      env::UniqueFd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
      ifreq request{};
      device_.copy(request.ifr_name, IFNAMSIZ - 1);
      request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI);
      ASSERT_EQ(::ioctl(fd.get(), TUNSETIFF, &request), 0) << device_;
      fd_ = std::move(fd);
    });
    await_forwarding();
  }
  int send(const Frame& frame) override { return ::write(fd_.get(), frame.data(), frame.size()) < 0 ? errno : 0; }

 private:
  // The bridge hears of the plug a little later.
  void await_forwarding() const {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    for (;;) {
      for (const Link& link : place_->links()) {
        if (link.name == device_ && link.is_forwarding) return;
      }
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << device_ << " does not forward";
      ::poll(nullptr, 0, 5);
    }
  }

  std::shared_ptr<Namespace> place_;
  std::string device_;
};

}  // namespace nuraghe::network::testing_world
