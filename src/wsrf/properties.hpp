// Properties: the resource property document of an address, and the operations that read it (WS-ResourceProperties 1.2
// §4, §5). Pure, thread safe; documents that come in are not changed.
#pragma once

#include <optional>
#include <vector>

#include "base/units.hpp"
#include "wsrf/address.hpp"
#include "wsrf/refusal.hpp"

namespace nuraghe::wsrf {

// When a resource ends; nothing for one that has no such time.
struct Lifetime {
  TimePoint now{};
  std::optional<TimePoint> end{};
};

// {service's namespace}ClusterProperties
xml::QName document_name(const Address& address);
// The document of a resource: each property as often as its field stands in `value` (an element of the resource's
// type), then, where it can be destroyed, CurrentTime and TerminationTime (WS-ResourceLifetime 1.2 §5), then what it is
// as a notification producer (wsrf/producer.hpp).
xml::Document resource_document(const Address& address, xml::Node value, const Lifetime& lifetime);
// The document of a group: its rule and an Entry for each member (WS-ServiceGroup 1.2 §3.2). `base`: of the addresses
// in it, "http://127.0.0.1:8470".
xml::Document group_document(const Address& address, const std::vector<xml::Node>& values, std::string_view base);
// The document of a member's entry (§4.2).
xml::Document entry_document(const Address& address, xml::Node value, std::string_view base, TimePoint now);

// Until when a member stays, as its value says; kNotFound: it is none any more.
Result<TimePoint> member_until(const Address& address, xml::Node value);
// The key of a value: its canonical one, whatever it was asked for by.
std::string key_of(const Address& address, xml::Node value);
// Of an output of list or get: the value, the values. `path` as ResourceInfo::list_output_field.
std::vector<xml::Node> values_of(const Address& address, xml::Node output, std::string_view path);

// Whether the address has a property of that name, also when it has no value now.
bool is_property(const Address& address, const xml::QName& name);

// The answer to one of the operations that read: GetResourcePropertyDocument, GetResourceProperty,
// GetMultipleResourceProperties, QueryResourceProperties. InvalidResourcePropertyQNameFault,
// UnknownQueryExpressionDialectFault, InvalidQueryExpressionFault, QueryEvaluationErrorFault (also for a query that
// works too long or finds too much).
Answer<xml::DocumentPtr> read(const Address& address, const xml::Document& document, xml::Node request);

}  // namespace nuraghe::wsrf
