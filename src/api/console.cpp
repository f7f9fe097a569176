// Consoles over HTTP: one request streams the output, others bring the input.
#include "api/doors.hpp"

namespace nuraghe::api {

namespace {

// Moves bytes from the console to the client: the next are read when the client took the last.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  Relay(std::shared_ptr<net::Channel> channel, net::HttpStream stream, std::shared_ptr<const Identity> identity)
      : channel_(std::move(channel)), stream_(std::move(stream)), identity_(std::move(identity)) {}

  void next() {
    channel_->read([self = shared_from_this()](Result<std::string> data) {
      if (!data || data->empty()) return self->finish();
      // Whoever was shut out meanwhile sees nothing more.
      if (!self->identity_->is_valid(env::system_clock().now())) return self->finish();
      if (!self->stream_.write(std::move(*data), [self] { self->next(); })) self->finish();
    });
  }
  void finish() const {
    stream_.close();
    channel_->close();
  }

 private:
  const std::shared_ptr<net::Channel> channel_;
  const net::HttpStream stream_;
  const std::shared_ptr<const Identity> identity_;
};

// Members of two VOs may have the same name.
bool is_same(const Identity& a, const Identity& b) { return a.caller() == b.caller() && a.vo == b.vo; }

}  // namespace

void Consoles::serve(const std::shared_ptr<net::HttpServer>& server, const HttpRequest& request,
                     const std::string& controller, const std::string& host, const HttpResponder& responder) {
  if (provider_ == nullptr) return responder.respond(net::text_response(404, "no consoles are served here"));
  if (request.method == "POST") return responder.respond(input(request));
  if (request.method != "GET") {
    HttpResponse response = net::text_response(405, "use GET or POST");
    response.headers.push_back({"Allow", "GET, POST"});
    return responder.respond(std::move(response));
  }
  if (request.query("follow").value_or("0") == "1") return follow(server, request, controller, host, responder);
  provider_->tail(controller, host, identity_of(request), kib(64), [responder](Result<std::string> bytes) {
    if (!bytes) return responder.respond(error_response(bytes.error()));
    HttpResponse response;
    response.content_type = "application/octet-stream";
    response.body = std::move(*bytes);
    responder.respond(std::move(response));
  });
}

void Consoles::follow(const std::weak_ptr<net::HttpServer>& server, const HttpRequest& request,
                      const std::string& controller, const std::string& host, const HttpResponder& responder) {
  const Session session{std::string(request.path()), std::static_pointer_cast<const Identity>(request.attachment),
                        nullptr};
  provider_->open(controller, host, identity_of(request),
                  [self = shared_from_this(), server, session, responder](Result<env::UniqueFd> socket) {
                    if (!socket) return responder.respond(error_response(socket.error()));
                    const auto http = server.lock();
                    if (http) self->begin(http, session, std::move(*socket), responder);
                  });
}

void Consoles::begin(const std::shared_ptr<net::HttpServer>& server, Session session, env::UniqueFd socket,
                     const HttpResponder& responder) {
  const std::string id = env::make_id(*random_, "console");
  const auto channel = server->open_channel(std::move(socket));
  session.channel = channel;
  const auto identity = session.identity;
  {
    const std::lock_guard lock(mutex_);
    sessions_.emplace(id, std::move(session));
  }
  HttpResponse head;
  head.content_type = "application/octet-stream";
  head.headers.push_back({"Nuraghe-Console-Session", id});
  head.headers.push_back({"Cache-Control", "no-store"});
  const net::HttpStream stream = responder.begin_stream(std::move(head));
  const auto relay =
      std::shared_ptr<Relay>(new Relay(channel, stream, identity), [self = shared_from_this(), id](Relay* gone) {
        delete gone;
        self->end(id);
      });
  stream.on_gone([channel] { channel->close(); });
  relay->next();
}

HttpResponse Consoles::input(const HttpRequest& request) {
  const std::string id = request.query("session").value_or("");
  std::shared_ptr<net::Channel> channel;
  {
    const std::lock_guard lock(mutex_);
    const auto at = sessions_.find(id);
    if (at != sessions_.end() && at->second.path == request.path() &&
        is_same(*at->second.identity, identity_of(request))) {
      channel = at->second.channel;
    }
  }
  if (!channel) return net::text_response(404, "there is no such console session; GET ...?follow=1 begins one");
  if (const Status status = channel->write(request.body); !status) return error_response(status.error());
  HttpResponse done;
  done.status = 204;
  return done;
}

void Consoles::end(const std::string& id) {
  const std::lock_guard lock(mutex_);
  sessions_.erase(id);
}

}  // namespace nuraghe::api
