// The switch's one loop: descriptors and what to do when they are ready, by epoll.
// Threading: none.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/result.hpp"
#include "env/posix.hpp"

namespace nuraghe::network {

class Poller {
 public:
  using Handler = std::function<void()>;
  using Token = std::uint64_t;  // never reused, so an event of a descriptor removed meanwhile finds nobody

  static Result<std::unique_ptr<Poller>> open();
  // Level triggered; events as in epoll_ctl(2). The descriptor must be removed before it is closed.
  Result<Token> add(int fd, std::uint32_t events, Handler handler);
  void modify(Token token, std::uint32_t events);
  void remove(Token token);
  // Waits without limit for the next events and handles them.
  Status run_once();

 private:
  explicit Poller(env::UniqueFd epoll) : epoll_(std::move(epoll)) {}
  struct Entry {
    int fd;
    std::shared_ptr<Handler> handler;
  };
  env::UniqueFd epoll_;
  Token next_ = 1;
  std::unordered_map<Token, Entry> entries_;
};

}  // namespace nuraghe::network
