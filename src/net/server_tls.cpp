// How a connection's bytes reach its socket and come from it, plain or through TLS. On the worker's thread.
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <cerrno>

#include "base/log.hpp"
#include "net/server_core.hpp"

namespace nuraghe::net {

using boost::system::error_code;
using Outcome = TlsSession::Outcome;

namespace {

// What a plain socket would have said.
error_code error_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone:
      return {};
    case Outcome::kWantsRead:
    case Outcome::kWantsWrite:
      return asio::error::would_block;
    case Outcome::kClosed:
      return asio::error::eof;
    case Outcome::kFailed:
      return asio::error::connection_reset;
  }
  return {};
}

}  // namespace

void Connection::shake_hands() {
  const TlsSession::Step step = tls_->handshake();
  if (step.outcome == Outcome::kDone) {
    certificate_ = tls_->peer();
    return go_idle();
  }
  if (step.outcome == Outcome::kWantsRead) return wait_readable();
  if (step.outcome == Outcome::kWantsWrite) {
    return socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const error_code& ec) {
      if (self->state_ != State::kHandshake) return;
      if (ec) return self->close();
      self->shake_hands();
    });
  }
  worker_->core->failed_handshakes.fetch_add(1, std::memory_order_relaxed);
  if (step.outcome == Outcome::kFailed) {
    log_debug("net", "a TLS handshake failed", {{"peer", head_.peer}, {"reason", tls_->failure()}});
  }
  // What the client has sent meanwhile is read away: a reset would take the alert from it that tells why.
  body_follows_ = true;
  linger();
}

std::size_t Connection::receive(error_code& ec) {
  auto& scratch = worker_->scratch;
  if (!tls_ || state_ == State::kLingering) return socket_.read_some(asio::buffer(scratch), ec);
  std::size_t count = 0;
  // As long as a whole record fits none of it stays behind in the session.
  while (scratch.size() - count >= TlsSession::kRecord) {
    const TlsSession::Step step = tls_->read(scratch.data() + count, scratch.size() - count);
    if (step.outcome != Outcome::kDone) {
      if (count == 0) ec = error_of(step.outcome);  // an end is seen again by the next read
      return count;
    }
    count += step.count;
  }
  return count;
}

std::size_t Connection::transmit(std::span<const asio::const_buffer> buffers, error_code& ec) {
  if (!tls_) return socket_.write_some(buffers, ec);
  std::size_t count = 0;
  for (const asio::const_buffer& buffer : buffers) {
    const auto* bytes = static_cast<const char*>(buffer.data());
    std::size_t written = 0;
    while (written < buffer.size()) {
      const TlsSession::Step step = tls_->write(bytes + written, buffer.size() - written);
      if (step.outcome != Outcome::kDone) {
        // What was taken is said first; the same error comes again.
        if (count == 0) ec = error_of(step.outcome);
        return count;
      }
      written += step.count;
      count += step.count;
    }
  }
  return count;
}

bool Connection::is_peer_gone() {
  if (tls_) {
    const Outcome outcome = tls_->peek().outcome;
    if (outcome == Outcome::kWantsRead || outcome == Outcome::kWantsWrite) wait_readable();
    return outcome == Outcome::kClosed || outcome == Outcome::kFailed;
  }
  char byte = 0;
  const ssize_t count = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) return true;
  if (count < 0) wait_readable();
  return false;
}

}  // namespace nuraghe::net
