// One TLS connection of the server over a non-blocking socket. Inside of this room; used on one thread.
//
// It holds no buffers while nothing is under way (SSL_MODE_RELEASE_BUFFERS): an idle connection costs its state only.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "net/http.hpp"
#include "net/tls.hpp"

namespace nuraghe::net {

class TlsSession {
 public:
  enum class Outcome { kDone, kWantsRead, kWantsWrite, kClosed, kFailed };
  struct Step {
    Outcome outcome = Outcome::kDone;
    std::size_t count = 0;  // of bytes
  };
  // The largest piece that one record carries (RFC 8446 §5.1): a read into that much leaves nothing behind.
  static constexpr std::size_t kRecord = 16384;

  // `fd` stays the caller's and outlives this.
  TlsSession(std::shared_ptr<const TlsServerContext> context, int fd);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  Step handshake();
  Step read(char* to, std::size_t size);
  // As read, but the bytes stay.
  Step peek();
  // A write that did not end must be repeated with the same bytes, perhaps with more behind them.
  Step write(const char* from, std::size_t size);
  // Bytes that were decrypted and not read yet: no readiness of the socket tells of them.
  bool has_pending() const;
  // Tells the other side that nothing follows; waits for nothing.
  void say_goodbye();
  // What the client showed and was verified; null: nothing.
  std::shared_ptr<const PeerCertificate> peer() const;
  // Why the last step failed.
  const std::string& failure() const;

 private:
  struct State;
  Step settle(int result);
  std::unique_ptr<State> state_;
};

}  // namespace nuraghe::net
