#include "exchange/fault.hpp"

#include <gmock/gmock.h>

#include "env/posix.hpp"
#include "exchange/message.hpp"
#include "test_folders.hpp"
#include "xml/schema.hpp"

namespace nuraghe::exchange {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimePoint kNoon{1'769'860'800'000'000};

const xml::Schema& schema() {
  static const xml::Schema compiled = [] {
    std::map<std::string, std::string> files;
    for (const char* path : {"fault.xsd", "standards/wsrf/bf-2.xsd", "standards/wsrf/r-2.xsd",
                             "standards/wsa/ws-addr.xsd", "standards/wsdl/xml.xsd"})
      files[path] = env::read_file(std::string(NURAGHE_SOURCE_DIR) + "/contracts/" + path).value();
    files["main.xsd"] =
        "<s:schema xmlns:s='http://www.w3.org/2001/XMLSchema'><s:import namespace='urn:nuraghe:fault:1' "
        "schemaLocation='fault.xsd'/><s:import namespace='http://docs.oasis-open.org/wsrf/r-2' "
        "schemaLocation='standards/wsrf/r-2.xsd'/></s:schema>";
    return xml::Schema::compile("main.xsd", files).value();
  }();
  return compiled;
}

std::vector<std::string> findings(const Fault& fault) {
  std::vector<std::string> out;
  for (const auto& finding : schema().validate(*fault.detail)) out.push_back(finding.to_string());
  return out;
}

TEST(Fault, IsABaseFaultWithItsChainOfCauses) {
  const Error error = exhausted("2 GiB are missing").with("placing host a").with("creating cluster c");
  const Fault fault = fault_of(error, "vhc vhc-1", kNoon);
  EXPECT_THAT(findings(fault), IsEmpty());
  const xml::Node root = fault.detail->root();
  EXPECT_EQ(root.child(kBaseFaultNamespace, "Timestamp").text(), kNoon.to_string());
  EXPECT_EQ(root.child(kBaseFaultNamespace, "Originator").text(), "/services/vhc-1");
  EXPECT_EQ(code_of(root), ErrorCode::kExhausted);
  EXPECT_EQ(description_of(root), "creating cluster c: placing host a: 2 GiB are missing");
  const xml::Node cause = root.child(kBaseFaultNamespace, "FaultCause").first_child();
  EXPECT_TRUE(cause.is(kFaultNamespace, "fault"));
  EXPECT_EQ(description_of(cause), "placing host a: 2 GiB are missing");
  const Error back = error_of(fault);
  EXPECT_EQ(back.message(), "2 GiB are missing");
  EXPECT_THAT(back.context(), ElementsAre("placing host a", "creating cluster c"));
  EXPECT_EQ(back.code(), ErrorCode::kExhausted);
}

TEST(Fault, HasTheNameOfAnotherSpecification) {
  const Fault fault = fault_of(not_found("there is no cluster c"), "/services/vcf/clusters/c", kNoon,
                               {"http://docs.oasis-open.org/wsrf/r-2", "ResourceUnknownFault"});
  EXPECT_THAT(findings(fault), IsEmpty());
  EXPECT_EQ(fault.detail->root().local_name(), "ResourceUnknownFault");
  EXPECT_EQ(error_of(fault).code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of(fault).to_string(), "there is no cluster c");
}

TEST(Fault, TextThatXmlCannotCarryDoesNotSpoilIt) {
  EXPECT_THAT(findings(fault_of(internal("bad \x01 byte \xff").with("reading <x> & y"), "vhf", kNoon)), IsEmpty());
}

TEST(Fault, OthersCausesAreReadToo) {
  Fault fault;
  fault.reason = "outer";
  fault.code = ErrorCode::kUnavailable;
  fault.detail =
      xml::Document::parse(
          "<x:Full xmlns:x='urn:x' xmlns:b='http://docs.oasis-open.org/wsrf/bf-2'><b:Timestamp>2026-01-01T00:00:00Z"
          "</b:Timestamp><b:ErrorCode dialect='urn:x'>17</b:ErrorCode><b:Description>the disk is full</b:Description>"
          "<b:FaultCause><x:Disk><b:Timestamp>2026-01-01T00:00:00Z</b:Timestamp><b:Description>no "
          "blocks</b:Description>"
          "</x:Disk></b:FaultCause></x:Full>")
          .value()
          .clone()
          .share();
  const Error error = error_of(fault);
  EXPECT_EQ(error.to_string(), "the disk is full: no blocks");
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << "another dialect's codes mean nothing here";
}

TEST(Fault, StoredOnesOfTheOldFormAreRead) {
  Fault fault;
  fault.detail = xml::Document::parse(
                     "<fault xmlns='urn:nuraghe:fault:1' code='exhausted'><message>2 GiB are missing</message>"
                     "<context>placing host a</context><originator>vhf</originator></fault>")
                     .value()
                     .clone()
                     .share();
  EXPECT_EQ(error_of(fault).to_string(), "placing host a: 2 GiB are missing");
  EXPECT_EQ(error_of(fault).code(), ErrorCode::kExhausted);
}

TEST(Fault, WhatAProcessMadeGetsItsTime) {
  const auto made = xml::Document::parse(
                        "<f:fault xmlns:f='urn:nuraghe:fault:1' xmlns:b='http://docs.oasis-open.org/wsrf/bf-2'>"
                        "<b:ErrorCode dialect='urn:nuraghe:fault:1'>cancelled</b:ErrorCode><b:Description>aborted"
                        "</b:Description></f:fault>")
                        .value();
  ASSERT_TRUE(lacks_timestamp(made.root()));
  Fault fault;
  fault.detail = with_timestamp(made.root(), kNoon);
  EXPECT_THAT(findings(fault), IsEmpty());
  EXPECT_FALSE(lacks_timestamp(fault.detail->root()));
  EXPECT_EQ(error_of(fault).code(), ErrorCode::kCancelled);
}

TEST(Fault, AnEndlessChainIsReadInPart) {
  std::string text = "<b:Timestamp>2026-01-01T00:00:00Z</b:Timestamp><b:Description>d</b:Description>";
  for (int i = 0; i < 100; ++i)
    text = "<b:Timestamp>2026-01-01T00:00:00Z</b:Timestamp><b:Description>" + std::to_string(i) +
           "</b:Description><b:FaultCause><f:fault>" + text + "</f:fault></b:FaultCause>";
  Fault fault;
  fault.detail = xml::Document::parse(
                     "<f:fault xmlns:f='urn:nuraghe:fault:1' "
                     "xmlns:b='http://docs.oasis-open.org/wsrf/bf-2'>" +
                     text + "</f:fault>")
                     .value()
                     .clone()
                     .share();
  EXPECT_LE(error_of(fault).context().size(), 64U);
}

}  // namespace
}  // namespace nuraghe::exchange
