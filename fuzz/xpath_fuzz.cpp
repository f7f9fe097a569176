// Any bytes as an XPath expression over a small document. Whatever comes, it is refused with a reason, or evaluates
// within its bound to a value or an error.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "xml/xpath.hpp"

namespace {

using namespace nuraghe;  // NOLINT: a program of its own

void check_expression(std::string_view input) {
  static const xml::Document document =
      *xml::Document::parse("<a xmlns:p='urn:p' k='1'><b>2</b><b>3</b><p:c><d>x</d>y</p:c></a>");
  const auto expression = xml::XPath::compile(input, {{"p", "urn:p"}});
  if (!expression) {
    CHECK(!expression.error().message().empty());
    return;
  }
  xml::XPathContext context;
  context.node = document.root();
  context.max_operations = 100'000;
  context.variable = [](const xml::QName& name) -> Result<xml::XPathValue> {
    if (name.local.size() > 3) return not_found("there is no such variable");
    return xml::XPathValue(xml::NodeSet{document.root()});
  };
  context.function = [](const xml::QName&, const std::vector<xml::XPathValue>& arguments) -> Result<xml::XPathValue> {
    return xml::XPathValue(static_cast<double>(arguments.size()));
  };
  const auto value = expression->evaluate(context);
  if (!value) {
    CHECK(!value.error().message().empty());
    return;
  }
  (void)xml::to_string(*value);
  (void)xml::to_number(*value);
  (void)xml::to_boolean(*value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_expression({reinterpret_cast<const char*>(data), size});
  return 0;
}
