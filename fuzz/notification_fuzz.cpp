// Any element as a request of WS-BaseNotification: what is read of a wsnt:Subscribe reads the same when it comes back
// from a stored row, and its filter decides on topics and messages within its bounds.
#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "services/notification/messages.hpp"

namespace {

using namespace nuraghe;                          // NOLINT: a program of its own
using namespace nuraghe::services::notification;  // NOLINT

constexpr std::string_view kTold =
    "<event xmlns=\"urn:nuraghe:event:1\"><sequence>1</sequence><time>2030-01-01T00:00:00Z</time><vo>v</vo>"
    "<cluster>c</cluster><kind>cluster.frozen</kind><severity>info</severity><text>t</text>"
    "<attribute name=\"n\">a</attribute></event>";

void check_filter(xml::Node element) {
  const auto filter = Filter::read(element);
  if (!filter) {
    CHECK(!filter.error().fault.empty());
    (void)fault_of(filter.error(), TimePoint{}, "/services/vcf");
    return;
  }
  const xml::QName topics[] = {{"urn:nuraghe:vcf:1", "cluster.frozen"}, {"urn:nuraghe:vcf:1", "State"}};
  static const xml::Document told = xml::Document::parse(kTold).value();
  for (const xml::QName& topic : topics) (void)filter->matches_topic(topic);
  (void)filter->matches_content(told.root());
  (void)filter->matches_properties(told.root());
}

void check_subscribe(xml::Node body) {
  const auto asked = read_subscribe(body);
  if (!asked) {
    (void)fault_of(asked.error(), TimePoint{}, "/services/vcf");
    return;
  }
  if (asked->termination) (void)read_termination(*asked->termination, TimePoint{});
  if (!asked->filter.empty()) {
    const auto stored = xml::Document::parse(asked->filter);
    CHECK(stored.has_value());
    const auto now = Filter::read(body.child("http://docs.oasis-open.org/wsn/b-2", "Filter"));
    CHECK(now.has_value() == Filter::read(stored->root()).has_value());
    check_filter(stored->root());
  }
  const auto told = xml::Document::parse(kTold);
  CHECK(told.has_value());
  const auto message = for_consumer(xml::Document::copy_of(told->root()).share(), asked->reference);
  CHECK(message.has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  xml::ParseOptions options;
  options.max_size = kib(64);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes are text here
  const auto document = xml::Document::parse({reinterpret_cast<const char*>(data), size}, options);
  if (!document) return 0;
  const xml::Node root = document->root();
  check_filter(root);
  check_subscribe(root);
  (void)read_maximum(root);
  (void)TopicExpression::read(root);
  return 0;
}
