#include "api/entrance.hpp"

#include <fmt/format.h>

#include <charconv>

#include "env/posix.hpp"

namespace nuraghe::api {

namespace {

constexpr std::int64_t kMicros = 1'000'000;
constexpr std::int64_t kOpenDoorBody = 65536;  // bytes, of who has not shown anything yet

// "10.0.0.2" of "10.0.0.2:4711".
std::string_view address_of(std::string_view peer) { return peer.substr(0, peer.rfind(':')); }

std::optional<EntranceRefusal> refuse_for(Duration wait) {
  if (wait <= Duration(0)) return std::nullopt;
  return EntranceRefusal{429, "too many requests: ask again later, and less often", wait};
}

}  // namespace

std::string whole_seconds(Duration span) { return fmt::format("{}", (span.count() + kMicros - 1) / kMicros); }

bool Entrance::is_open_door(const HttpRequest& head) const {
  return options_.site != nullptr && options_.site->has(head.path());
}

std::optional<EntranceRefusal> Entrance::at_open_door(const HttpRequest& head) {
  std::int64_t size = 0;
  const std::string_view length = head.header("Content-Length");
  std::from_chars(length.data(), length.data() + length.size(), size);
  if (size > kOpenDoorBody || !head.header("Transfer-Encoding").empty())
    return EntranceRefusal{413, "a request here has a length, of at most 64 KiB", {}};
  return refuse_for(strangers_.admit(address_of(head.peer), env::system_clock().now()));
}

Result<std::shared_ptr<const Identity>> Entrance::certified(const HttpRequest& head) const {
  if (!head.certificate || !options_.certificate || !head.header("Authorization").empty())
    return std::shared_ptr<const Identity>();
  return options_.certificate(*head.certificate);
}

std::optional<EntranceRefusal> Entrance::known(const HttpRequest& head, const Identity& identity) {
  const bool is_of_site = identity.role == Role::kController || identity.role == Role::kPeer;
  const bool came_with_token = !head.header("Authorization").empty();
  if (is_of_site && came_with_token && !head.is_local)
    return EntranceRefusal{
        403,
        "this token is for the machine that it stands on: other machines join the site (nuraghe host "
        "join-token NAME)",
        {}};
  if (identity.role == Role::kPeer) return std::nullopt;
  return refuse_for(callers_.admit(fmt::format("{}/{}", identity.vo, identity.name), env::system_clock().now()));
}

std::optional<EntranceRefusal> Entrance::unknown(const HttpRequest& head) {
  // A UNIX socket is open to its owner alone.
  if (head.peer == "unix") return std::nullopt;
  return refuse_for(strangers_.admit(address_of(head.peer), env::system_clock().now()));
}

}  // namespace nuraghe::api
