#include "apps/nuraghed/partners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/http.hpp"

namespace nuraghe::daemon {

bool is_by_token(const Partner& partner) { return !partner.name.empty() && !partner.by_certificate && !partner.counts; }

net::TlsPeer peer_of(const Partner& partner, std::shared_ptr<const net::TlsCredentials> own) {
  if (partner.name.empty()) return {};
  net::TlsPeer peer;
  if (partner.counts) {
    peer.credentials = std::move(own);
    peer.expected_name = pki::dns_name(partner.kind, partner.name);
  } else if (partner.by_certificate) {
    const std::string_view word = partner.kind == pki::Kind::kHost ? "host" : "service";
    peer.refusal = fmt::format(
        "the certificates of {0} were withdrawn, or have expired; 'nuraghe {1} join-token {0}' "
        "lets it join anew{2}",
        partner.name, word,
        partner.kind == pki::Kind::kHost ? fmt::format(", 'nuraghe host forget {}' gives it up", partner.name) : "");
  }
  return peer;
}

void RegisteredBases::set(const std::string& name, const std::string& address, bool by_certificate) {
  const auto url = net::parse_url(address);
  const std::lock_guard lock(mutex_);
  const auto before = places_.find(name);
  const bool leaves = before != places_.end() && (!url || before->second.base != url->base());
  if (leaves && before->second.by_certificate && left_.size() < kMostLeft) left_[before->second.base] = name;
  if (!url) {
    places_.erase(name);
    return;
  }
  places_[name] = {url->base(), by_certificate};
  left_.erase(url->base());
}

bool RegisteredBases::has(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return places_.contains(name);
}

std::string RegisteredBases::name_of(std::string_view base) const {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(places_.begin(), places_.end(), [&](const auto& one) { return one.second.base == base; });
  return found == places_.end() ? std::string() : found->first;
}

Partner RegisteredBases::partner_at(std::string_view base,
                                    const std::function<bool(const std::string& name)>& is_member) const {
  Partner partner;
  {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::find_if(places_.begin(), places_.end(), [&](const auto& one) { return one.second.base == base; });
    if (found != places_.end()) {
      partner.name = found->first;
      partner.by_certificate = found->second.by_certificate;
    } else if (const auto left = left_.find(base); left != left_.end()) {
      partner.name = left->second;
      partner.by_certificate = true;
      return partner;  // whatever counts now was not shown from there
    }
  }
  partner.counts = !partner.name.empty() && is_member(partner.name);
  return partner;
}

}  // namespace nuraghe::daemon
