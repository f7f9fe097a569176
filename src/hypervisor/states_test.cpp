#include "hypervisor/states.hpp"

#include <gtest/gtest.h>

namespace nuraghe::hypervisor {
namespace {

// State × verb as it stands in the contract's comments (driver.hpp): 'x' works, '=' is there already, '.' conflict.
// Rows in the order of kVerbs, columns in that of kHostStates: initial, running, paused, frozen, destroyed.
constexpr std::array<std::string_view, 10> kExpected = {
    "x=...",  // create
    ".x=..",  // pause
    ".=x..",  // resume
    ".xx=.",  // freeze
    ".=.x.",  // thaw
    "..=x.",  // thaw, paused
    "xxxx=",  // destroy
    ".xx..",  // set_link
    "...x.",  // export
    "x..=.",  // import
};

TEST(States, TheTableIsTheContract) {
  for (std::size_t verb = 0; verb < kVerbs.size(); ++verb) {
    for (std::size_t state = 0; state < kHostStates.size(); ++state) {
      const char expected = kExpected.at(verb).at(state);
      const Legality seen = legality(kVerbs.at(verb), kHostStates.at(state));
      EXPECT_EQ(seen, expected == 'x'   ? Legality::kLegal
                      : expected == '=' ? Legality::kAlready
                                        : Legality::kIllegal)
          << verb_name(kVerbs.at(verb)) << " in " << host_state_name(kHostStates.at(state));
    }
  }
}

TEST(States, ARefusalNamesHostStateAndVerb) {
  const auto refused = must_act(Verb::kPause, HostState::kFrozen, "h1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  EXPECT_EQ(refused.error().message(), "host h1 is frozen: pause is not possible in this state");
}

TEST(States, Ids) {
  for (const char* id : {"a", "vh-4k2", "A.b_c-9"}) EXPECT_TRUE(check_host_id(id)) << id;
  for (const char* id : {"", ".", ".a", "a/b", "a b", "a\n"}) EXPECT_FALSE(check_host_id(id)) << id;
  EXPECT_TRUE(check_host_id(std::string(64, 'a')));
  EXPECT_FALSE(check_host_id(std::string(65, 'a')));
}

}  // namespace
}  // namespace nuraghe::hypervisor
