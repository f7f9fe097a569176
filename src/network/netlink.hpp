// rtnetlink (rtnetlink(7)): requests to the kernel about links, addresses and forwarding entries, each a message of a
// header, a fixed body and attributes; the kernel answers each change with an acknowledgement.
//
// Only the bytes are known here; links.hpp gives them meaning.
// Threading: none; a Netlink belongs to the network namespace of the thread that opened it, and stays there.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "env/posix.hpp"

namespace nuraghe::network {

class NetlinkMessage {
 public:
  // `flags`: NLM_F_CREATE, NLM_F_DUMP and the like. `body`: ifinfomsg, ndmsg, ifaddrmsg.
  template <class Body>
  NetlinkMessage(std::uint16_t type, std::uint16_t flags, const Body& body) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = flags;
    append(&header, sizeof header);
    append(&body, sizeof body);
  }
  NetlinkMessage& put(std::uint16_t attribute, std::string_view value);
  NetlinkMessage& put_text(std::uint16_t attribute, const std::string& value) {  // with its zero byte
    return put(attribute, {value.c_str(), value.size() + 1});
  }
  template <class Number>
  NetlinkMessage& put_number(std::uint16_t attribute, Number value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return put(attribute, bytes);
  }
  // Attributes that `fill` puts stand within this one.
  NetlinkMessage& nest(std::uint16_t attribute, const std::function<void(NetlinkMessage&)>& fill);
  const std::string& bytes() const { return bytes_; }

 private:
  void append(const void* data, std::size_t size);

  std::string bytes_;
};

// The attributes of a message or of a nested attribute; views into the bytes that they were made of.
class NetlinkAttributes {
 public:
  explicit NetlinkAttributes(std::string_view bytes);
  bool has(std::uint16_t attribute) const { return values_.contains(attribute); }
  std::string_view get(std::uint16_t attribute) const;  // empty when it is not there
  std::string get_text(std::uint16_t attribute) const;  // up to its zero byte
  template <class Number>
  Number get_number(std::uint16_t attribute) const {  // zero when it is not there
    Number value{};
    const std::string_view bytes = get(attribute);
    if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  NetlinkAttributes nested(std::uint16_t attribute) const { return NetlinkAttributes(get(attribute)); }

 private:
  std::map<std::uint16_t, std::string_view> values_;
};

class Netlink {
 public:
  static Result<Netlink> open();

  // Sends a change and waits until it is done. The kernel's error as system_error(what, …) gives it, its own sentence
  // added; kUnsupported for EOPNOTSUPP. These errno values are no error.
  Status change(const NetlinkMessage& message, const std::string& what, std::initializer_list<int> fine = {});
  // Asks for one object or, with NLM_F_DUMP, for many: each one's body with its attributes. kNotFound for ENODEV.
  Result<std::vector<std::string>> ask(const NetlinkMessage& message, const std::string& what);

 private:
  struct Answer {
    int error = 0;     // errno
    std::string text;  // the kernel's
    std::vector<std::string> objects;
    bool interrupted = false;  // what was listed changed meanwhile
  };
  Status send(const NetlinkMessage& message, const std::string& what, std::uint16_t flags);
  Result<Answer> receive(const std::string& what);

  env::UniqueFd fd_;
  std::uint32_t sequence_ = 0;
};

// The fixed body at the front of what Netlink::ask hands out, and the attributes behind it.
template <class Body>
Body netlink_body(std::string_view bytes) {
  Body body{};
  if (bytes.size() >= sizeof body) std::memcpy(&body, bytes.data(), sizeof body);
  return body;
}
template <class Body>
NetlinkAttributes netlink_attributes(std::string_view bytes) {
  constexpr std::size_t kBody = NLMSG_ALIGN(sizeof(Body));
  return NetlinkAttributes(bytes.size() > kBody ? bytes.substr(kBody) : std::string_view());
}

}  // namespace nuraghe::network
