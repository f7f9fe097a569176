#include "services/notification/subscriber.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "contracts/notification.hpp"
#include "services/notification/names.hpp"

namespace nuraghe::services::notification {
namespace {

constexpr std::array<std::string_view, 4> kOfSubscription{"Renew", "Unsubscribe", "PauseSubscription",
                                                          "ResumeSubscription"};
constexpr std::array<std::string_view, 2> kOfPullPoint{"GetMessages", "DestroyPullPoint"};

Status check(const Result<xml::DocumentPtr>& answer, std::string_view field, const std::string& caller) {
  // That it is not there, the operation itself says in the standard's words.
  if (!answer) return answer.error().code() == ErrorCode::kNotFound ? Status() : Status(answer.error());
  const xml::Node root = (*answer)->root();
  const xml::Node shown = root.child(root.namespace_uri(), field);
  const xml::Node subscriber = shown ? shown.child(root.namespace_uri(), "subscriber") : xml::Node();
  if (!subscriber) return internal("nobody is known as its subscriber");
  if (subscriber.text() == caller) return {};
  return denied(fmt::format("it was made by {}: only that one, or an operator or owner of the VO, may do this",
                            xml::printable(subscriber.text())));
}

}  // namespace

std::optional<std::string> id_at(std::string_view address, std::string_view folder) {
  if (!address.starts_with('/')) {
    const auto scheme = address.find("://");
    const auto slash = scheme == std::string_view::npos ? scheme : address.find('/', scheme + 3);
    if (slash == std::string_view::npos) return std::nullopt;
    address.remove_prefix(slash);
  }
  if (!address.starts_with(folder)) return std::nullopt;
  address.remove_prefix(folder.size());
  address = address.substr(0, address.find_first_of("?#"));
  if (address.empty()) return std::nullopt;
  return std::string(address);
}

std::shared_ptr<const exchange::Precondition> only_by_subscriber(const exchange::Message& request) {
  const auto has = [&](const auto& words) { return std::ranges::find(words, request.operation) != words.end(); };
  const auto subscription = has(kOfSubscription) ? id_at(request.to, kSubscriptions) : std::nullopt;
  const auto point = has(kOfPullPoint) ? id_at(request.to, kPullPoints) : std::nullopt;
  if (!subscription && !point) return nullptr;
  auto precondition = std::make_shared<exchange::Precondition>();
  precondition->question =
      subscription ? contracts::notification::make_get_subscription(std::string(kService), {.id = *subscription})
                   : contracts::notification::make_get_pull_point(std::string(kService), {.id = *point});
  precondition->question.vo = request.vo;
  precondition->question.caller = request.caller;
  precondition->check = [field = subscription ? "subscription" : "pull_point", caller = request.caller](
                            const Result<xml::DocumentPtr>& answer) { return check(answer, field, caller); };
  return precondition;
}

}  // namespace nuraghe::services::notification
