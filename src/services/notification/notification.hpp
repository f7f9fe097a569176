// WS-BaseNotification 1.3: who subscribes hears what happens (docs/notification.md).
//
// One durable actor beside the services. It reads the exchange's events by a cursor of its own, within its turns, and
// queues for each subscription what its filter lets pass; cursor and queues commit together, so no event is lost and
// none is told twice. A consumer has one message on its way at a time, in the order of the events, and gets it again
// under the same wsa:MessageID until it took it.
//
// Invariants: a subscription sees events of its own VO, what the site's physical hosts do, an administrator's also what
// else concerns the site, and no others; and those only as long as who subscribed may see its producer. A consumer's
// address leads out of this process (exchange::Message::to_stranger) or to a pull point of the same VO; nothing that it
// answers is told to anybody. Every queue has an end: of a full one the oldest goes, with an event. Threading: as
// exchange::Actor; note_published is thread safe.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "contracts/notification.hpp"
#include "exchange/exchange.hpp"
#include "services/notification/filter.hpp"
#include "services/notification/messages.hpp"
#include "services/notification/producers.hpp"
#include "services/notification/rows.hpp"
#include "services/rows.hpp"
#include "soap/addresses.hpp"

namespace nuraghe::services::notification {

namespace api = contracts::notification;

// Who subscribed, at which path.
struct Subscriber {
  std::string caller, vo, path;
  bool is_administrator = false;  // of the site
  TimePoint since;                // when they subscribed
};

struct NotificationOptions {
  std::string base;              // "http://127.0.0.1:8470": before the paths of references
  std::string public_url;        // what consumers are told instead; empty: the base by which their subscriber came
  soap::SharedPathOf own_paths;  // which addresses are this process's; null: paths
  // Whether an address may be a consumer's; kInvalid or kDenied say why not. Pure.
  std::function<Status(const std::string& url)> check_consumer;
  // Whether somebody may still be told what happens there. Asked before each message; a subscription ends that may not.
  // Must not block; null: all may.
  std::function<bool(const Subscriber& subscriber)> may_hear;
  Duration usual_lifetime = std::chrono::hours(24);          // without an InitialTerminationTime
  Duration longest_lifetime = std::chrono::hours(24 * 366);  // that may be asked for
  // Of a member that a provider's rule makes: what they are is told anew with each of their tokens.
  Duration longest_lifetime_by_rule = std::chrono::hours(24);
  Duration patience = std::chrono::hours(1);                  // with a consumer that does not take a message
  Duration pull_point_patience = std::chrono::hours(24 * 7);  // with one that nobody asks for messages
  std::size_t most_of_vo = 500;                               // subscriptions, and pull points
  std::int64_t queue_limit = 5'000;                           // messages of a subscription or a pull point
};

class Notification final : public api::Skeleton {
 public:
  Notification(Producers producers, NotificationOptions options);

  // The operations that are to be routed here from "/services" on: WS-BaseNotification's, by their elements' names.
  static const std::vector<std::string>& standard_operations();

