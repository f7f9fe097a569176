#include "network/outlet.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

namespace nuraghe::network {

Outlet::~Outlet() {
  while (!queue_.empty()) drop_front();
  if (token_) poller_.remove(*token_);
  if (fd_.valid() && !own_path_.empty()) ::unlink(own_path_.c_str());
}

int Outlet::connect() {
  if (!fd_.valid()) {
    auto fd =
        own_path_.empty()
            ? Result<env::UniqueFd>(env::UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)))
            : bind_datagram(own_path_);
    if (!fd || !fd->valid()) return EMFILE;
    fd_ = std::move(*fd);
  }
  const auto address = unix_address(path_);
  if (!address) return EINVAL;
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) return errno;
  connected_ = true;
  return 0;
}

int Outlet::try_send(std::span<const std::uint8_t> datagram) {
  if (!connected_) {
    if (const int error = connect(); error != 0) return error;
  }
  for (;;) {
    if (::send(fd_.get(), datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

Outlet::Attempt Outlet::attempt(std::span<const std::uint8_t> datagram) {
  int error = try_send(datagram);
  if (error == ECONNREFUSED || error == ENOTCONN || error == ECONNRESET || error == EPIPE) {
    connected_ = false;  // its process ended; another may be there now
    error = try_send(datagram);
  }
  switch (error) {
    case 0:
      ++counters_.sent;
      return Attempt::kDone;
    case EAGAIN:
      return Attempt::kFull;
    case ENOENT:
    case ECONNREFUSED:
      ++counters_.dropped_absent;
      return Attempt::kDone;
    default:
      ++counters_.dropped_failed;
      return Attempt::kDone;
  }
}

void Outlet::send(std::span<const std::uint8_t> datagram) {
  if (queue_.empty() && attempt(datagram) == Attempt::kDone) return;
  if (queue_.size() >= limit_ || budget_.bytes_left < datagram.size()) {
    ++counters_.dropped_slow;
    return;
  }
  if (!token_) {
    auto token = poller_.add(fd_.get(), EPOLLOUT, [this] { flush(); });
    if (!token) {
      ++counters_.dropped_failed;
      return;
    }
    token_ = *token;
  }
  budget_.bytes_left -= datagram.size();
  queue_.emplace_back(datagram.begin(), datagram.end());
}

void Outlet::drop_front() {
  budget_.bytes_left += queue_.front().size();
  queue_.pop_front();
}

void Outlet::flush() {
  while (!queue_.empty()) {
    if (attempt(queue_.front()) == Attempt::kFull) return;
    drop_front();
  }
  poller_.remove(*token_);
  token_.reset();
}

}  // namespace nuraghe::network
