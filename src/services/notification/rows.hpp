// The rows of the notification service (docs/formats/notification.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "exchange/rows.hpp"
#include "services/notification/producers.hpp"

namespace nuraghe::services::notification {

// Table notification_subscription; key: id.
struct SubscriptionRow {
  std::string id, vo, caller;
  std::string service, resource, key;  // the producer
  std::string consumer;                // the address of the consumer reference
  std::string reference;               // the whole consumer reference, as XML text
  std::string pull_point;              // id, when the consumer is one of this service's own; else empty
  std::string filter;                  // wsnt:Filter as XML text; empty: none
  bool use_raw = false;                // SubscriptionPolicy: what is told comes without wsnt:Notify around it
  bool soap_12 = false;                // the consumer is spoken to as the subscriber spoke
  TimePoint created;
  std::optional<TimePoint> termination;  // nullopt: it does not end by itself
  bool paused = false;
  bool ends = false;    // its resource is gone: it ends when what is queued was told
  std::string request;  // the Subscribe that waits for its resource to be looked up; else empty
  // The message that is on its way, if any: its id stays until it was taken, and it holds the queue's rows up to there.
  std::string in_flight;
  std::int64_t in_flight_last = 0;
  std::int64_t tries = 0;  // that the consumer refused, one after the other
  std::optional<TimePoint> failing_since;
  bool waits = false;     // for the timer of the next try
  std::int64_t next = 1;  // number of the next row of its queue
  std::int64_t queued = 0;
  std::int64_t dropped = 0;  // of a full queue, since it was full
  std::int64_t since = 0;    // the last event before it began
  std::string base;          // by which the subscriber reached this process; empty: its own
  // That of the site who subscribed is; kForSite: hears what concerns the site as a whole.
  exchange::Administrator administrator = exchange::Administrator::kNo;

  Producer producer() const { return {service, resource, key}; }
  template <class V>
  void fields(V& v) {
    v(1, id), v(2, vo), v(3, caller), v(4, service), v(5, resource), v(6, key), v(7, consumer), v(8, reference),
        v(9, pull_point), v(10, filter), v(11, use_raw), v(12, soap_12), v(13, created), v(14, termination),
        v(15, paused), v(16, ends), v(17, request), v(18, in_flight), v(19, in_flight_last), v(20, tries),
        v(21, failing_since), v(22, waits), v(23, next), v(24, queued), v(25, dropped), v(26, since), v(27, base),
        v(28, administrator);
  }
};

// Table notification_pull_point; key: id.
struct PullPointRow {
  std::string id, vo, caller;
  TimePoint created, used;  // used: last asked for messages
  std::int64_t next = 1, queued = 0, dropped = 0;
  template <class V>
  void fields(V& v) {
    v(1, id), v(2, vo), v(3, caller), v(4, created), v(5, used), v(6, next), v(7, queued), v(8, dropped);
  }
};

// Table notification_queue; key: id of the subscription or pull point, "/", the number in eight bytes.
struct QueueRow {
  std::string subscription;  // id; empty: somebody else told it to the pull point
  std::string producer;      // path
  std::string topic_ns, topic;
  std::string content;  // the message's root element as XML text; of others: the whole wsnt:NotificationMessage
  bool asks = false;    // the filter's condition on the producer's properties was not looked at yet
  template <class V>
  void fields(V& v) {
    v(1, subscription), v(2, producer), v(3, topic_ns), v(4, topic), v(5, content), v(6, asks);
  }
};

// The key of a row of the queue.
inline std::string queue_key(const std::string& owner, std::int64_t number) {
  return owner + "/" + exchange::ordered_number(number);
}

// The key of a row of the table of watched resources.
inline std::string watch_key(const std::string& vo, const std::string& path) { return vo + '\0' + path; }

// Table notification_watch; key: VO, zero byte, path of the resource. The last seen properties of a resource that a
// subscription watches.
struct WatchRow {
  std::string properties;  // XML text of the document; empty: not read yet
  template <class V>
  void fields(V& v) {
    v(1, properties);
  }
};

// Table notification_cursor; key: "events".
struct CursorRow {
  std::int64_t sequence = 0;  // of the last event that was looked at
  template <class V>
  void fields(V& v) {
    v(1, sequence);
  }
};

}  // namespace nuraghe::services::notification
