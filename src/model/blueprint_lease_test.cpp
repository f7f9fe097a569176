#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/blueprint.hpp"

namespace nuraghe::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

ParsedBlueprint parse(const std::string& lease) {
  return parse_blueprint(
      "<cluster xmlns='urn:nuraghe:cluster:1' xmlns:n='urn:nuraghe:node:1' name='c'><network name='private'/>"
      "<node name='head'><n:configuration><n:image "
      "name='mini'/><n:memory>128MiB</n:memory></n:configuration></node>\n" +
          lease + "</cluster>",
      "c.xml", {});
}
std::vector<std::string> findings(const std::string& lease) {
  std::vector<std::string> texts;
  for (const auto& finding : parse(lease).findings) texts.push_back(finding.to_string());
  return texts;
}

TEST(BlueprintLease, IsRead) {
  EXPECT_FALSE(parse("").blueprint.lease);
  const auto whole = parse("<lease duration='P7D' at-end='destroy' notice='PT30M'/>");
  EXPECT_THAT(whole.findings, IsEmpty());
  ASSERT_TRUE(whole.blueprint.lease);
  EXPECT_EQ(whole.blueprint.lease->duration, 7 * 24h);
  EXPECT_TRUE(whole.blueprint.lease->destroys);
  EXPECT_EQ(whole.blueprint.lease->notice, 30min);
  EXPECT_EQ(whole.blueprint.lease->where.position.line, 2);
}

TEST(BlueprintLease, HasDefaults) {
  const auto usual = parse("<lease duration=' P7D '/>").blueprint.lease;
  ASSERT_TRUE(usual);
  EXPECT_FALSE(usual->destroys);
  EXPECT_EQ(usual->notice, 1h);
  EXPECT_EQ(parse("<lease duration='PT10M'/>").blueprint.lease->notice, 5min) << "half of a short one";
  EXPECT_EQ(parse("<lease duration='PT10M' notice='PT0S'/>").blueprint.lease->notice, 0s);
}

TEST(BlueprintLease, WhatIsWrongIsFoundWithItsPlace) {
  EXPECT_THAT(findings("<lease duration='PT0S'/>"),
              ElementsAre("c.xml:2:1: lease: its 'duration' is no time at all; write for example P7D or PT12H"));
  EXPECT_THAT(findings("<lease duration='PT1H' notice='PT1H'/>"),
              ElementsAre("c.xml:2:1: lease: its 'notice' is as long as the lease or longer; take a shorter one"));
  EXPECT_THAT(findings("<lease duration='PT1H'/>\n<lease duration='PT2H'/>"),
              ElementsAre(HasSubstr("c.xml:3:1: lease: <lease> may stand here once only")));
  for (const char* duration : {"P3651D", "P11Y", "P999999999Y"})
    EXPECT_THAT(findings("<lease duration='" + std::string(duration) + "'/>"),
                ElementsAre(HasSubstr("c.xml:2:1: lease: its 'duration' is longer than ten years")))
        << duration;
  EXPECT_THAT(findings("<lease duration='PT1H' notice='P999999999Y'/>"),
              ElementsAre(HasSubstr("c.xml:2:1: lease: its 'notice' is as long as the lease")));
}

TEST(BlueprintLease, WhatTheSchemaRefusesIsFoundOnce) {
  for (const char* lease : {"<lease/>", "<lease duration='7 days'/>", "<lease duration='-P1D'/>",
                            "<lease duration='P'/>", "<lease duration='P1D' at-end='stop'/>",
                            "<lease duration='P1D' notice='-PT1H'/>", "<lease duration='P1D' until='tomorrow'/>"}) {
    const auto found = findings(lease);
    EXPECT_THAT(found, ElementsAre(HasSubstr("c.xml:2:1: lease: "))) << lease;
  }
}

}  // namespace
}  // namespace nuraghe::model
