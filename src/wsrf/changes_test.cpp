#include "wsrf/changes.hpp"

#include "wsrf/properties.hpp"
#include "wsrf/test_world.hpp"

namespace nuraghe::wsrf {
namespace {

using ::testing::ElementsAre;
using testing::rp;

// A cluster of which two properties can be set: Operation by vcf's begin, which always wants one, and Member by what
// takes any number (the same method's field does not exist, so nothing is ever called by it).
class Changes : public ::testing::Test {
 protected:
  Changes() {
    address_ = *find_address("/services/vcf/clusters/vc-1");
    for (const auto& property : address_.resource->properties) {
      auto& own = properties_.emplace_back(property);
      if (own.name != "Operation" && own.name != "Member") continue;
      own.set_service = "vcf";
      own.set = "begin";
      own.set_key_field = "cluster";
    }
    resource_ = *address_.resource;
    resource_.properties = properties_;
    address_.resource = &resource_;
    const auto value =
        contracts::vcf::document_of(contracts::vcf::GetClusterResponse{testing::a_cluster("vc-1", "running")});
    document_ = resource_document(address_, value->root().first_child(), {});
  }
  Answer<std::vector<Change>> changes(const std::string& request) {
    const auto body = xml::Document::parse(request);
    EXPECT_TRUE(body);
    return changes_of(address_, document_, body->root());
  }
  std::string fault(const std::string& request) {
    const auto made = changes(request);
    if (made) return "none";
    const auto fault = fault_of(made.error(), "/services/vcf/clusters/vc-1", TimePoint{});
    testing::expect_valid(fault.detail->root());
    return made.error().name.local;
  }

