#include "apps/controller/member_door.hpp"

#include <fmt/format.h>

#include "apps/controller/state_folder.hpp"
#include "base/log.hpp"
#include "env/posix.hpp"
#include "net/http.hpp"
#include "services/trace/trace.hpp"

namespace nuraghe::controller {

Result<MemberDoor> choose_member_door(const std::string& text, const MemberDoorOptions& options) {
  using Kind = DoorAddress::Kind;
  MemberDoor door;
  TRY_ASSIGN(door.where, parse_door(text));
  if (door.where.kind == Kind::kUnix) {
    if (options.is_member)
      return invalid(
          fmt::format("--listen {}: a {} that has joined a site listens on ADDRESS:PORT", text, options.program));
    door.listen = text;
    door.base = net::unix_base(door.where.address);
    return door;
  }
  if (door.where.address == "0.0.0.0" || door.where.address == "::")
    return invalid(fmt::format("--listen {}: name the address by which nuraghed reaches this machine", text));
  if (options.is_member) {
    door.where.kind = Kind::kTls;
  } else if (!door.where.is_loopback || door.where.kind == Kind::kTls) {
    return invalid(
        fmt::format("--listen {}: other machines come with TLS alone, and this {} has joined no site: have a "
                    "token made ({}) and give it with --join FILE",
                    text, options.program, options.token_command));
  }
  TRY_ASSIGN(door.where.port, choose_port(options.state, door.where.address, door.where.port));
  const bool is_tls = door.where.kind == Kind::kTls;
  door.listen = (is_tls ? "tls:" : "") + door.where.authority();
  door.base = (is_tls ? "https://" : "http://") + door.where.authority();
  return door;
}

Result<std::string> nuraghed_base(const std::string& text, const std::string& option) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return net::unix_base(text.substr(kUnix.size()));
  const auto url = net::parse_url(text);
  if (!url) return url.error().with(option);
  if (url->target != "/")
    return invalid(fmt::format("{} {}: name nuraghed's base alone, without a path", option, text));
  return url->base();
}

SpanReport::SpanReport(exchange::Router& router, std::string nuraghed, std::string caller)
    : router_(router), nuraghed_(std::move(nuraghed)), caller_(std::move(caller)), buffer_([this] { tell(); }) {}

std::function<void(std::vector<exchange::Span>)> SpanReport::taker() {
  return [this](std::vector<exchange::Span> ended) { buffer_.add(std::move(ended)); };
}

void SpanReport::tell() {
  constexpr std::size_t kAtOnce = 500;
  for (auto ended = buffer_.take(kAtOnce); !ended.empty(); ended = buffer_.take(kAtOnce)) {
    auto message = services::trace::make_record(nuraghed_ + "/services/trace", ended);
    message.message_id = env::make_uuid_urn(env::system_random());
    message.caller = caller_;
    router_.deliver(std::move(message), [](const exchange::Message& reply) {
      if (reply.fault) log_warning("trace", "nuraghed did not take spans", {{"fault", reply.fault->reason}});
    });
  }
}

}  // namespace nuraghe::controller
