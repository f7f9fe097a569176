#include "api/tokens.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "env/posix.hpp"
#include "xml/xml.hpp"

namespace nuraghe::api {

namespace {

// No early exit: every byte of the given text is compared, whatever the first ones say.
bool equal_in_constant_time(std::string_view given, std::string_view right) {
  volatile unsigned difference = given.size() == right.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const unsigned expected = i < right.size() ? static_cast<unsigned char>(right[i]) : 0;
    difference = difference | (static_cast<unsigned char>(given[i]) ^ expected);
  }
  return difference == 0;
}

Result<TokenEntry> parse_line(const std::string& line) {
  std::istringstream words(line);
  TokenEntry entry;
  std::string role;
  std::string rest;
  if (!(words >> entry.identity.name >> role >> entry.identity.vo >> entry.token) || words >> rest) {
    return invalid("a line has four words: NAME ROLE VO TOKEN");
  }
  TRY_ASSIGN(entry.identity.role, role_from_name(role));
  if (entry.token.size() < 16) return invalid("a token has at least 16 characters");
  return entry;
}

Status check_mode(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error("open " + path, errno);
  if ((info.st_mode & 077) != 0) {
    return denied(
        fmt::format("the token file {} may be read by others (mode {:04o}): chmod 600 it, and change its tokens", path,
                    info.st_mode & 07777));
  }
  return {};
}

// A file of that content under a name of its own, linked to `path` unless somebody else was first.
Status create_once(const std::string& path, const std::string& content, env::Random& random) {
  const std::string temporary = path + "." + env::make_id(random, "new");
  const env::UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return system_error("create " + temporary, errno);
  const bool written = ::write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size());
  const int write_errno = written ? 0 : (errno != 0 ? errno : EIO);
  const bool synced = written && ::fsync(fd.get()) == 0;
  const bool linked = synced && ::link(temporary.c_str(), path.c_str()) == 0;
  const int failure = written ? errno : write_errno;
  ::unlink(temporary.c_str());
  if (!linked && failure != EEXIST) return system_error("create " + path, failure);
  const std::size_t slash = path.rfind('/');
  return env::fsync_path(slash == std::string::npos ? "." : path.substr(0, slash));
}

// Keys of stored rows begin with a VO and a slash.
bool is_vo_word(std::string_view vo) {
  return vo.size() <= 64 &&
         std::all_of(vo.begin(), vo.end(), [](unsigned char c) { return c > ' ' && c != '/' && c != 0x7F; });
}

const Membership* membership_of(const Identity& identity, std::string_view vo) {
  for (const Membership& membership : identity.memberships) {
    if (membership.vo == vo) return &membership;
  }
  return nullptr;
}

std::string vos_of(const Identity& identity) {
  if (identity.memberships.size() < 2) return "the VO " + identity.vo;
  std::string vos;
  for (const Membership& membership : identity.memberships) vos += (vos.empty() ? "" : ", ") + membership.vo;
  return "the VOs " + vos;
}

std::string first_token(std::string_view name, Role role, std::string_view vo, env::Random& random) {
  return fmt::format("# NAME ROLE VO TOKEN\n{} {} {} {}\n", name, role_name(role), vo, env::make_id(random, "token"));
}

}  // namespace

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kOperator:
      return "operator";
    case Role::kOwner:
      return "owner";
    case Role::kAdministrator:
      return "administrator";
    case Role::kPeer:
      return "peer";
    case Role::kController:
      return "controller";
    case Role::kService:
      return "service";
  }
  return "viewer";
}

Result<Role> role_from_name(std::string_view name) {
  // What token files said before there were several roles in a VO.
  if (name == "member") return Role::kOwner;
  for (const Role role :
       {Role::kViewer, Role::kOperator, Role::kOwner, Role::kAdministrator, Role::kPeer, Role::kController}) {
    if (name == role_name(role)) return role;
  }
  return invalid(
      fmt::format("'{}' is no role: viewer, operator, owner, administrator, peer or controller", xml::printable(name)));
}

Status may_act_for(const Identity& identity, std::string_view vo) {
  if (vo.empty() || vo == identity.vo) return {};
  if (!is_vo_word(vo)) return invalid("a VO is one word without a slash");
  if (!is_of_vo(identity.role) || membership_of(identity, vo) != nullptr) return {};
  return denied(fmt::format("{} is a member of {} and does not act for {}", identity.caller(), vos_of(identity), vo));
}

Result<std::shared_ptr<const Identity>> acting_for(std::shared_ptr<const Identity> identity, std::string_view vo) {
  TRY(may_act_for(*identity, vo));
  if (vo.empty() || identity->role == Role::kController) return identity;
  auto acting = std::make_shared<Identity>(*identity);
  acting->vo = vo;
  if (!is_of_vo(identity->role)) {
    acting->on_behalf = true;
  } else if (const auto* membership = membership_of(*identity, vo)) {
    acting->name = membership->name;
    acting->role = membership->role;
  }
  return std::shared_ptr<const Identity>(std::move(acting));
}

TokenTable::TokenTable(const std::vector<TokenEntry>& entries) {
  for (const TokenEntry& entry : entries) {
    rows_.push_back({std::make_shared<const Identity>(entry.identity), entry.token});
  }
}

std::optional<std::string_view> bearer_token(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return std::nullopt;
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    const char c = authorization[i];
    if ((c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) != kScheme[i]) return std::nullopt;
  }
  return authorization.substr(kScheme.size());
}

std::shared_ptr<const Identity> TokenTable::authenticate(std::string_view authorization) const {
  const auto token = bearer_token(authorization);
  if (!token) return nullptr;
  std::shared_ptr<const Identity> found;
  for (const Row& row : rows_) {
    if (equal_in_constant_time(*token, row.token)) found = row.identity;
  }
  return found;
}

Result<std::vector<TokenEntry>> read_token_file(const std::string& path) {
  TRY(check_mode(path));
  TRY_ASSIGN(const std::string text, env::read_file(path, mib(1)));
  std::vector<TokenEntry> entries;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    auto entry = parse_line(line);
    if (!entry) return invalid(fmt::format("{}:{}: {}", path, number, entry.error().message()));
    entries.push_back(std::move(*entry));
  }
  if (entries.empty()) return invalid(fmt::format("the token file {} holds no token", path));
  return entries;
}

Result<std::vector<TokenEntry>> ensure_token_file(const std::string& path, const std::string& vo, env::Random& random) {
  if (!env::path_exists(path)) TRY(create_once(path, first_token("admin", Role::kAdministrator, vo, random), random));
  return read_token_file(path);
}

Result<std::vector<TokenEntry>> ensure_site_token_file(const std::string& path, env::Random& random) {
  if (!env::path_exists(path)) TRY(create_once(path, first_token("site", Role::kController, "-", random), random));
  return read_token_file(path);
}

}  // namespace nuraghe::api
