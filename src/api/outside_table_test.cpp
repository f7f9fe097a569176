#include "api/outside_table.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "api/access.hpp"
#include "api/outside_door.hpp"
#include "services/registry/registry.hpp"

namespace nuraghe::api {
namespace {

using services::registry::ServiceRow;
using RegistryAccess = contracts::registry::Access;

constexpr const char* kNamespace = "urn:example:greeting:1";

ServiceRow greeting() {
  ServiceRow row;
  row.name = "greeting";
  row.name_space = kNamespace;
  row.address = "https://10.0.0.3:8471/services/greeting";
  row.operations = {
      {"list", RegistryAccess::kViewer, true, false, "GET", "/greetings"},
      {"greet", RegistryAccess::kOperator, false, false, "POST", "/greetings"},
      {"get", RegistryAccess::kViewer, true, false, "GET", "/greetings/{name}"},
      {"remove", RegistryAccess::kOwner, false, false, "DELETE", "/greetings/{who}"},
      {"secret", RegistryAccess::kSite, true, false, "GET", "/greetings/secret"},
      {"deep", RegistryAccess::kViewer, true, false, "GET", "/greetings/{name}/all"},
      {"soap_only", RegistryAccess::kInternal, false, false, std::nullopt, std::nullopt},
  };
  row.documents = {{"greeting.wsdl", "<wsdl/>"}, {"greeting.xsd", "<xsd/>"}};
  row.openapi = R"({"tags":[{"name":"greeting"}],
    "paths":{"/greetings":{"get":{}},"/greetings/{other}":{"get":{}},"/clusters":{"get":"theirs"},"/x":{"get":{}}},
    "components":{"schemas":{"GreetingX":{"type":"object"},"Problem":"theirs"}}})";
  return row;
}

std::string names_at(const OutsideTable& table, std::string_view path) {
  std::string out;
  for (const auto& one : table.routes_at(path)) out += one.verb + " " + one.name + ";";
  return out;
}

TEST(OutsideTable, APathMeansWhatItMeansToTheProgram) {
  OutsideTable table;
  EXPECT_EQ(names_at(table, "/greetings"), "");
  const auto row = greeting();
  table.set("greeting", &row);
  EXPECT_EQ(names_at(table, "/greetings"), "GET list;POST greet;");
  EXPECT_EQ(names_at(table, "/greetings/secret"), "GET secret;");
  EXPECT_EQ(names_at(table, "/greetings/Maria"), "GET get;DELETE remove;");
  EXPECT_EQ(names_at(table, "/greetings/%73ecret"), "GET get;DELETE remove;");
  EXPECT_EQ(names_at(table, "/greetings/secret/all"), "GET deep;");
  for (const auto* path : {"/greetings/", "/greetings/a/b", "//greetings", "greetings", "", "/", "/greetings/%zz",
                           "/clusters", "/greetings/secret#", "/greetings/#x", "/greetings/..", "/greetings/%2e%2E/all",
                           "/greetings/./all", "/greetings/a\\b"})
    EXPECT_EQ(names_at(table, path), "") << path;
  table.set("greeting", nullptr);
  EXPECT_EQ(names_at(table, "/greetings"), "");
  EXPECT_TRUE(table.empty());
}

// Otherwise a caller would be asked whether he may do one thing, and the program would do another.
TEST(OutsideTable, TheOrderOfADefinitionDoesNotMatter) {
  auto row = greeting();
  std::ranges::sort(row.operations, {}, &contracts::registry::Operation::name);
  do {
    OutsideTable table;
    table.set("greeting", &row);
    ASSERT_THAT(names_at(table, "/greetings/secret"), testing::StartsWith("GET secret;"));
    ASSERT_THAT(names_at(table, "/greetings"), testing::AnyOf("GET list;POST greet;", "POST greet;GET list;"));
    ASSERT_EQ(names_at(table, "/greetings/secret/all"), "GET deep;");
  } while (std::ranges::next_permutation(row.operations, {}, &contracts::registry::Operation::name).found);
}

