// Who may enter: bearer tokens (RFC 6750) and the identities that they stand for.
//
// The token file has mode 0600 and one line per token: NAME ROLE VO TOKEN, separated by blanks; '#' begins a comment.
// It is made with one administrator's token when it is missing. Tokens never appear in logs, errors or answers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "env/env.hpp"

namespace nuraghe::api {

enum class Role {
  kMember,         // acts for its own VO
  kAdministrator,  // may act for any VO (the context header vo says which)
  kPeer,           // another Nuraghe process: its context headers are believed, the caller too
  kController,     // a Virtual Host Controller of the site: may register, report, and fetch seeds and images
};
std::string_view role_name(Role role);  // "member", "administrator", "peer", "controller"

struct Identity {
  std::string name;
  std::string vo;
  Role role = Role::kMember;
  bool on_behalf = false;  // `vo` is the one that the request chose
  std::string caller() const { return "token:" + name; }
};

struct TokenEntry {
  Identity identity;
  std::string token;
};

// Whether a request may name this VO (empty: it names none). kDenied for a member of another one.
Status may_act_for(const Identity& identity, std::string_view vo);
// The identity as which a request acts that names this VO: an administrator's or a peer's with that VO, others as they
// are. Errors as above.
Result<std::shared_ptr<const Identity>> acting_for(std::shared_ptr<const Identity> identity, std::string_view vo);

// Immutable; thread safe.
class TokenTable {
 public:
  explicit TokenTable(const std::vector<TokenEntry>& entries);
  // The identity behind an Authorization header ("Bearer TOKEN"), or null. The time it takes does not depend on how
  // much of a wrong token is right, nor on which entry it is.
  std::shared_ptr<const Identity> authenticate(std::string_view authorization) const;

 private:
  struct Row {
    std::shared_ptr<const Identity> identity;
    std::string token;
  };
  std::vector<Row> rows_;
};

// Reads the file. kNotFound when it is not there, kDenied when others than its owner may read it, kInvalid with the
// line number when it cannot be understood.
Result<std::vector<TokenEntry>> read_token_file(const std::string& path);
// As above, but makes the file with one administrator ("admin", VO `vo`) when it is missing: atomically, so that of two
// processes that start at once both read the same token.
Result<std::vector<TokenEntry>> ensure_token_file(const std::string& path, const std::string& vo, env::Random& random);
// As above for the site's token, which nuraghed and the controllers outside of it share: made with one controller.
Result<std::vector<TokenEntry>> ensure_site_token_file(const std::string& path, env::Random& random);

}  // namespace nuraghe::api
