// Changes: what the operations that set properties ask for, as calls of the service's methods
// (WS-ResourceProperties 1.2 §5.4 to §5.7). All of a request is checked against the property document before anything
// is called. Pure.
#pragma once

#include <vector>

#include "wsrf/address.hpp"
#include "wsrf/refusal.hpp"

namespace nuraghe::wsrf {

// One property gets its values: a call of the method that sets it.
struct Change {
  const contracts::PropertyInfo* property = nullptr;
  std::vector<xml::DocumentPtr> values;  // elements of the property's name; none: it is removed
  // The body of the method's request.
  xml::DocumentPtr call(std::string_view key) const;
};

// What the request asks for, in its order: SetResourceProperties, InsertResourceProperties, UpdateResourceProperties,
// DeleteResourceProperties or PutResourcePropertyDocument. InvalidResourcePropertyQNameFault (no such property),
// UnableToModifyResourcePropertyFault (nobody can set it), InvalidModificationFault (a second value where one may be,
// or none where one must be), UnableToPutResourcePropertyDocumentFault.
Answer<std::vector<Change>> changes_of(const Address& address, const xml::Document& document, xml::Node request);

// Why a change failed, as the fault of that operation: InvalidModificationFault for a value that the method does not
// take, otherwise the operation's own …RequestFailedFault. `restored`: nothing had been changed before.
Refusal failure_of(std::string_view operation, const Change& change, const xml::Document& document, const Error& error,
                   bool restored);

}  // namespace nuraghe::wsrf
