// The generated codec: what is written is read back, validates against the generated schema, can be stored; what is
// wrong is refused with the element's name and line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "base/record.hpp"
#include "contracts/echo.hpp"
#include "contracts/json.hpp"
#include "everything.hpp"
#include "schemas.hpp"

namespace nuraghe::contracts::echo {
namespace {

using testing::HasSubstr;

const xml::Schema& echo_schema() {
  static const xml::Schema kSchema = tests::compile_schema(ECHO_CONTRACTS, "echo.xsd");
  return kSchema;
}

xml::DocumentPtr parse(const std::string& text) {
  auto document = xml::Document::parse(text);
  EXPECT_TRUE(document) << document.error().to_string();
  return std::move(*document).share();
}

exchange::Message request_of(const std::string& operation, const std::string& content) {
  exchange::Message message;
  message.operation = operation;
  message.body = parse("<" + operation + " xmlns='urn:nuraghe:test:echo:1' xmlns:s='urn:nuraghe:test:shapes:1' " +
                       "xmlns:a='http://www.w3.org/2005/08/addressing'>" + content + "</" + operation + ">");
  return message;
}

RC_GTEST_PROP(Codec, WritesWhatItReads, ()) {
  const auto value = *any_everything();
  const auto request = make_echo("/services/echo", EchoRequest{value});
  RC_ASSERT(request.to == "/services/echo");
  RC_ASSERT(request.operation == "echo");
  RC_ASSERT(!request.one_way);
  const auto direct = parse_echo_request(request);
  RC_ASSERT(direct.has_value());
  RC_ASSERT(direct->value == value);
}

RC_GTEST_PROP(Codec, SurvivesSerialisation, ()) {
  const auto value = *any_everything();
  exchange::Message reply;
  reply.body = parse(document_of(EchoResponse{value})->to_string());
  const auto back = parse_echo_response(reply);
  RC_ASSERT(back.has_value());
  RC_ASSERT(back->value == value);
}

RC_GTEST_PROP(Codec, WritesWhatTheSchemaAllows, ()) {
  const auto document = document_of(EchoRequest{*any_everything()});
  RC_ASSERT(tests::findings_of(echo_schema(), document->root()) == "");
  RC_ASSERT(tests::findings_of(echo_schema(), parse(document->to_string())->root()) == "");
}

RC_GTEST_PROP(Codec, StoresWhatItReads, ()) {
  const auto value = *any_everything();
  const auto back = decode_record<Everything>(encode_record(value));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == value);
}

RC_GTEST_PROP(Codec, CarriesAnyElement, ()) {
  CarryRequest request;
  request.parcel.content = *any_document();
  if (*rc::gen::arbitrary<bool>()) request.parcel.spare = *any_document();
  request.parcel.more.resize(*rc::gen::inRange<std::size_t>(0, 3));
  for (auto& item : request.parcel.more) item = *any_document();
  const auto document = document_of(request);
  RC_ASSERT(tests::findings_of(echo_schema(), document->root()) == "");
  exchange::Message message;
  message.operation = "carry";
  message.body = parse(document->to_string());
  const auto back = parse_carry_request(message);
  RC_ASSERT(back.has_value());
  RC_ASSERT(xml::equivalent(back->parcel.content->root(), request.parcel.content->root()));
  RC_ASSERT(back->parcel.spare.has_value() == request.parcel.spare.has_value());
  RC_ASSERT(back->parcel.more.size() == request.parcel.more.size());
  for (std::size_t i = 0; i < request.parcel.more.size(); ++i) {
    RC_ASSERT(xml::equivalent(back->parcel.more[i]->root(), request.parcel.more[i]->root()));
  }
}

RC_GTEST_PROP(Codec, JsonAndXmlSayTheSame, ()) {
  const auto value = *any_everything();
  const auto json = to_json(value);
  RC_ASSERT(json.has_value());
  Everything back;
  RC_ASSERT(from_json(*json, back).has_value());
  RC_ASSERT(back == value);
  // The whole way of a REST request: JSON to the payload that SOAP would carry, and its answer back.
  const auto& echo = *find_operation(*test_service(), "echo");
  const auto payload = json_request(echo, "{\"value\":" + *json + "}", {});
  RC_ASSERT(payload.has_value());
  RC_ASSERT(tests::findings_of(echo_schema(), (*payload)->root()) == "");
  RC_ASSERT(xml::equivalent((*payload)->root(), document_of(EchoRequest{value})->root()));
  const auto answer = json_response(echo, parse(document_of(EchoResponse{value})->to_string()));
  RC_ASSERT(answer.has_value());
  RC_ASSERT(*answer == "{\"value\":" + *json + "}");
}

RC_GTEST_PROP(Codec, JsonCarriesAnyElement, ()) {
  Parcel parcel;
  parcel.content = *any_document();
  parcel.more.resize(*rc::gen::inRange<std::size_t>(0, 3));
  for (auto& item : parcel.more) item = *any_document();
  const auto json = to_json(parcel);
  RC_ASSERT(json.has_value());
  Parcel back;
  RC_ASSERT(from_json(*json, back).has_value());
  RC_ASSERT(xml::equivalent(back.content->root(), parcel.content->root()));
  RC_ASSERT(!back.spare.has_value());
  RC_ASSERT(back.more.size() == parcel.more.size());
  for (std::size_t i = 0; i < parcel.more.size(); ++i)
    RC_ASSERT(xml::equivalent(back.more[i]->root(), parcel.more[i]->root()));
}

TEST(Codec, WordsOfEnums) {
  EXPECT_EQ(shapes::to_string(shapes::Colour::kLightBlue), "light-blue");
  EXPECT_EQ(shapes::to_string(shapes::Colour::kRAL9010), "RAL.9010");
  auto colour = shapes::Colour::kRed;
  ASSERT_TRUE(shapes::from_string("RAL.9010", colour));
  EXPECT_EQ(colour, shapes::Colour::kRAL9010);
  const auto wrong = shapes::from_string("pink", colour);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(wrong.error().message(), "'pink' is not one of red, light-blue, RAL.9010");
}

TEST(Codec, TextThatXmlCannotCarryIsReplaced) {
  const auto request = make_later("x", LaterRequest{std::string("a\x1b[0m\xff\xc3\xa4\0z", 10)});
  const auto text = request.body->to_string();
  const auto back = parse_later_request(request_of("later", "<text>" + request.body->root().text() + "</text>"));
  ASSERT_TRUE(xml::Document::parse(text));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->text, "a\uFFFD[0m\uFFFD\u00E4\uFFFDz");
}