TEST(OutsideTable, WhereAServiceIs) {
  OutsideTable table;
  const auto row = greeting();
  table.set("greeting", &row);
  EXPECT_EQ(table.address_of("/services/greeting/a"), "https://10.0.0.3:8471/services/greeting/a");
  EXPECT_EQ(table.address_of("/services/greetings"), std::nullopt);
  EXPECT_EQ(table.base_of("greeting"), "https://10.0.0.3:8471");
  EXPECT_EQ(table.name_of("https://10.0.0.3:8471"), "greeting");
  EXPECT_EQ(table.name_of("https://10.0.0.3:847"), "");
  EXPECT_EQ(table.document("greeting", ""), "<wsdl/>");
  EXPECT_EQ(table.document("greeting", "greeting.xsd"), "<xsd/>");
  EXPECT_EQ(table.document("greeting", "vcf.xsd").error().code(), ErrorCode::kNotFound);
}

TEST(OutsideTable, ItsDocumentAddsWhatIsItsOwnAndChangesNothing) {
  OutsideTable table;
  const std::string own = R"({"tags":[{"name":"vcf"}],"paths":{"/clusters":{"get":"ours"}},)"
                          R"("components":{"schemas":{"Problem":"ours"}}})";
  EXPECT_EQ(table.openapi(own), own);
  auto row = greeting();
  table.set("greeting", &row);
  const auto merged = boost::json::parse(table.openapi(own)).as_object();
  EXPECT_EQ(
      merged.at("paths"),
      boost::json::parse(R"({"/clusters":{"get":"ours"},"/greetings":{"get":{}},"/greetings/{other}":{"get":{}}})"));
  EXPECT_EQ(merged.at("components"),
            boost::json::parse(R"({"schemas":{"Problem":"ours","GreetingX":{"type":"object"}}})"));
  EXPECT_EQ(merged.at("tags").as_array().size(), 2U);
  row.openapi = "no JSON";
  table.set("greeting", &row);
  EXPECT_EQ(boost::json::parse(table.openapi(own)), boost::json::parse(own));
}

// The code of the refusal; empty: it may.
std::string ask(const OutsideTable& table, Role role, const std::string& operation, const std::string& body,
                const std::string& name_space = kNamespace) {
  Identity identity{"somebody", "physics", role};
  exchange::Message message;
  message.to = "/services/greeting";
  message.operation = operation;
  auto document = xml::Document::parse(fmt::format("<{} xmlns=\"{}\"/>", body, name_space));
  EXPECT_TRUE(document);
  message.body = std::make_shared<const xml::Document>(std::move(*document));
  const auto may = may_call_outside(table, identity, message);
  return may ? "" : std::string(error_code_name(may.error().code()));
}

TEST(OutsideTable, WhoMayCallIsWhatItsDefinitionSays) {
  OutsideTable table;
  const auto row = greeting();
  table.set("greeting", &row);
  EXPECT_EQ(ask(table, Role::kViewer, "list", "list"), "");
  EXPECT_EQ(ask(table, Role::kViewer, "greet", "greet"), "denied");
  EXPECT_EQ(ask(table, Role::kOperator, "greet", "greet"), "");
  EXPECT_EQ(ask(table, Role::kOperator, "remove", "remove"), "denied");
  EXPECT_EQ(ask(table, Role::kOwner, "remove", "remove"), "");
  EXPECT_EQ(ask(table, Role::kOwner, "secret", "secret"), "denied");
  EXPECT_EQ(ask(table, Role::kAdministrator, "secret", "secret"), "");
  EXPECT_EQ(ask(table, Role::kAdministrator, "soap_only", "soap_only"), "denied");
  EXPECT_EQ(ask(table, Role::kPeer, "soap_only", "soap_only"), "");
  for (const auto role : {Role::kController, Role::kService}) EXPECT_EQ(ask(table, role, "list", "list"), "denied");
  EXPECT_EQ(ask(table, Role::kOperator, "absent", "absent"), "not-found");
  // What a body is, the program reads; an operation that is named beside it does not count.
  EXPECT_EQ(ask(table, Role::kViewer, "list", "greet"), "invalid");
  EXPECT_EQ(ask(table, Role::kViewer, "list", "list", "urn:other"), "invalid");
}

// ---- its WS-Resources ----

constexpr const char* kProperties = "http://docs.oasis-open.org/wsrf/rp-2";
constexpr const char* kLifetime = "http://docs.oasis-open.org/wsrf/rl-2";

