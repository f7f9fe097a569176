#include "network/configuration.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "network/address.hpp"
#include "network/tunnel_frame.hpp"

namespace nuraghe::network {

namespace {

constexpr std::size_t kIdLimit = 256;

template <class List, class Key, class Project>
auto find_by(List& list, const Key& key, Project project) {
  return std::find_if(list.begin(), list.end(), [&](const auto& item) { return item.*project == key; });
}

bool is_socket(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

Status remove_one(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return system_error("remove " + path, errno);
}

}  // namespace

Status check_segment(std::int64_t segment) {
  if (segment >= 1 && segment <= kSegmentMax) return {};
  return invalid(fmt::format("the segment {} is not between 1 and {}", segment, kSegmentMax));
}

Status Configuration::set_segment(std::int64_t segment, const std::vector<Peer>& peers, const std::string& secret) {
  TRY(check_segment(segment));
  if (peers.size() > kPeerLimit) {
    return exhausted(fmt::format("segment {} has {} peers; {} are the limit", segment, peers.size(), kPeerLimit));
  }
  TRY_ASSIGN(const TunnelAddress own, parse_tunnel_address(listen));
  if (own.kind == TunnelAddress::Kind::kUdp && secret.empty()) {
    return invalid(fmt::format("segment {} has no secret, without which nothing may travel over udp", segment));
  }
  SegmentConfiguration made{segment, {}, secret};
  for (const Peer& peer : peers) {
    auto address = parse_tunnel_address(peer.address);
    if (!address) return std::move(address).error().with("peer " + peer.name);
    if (address->kind != own.kind) {
      return invalid(
          fmt::format("the peer {} at {} cannot be reached from {}: both must be 'unix', on one machine, both "
                      "'udp' or both 'vxlan'",
                      peer.name, peer.address, listen));
    }
    if (address->text != own.text) made.peers.push_back(address->text);
  }
  std::sort(made.peers.begin(), made.peers.end());
  made.peers.erase(std::unique(made.peers.begin(), made.peers.end()), made.peers.end());
  if (const auto known = find_by(segments, segment, &SegmentConfiguration::number); known != segments.end()) {
    *known = std::move(made);
    return {};
  }
  if (segments.size() >= kSegmentLimit) {
    return exhausted(fmt::format("this switch has {} segments, which is its limit", segments.size()));
  }
  const auto place = std::find_if(segments.begin(), segments.end(), [&](const auto& s) { return s.number > segment; });
  segments.insert(place, std::move(made));
  return {};
}

void Configuration::remove_segment(std::int64_t segment) {
  std::erase_if(segments, [&](const auto& item) { return item.number == segment; });
}

Result<PortConfiguration> Configuration::add_port(const std::string& id, std::int64_t segment) {
  TRY(check_segment(segment));
  if (id.empty() || id.size() > kIdLimit) {
    return invalid(fmt::format("a port's id has 1 to {} characters, not {}", kIdLimit, id.size()));
  }
  const auto known = find_by(ports, id, &PortConfiguration::id);
  if (known != ports.end()) {
    if (known->segment == segment) return *known;
    return conflict(fmt::format("the port {} is in segment {}: remove it before it is added to segment {}", id,
                                known->segment, segment));
  }
  if (ports.size() >= kPortLimit) {
    return exhausted(fmt::format("this switch has {} ports, which is its limit", ports.size()));
  }
  const PortConfiguration made{id, next_port++, segment};
  const auto place = std::find_if(ports.begin(), ports.end(), [&](const auto& port) { return port.id > id; });
  ports.insert(place, made);
  return made;
}

std::int64_t Configuration::remove_port(const std::string& id) {
  const auto known = find_by(ports, id, &PortConfiguration::id);
  if (known == ports.end()) return 0;
  const std::int64_t number = known->number;
  ports.erase(known);
  return number;
}

PortSockets SwitchFiles::port(std::int64_t number) const {
  return {fmt::format("{}/{}h", folder, number), fmt::format("{}/{}", folder, number)};
}

Status remove_switch_files(const SwitchFiles& files) {
  const auto names = env::list_directory(files.folder);
  if (!names) {
    if (names.error().code() == ErrorCode::kNotFound) return {};
    return names.error();
  }
  for (const std::string& name : *names) {
    const std::string path = files.folder + "/" + name;
    if (is_socket(path) || path == files.old_log() || path == files.log() || path == files.process() ||
        name.starts_with("saved")) {
      TRY(remove_one(path));
    }
  }
  TRY(remove_one(files.lock()));  // last: who waits for it finds the folder empty
  if (::rmdir(files.folder.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST) {
    return system_error("remove " + files.folder, errno);
  }
  return {};
}

}  // namespace nuraghe::network