// Fields of an Everything, right ones; tests replace one of them.
std::string everything_with(const std::string& from, const std::string& to) {
  std::string text =
      "<value>\n<text>t</text><flag>true</flag><small>1</small><large>2</large><real>0.5</real><size>3</size>"
      "<moment>2030-01-31T12:00:00Z</moment><span>PT1.5S</span>"
      "<reference><a:Address>urn:x</a:Address></reference><mood>calm</mood>"
      "<place><s:point><s:x>1</s:x><s:y>2</s:y></s:point></place>\n<class>c</class><fields>1</fields></value>";
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Codec, TakesFieldsInAnyOrderAndBlanksAroundValues) {
  auto request =
      parse_echo_request(request_of("echo", everything_with("<text>t</text><flag>true</flag>",
                                                            "<flag> 1 </flag><!-- a comment --><text> t </text>")));
  ASSERT_TRUE(request) << request.error().to_string();
  EXPECT_EQ(request->value.text, " t ");
  EXPECT_TRUE(request->value.flag);
  EXPECT_EQ(request->value.span, std::chrono::milliseconds(1500));
  EXPECT_EQ(request->value.moment.to_string(), "2030-01-31T12:00:00.000000Z");
}

TEST(Codec, ReadsTheLexicalFormsOfXmlSchema) {
  const auto read = [](const std::string& from, const std::string& to) {
    auto request = parse_echo_request(request_of("echo", everything_with(from, to)));
    EXPECT_TRUE(request) << to << ": " << (request ? "" : request.error().to_string());
    return request ? request->value : Everything();
  };
  EXPECT_EQ(read("<small>1<", "<small>+7<").small, 7);
  EXPECT_EQ(read("<small>1<", "<small>-2147483648<").small, -2147483647 - 1);
  EXPECT_EQ(read("<real>0.5<", "<real>-1.5E3<").real, -1500.0);
  EXPECT_TRUE(std::isnan(read("<real>0.5<", "<real>NaN<").real));
  EXPECT_EQ(read("<real>0.5<", "<real>-INF<").real, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(read("<span>PT1.5S<", "<span>-P1DT2H<").span, -std::chrono::hours(26));
  EXPECT_EQ(read("T12:00:00Z<", "T12:00:00+02:00<").moment.to_string(), "2030-01-31T10:00:00.000000Z");
  EXPECT_EQ(read("</a:Address>", "</a:Address><a:Metadata><x/></a:Metadata>").reference.address, "urn:x");
}

struct BadInput {
  const char* from;
  const char* to;
  const char* message;
};
class BadInputs : public testing::TestWithParam<BadInput> {};
TEST_P(BadInputs, AreRefusedByName) {
  const auto& bad = GetParam();
  const auto request = parse_echo_request(request_of("echo", everything_with(bad.from, bad.to)));
  ASSERT_FALSE(request) << bad.to;
  EXPECT_EQ(request.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(request.error().message(), HasSubstr(bad.message));
}
INSTANTIATE_TEST_SUITE_P(
    Codec, BadInputs,
    testing::Values(
        BadInput{"<text>t</text>", "", "echo/value (line 1) lacks the element text"},
        BadInput{"<flag>true</flag>", "<flag>yes</flag>", "echo/value/flag (line 2) must be true or false, not 'yes'"},
        BadInput{"<flag>true</flag>", "<flag>true</flag><flag>true</flag>", "echo/value/flag (line 2) stands twice"},
        BadInput{"<small>1<", "<small>2147483648<", "echo/value/small (line 2) must be a whole number of 32 bits"},
        BadInput{"<small>1<", "<small><", "must be a whole number of 32 bits, not ''"},
        BadInput{"<small>1<", "<small>+-1<", "must be a whole number of 32 bits"},
        BadInput{"<small>1<", "<small>1.0<", "must be a whole number of 32 bits"},
        BadInput{"<large>2<", "<large>9223372036854775808<", "must be a whole number of 64 bits"},
        BadInput{"<real>0.5<", "<real>inf<", "must be a number, not 'inf'"},
        BadInput{"<real>0.5<", "<real>0,5<", "must be a number, not '0,5'"},
        BadInput{"<size>3<", "<size>3MiB<", "must be a whole number of bytes, not '3MiB'"},
        BadInput{"2030-01-31T12", "2030-13-31T12", "echo/value/moment (line 2) is wrong"},
        BadInput{"PT1.5S", "90s", "must be a duration such as PT90S, not '90s'"},
        BadInput{"PT1.5S", "PT", "echo/value/span (line 2) is wrong"},
        BadInput{"<a:Address>urn:x</a:Address>", "urn:x", "Address is missing"},
        BadInput{"</a:Address>", "</a:Address><a:ReferenceParameters><x/></a:ReferenceParameters>",
                 "cannot be used here"},
        BadInput{"calm", "glad", "echo/value/mood (line 2) must be one of calm, very-cross, not 'glad'"},
        BadInput{"<s:x>1</s:x>", "", "echo/value/place/point (line 2) lacks the element x"},
        BadInput{"<s:x>1</s:x>", "<x>1</x>", "is of the namespace 'urn:nuraghe:test:echo:1' and must be of"},
        BadInput{"<class>", "<colour>red</colour><class>",
                 "echo/value/colour (line 3) is unknown; value may hold text"},
        BadInput{"<text>t<", "<text><b/>t<", "echo/value/text (line 2) holds elements"}));

TEST(Codec, AnElementOfAnyKindIsExactlyOne) {
  const auto carry = [](const std::string& content) {
    return parse_carry_request(request_of("carry", "<parcel>" + content + "</parcel>"));
  };
  EXPECT_TRUE(carry("<content><x/></content>"));
  EXPECT_THAT(carry("<content/>").error().message(), HasSubstr("must hold one element and holds none"));
  EXPECT_THAT(carry("<content><x/><y/></content>").error().message(), HasSubstr("and holds several"));
  // A document that was forgotten does not pass for one.
  exchange::Message forgotten = make_carry("x", CarryRequest{});
  EXPECT_FALSE(parse_carry_request(forgotten));
}

TEST(Codec, AnElementWithoutFieldsIsEmpty) {
  EXPECT_TRUE(parse_delete_request(request_of("delete", " <!-- nothing --> ")));
  EXPECT_THAT(parse_delete_request(request_of("delete", "all")).error().message(), HasSubstr("holds the text 'all'"));
  EXPECT_THAT(parse_delete_request(request_of("delete", "<all/>")).error().message(),
              HasSubstr("delete/all (line 1) is unknown; delete may hold nothing"));
}

TEST(Codec, TheBodyMustBeTheOperationsElement) {
  const auto wrong = parse_echo_request(request_of("later", "<text/>"));
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message(), HasSubstr("must be {urn:nuraghe:test:echo:1}echo"));
  EXPECT_FALSE(parse_echo_request({}));
}

TEST(Codec, AReplyThatDoesNotDecodeIsNotItsReadersFault) {
  exchange::Message reply;
  EXPECT_EQ(parse_later_response(reply).error().code(), ErrorCode::kCorrupt);
  reply.body = parse("<laterResponse xmlns='urn:nuraghe:test:echo:1'/>");
  EXPECT_EQ(parse_later_response(reply).error().code(), ErrorCode::kCorrupt);
  reply.body = parse("<else/>");
  EXPECT_EQ(parse_later_response(reply).error().code(), ErrorCode::kCorrupt);
  reply.body = nullptr;
  reply.fault = exchange::fault_of(exhausted("no memory is left").with("creating host a"), "vhf", {});
  const auto fault = parse_later_response(reply);
  ASSERT_FALSE(fault);
  EXPECT_EQ(fault.error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(fault.error().to_string(), "creating host a: no memory is left");
}

TEST(Codec, FaultsValidateAgainstTheirSchema) {
  const auto schema = tests::compile_schema(ECHO_CONTRACTS, "fault.xsd");
  for (const auto code : {ErrorCode::kInvalid, ErrorCode::kNotFound, ErrorCode::kConflict, ErrorCode::kDenied,
                          ErrorCode::kExhausted, ErrorCode::kUnavailable, ErrorCode::kTimeout, ErrorCode::kCancelled,
                          ErrorCode::kUnsupported, ErrorCode::kCorrupt, ErrorCode::kInternal}) {
    const auto fault = exchange::fault_of(Error(code, "a < b").with("inner").with("outer"), "echo", {});
    ASSERT_TRUE(fault.detail);
    EXPECT_EQ(tests::findings_of(schema, fault.detail->root()), "");
  }
}

}  // namespace
}  // namespace nuraghe::contracts::echo
