#include "network/netlink.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "base/crash_point.hpp"

namespace nuraghe::network {

namespace {

constexpr std::size_t kHeader = NLMSG_ALIGN(sizeof(nlmsghdr));
constexpr std::size_t kAttributeHeader = NLA_ALIGN(sizeof(nlattr));
constexpr std::size_t kReceiveBuffer = std::size_t{64} << 10U;  // the kernel makes its messages no larger
constexpr timeval kPatience{10, 0};                             // it answers at once; this only bounds the wait

std::size_t aligned(std::size_t size) { return (size + NLMSG_ALIGNTO - 1) & ~std::size_t{NLMSG_ALIGNTO - 1}; }

// Of an error message with extended acknowledgement (NETLINK_EXT_ACK): behind the error stands the request, or its
// header alone when the answer is capped, then attributes.
std::string own_sentence(const nlmsghdr& header, std::string_view payload) {
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0 || payload.size() < sizeof(nlmsgerr)) return {};
  nlmsgerr error{};
  std::memcpy(&error, payload.data(), sizeof error);
  std::size_t at = sizeof error;
  if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) at += aligned(error.msg.nlmsg_len) - sizeof(nlmsghdr);
  if (at >= payload.size()) return {};
  return NetlinkAttributes(payload.substr(at)).get_text(NLMSGERR_ATTR_MSG);
}

Error kernel_error(const std::string& what, int error, const std::string& text) {
  const std::string whole = text.empty() ? what : fmt::format("{} ({})", what, text);
  if (error == EOPNOTSUPP) return unsupported(system_error(whole, error).message());
  if (error == EXFULL) return exhausted(system_error(whole, error).message());
  if (error == ENODEV) return not_found(system_error(whole, error).message());
  return system_error(whole, error);
}

}  // namespace

void NetlinkMessage::append(const void* data, std::size_t size) {
  bytes_.append(static_cast<const char*>(data), size);
  bytes_.resize(aligned(bytes_.size()));
}

NetlinkMessage& NetlinkMessage::put(std::uint16_t attribute, std::string_view value) {
  nlattr header{};
  header.nla_type = attribute;
  header.nla_len = static_cast<std::uint16_t>(kAttributeHeader + value.size());
  append(&header, sizeof header);
  append(value.data(), value.size());
  return *this;
}

NetlinkMessage& NetlinkMessage::nest(std::uint16_t attribute, const std::function<void(NetlinkMessage&)>& fill) {
  const std::size_t start = bytes_.size();
  put(attribute, {});
  fill(*this);
  const auto size = static_cast<std::uint16_t>(bytes_.size() - start);
  std::memcpy(bytes_.data() + start + offsetof(nlattr, nla_len), &size, sizeof size);
  return *this;
}

NetlinkAttributes::NetlinkAttributes(std::string_view bytes) {
  while (bytes.size() >= kAttributeHeader) {
    nlattr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.nla_len < kAttributeHeader || header.nla_len > bytes.size()) return;
    values_[header.nla_type & NLA_TYPE_MASK] = bytes.substr(kAttributeHeader, header.nla_len - kAttributeHeader);
    bytes.remove_prefix(std::min(aligned(header.nla_len), bytes.size()));
  }
}

std::string_view NetlinkAttributes::get(std::uint16_t attribute) const {
  const auto found = values_.find(attribute);
  return found == values_.end() ? std::string_view() : found->second;
}

std::string NetlinkAttributes::get_text(std::uint16_t attribute) const {
  const std::string_view bytes = get(attribute);
  return std::string(bytes.substr(0, bytes.find('\0')));
}

Result<Netlink> Netlink::open() {
  Netlink made;
  made.fd_ = env::UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!made.fd_.valid()) return system_error("open a socket of rtnetlink", errno);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  const int on = 1;
  const bool set_up = ::bind(made.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                      ::setsockopt(made.fd_.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) == 0 &&
                      ::setsockopt(made.fd_.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) == 0 &&
                      ::setsockopt(made.fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) == 0;
  if (!set_up) return system_error("set up a socket of rtnetlink", errno);
  return made;
}

Status Netlink::send(const NetlinkMessage& message, const std::string& what, std::uint16_t flags) {
  std::string bytes = message.bytes();
  nlmsghdr header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  header.nlmsg_len = static_cast<std::uint32_t>(bytes.size());
  header.nlmsg_flags = static_cast<std::uint16_t>(header.nlmsg_flags | NLM_F_REQUEST | flags);
  header.nlmsg_seq = ++sequence_;
  std::memcpy(bytes.data(), &header, sizeof header);
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0)
    return system_error(what, errno);
  return {};
}

Result<Netlink::Answer> Netlink::receive(const std::string& what) {
  std::string buffer(kReceiveBuffer, '\0');
  Answer answer;
  for (;;) {
    const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return system_error(what, errno);
    std::string_view rest(buffer.data(), static_cast<std::size_t>(size));
    while (rest.size() >= kHeader) {
      nlmsghdr header{};
      std::memcpy(&header, rest.data(), sizeof header);
      if (header.nlmsg_len < kHeader || header.nlmsg_len > rest.size()) return unavailable(what + ": a broken answer");
      const std::string_view payload = rest.substr(kHeader, header.nlmsg_len - kHeader);
      rest.remove_prefix(std::min(aligned(header.nlmsg_len), rest.size()));
      if (header.nlmsg_seq != sequence_) continue;  // of a request that was given up
      answer.interrupted = answer.interrupted || (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (header.nlmsg_type != NLMSG_ERROR && header.nlmsg_type != NLMSG_DONE) {
        answer.objects.emplace_back(payload);
        continue;
      }
      int error = 0;
      std::memcpy(&error, payload.data(), std::min(sizeof error, payload.size()));
      answer.error = -error;
      answer.text = own_sentence(header, payload);
      return answer;
    }
  }
}

Status Netlink::change(const NetlinkMessage& message, const std::string& what, std::initializer_list<int> fine) {
  pass_crash_point(CrashPoint::kBeforeSend);
  TRY(send(message, what, NLM_F_ACK));
  TRY_ASSIGN(const Answer answer, receive(what));
  if (answer.error == 0 || std::find(fine.begin(), fine.end(), answer.error) != fine.end()) return {};
  return kernel_error(what, answer.error, answer.text);
}

Result<std::vector<std::string>> Netlink::ask(const NetlinkMessage& message, const std::string& what) {
  constexpr int kTries = 20;
  nlmsghdr header{};
  std::memcpy(&header, message.bytes().data(), sizeof header);
  // A list ends by itself; the answer about one object is followed by the acknowledgement.
  const std::uint16_t flags = (header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP ? 0 : NLM_F_ACK;
  for (int tries = 1; tries <= kTries; ++tries) {
    TRY(send(message, what, flags));
    TRY_ASSIGN(Answer answer, receive(what));
    if (answer.error != 0) return kernel_error(what, answer.error, answer.text);
    if (!answer.interrupted) return std::move(answer.objects);
  }
  return unavailable(fmt::format("{}: it changed {} times while it was read", what, kTries));
}

}  // namespace nuraghe::network
