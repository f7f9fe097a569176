#include "soap/references.hpp"

#include <gtest/gtest.h>

#include "soap/envelope.hpp"

namespace nuraghe::soap {
namespace {

xml::DocumentPtr reference(std::string_view ns) {
  const std::string text =
      "<w:EndpointReference xmlns:w='" + std::string(ns) +
      "' xmlns:p='urn:p'><w:Address>http://a.test/</w:Address><w:ReferenceProperties><p:one>1</p:one>"
      "</w:ReferenceProperties><w:ReferenceParameters><p:two>p:name</p:two></w:ReferenceParameters>"
      "</w:EndpointReference>";
  return xml::Document::parse(text, {}).value().share();
}

std::vector<xml::Node> blocks_of(const xml::DocumentPtr& document) {
  return document->root().child(kParts, "header").children();
}

TEST(References, TheStandardsParametersAreRepeatedAndMarked) {
  const auto document = reference(kAddressing);
  const auto blocks = header_blocks_of(document->root());
  ASSERT_EQ(blocks_of(blocks).size(), 1U) << "the standard has no reference properties";
  const xml::Node two = blocks_of(blocks)[0];
  EXPECT_EQ(two.name(), (xml::QName{"urn:p", "two"}));
  EXPECT_EQ(two.attribute("IsReferenceParameter", kAddressing), "true");
  EXPECT_EQ(two.resolve_qname(two.text()), (xml::QName{"urn:p", "name"})) << "names in it keep their prefixes";
}

TEST(References, TheSubmissionsPropertiesAndParametersAreRepeatedAsTheyAre) {
  for (const std::string_view ns :
       {kAddressing2004, std::string_view("http://schemas.xmlsoap.org/ws/2003/03/addressing")}) {
    EXPECT_TRUE(is_addressing(ns));
    const auto document = reference(ns);
    const auto blocks = header_blocks_of(document->root());
    ASSERT_EQ(blocks_of(blocks).size(), 2U) << ns;
    EXPECT_EQ(blocks_of(blocks)[0].local_name(), "one");
    EXPECT_FALSE(blocks_of(blocks)[0].attribute("IsReferenceParameter", kAddressing));
  }
  EXPECT_FALSE(is_addressing("urn:p"));
}

TEST(References, ABodyIsPutBehindTheBlocks) {
  const auto body = xml::Document::create({"urn:b", "body"}).share();
  EXPECT_EQ(with_header_blocks(nullptr, body), body);
  const auto document = reference(kAddressing);
  const auto blocks = header_blocks_of(document->root());
  const auto once = with_header_blocks(blocks, body);
  EXPECT_EQ(body_element(once).name(), (xml::QName{"urn:b", "body"}));
  const auto twice = with_header_blocks(blocks, once);
  EXPECT_EQ(blocks_of(twice).size(), 2U);
  EXPECT_EQ(twice->root().child(kParts, "body").children().size(), 1U);
  EXPECT_EQ(body_element(with_header_blocks(blocks, nullptr)), xml::Node());
}

// Who names an address does not say in whose name our message comes, nor what it is.
TEST(References, WhatIsOursIsNotRepeated) {
  const std::string text = "<w:EndpointReference xmlns:w='" + std::string(kAddressing) + "' xmlns:c='" +
                           std::string(kContext) + "' xmlns:o='" + std::string(kAddressing2004) +
                           "'><w:Address>http://a.test/</w:Address><w:ReferenceParameters><c:vo>other</c:vo>"
                           "<c:caller>token:admin</c:caller><w:To>http://b.test/</w:To><o:MessageID>urn:1</o:MessageID>"
                           "<s:Fault xmlns:s='" +
                           std::string(kEnvelope11) +
                           "'/><k xmlns='urn:k'>7</k></w:ReferenceParameters></w:EndpointReference>";
  const auto document = xml::Document::parse(text, {}).value().share();
  const auto blocks = header_blocks_of(document->root());
  ASSERT_EQ(blocks_of(blocks).size(), 1U);
  EXPECT_EQ(blocks_of(blocks)[0].text(), "7");
}

}  // namespace
}  // namespace nuraghe::soap
