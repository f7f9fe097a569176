// What the tests of the qemu driver alone share.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "driver_world.hpp"
#include "env/posix.hpp"

namespace nuraghe::hypervisor {

#define ASSERT_OK(expression)                                  \
  do {                                                         \
    const auto& ok_status_ = (expression);                     \
    ASSERT_TRUE(ok_status_) << ok_status_.error().to_string(); \
  } while (false)

class Qemu : public testing::Test {
 protected:
  void open(std::string root = {}) {
    world_ = std::make_unique<QemuWorld>(std::move(root));
    driver_ = world_->open();
    ASSERT_NE(driver_, nullptr);
  }
  void reopen() {
    driver_.reset();
    driver_ = world_->open();
    ASSERT_NE(driver_, nullptr);
  }
  void TearDown() override {
    if (!driver_) return;
    const auto ids = driver_->list();
    for (const auto& id : ids ? *ids : std::vector<std::string>()) EXPECT_TRUE(driver_->destroy(id, kPatient));
    EXPECT_EQ(world_->leftovers(), std::vector<std::string>());
    driver_.reset();
  }
  void create_ready(const HostSpec& spec) {
    ASSERT_OK(driver_->create(spec, kPatient));
    ASSERT_OK(driver_->wait_ready(spec.id, ReadyCondition::kConsoleText, "READY", kPatient));
  }
  std::string folder(const std::string& id) const { return world_->root() + "/hosts/" + id; }
  std::string ram(const std::string& id) const {
    return fmt::format("{}/{}/{}", world_->options().memory_root, env::read_file(world_->root() + "/instance").value(),
                       id);
  }

  std::unique_ptr<QemuWorld> world_;
  std::unique_ptr<Driver> driver_;
};

}  // namespace nuraghe::hypervisor
