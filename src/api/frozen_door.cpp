// GET /services/CONTROLLER/hosts/ID/frozen/DIGEST: a part of a frozen host's state, for the repository of its site.
#include <fmt/format.h>

#include "api/doors.hpp"
#include "base/log.hpp"

namespace nuraghe::api {

namespace {

constexpr Bytes kFrozenPiece = kib(256);

// Sends the bytes of a source piece by piece: the next is made when the client took the last.
class SourceSender : public std::enable_shared_from_this<SourceSender> {
 public:
  SourceSender(std::unique_ptr<images::ByteSource> source, net::HttpStream stream)
      : source_(std::move(source)), stream_(std::move(stream)) {}

  void next() {
    if (at_ >= source_->size()) return stream_.close();
    auto piece = source_->read(at_, kFrozenPiece);
    if (!piece) {
      // The client gets fewer bytes than the digest wants, and says so.
      log_warning("frozen", "a part could not be read", {{"error", piece.error().to_string()}});
      return stream_.close();
    }
    at_.count += static_cast<std::int64_t>(piece->size());
    // A client that is gone needs nothing more.
    (void)stream_.write(std::move(*piece), [self = shared_from_this()] { self->next(); });
  }

 private:
  const std::unique_ptr<images::ByteSource> source_;
  const net::HttpStream stream_;
  Bytes at_;
};

}  // namespace

std::optional<FrozenPath> frozen_path(std::string_view rest) {
  constexpr std::string_view kHosts = "/hosts/", kFrozen = "/frozen/";
  if (!rest.starts_with(kHosts)) return std::nullopt;
  rest.remove_prefix(kHosts.size());
  const auto at = rest.find(kFrozen);
  if (at == 0 || at == std::string_view::npos) return std::nullopt;
  return FrozenPath{std::string(rest.substr(0, at)), std::string(rest.substr(at + kFrozen.size()))};
}

void serve_frozen(const GatewayOptions& options, const HttpRequest& request, const std::string& controller,
                  const FrozenPath& path, const HttpResponder& responder) {
  if (!options.frozen_part) return responder.respond(net::text_response(404, "no frozen states are served here"));
  if (request.method != "GET") {
    HttpResponse response = net::text_response(405, "use GET");
    response.headers.push_back({"Allow", "GET"});
    return responder.respond(std::move(response));
  }
  auto source = options.frozen_part(controller, path.host, path.digest);
  if (!source) return responder.respond(error_response(source.error()));
  HttpResponse head;
  head.content_type = "application/octet-stream";
  head.headers.push_back({"Cache-Control", "no-store"});
  std::make_shared<SourceSender>(std::move(*source), responder.begin_stream(std::move(head)))->next();
}

}  // namespace nuraghe::api
