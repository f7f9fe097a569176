#include "apps/nuraghed/partners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
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
  places_[name] = {url->base(), by_certificate, ++came_};
  left_.erase(url->base());
}

bool RegisteredBases::has(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return places_.contains(name);
}

std::vector<std::pair<std::string, RegisteredBases::Place>> RegisteredBases::at(std::string_view base) const {
  std::vector<std::pair<std::string, Place>> out;
  std::ranges::copy_if(places_, std::back_inserter(out), [&](const auto& one) { return one.second.base == base; });
  std::ranges::sort(out, std::ranges::greater(), [](const auto& one) { return one.second.came; });
  return out;
}

std::string RegisteredBases::name_of(std::string_view base) const {
  const std::lock_guard lock(mutex_);
  const auto there = at(base);
  return there.empty() ? std::string() : there.front().first;
}

Partner RegisteredBases::partner_at(std::string_view base,
                                    const std::function<bool(const std::string& name)>& is_member) const {
  std::vector<std::pair<std::string, Place>> there;
  {
    const std::lock_guard lock(mutex_);
    there = at(base);
    // Whatever counts now was not shown from there.
    if (const auto left = left_.find(base); there.empty() && left != left_.end())
      return {pki::Kind::kHost, left->second, true, false};
  }
  Partner latest;
  for (const auto& [name, place] : there) {
    Partner partner{pki::Kind::kHost, name, place.by_certificate, is_member(name)};
    if (partner.counts) return partner;
    if (!latest.name.empty()) continue;
    latest = std::move(partner);
    // Who came by the site's token has nothing that could be withdrawn. One that came before a member is where no token
    // is shown any more.
    if (!latest.by_certificate) break;
  }
  return latest;
}

}  // namespace nuraghe::daemon
