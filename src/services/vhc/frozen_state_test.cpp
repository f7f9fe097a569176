#include "services/vhc/frozen_state.hpp"

#include <gtest/gtest.h>

#include "base/record.hpp"

namespace nuraghe::services::vhc {
namespace {

FrozenState example() {
  FrozenState state;
  state.format = "qemu 7.2 tcg";
  state.fragment = "<node xmlns=\"urn:nuraghe:node:1\" name=\"w\"/>";
  state.image = {"mini", "1", "sha256:ab", ""};
  state.seed = {"sha256:cd", "http://h/seeds/c/sha256:cd"};
  state.mtu = {{"cluster", 1450}, {"management", 0}};
  state.mac = {{"cluster", "52:54:00:12:34:56"}};
  state.booted = true;
  return state;
}

TEST(FrozenState, ComesBackAsItWasWritten) {
  const auto state = example();
  const auto read = read_frozen_state(write_frozen_state(state));
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(encode_record(*read), encode_record(state));
  EXPECT_EQ(write_frozen_state(*read), write_frozen_state(state)) << "its digest stays the same";
}

TEST(FrozenState, RefusesWhatIsNone) {
  const std::string text = write_frozen_state(example());
  for (const std::string& broken : {std::string(), std::string("[]"), std::string("{}"), text.substr(1), text + "x",
                                    std::string(text).replace(text.find("1450"), 4, "-145"),
                                    std::string(text).replace(text.find("\"image\""), 7, "\"other\"")}) {
    const auto read = read_frozen_state(broken);
    ASSERT_FALSE(read) << broken;
    EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace nuraghe::services::vhc
