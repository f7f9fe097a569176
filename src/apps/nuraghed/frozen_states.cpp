#include "apps/nuraghed/frozen_states.hpp"

#include <fmt/format.h>

#include <utility>

#include "net/http.hpp"

namespace nuraghe::daemon {
namespace {

constexpr Bytes kPiece = mib(1);
constexpr Duration kBeginTime = std::chrono::seconds(15);
constexpr Duration kLookAgain = std::chrono::milliseconds(500);  // whether the copy is still wanted

Error ended() { return {ErrorCode::kCancelled, "the copy of a frozen state was ended"}; }

services::vhir::StateSource::Next from_source(std::unique_ptr<images::ByteSource> source,
                                              std::function<bool()> cancelled) {
  return [source = std::shared_ptr<images::ByteSource>(std::move(source)), at = Bytes{},
          cancelled = std::move(cancelled)]() mutable -> Result<std::string> {
    if (cancelled()) return ended();
    if (at >= source->size()) return std::string();
    TRY_ASSIGN(auto piece, source->read(at, kPiece));
    at.count += static_cast<std::int64_t>(piece.size());
    return piece;
  };
}

Error refusal_of(const std::string& url, int status, std::string_view said) {
  std::string text = fmt::format("{} answered HTTP {}: {}", url, status, said.substr(0, 200));
  if (status == 404) return not_found(std::move(text));
  if (status == 401 || status == 403) return denied(std::move(text));
  return unavailable(std::move(text));
}

}  // namespace

Result<services::vhir::StateSource::Next> FrozenStates::open(const std::string& controller, const std::string& host,
                                                             const std::string& digest,
                                                             const std::function<bool()>& cancelled) {
  if (auto source = options_.own(controller.substr(controller.rfind('/') + 1), host, digest)) {
    if (!*source) return source->error();
    return from_source(std::move(**source), cancelled);
  }
  net::ClientRequest request;
  request.method = "GET";
  request.url = fmt::format("{}/hosts/{}/frozen/{}", controller, net::percent_encode(host), digest);
  TRY_ASSIGN(const auto url, net::parse_url(request.url));
  request.bearer = options_.token(url.base());
  request.timeout = kBeginTime;
  const std::string asked = request.url;
  TRY_ASSIGN(std::shared_ptr<net::ClientStream> stream, http_.open_stream(std::move(request)));
  if (stream->status() != 200) {
    const auto said = stream->read(kBeginTime);
    return refusal_of(asked, stream->status(), said ? *said : std::string());
  }
  return Next([stream, asked, cancelled, silence = options_.silence]() -> Result<std::string> {
    for (Duration silent{0}; silent < silence; silent += kLookAgain) {
      if (cancelled()) return ended();
      auto piece = stream->read(kLookAgain);
      if (piece || piece.error().code() != ErrorCode::kTimeout) return piece;
    }
    return timed_out(fmt::format("{} was silent for {}", asked, format_duration(silence)));
  });
}

}  // namespace nuraghe::daemon
