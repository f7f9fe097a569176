// What a resource says of itself as a notification producer: the resource properties that WS-BaseNotification 1.3 §4.1
// names. Where and how one subscribes is services/notification's. Pure.
#pragma once

#include "wsrf/address.hpp"

namespace nuraghe::wsrf {

// Adds them to its property document: its topics (the events of its service and the resource's own properties), that
// they are all there are, the dialects of topic expressions, and the events as a topic set (WS-Topics 1.3 §7).
void append_producer(const Address& address, xml::Node document);

// Whether it is one of their names.
bool is_of_producer(const xml::QName& name);

}  // namespace nuraghe::wsrf
