// Whom this nuraghed expects at an address that it sends to, and what it shows there of itself: a program of the site
// that registered with a certificate is reached as long as that counts, and not at all afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/tls.hpp"
#include "pki/pki.hpp"

namespace nuraghe::daemon {

// A program that registered, and is at the address in question; without a name: nobody who is known is there.
struct Partner {
  pki::Kind kind = pki::Kind::kHost;
  std::string name;
  bool by_certificate = false;  // it registered with one, else by the site's token
  bool counts = false;          // it has a certificate that was not withdrawn
};

// Whether the site's token may be shown to it, should it be on this machine: to who entered by it alone.
bool is_by_token(const Partner& partner);
// How it is met over TLS by who has these credentials. One whose certificates were withdrawn is refused: no request,
// no token and no certificate is shown to what answers at its address.
net::TlsPeer peer_of(const Partner& partner, std::shared_ptr<const net::TlsCredentials> own);

// The addresses of the controllers that are registered: the only ones, besides this process itself and services', to
// which it shows who it is. Every function is thread safe.
class RegisteredBases {
 public:
  static constexpr std::size_t kMostLeft = 1000;

  // Where the controller of that name is now; an empty address: nowhere any more. An address that one left which
  // came with a certificate stays one to which nothing is sent, until another program registers there.
  void set(const std::string& name, const std::string& address, bool by_certificate);
  // Whether there is a controller of that name.
  bool has(const std::string& name) const;
  // The name of the controller that came last to that base ("https://10.0.0.2:8471"); empty: there is none.
  std::string name_of(std::string_view base) const;
  // Who is there: of several the one that came last and counts, for what was withdrawn may have left the address to
  // another. `is_member`: whether a controller has a certificate that counts.
  Partner partner_at(std::string_view base, const std::function<bool(const std::string& name)>& is_member) const;

 private:
  struct Place {
    std::string base;
    bool by_certificate = false;
    std::uint64_t came = 0;  // the higher, the later
  };
  // Who is at a base, the latest first. With the lock held.
  std::vector<std::pair<std::string, Place>> at(std::string_view base) const;

  std::uint64_t came_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, Place> places_;                   // by name
  std::map<std::string, std::string, std::less<>> left_;  // base → name of who was there with a certificate
};

}  // namespace nuraghe::daemon