// With a resource that one may list whom one may not read.
ServiceRow with_guests() {
  auto row = greeting();
  row.operations.push_back({"set_mood", RegistryAccess::kOwner, false, false, std::nullopt, std::nullopt});
  row.operations.push_back({"set_hat", RegistryAccess::kOperator, false, false, std::nullopt, std::nullopt});
  row.resources = {{"GoodGuest",
                    "guests",
                    "get",
                    "name",
                    "guest",
                    "list",
                    "remove",
                    {{"Mood", "mood", "set_mood"}, {"Hat", "hat", "set_hat"}, {"Name", "name", {}}},
                    {"greet"}},
                   {"Diary", "diaries", "secret", "name", "diary", "list", {}, {{"Page", "page", {}}}, {}}};
  return row;
}

// The code of the refusal at a path below the service's; empty: it may.
std::string ask_at(const std::string& path, Role role, const std::string& body, std::string* access = nullptr) {
  const auto row = with_guests();
  OutsideTable table;
  table.set("greeting", &row);
  exchange::Message message;
  message.to = "/services/greeting" + path;
  auto document = xml::Document::parse(body);
  EXPECT_TRUE(document) << body;
  message.operation = document->root().local_name();
  message.body = std::make_shared<const xml::Document>(std::move(*document));
  const auto may = may_call_outside(table, Identity{"somebody", "physics", role}, message);
  if (may && access != nullptr) *access = may->read_only ? "reads" : "changes";
  return may ? "" : std::string(error_code_name(may.error().code()));
}

std::string wsrf(const std::string& operation, const std::string& content = "", const char* ns = kProperties) {
  return fmt::format("<w:{0} xmlns:w=\"{1}\" xmlns:g=\"{2}\">{3}</w:{0}>", operation, ns, kNamespace, content);
}

TEST(OutsideTable, WhoMayDoSomethingWithAResourceIsWhoMayCallTheMethodsBehindIt) {
  std::string does;
  EXPECT_EQ(ask_at("/guests/Ada", Role::kViewer, wsrf("GetResourceProperty", "g:Mood"), &does), "");
  EXPECT_EQ(does, "reads");
  EXPECT_EQ(ask_at("/guests", Role::kViewer, wsrf("GetResourcePropertyDocument")), "");
  for (const auto role : {Role::kController, Role::kService})
    EXPECT_EQ(ask_at("/guests/Ada", role, wsrf("GetResourcePropertyDocument")), "denied");
  const auto set = [](const std::string& what) {
    return wsrf("SetResourceProperties", "<w:Update>" + what + "</w:Update>");
  };
  EXPECT_EQ(ask_at("/guests/Ada", Role::kViewer, set("<g:Hat>blue</g:Hat>")), "denied");
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOperator, set("<g:Hat>blue</g:Hat>"), &does), "");
  EXPECT_EQ(does, "changes");
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOperator, set("<g:Mood>bad</g:Mood>")), "denied");
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOperator, set("<g:Hat>x</g:Hat><g:Mood>bad</g:Mood>")), "denied");
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOwner, set("<g:Hat>x</g:Hat><g:Mood>bad</g:Mood>")), "");
  EXPECT_EQ(
      ask_at("/guests/Ada", Role::kOperator, wsrf("SetResourceProperties", "<w:Delete ResourceProperty='g:Mood'/>")),
      "denied");
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOperator, wsrf("Destroy", "", kLifetime)), "denied");
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOwner, wsrf("Destroy", "", kLifetime)), "");
  EXPECT_EQ(ask_at("/guests", Role::kOwner, wsrf("Destroy", "", kLifetime)), "not-found");
  const auto own = [](const char* operation) { return fmt::format("<{} xmlns=\"{}\"/>", operation, kNamespace); };
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOperator, own("greet")), "");
  EXPECT_EQ(ask_at("/guests/Ada", Role::kViewer, own("greet")), "denied");
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOwner, own("set_mood")), "not-found") << "it is asked for at the service";
  // The program reads what the body is: one that is not of WSRF is none of its messages.
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOwner, own("Destroy")), "invalid");
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOwner, wsrf("greet")), "invalid");
}