  Address address_;
  contracts::ResourceInfo resource_{};
  std::vector<contracts::PropertyInfo> properties_;
  xml::Document document_ = xml::Document::create({"", "empty"});
};

TEST_F(Changes, AreCallsOfTheMethodThatSets) {
  const auto made = changes(rp("SetResourceProperties", "<p:Update><c:Operation>pause</c:Operation></p:Update>"));
  ASSERT_TRUE(made);
  ASSERT_EQ(made->size(), 1U);
  const auto call = made->front().call("vc-1");
  EXPECT_EQ(call->root().name(), (xml::QName{"urn:nuraghe:vcf:1", "begin"}));
  EXPECT_EQ(call->root().child("urn:nuraghe:vcf:1", "cluster").text(), "vc-1");
  EXPECT_EQ(call->root().child("urn:nuraghe:vcf:1", "operation").text(), "pause");
  EXPECT_TRUE(contracts::vcf::parse_begin_request([&] {
    exchange::Message message;
    message.body = call;
    return message;
  }()));
}

TEST_F(Changes, LaterOnesSeeEarlierOnes) {
  const auto made = changes(rp("SetResourceProperties",
                               "<p:Update><c:Operation>pause</c:Operation></p:Update>"
                               "<p:Update><c:Operation>freeze</c:Operation></p:Update>"));
  ASSERT_TRUE(made);
  ASSERT_EQ(made->size(), 1U) << "one property is set once";
  EXPECT_EQ(made->front().values.back()->root().text(), "freeze");
}

TEST_F(Changes, AListGrowsByInsertAndIsReplacedByUpdate) {
  const std::string member = "<c:Member><c:name>n</c:name></c:Member>";
  const auto grown = changes(rp("InsertResourceProperties", "<p:Insert>" + member + member + "</p:Insert>"));
  ASSERT_TRUE(grown);
  EXPECT_EQ(grown->front().values.size(), 5U);
  const auto replaced = changes(rp("UpdateResourceProperties", "<p:Update>" + member + "</p:Update>"));
  ASSERT_TRUE(replaced);
  EXPECT_EQ(replaced->front().values.size(), 1U);
}

TEST_F(Changes, ThatCannotBeAreFaultsBeforeAnythingIsCalled) {
  EXPECT_EQ(fault(rp("InsertResourceProperties", "<p:Insert><c:Operation>pause</c:Operation></p:Insert>")),
            "InvalidModificationFault")
      << "it has a value already";
  EXPECT_EQ(fault(rp("UpdateResourceProperties",
                     "<p:Update><c:Operation>pause</c:Operation><c:Operation>freeze</c:Operation></p:Update>")),
            "InvalidModificationFault");
  EXPECT_EQ(fault(rp("DeleteResourceProperties", "<p:Delete ResourceProperty='c:Operation'/>")),
            "InvalidModificationFault")
      << "its method always wants a value";
  EXPECT_EQ(fault(rp("DeleteResourceProperties", "<p:Delete ResourceProperty='c:State'/>")),
            "UnableToModifyResourcePropertyFault");
  EXPECT_EQ(fault(rp("DeleteResourceProperties", "<p:Delete ResourceProperty='rl:TerminationTime'/>")),
            "UnableToModifyResourcePropertyFault");
  EXPECT_EQ(fault(rp("DeleteResourceProperties", "<p:Delete ResourceProperty='c:Colour'/>")),
            "InvalidResourcePropertyQNameFault");
  EXPECT_EQ(fault(rp("SetResourceProperties",
                     "<p:Update><c:Operation>pause</c:Operation></p:Update>"
                     "<p:Update><c:State>frozen</c:State></p:Update>")),
            "UnableToModifyResourcePropertyFault");
}

TEST_F(Changes, AFailureSaysWhatIsNowAndWhatWasWanted) {
  const auto made = changes(rp("SetResourceProperties", "<p:Update><c:Operation>pause</c:Operation></p:Update>"));
  ASSERT_TRUE(made);
  for (const bool restored : {true, false}) {
    const auto refusal =
        failure_of("SetResourceProperties", made->front(), document_, conflict("it is frozen"), restored);
    const auto fault = fault_of(refusal, "/services/vcf/clusters/vc-1", TimePoint{});
    testing::expect_valid(fault.detail->root());
    const auto failure = fault.detail->root().child(kProperties, "ResourcePropertyChangeFailure");
    EXPECT_EQ(refusal.name.local, "SetResourcePropertyRequestFailedFault");
    EXPECT_EQ(failure.attribute_or("Restored", ""), restored ? "true" : "false");
    EXPECT_EQ(failure.child(kProperties, "RequestedValue").text(), "pause");
    EXPECT_TRUE(failure.child(kProperties, "CurrentValue"));
  }
  EXPECT_EQ(failure_of("UpdateResourceProperties", made->front(), document_, conflict("no"), true).name.local,
            "UpdateResourcePropertiesRequestFailedFault");
  EXPECT_EQ(failure_of("SetResourceProperties", made->front(), document_, invalid("no"), true).name.local,
            "InvalidModificationFault");
}

TEST_F(Changes, APutDocumentSetsWhatDiffers) {
  std::string text = document_.to_string();
  const auto put = [&] { return rp("PutResourcePropertyDocument", text); };
  ASSERT_TRUE(changes(put()));
  EXPECT_TRUE(changes(put())->empty());
  const auto wanted = xml::Document::parse(text);
  xml::Node(wanted->root().child("urn:nuraghe:vcf:1", "Operation")).set_text("pause");
  text = wanted->to_string();
  const auto made = changes(put());
  ASSERT_TRUE(made);
  ASSERT_EQ(made->size(), 1U);
  EXPECT_EQ(made->front().property->name, "Operation");
  EXPECT_EQ(fault(rp("PutResourcePropertyDocument", "<c:Other/>")), "UnableToPutResourcePropertyDocumentFault");
}

TEST(Addresses, NameResourcesGroupsAndEntries) {
  const auto resource = find_address("/services/vhir/images/mini%3A1");
  ASSERT_TRUE(resource);
  EXPECT_EQ(resource->key, "mini:1");
  EXPECT_EQ(resource->path(), "/services/vhir/images/mini%3A1");
  EXPECT_EQ(description_of(*resource), "vhir-image");
  EXPECT_EQ(find_address("http://h:1/services/vcf/clusters/x?wsdl")->key, "x");
  EXPECT_EQ(find_address("/services/vcf/clusters")->part, Part::kGroup);
  EXPECT_EQ(description_of(*find_address("/services/vhf/physical-hosts/a/entry")), "vhf-physical-host-entry");
  for (const char* path :
       {"", "/", "/services/vcf", "/services/vcf/cluster/x", "/services/vcf/clusters/x/entry",
        "/services/vcf/clusters/x/y", "/services/vhf/physical-hosts/a/entry/b", "/services/vcf/clusters//",
        "/services/vcf/clusters/%zz", "/elsewhere/services/vcf/clusters/x", "http://h"})
    EXPECT_FALSE(find_address(path)) << path;
}

TEST(Addresses, WhatAnOperationNeedsIsWhatItCalls) {
  const auto names = [](const std::string& path, const std::string& body) {
    const auto document = xml::Document::parse(body);
    std::vector<std::string> found;
    for (const auto* method : methods_behind(*find_address(path), document->root().local_name(), document->root()))
      found.push_back(std::string(method->service) + ":" + std::string(method->name));
    return found;
  };
  EXPECT_THAT(names(testing::kVc1, rp("GetResourceProperty", "c:State")), ElementsAre("vcf:get_cluster"));
  EXPECT_THAT(names(testing::kVc1, testing::rl("Destroy")), ElementsAre("vcf:get_cluster", "vcm:destroy_vc"));
  EXPECT_THAT(names(testing::kVc1, testing::rl("SetTerminationTime")),
              ElementsAre("vcf:get_cluster", "vcm:destroy_vc"));
  EXPECT_THAT(names(testing::kVc1, "<freeze_vc xmlns='urn:nuraghe:vcm:1'/>"), ElementsAre("vcm:freeze_vc"));
  EXPECT_THAT(names(testing::kVc1, "<create_vc xmlns='urn:nuraghe:vcm:1'/>"), ElementsAre());
  EXPECT_THAT(names("/services/vcf/clusters", rp("GetResourcePropertyDocument", "")), ElementsAre("vcf:list_clusters"));
  EXPECT_THAT(names("/services/vcf/clusters", testing::rl("Destroy")), ElementsAre());
  EXPECT_THAT(names("/services/vhf/physical-hosts", "<Add/>"), ElementsAre("vhf:register_physical_host"));
  EXPECT_THAT(names("/services/vhf/physical-hosts/a/entry", testing::rl("Destroy")),
              ElementsAre("vhf:get_physical_host", "vhf:renew_physical_host"));
  EXPECT_THAT(names("/services/workflow/processes/p", testing::rl("Destroy")), ElementsAre());
}

}  // namespace
}  // namespace nuraghe::wsrf
