// Subscriptions and pull points as the service's own definition has them.
#include <fmt/format.h>

#include "services/notification/notification.hpp"

namespace nuraghe::services::notification {

namespace {

api::Subscription shown(const SubscriptionRow& row) {
  api::Subscription subscription;
  subscription.id = row.id;
  subscription.producer = row.producer().path();
  subscription.consumer.address = row.consumer;
  subscription.filter = row.filter;
  subscription.raw = row.use_raw;
  subscription.paused = row.paused;
  subscription.subscriber = row.caller;
  subscription.created = row.created;
  subscription.ends = row.termination;
  subscription.waiting = row.queued;
  subscription.refused_since = row.failing_since;
  return subscription;
}

api::PullPoint shown(const PullPointRow& row) {
  api::PullPoint point;
  point.id = row.id;
  point.subscriber = row.caller;
  point.created = row.created;
  point.asked = row.used;
  point.waiting = row.queued;
  return point;
}

Error no_subscription(const std::string& id) {
  return not_found(fmt::format("there is no subscription {}; it may have ended", id));
}

}  // namespace

Status Notification::list_subscriptions(exchange::Turn& turn, const exchange::Message& request,
                                        const api::ListSubscriptionsRequest&) {
  api::ListSubscriptionsResponse response;
  if (const auto of_vo = active_.find(request.vo); of_vo != active_.end()) {
    for (const auto& [id, active] : of_vo->second) {
      if (active.row.request.empty()) response.subscription.push_back(shown(active.row));
    }
  }
  return answer(turn, request.message_id, response);
}

Status Notification::get_subscription(exchange::Turn& turn, const exchange::Message& request,
                                      const api::GetSubscriptionRequest& input) {
  const Active* active = find(request.vo, input.id);
  if (active == nullptr || !active->row.request.empty()) return no_subscription(input.id);
  return answer(turn, request.message_id, api::GetSubscriptionResponse{shown(active->row)});
}

// What WS-ResourceLifetime sets: the same time as wsnt:Renew, within the same bounds.
Status Notification::set_subscription_end(exchange::Turn& turn, const exchange::Message& request,
                                          const api::SetSubscriptionEndRequest& input) {
  Active* active = find(request.vo, input.id);
  if (active == nullptr || !active->row.request.empty()) return no_subscription(input.id);
  const Duration longest = longest_of(active->row.caller);
  const TimePoint latest = turn.now() + longest;
  const bool must_end = longest < options_.longest_lifetime;
  if (!input.ends && must_end)
    return invalid(fmt::format("{} is a member by a provider's rule alone: the subscription ends at {} at the latest",
                               xml::printable(active->row.caller), latest.to_string()));
  if (input.ends && (*input.ends <= turn.now() || *input.ends > latest))
    return invalid(fmt::format("the subscription cannot end at {}: a time until {} is taken, or none",
                               input.ends->to_string(), latest.to_string()));
  TRY(set_end(turn, *active, input.ends));
  return answer(turn, request.message_id, api::SetSubscriptionEndResponse{input.ends});
}

Status Notification::end_subscription(exchange::Turn& turn, const exchange::Message& request,
                                      const api::EndSubscriptionRequest& input) {
  if (find(request.vo, input.id) == nullptr) return no_subscription(input.id);
  TRY(end(turn, input.id));
  return answer(turn, request.message_id, api::EndSubscriptionResponse{});
}

Status Notification::list_pull_points(exchange::Turn& turn, const exchange::Message& request,
                                      const api::ListPullPointsRequest&) {
  TRY_ASSIGN(const auto points, pull_points_.scan(turn.transaction(), ""));
  api::ListPullPointsResponse response;
  for (const auto& [id, point] : points) {
    if (point.vo == request.vo) response.pull_point.push_back(shown(point));
  }
  return answer(turn, request.message_id, response);
}

Status Notification::get_pull_point(exchange::Turn& turn, const exchange::Message& request,
                                    const api::GetPullPointRequest& input) {
  TRY_ASSIGN(const PullPointRow point, visible_pull_point(turn, request.vo, input.id));
  return answer(turn, request.message_id, api::GetPullPointResponse{shown(point)});
}

Status Notification::destroy_pull_point(exchange::Turn& turn, const exchange::Message& request,
                                        const api::DestroyPullPointRequest& input) {
  TRY_ASSIGN(const PullPointRow point, visible_pull_point(turn, request.vo, input.id));
  TRY(end_pull_point(turn, point));
  return answer(turn, request.message_id, api::DestroyPullPointResponse{});
}

}  // namespace nuraghe::services::notification