  std::string_view name() const override { return "notification"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_request(exchange::Turn& turn, const exchange::Message& request) override;
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  void on_rollback() override { loaded_ = false; }

  // Looks at the events since the last time. Within a turn of this actor.
  Status pump(exchange::Turn& turn);
  // A service of another program tells something from now on; nothing any more. In a turn of this actor's exchange.
  void set_service(TellingService service) { producers_.set(std::move(service)); }
  void remove_service(std::string_view service) { producers_.remove(service); }
  // Whether an event just published needs a pump(): true once until that ran. Thread safe.
  bool note_published();

 protected:
  // ---- what is there, for people and for WSRF (listing.cpp) ----
  Status list_subscriptions(exchange::Turn& turn, const exchange::Message& request,
                            const api::ListSubscriptionsRequest& input) override;
  Status get_subscription(exchange::Turn& turn, const exchange::Message& request,
                          const api::GetSubscriptionRequest& input) override;
  Status set_subscription_end(exchange::Turn& turn, const exchange::Message& request,
                              const api::SetSubscriptionEndRequest& input) override;
  Status end_subscription(exchange::Turn& turn, const exchange::Message& request,
                          const api::EndSubscriptionRequest& input) override;
  Status list_pull_points(exchange::Turn& turn, const exchange::Message& request,
                          const api::ListPullPointsRequest& input) override;
  Status get_pull_point(exchange::Turn& turn, const exchange::Message& request,
                        const api::GetPullPointRequest& input) override;
  Status destroy_pull_point(exchange::Turn& turn, const exchange::Message& request,
                            const api::DestroyPullPointRequest& input) override;

 private:
  // What is kept of a subscription beside its row.
  struct Active {
    SubscriptionRow row;
    Filter filter;
    bool is_touched = false;  // it changed in this turn
  };
  using Reply = Answer<xml::DocumentPtr>;  // null: answered later
  using Handler = Reply (Notification::*)(exchange::Turn&, const exchange::Message&);
  static const std::map<std::string, Handler, std::less<>>& handlers();

  // ---- requests (requests.cpp, pull_points.cpp) ----
  // A service as producer has no properties but those (WS-BaseNotification 1.3 §4.1).
  Reply get_properties(exchange::Turn& turn, const exchange::Message& request);
  Reply get_property(exchange::Turn& turn, const exchange::Message& request);
  Reply subscribe(exchange::Turn& turn, const exchange::Message& request);
  Reply get_current_message(exchange::Turn& turn, const exchange::Message& request);
  Reply renew(exchange::Turn& turn, const exchange::Message& request);
  Status set_end(exchange::Turn& turn, Active& active, std::optional<TimePoint> end);
  Reply unsubscribe(exchange::Turn& turn, const exchange::Message& request);
  Reply pause(exchange::Turn& turn, const exchange::Message& request);
  Reply resume(exchange::Turn& turn, const exchange::Message& request);
  Reply create_pull_point(exchange::Turn& turn, const exchange::Message& request);
  Reply get_messages(exchange::Turn& turn, const exchange::Message& request);
  Reply destroy_asked(exchange::Turn& turn, const exchange::Message& request);
  Reply notify(exchange::Turn& turn, const exchange::Message& request);

  Answer<SubscriptionRow> new_subscription(exchange::Turn& turn, const exchange::Message& request);
  Answer<std::string> pull_point_at(exchange::Turn& turn, const std::string& address, const std::string& vo);
  Answer<std::optional<TimePoint>> initial_termination(const std::optional<std::string>& text,
                                                       const std::string& caller, TimePoint now) const;
  // The longest time ahead for which this caller's subscriptions may be.
  Duration longest_of(std::string_view caller) const;
  Status check_topics(const Producer& producer, const Filter& filter) const;
  Result<xml::DocumentPtr> begin_subscription(exchange::Turn& turn, Active active);
  Status look_up(exchange::Turn& turn, const Active& active);
  Status on_looked_up(exchange::Turn& turn, const exchange::Message& reply, Active& active);
  Answer<Active*> subscription_at(exchange::Turn& turn, const exchange::Message& request);
  Result<PullPointRow> visible_pull_point(exchange::Turn& turn, const std::string& vo, const std::string& id);
  Answer<PullPointRow> pull_point_of(exchange::Turn& turn, const exchange::Message& request);
  Result<std::optional<std::string>> current_message(exchange::Turn& turn, const exchange::Message& request,
                                                     const Producer& producer, const TopicExpression& topic);

  // ---- what is told (delivery.cpp) ----
  Status load(exchange::Turn& turn);
  Status take_event(exchange::Turn& turn, const exchange::Event& event, const TellingService& of);
  Status take_event(exchange::Turn& turn, const std::string& vo, const exchange::Event& event,
                    const TellingService& of);
  Status enqueue(exchange::Turn& turn, Active& active, const xml::QName& topic, std::string content, bool asks);
  Status append(exchange::Turn& turn, PullPointRow& point, const QueueRow& row);
  Status kick(exchange::Turn& turn, Active& active);
  bool may_hear(const SubscriptionRow& row) const;
  Status send_next(exchange::Turn& turn, Active& active);
  std::string base_for(const SubscriptionRow& row) const;
  Status send_rows(exchange::Turn& turn, Active& active, const std::vector<QueueRow>& rows, bool again);
  Status hand_over(exchange::Turn& turn, Active& active);
  Status on_told(exchange::Turn& turn, const exchange::Message& reply, Active& active);
  Status try_again(exchange::Turn& turn, Active& active);
  Status drop_oldest(exchange::Turn& turn, const std::string& owner, std::int64_t& queued);
  void touch(Active& active);
  Status flush(exchange::Turn& turn);
  Status end(exchange::Turn& turn, const std::string& id);
  // ---- properties of resources (watch.cpp) ----
  // Whether the subscription wants to know them: to tell their changes, or for its filter.
  bool watches(const Active& active) const;
  Status look_at(exchange::Turn& turn, const std::string& vo, const Producer& producer);
  Status on_seen(exchange::Turn& turn, const exchange::Message& reply, const std::string& key);
  Status take_properties(exchange::Turn& turn, const std::string& vo, const Producer& producer, xml::Node value);
  Status tell_changes(exchange::Turn& turn, const std::string& vo, const Producer& producer, xml::Node before,
                      xml::Node now);
  Status decide_waiting(exchange::Turn& turn, Active& active, xml::Node properties);
  Status watch_again(exchange::Turn& turn, const std::string& key);
  Result<xml::DocumentPtr> get_request(const Producer& producer) const;

  Status end_pull_point(exchange::Turn& turn, const PullPointRow& point);
  Status lose(exchange::Turn& turn, Active& active, const std::string& why);
  Status announce(exchange::Turn& turn, const std::string& vo, std::string kind, std::string id, std::string text);
  void keep(Active active);
  Active* find(const std::string& vo, const std::string& id);
  Active* find(const std::string& id);

  Producers producers_;
  const NotificationOptions options_;
  RowTable<SubscriptionRow> subscriptions_;
  RowTable<PullPointRow> pull_points_;
  RowTable<QueueRow> queue_;
  RowTable<CursorRow> cursor_;
  RowTable<WatchRow> watches_;
  store::Table events_;
  // Mirrors the rows: VO → id → subscription.
  bool loaded_ = false;
  std::map<std::string, std::map<std::string, Active>> active_;
  std::map<std::string, std::string> vo_of_;     // of a subscription
  std::map<std::string, std::size_t> for_site_;  // VO → how many of its subscriptions hear what is another VO's
  std::vector<std::string> touched_;             // what flush() has to look at
  // Resources that are being read, by their key in the table; true: something happened since that was asked for.
  std::map<std::string, bool> looking_;
  std::atomic<bool> has_subscriptions_ = false, pump_is_due_ = false;
};

// Whether a request is for who tells what happens at an address, not for the service that is there: a message of
// WS-BaseNotification, or one that asks a service itself for its properties as a producer.
bool is_for_producer(const exchange::Message& request);

// Has the exchange's events looked at as they are published. Both outlive the exchange's threads.
void follow_events(exchange::Exchange& exchange, Notification& notification);

}  // namespace nuraghe::services::notification
