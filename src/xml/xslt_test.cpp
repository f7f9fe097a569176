#include "xml/xslt.hpp"

#include <gmock/gmock.h>

namespace nuraghe::xml {
namespace {

using Files = std::map<std::string, std::string>;

std::string sheet(const std::string& inside) {
  return "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform' xmlns:p='urn:p' "
         "exclude-result-prefixes='p'>" +
         inside + "</xsl:stylesheet>";
}
std::string root(const std::string& inside) { return sheet("<xsl:template match='/'>" + inside + "</xsl:template>"); }

// The result as text; "error CODE message" for an error.
std::string run(const Files& files, const std::vector<XsltParameter>& parameters = {},
                const std::string& source = "<in><a>1</a><a>2</a></in>", const XsltLimits& limits = {}) {
  auto compiled = Stylesheet::compile("main.xsl", files);
  if (!compiled)
    return "error " + std::string(error_code_name(compiled.error().code())) + " " + compiled.error().to_string();
  const auto document = Document::parse(source);
  const auto result = compiled->transform(document->root(), parameters, limits);
  if (!result) return "error " + std::string(error_code_name(result.error().code())) + " " + result.error().to_string();
  if (const auto* text = std::get_if<std::string>(&*result)) return *text;
  return std::get<DocumentPtr>(*result)->to_string();
}
std::string run(const std::string& text) { return run(Files{{"main.xsl", text}}); }

TEST(Xslt, MakesADocumentOrAText) {
  EXPECT_EQ(run(root("<out><xsl:value-of select='sum(/in/a)'/></out>")), "<out>3</out>");
  EXPECT_EQ(run(sheet("<xsl:output method='text'/><xsl:template match='/'><xsl:for-each select='in/a'><xsl:value-of "
                      "select='.'/>;</xsl:for-each></xsl:template>")),
            "1;2;");
  EXPECT_EQ(run(root("<p:out xmlns:p='urn:p' k='{in/a}'/>")), "<p:out xmlns:p=\"urn:p\" k=\"1\"/>");
  EXPECT_THAT(run(root("<a/><b/>")), ::testing::StartsWith("error invalid"));
}

TEST(Xslt, ANewerVersionIsProcessedAsFarAsItIsKnown) {
  const auto newer = [](const std::string& inside) {
    return "<xsl:stylesheet version='2.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>" + inside +
           "</xsl:stylesheet>";
  };
  EXPECT_EQ(run(newer("<xsl:template match='/'><out><xsl:value-of select='sum(/in/a)'/></out></xsl:template>")),
            "<out>3</out>");
  EXPECT_EQ(run(newer("<xsl:template match='/'><out><xsl:analyze-string><xsl:fallback>old</xsl:fallback>"
                      "</xsl:analyze-string></out></xsl:template>")),
            "<out>old</out>");
  EXPECT_EQ(run(Files{{"main.xsl", sheet("<xsl:include href='part.xsl'/>")},
                      {"part.xsl", newer("<xsl:template match='/'><out/></xsl:template>")}}),
            "<out/>");
  EXPECT_THAT(run(newer("<xsl:template match='/'><out><xsl:value-of select='1 +'/></out></xsl:template>")),
              ::testing::StartsWith("error invalid"));
}

TEST(Xslt, TakesParametersOfEveryType) {
  const auto document = Document::parse("<list xmlns='urn:q'><x>7</x><x>8</x></list>");
  const std::vector<XsltParameter> parameters = {{{"", "text"}, std::string("it's \"quoted\"")},
                                                 {{"", "number"}, 2.5},
                                                 {{"", "flag"}, true},
                                                 {{"urn:p", "named"}, std::string("n")},
                                                 {{"", "nodes"}, NodeSet{document->root()}},
                                                 {{"", "unused"}, std::string("u")}};
  EXPECT_EQ(run({{"main.xsl", sheet("<xsl:param name='text'/><xsl:param name='number'/><xsl:param name='flag'/>"
                                    "<xsl:param name='p:named'/><xsl:param name='nodes'/><xsl:param name='own' "
                                    "select=\"'o'\"/><xsl:template match='/'><out xmlns:q='urn:q'>"
                                    "<xsl:value-of select='concat($text, $number + 1, not($flag), $p:named, $own, "
                                    "sum($nodes/q:x))'/></out></xsl:template>")}},
                parameters),
            "<out xmlns:q=\"urn:q\">it's \"quoted\"3.5falseno15</out>");
}

TEST(Xslt, IncludesStyleSheetsOfThePackageOnly) {
  const std::string called = sheet("<xsl:template name='t'><out>called</out></xsl:template>");
  const std::string call = "<xsl:template match='/'><xsl:call-template name='t'/></xsl:template>";
  EXPECT_EQ(run({{"main.xsl", sheet("<xsl:include href='lib/t.xsl'/>" + call)}, {"lib/t.xsl", called}}),
            "<out>called</out>");
  EXPECT_EQ(run({{"main.xsl", sheet("<xsl:import href='lib/u.xsl'/>" + call)},
                 {"lib/u.xsl", sheet("<xsl:import href='../t.xsl'/>")},
                 {"t.xsl", called}}),
            "<out>called</out>");
  for (const char* href : {"absent.xsl", "file:///etc/passwd", "/etc/passwd", "http://127.0.0.1:9/x.xsl"}) {
    EXPECT_THAT(run({{"main.xsl", sheet(std::string("<xsl:include href='") + href + "'/>" + call)}}),
                ::testing::StartsWith("error invalid"))
        << href;
  }
  EXPECT_THAT(run({{"main.xsl", sheet("<xsl:include href='main.xsl'/>")}}), ::testing::StartsWith("error invalid"));
}

TEST(Xslt, ReadsAndWritesNothing) {
  for (const char* uri : {"file:///etc/passwd", "/etc/passwd", "http://127.0.0.1:9/", "", "main.xsl"}) {
    EXPECT_THAT(run(root(std::string("<out><xsl:copy-of select=\"document('") + uri + "')\"/></out>")),
                ::testing::StartsWith("error"))
        << uri;
  }
  const std::string target = ::testing::TempDir() + "/nuraghe-xslt-test-out";
  std::remove(target.c_str());
  const std::string written =
      run(sheet("<xsl:template match='/'><out><e:document xmlns:e='http://exslt.org/common' "
                "href='" +
                target + "'><b/></e:document></out></xsl:template>"));
  std::FILE* const file = std::fopen(target.c_str(), "r");
  EXPECT_EQ(file, nullptr) << written;
  if (file != nullptr) std::fclose(file);
}

TEST(Xslt, IsLimited) {
  EXPECT_THAT(run(sheet("<xsl:template match='/' name='r'><xsl:call-template name='r'/></xsl:template>")),
              ::testing::StartsWith("error exhausted"));
  EXPECT_THAT(run(sheet("<xsl:template match='/'><out><xsl:call-template name='r'><xsl:with-param name='n' "
                        "select='400'/></xsl:call-template></out></xsl:template><xsl:template name='r'><xsl:param "
                        "name='n'/><e><xsl:if test='$n &gt; 0'><xsl:call-template name='r'><xsl:with-param name='n' "
                        "select='$n - 1'/></xsl:call-template></xsl:if></e></xsl:template>")),
              ::testing::StartsWith("error exhausted"));
  XsltLimits few;
  few.operations = 10'000;
  std::string source = "<in>";
  for (int i = 0; i < 200; ++i) source += "<a>1</a>";
  EXPECT_THAT(run({{"main.xsl", root("<out><xsl:for-each select='//a'><xsl:value-of select='count(//a[. = 1])'/>"
                                     "</xsl:for-each></out>")}},
                  {}, source + "</in>", few),
              ::testing::StartsWith("error exhausted"));
}

TEST(Xslt, TextsDoNotGrowWithoutEnd) {
  EXPECT_THAT(
      run(sheet("<xsl:template match='/'><out><xsl:call-template name='r'><xsl:with-param name='t' select=\"'0123456789"
                "abcdef'\"/></xsl:call-template></out></xsl:template><xsl:template name='r'><xsl:param name='t'/>"
                "<xsl:call-template name='r'><xsl:with-param name='t' select='concat($t, $t)'/></xsl:call-template>"
                "</xsl:template>")),
      ::testing::AllOf(::testing::StartsWith("error"), ::testing::HasSubstr("longer")));
  XsltLimits few;
  few.text = Bytes{10};
  EXPECT_EQ(run({{"main.xsl", root("<xsl:value-of select=\"concat('01234', '56789')\"/>")}}, {}, "<in/>", few),
            "0123456789");
  EXPECT_THAT(run({{"main.xsl", root("<xsl:value-of select=\"concat('01234', '567890')\"/>")}}, {}, "<in/>", few),
              ::testing::HasSubstr("longer than 10 bytes"));
}

TEST(Xslt, SaysWhatIsWrong) {
  EXPECT_EQ(Stylesheet::compile("absent.xsl", {}).error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(run("<a"), ::testing::StartsWith("error invalid"));
  EXPECT_THAT(run(sheet("<xsl:template match='/'><xsl:value-of/></xsl:template>")),
              ::testing::AllOf(::testing::StartsWith("error invalid main.xsl"), ::testing::HasSubstr("select")));
  EXPECT_THAT(run(root("<xsl:message terminate='yes'>enough</xsl:message>")), ::testing::HasSubstr("enough"));
  EXPECT_THAT(run(root("<xsl:value-of select='$absent'/>")), ::testing::StartsWith("error invalid"));
  EXPECT_EQ(run(root("<xsl:message>only told</xsl:message><out/>")), "<out/>");
}

}  // namespace
}  // namespace nuraghe::xml
