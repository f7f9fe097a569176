#include "hypervisor/qemu/frozen_format.hpp"

#include <gtest/gtest.h>

namespace nuraghe::hypervisor::qemu {
namespace {

TEST(FrozenFormat, TakesMajorAndMinorOfTheVersion) {
  EXPECT_EQ(qemu_version("QEMU emulator version 7.2.19 (Debian 1:7.2+dfsg-7)\nCopyright").value(), "7.2");
  EXPECT_EQ(qemu_version("QEMU emulator version 10.0").value(), "10.0");
  for (const char* text : {"", "QEMU", "version", "version x.y", "version 7"}) EXPECT_FALSE(qemu_version(text)) << text;
}

TEST(FrozenFormat, AnotherProcessorIsAnotherWord) {
  const std::string one = "processor\t: 0\nvendor_id\t: V\nmodel name\t: M\ncpu MHz\t\t: 2000.1\nflags\t\t: fpu sse\n";
  std::string slower = one;
  slower.replace(slower.find("2000.1"), 6, "1000.9");
  EXPECT_EQ(processor_word(one), processor_word(slower)) << "its clock rate is no part of it";
  std::string poorer = one;
  poorer.replace(poorer.find(" sse"), 4, "");
  EXPECT_NE(processor_word(one), processor_word(poorer));
  EXPECT_EQ(processor_word(one).size(), 16U);
}

}  // namespace
}  // namespace nuraghe::hypervisor::qemu
