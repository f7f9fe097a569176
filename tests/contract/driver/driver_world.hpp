// What a driver needs around it in a test: a root of its own, a guest, a way to end a host from outside, and an account
// of everything that is left. Cleans up in its destructor, after a failed test too.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hypervisor/driver.hpp"
#include "hypervisor/qemu/driver.hpp"

namespace nuraghe::hypervisor {

class DriverWorld {
 public:
  virtual ~DriverWorld() = default;
  // A new driver object over the same root; the one before must be gone.
  virtual std::unique_ptr<Driver> open() = 0;
  // The tiny guest: READY on the console, then a beat a second.
  virtual HostSpec tiny(const std::string& id) const = 0;
  // A specification that passes the first checks and whose start fails; `message` is part of the hypervisor's own
  // words.
  virtual HostSpec broken(const std::string& id, std::string& message) const = 0;
  // Ends the host as if it had crashed.
  virtual void end_host(Driver& driver, const std::string& id) = 0;
  // Has the hypervisor pause the guest, as it does when a disk fails.
  virtual void stop_guest(Driver& driver, const std::string& id) = 0;
  // Processes, files (tombstones aside) and memory that belong to any host: empty when all were destroyed.
  virtual std::vector<std::string> leftovers() const = 0;
};

std::unique_ptr<DriverWorld> make_world(const std::string& driver);  // "sim" or "qemu"

class QemuWorld : public DriverWorld {
 public:
  // `root`: an existing folder to use instead of a new one (it is emptied at the end).
  explicit QemuWorld(std::string root = {});
  ~QemuWorld() override;
  std::unique_ptr<Driver> open() override;
  HostSpec tiny(const std::string& id) const override;
  HostSpec broken(const std::string& id, std::string& message) const override;
  void end_host(Driver& driver, const std::string& id) override;
  void stop_guest(Driver& driver, const std::string& id) override;
  std::vector<std::string> leftovers() const override;

  const std::string& root() const { return root_; }
  QemuOptions options() const;
  // Without root and memory_root.
  static QemuOptions base_options();
  static HostSpec tiny_host(const std::string& id);

 private:
  std::string root_;
  std::string memory_root_;
};

Control within(Duration timeout, int cancel_fd = -1);
// Generous: five times and more what a quiet machine needs.
inline const Control kPatient = [] {
  Control control;
  control.timeout = std::chrono::seconds(60);
  return control;
}();

// The last beat on the console; 0 when there is none.
int last_beat(Driver& driver, const std::string& id);
// Waits until beat `number` stands on the console.
Status await_beat(Driver& driver, const std::string& id, int number);

}  // namespace nuraghe::hypervisor
