// The contracts of Nuraghe's own services: every WSDL is valid WSDL 1.1, every schema compiles with all its imports,
// the built-in texts are the files, and the addresses can be set.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contracts/operation.hpp"
#include "contracts/texts.hpp"
#include "env/posix.hpp"
#include "schemas.hpp"
#include "test_folders.hpp"

namespace nuraghe::contracts {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kFolder = std::string(NURAGHE_BUILD_DIR) + "/contracts";

TEST(Contracts, HaveTheServices) {
  EXPECT_THAT(service_names(), testing::IsSupersetOf({"vcf", "vcm", "vhc", "vhf", "vhir", "vhm"}));
}

// WSDL 1.1 and its SOAP binding as one schema: the first alone skips the elements of the second.
xml::Schema wsdl_schema() {
  auto files = all_texts();
  files["both.xsd"] =
      "<xsd:schema xmlns:xsd='http://www.w3.org/2001/XMLSchema'>"
      "<xsd:import namespace='http://schemas.xmlsoap.org/wsdl/' schemaLocation='standards/wsdl/wsdl.xsd'/>"
      "<xsd:import namespace='http://schemas.xmlsoap.org/wsdl/soap/' schemaLocation='standards/wsdl/soap-binding.xsd'/>"
      "</xsd:schema>";
  auto schema = xml::Schema::compile("both.xsd", files);
  EXPECT_TRUE(schema) << (schema ? "" : schema.error().to_string());
  return std::move(*schema);
}

TEST(Contracts, EveryWsdlIsValid) {
  const auto schema = wsdl_schema();
  for (const auto& name : service_names()) {
    const std::string text(wsdl_text(name));
    auto document = xml::Document::parse(text, {.source = name + ".wsdl"});
    ASSERT_TRUE(document) << document.error().to_string();
    EXPECT_EQ(tests::findings_of(schema, document->root()), "");
    EXPECT_EQ(document->root().attribute("targetNamespace"), "urn:nuraghe:" + name + ":1");
    // The schema is at work on the SOAP elements too.
    auto broken = text;
    broken.replace(broken.find("style=\"document\""), 16, "style=\"documental\"");
    EXPECT_NE(tests::findings_of(schema, xml::Document::parse(broken)->root()), "");
  }
}

TEST(Contracts, TheTableHasEveryOperationOfTheWsdls) {
  std::vector<std::string> names;
  for (const auto& service : all_services()) {
    names.emplace_back(service.name);
    const auto document = xml::Document::parse(std::string(wsdl_text(service.name)));
    ASSERT_TRUE(document);
    EXPECT_EQ(document->root().attribute("targetNamespace"), service.name_space);
    const auto port_type = document->root().child("http://schemas.xmlsoap.org/wsdl/", "portType");
    std::vector<std::string> described;
    for (const auto& operation : port_type.children()) {
      if (operation.local_name() == "operation") described.push_back(operation.attribute_or("name", ""));
    }
    std::vector<std::string> listed;
    for (const auto& operation : service.operations) {
      listed.emplace_back(operation.name);
      EXPECT_EQ(operation.service, service.name);
      EXPECT_EQ(operation_at("/services/" + names.back() + "/x", operation.name), &operation);
    }
    EXPECT_EQ(listed, described);
  }
  EXPECT_EQ(names, service_names());
  EXPECT_EQ(operation_at("/services/vhf", "create_host"), nullptr);
  EXPECT_EQ(operation_at("/elsewhere/vhf", "reserve"), nullptr);
  EXPECT_EQ(operation_at("/services/host-1", "create_host"), operation_at("/services/vhc", "create_host"));
}

TEST(Contracts, StepsOfWorkflowsAreNobodysFromOutside) {
  const auto names_of = [](Access access) {
    std::vector<std::string> names;
    for (const auto& service : all_services()) {
      for (const auto& operation : service.operations) {
        if (operation.access == access) names.push_back(std::string(service.name) + "." + std::string(operation.name));
      }
    }
    return names;
  };
  EXPECT_THAT(
      names_of(Access::kInternal),
      testing::UnorderedElementsAre(
          "vcf.plan", "vcf.prepare", "vcf.begin", "vcf.end", "vcf.assign_identity", "vcf.release_identity",
          "vcf.create_cluster", "vcf.pause_cluster", "vcf.resume_cluster", "vcf.freeze_cluster", "vcf.thaw_cluster",
          "vcf.destroy_cluster", "vcf.abort_cluster", "vcm.end_lease", "vhf.reserve", "vhf.reserve_host", "vhf.release",
          "vhf.begin_host", "vhf.record_host", "vhf.end_host", "vhf.get_segments", "vhf.create_vh", "vhf.pause_vh",
          "vhf.resume_vh", "vhf.freeze_vh", "vhf.thaw_vh", "vhf.destroy_vh", "vhf.abort_vh", "vhf.create_network",
          "vhf.destroy_network", "vhf.follow_network", "vhir.resolve", "vhir.release_image", "vhir.store_state",
          "vhir.drop_state", "hades.begin_deployment", "hades.start_system", "hades.partition",
          "hades.make_filesystems", "hades.populate", "hades.configure", "hades.boot", "hades.wipe", "hades.power_off",
          "hades.stop_step", "hades.end_deployment", "hades.begin_release", "hades.end_release"));
  EXPECT_THAT(
      names_of(Access::kSite),
      testing::UnorderedElementsAre(
          "hades.enrol_machine", "hades.list_machines", "hades.get_machine", "hades.inspect_machine",
          "hades.power_machine", "hades.set_boot_device", "hades.read_sensors", "hades.cordon_machine",
          "hades.remove_machine", "hades.abandon_deployment", "hades.propose", "hades.deploy", "hades.abort",
          "hades.release", "ca.create_join_token", "ca.list_join_tokens", "ca.list_certificates", "ca.revoke_host",
          "tenant.create_vo", "tenant.delete_vo", "tenant.list_vos", "tenant.issue_wide_token", "tenant.set_quota",
          "tenant.list_site_audit", "tenant.verify_audit", "workflow.suspend_site_instance",
          "workflow.terminate_site_instance", "vhf.forget_physical_host", "vhir.import_image", "vhc.create_host",
          "vhc.wait_host", "vhc.pause_host", "vhc.resume_host", "vhc.freeze_host", "vhc.thaw_host", "vhc.export_host",
          "vhc.import_host", "vhc.destroy_host", "vhc.abort_host", "vhc.create_network", "vhc.destroy_network"));
  EXPECT_THAT(names_of(Access::kController),
              testing::UnorderedElementsAre("registry.register_service", "registry.renew_service",
                                            "registry.publish_events", "trace.record_spans",
                                            "vhf.register_physical_host", "vhf.renew_physical_host", "vhf.report"));
}

TEST(Contracts, EverySchemaCompilesAlone) {
  int count = 0;
  for (const auto& [path, text] : all_texts()) {
    if (!path.ends_with(".xsd")) continue;
    const auto schema = xml::Schema::compile(path, all_texts());
    EXPECT_TRUE(schema) << path << ": " << (schema ? "" : schema.error().to_string());
    ++count;
  }
  EXPECT_GE(count, 9);
}

TEST(Contracts, EveryDefinitionIsValid) {
  const auto schema = tests::compile_schema(kFolder, "service.xsd");
  for (const auto& name : service_names()) {
    auto document = xml::Document::parse_file(std::string(NURAGHE_SOURCE_DIR) + "/contracts/" + name + ".service.xml");
    ASSERT_TRUE(document) << document.error().to_string();
    EXPECT_EQ(tests::findings_of(schema, document->root()), "");
  }
}

TEST(Contracts, TheBuiltInTextsAreTheFiles) {
  for (const auto& [path, text] : all_texts()) {
    const auto file = env::read_file(kFolder + "/" + path);
    ASSERT_TRUE(file) << file.error().to_string();
    EXPECT_EQ(*file, text) << path;
  }
  EXPECT_EQ(xsd_text("standards/wsa/ws-addr.xsd"), all_texts().at("standards/wsa/ws-addr.xsd"));
  EXPECT_EQ(xsd_text("vhf.wsdl"), "");
  EXPECT_EQ(xsd_text("../vhf.xsd"), "");
  EXPECT_EQ(wsdl_text("vhf.xsd"), "");
  EXPECT_EQ(wsdl_text(""), "");
}

TEST(Contracts, TheAddressCanBeSet) {
  const auto text = with_address(wsdl_text("vhf"), "http://127.0.0.1:8470/services/vhf?a=1&b=<2>");
  EXPECT_THAT(text, HasSubstr("location=\"http://127.0.0.1:8470/services/vhf?a=1&amp;b=&lt;2&gt;\""));
  EXPECT_THAT(text, Not(HasSubstr("http://localhost/")));
  const auto document = xml::Document::parse(text);
  ASSERT_TRUE(document) << document.error().to_string();
  const auto original = xml::Document::parse(wsdl_text("vhf"));
  const auto back = xml::Document::parse(with_address(text, "http://localhost/services/vhf"));
  EXPECT_TRUE(xml::equivalent(original->root(), back->root()));
}

}  // namespace
}  // namespace nuraghe::contracts
