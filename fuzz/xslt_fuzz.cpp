// Any bytes as a style sheet, over a small document and with a second style sheet that it may include. Whatever comes,
// it is refused with a reason, or ends within its bounds.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "xml/xslt.hpp"

namespace {

using namespace nuraghe;  // NOLINT: a program of its own

void check_stylesheet(std::string_view input) {
  static const xml::Document document =
      *xml::Document::parse("<a xmlns:p='urn:p' k='1'><b>2</b><b>3</b><p:c><d>x</d>y</p:c></a>");
  const std::map<std::string, std::string> files = {
      {"main.xsl", std::string(input)},
      {"other.xsl",
       "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'><xsl:template name='t'><t/>"
       "</xsl:template></xsl:stylesheet>"}};
  const auto stylesheet = xml::Stylesheet::compile("main.xsl", files);
  if (!stylesheet) {
    CHECK(!stylesheet.error().message().empty());
    return;
  }
  xml::XsltLimits limits;
  // So many texts of that length are less than the memory that the fuzzer may take.
  limits.operations = 10'000;
  limits.text = kib(16);
  limits.template_depth = 100;
  const std::vector<xml::XsltParameter> parameters = {{{"", "x"}, xml::XPathValue(std::string("text"))},
                                                      {{"", "n"}, xml::XPathValue(xml::NodeSet{document.root()})}};
  const auto result = stylesheet->transform(document.root(), parameters, limits);
  if (!result) CHECK(!result.error().message().empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_stylesheet({reinterpret_cast<const char*>(data), size});
  return 0;
}