TEST(OutsideTable, APropertyThatAChangeNamesIsReadAsTheProgramReadsIt) {
  const auto named = [](const std::string& name) {
    return wsrf("SetResourceProperties", fmt::format("<w:Delete ResourceProperty=\"{}\"/>", name));
  };
  for (const char* name : {"g:Hat", " g:Hat", "g:Hat ", "&#10;g:Hat&#10;", "&#9; g:Hat&#13;"}) {
    EXPECT_EQ(ask_at("/guests/Ada", Role::kViewer, named(name)), "denied") << name;
    EXPECT_EQ(ask_at("/guests/Ada", Role::kOperator, named(name)), "") << name;
  }
  const std::string by_default = fmt::format("<w:Delete xmlns=\"{}\" ResourceProperty=\" Hat \"/>", kNamespace);
  EXPECT_EQ(ask_at("/guests/Ada", Role::kViewer, wsrf("SetResourceProperties", by_default)), "denied");
  // It is no property of the service: its program says so.
  EXPECT_EQ(ask_at("/guests/Ada", Role::kViewer, named("w:Hat")), "");
  for (const char* name : {"", " ", "z:Hat", "g:g:Hat", ":Hat", "g: Hat :"})
    EXPECT_EQ(ask_at("/guests/Ada", Role::kOwner, named(name)), "invalid") << name;
  const auto value = wsrf("SetResourceProperties", "<w:Update><g:Hat><x ResourceProperty='z:y'/></g:Hat></w:Update>");
  EXPECT_EQ(ask_at("/guests/Ada", Role::kOperator, value), "") << "a value says what it likes";
}

TEST(OutsideTable, WhoIsToldOfAResourceIsWhoMayReadIt) {
  OutsideTable table;
  const auto row = with_guests();
  table.set("greeting", &row);
  const auto subscribe = [&](const std::string& path, Role role, const char* ns, const OutsideTable* at) {
    exchange::Message message;
    message.to = path;
    message.operation = "Subscribe";
    message.body = std::make_shared<const xml::Document>(xml::Document::create(xml::QName{ns, message.operation}));
    const Status may = may_be_told(at, Identity{"somebody", "physics", role}, message);
    return may ? std::string() : std::string(error_code_name(may.error().code()));
  };
  const char* kNews = "http://docs.oasis-open.org/wsn/b-2";
  const std::string guest = "/services/greeting/guests/Ada", diary = "/services/greeting/diaries/Ada";
  EXPECT_EQ(subscribe(guest, Role::kViewer, kNews, &table), "");
  EXPECT_EQ(subscribe(diary, Role::kViewer, kNews, &table), "denied");
  EXPECT_EQ(subscribe(diary + "/of/hers", Role::kOwner, kNews, &table), "denied") << "a key with slashes";
  EXPECT_EQ(subscribe(diary, Role::kAdministrator, kNews, &table), "");
  EXPECT_EQ(subscribe("/services/greeting/absent/Ada", Role::kViewer, kNews, &table), "not-found");
  for (const char* path : {"/services/greeting", "/services/greeting/", "/services/notification"})
    EXPECT_EQ(subscribe(path, Role::kViewer, kNews, &table), "") << path;
  EXPECT_EQ(subscribe(diary, Role::kViewer, kProperties, &table), "") << "that is asked of the service";
  // Nuraghe's own have such resources, too.
  for (const OutsideTable* at : {static_cast<const OutsideTable*>(&table), static_cast<const OutsideTable*>(nullptr)}) {
    EXPECT_EQ(subscribe("/services/hades/machines/a", Role::kOwner, kNews, at), "denied");
    EXPECT_EQ(subscribe("/services/hades/machines/a", Role::kAdministrator, kNews, at), "");
    EXPECT_EQ(subscribe("/services/hades/deployments/a", Role::kViewer, kNews, at), "");
  }
}

TEST(OutsideTable, AResourceHasADescriptionOfItsOwn) {
  auto row = greeting();
  row.resources = {{"GoodGuest", "guests", "get", "name", "guest", "list", {}, {}, {}}};
  row.documents.push_back({"greeting-good-guest.wsdl", "<one/>"});
  row.documents.push_back({"greeting-good-guest-group.wsdl", "<all/>"});
  OutsideTable table;
  table.set("greeting", &row);
  EXPECT_EQ(table.document("greeting/guests/Ada", ""), "<one/>");
  EXPECT_EQ(table.document("greeting/guests", ""), "<all/>");
  EXPECT_EQ(table.document("greeting/guests/Ada", "greeting.xsd"), "<xsd/>");
}

}  // namespace
}  // namespace nuraghe::api
