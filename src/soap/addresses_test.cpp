#include "soap/addresses.hpp"

#include <gtest/gtest.h>

namespace nuraghe::soap {
namespace {

const std::string kOwn = "http://127.0.0.1:8470";
const std::string kTold = "https://10.0.0.1:8470";

SharedPathOf own() {
  return std::make_shared<const PathOf>([](std::string_view address) { return path_below(kOwn, address); });
}

xml::DocumentPtr reference(const std::string& address) {
  auto document = xml::Document::parse(
      "<x xmlns:a='http://www.w3.org/2005/08/addressing'><one><a:Address>" + address +
      "</a:Address></one><text>http://127.0.0.1:8470/services/vcf</text><Address>/services/vcf</Address></x>");
  EXPECT_TRUE(document);
  return std::move(*document).share();
}

std::string told(const std::string& address) {
  return told_with(reference(address), own(), kTold)->root().first_child().text();
}

TEST(Addresses, OwnOnesAreToldAsTheirReceiverReachesThem) {
  EXPECT_EQ(told(kOwn + "/services/vcf/clusters/vc-1"), kTold + "/services/vcf/clusters/vc-1");
  EXPECT_EQ(told("/services/vcf"), kTold + "/services/vcf");
  const auto document = told_with(reference("/services/vcf"), own(), kTold);
  EXPECT_EQ(document->root().children().back().text(), "/services/vcf") << "only what is a wsa:Address";
  EXPECT_EQ(document->root().child("", "text").text(), kOwn + "/services/vcf");
}

TEST(Addresses, OthersStay) {
  for (const char* address : {"http://127.0.0.1:84701/services/vcf", "http://127.0.0.1:8470.example/services/vcf",
                              "http://other/services/vcf", "http://www.w3.org/2005/08/addressing/anonymous",
                              "http://127.0.0.1:8470/seeds/x", "http://127.0.0.1:8470", "urn:x", ""}) {
    const auto document = reference(address);
    EXPECT_EQ(told_with(document, own(), kTold), document) << address;
  }
}

TEST(Addresses, NothingIsToldOtherwiseWithoutABase) {
  const auto document = reference(kOwn + "/services/vcf");
  EXPECT_EQ(told_with(document, own(), ""), document);
  EXPECT_EQ(told_with(nullptr, own(), kTold), nullptr);
  EXPECT_EQ(told_with(document, nullptr, kTold), document) << "only paths are known to be this process's";
  EXPECT_EQ(told_with(reference("/services/vcf"), nullptr, kTold)->root().first_child().text(),
            kTold + "/services/vcf");
}

TEST(Addresses, WhatIsSharedIsNotChanged) {
  const auto document = reference(kOwn + "/services/vcf");
  EXPECT_NE(told_with(document, own(), kTold), document);
  EXPECT_EQ(document->root().first_child().text(), kOwn + "/services/vcf");
}

}  // namespace
}  // namespace nuraghe::soap
