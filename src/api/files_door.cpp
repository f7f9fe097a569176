// GET /seeds/CLUSTER/DIGEST and /images/DIGEST: opaque bytes for the controllers of the site. Who asked for them knows
// their digest.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "api/doors.hpp"

namespace nuraghe::api {

namespace {

constexpr std::string_view kSeeds = "/seeds/";
constexpr std::string_view kImages = "/images/";
constexpr std::size_t kPiece = 256 * 1024;

HttpResponse bytes_response(std::string body) {
  HttpResponse response;
  response.content_type = "application/octet-stream";
  response.headers.push_back({"Cache-Control", "no-store"});
  response.body = std::move(body);
  return response;
}

// Sends a file piece by piece: the next is read when the client took the last, so a slow client holds one piece.
class FileSender : public std::enable_shared_from_this<FileSender> {
 public:
  FileSender(env::UniqueFd fd, net::HttpStream stream) : fd_(std::move(fd)), stream_(std::move(stream)) {}

  void next() {
    std::string piece(kPiece, '\0');
    ssize_t count = 0;
    do count = ::read(fd_.get(), piece.data(), piece.size());
    while (count < 0 && errno == EINTR);
    // At an error the client gets fewer bytes than the digest wants, and says so.
    if (count <= 0) return stream_.close();
    piece.resize(static_cast<std::size_t>(count));
    // A client that is gone needs nothing more.
    (void)stream_.write(std::move(piece), [self = shared_from_this()] { self->next(); });
  }

 private:
  const env::UniqueFd fd_;
  const net::HttpStream stream_;
};

void send_file(const std::string& path, const HttpResponder& responder) {
  env::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return responder.respond(error_response(system_error("open " + path, errno)));
  std::make_shared<FileSender>(std::move(fd), responder.begin_stream(bytes_response({})))->next();
}

}  // namespace

// "/images/NAME" is the image of that name (docs/rest.md).
bool is_file_path(std::string_view path) {
  return path.starts_with(kSeeds) || (path.starts_with(kImages) && path.substr(kImages.size()).starts_with("sha256:"));
}

void serve_file(const GatewayOptions& options, const HttpRequest& request, const HttpResponder& responder) {
  const std::string path(request.path());
  if (request.method != "GET") {
    HttpResponse response = net::text_response(405, "use GET");
    response.headers.push_back({"Allow", "GET"});
    return responder.respond(std::move(response));
  }
  if (path.starts_with(kSeeds) && options.seed) {
    const auto seed = net::percent_decode(std::string_view(path).substr(kSeeds.size()));
    if (!seed) return responder.respond(error_response(seed.error()));
    return options.seed(*seed, [responder](Result<std::string> bytes) {
      responder.respond(bytes ? bytes_response(std::move(*bytes)) : error_response(bytes.error()));
    });
  }
  if (path.starts_with(kImages) && options.image_part) {
    const auto file = options.image_part(path.substr(kImages.size()));
    if (!file) return responder.respond(error_response(file.error()));
    return send_file(*file, responder);
  }
  responder.respond(net::text_response(404, "nothing is served at " + path));
}

}  // namespace nuraghe::api
