// Who may enter: bearer tokens (RFC 6750) and the identities that they stand for.
//
// The token file has mode 0600 and one line per token: NAME ROLE VO TOKEN, separated by blanks; '#' begins a comment.
// It is made with one administrator's token when it is missing. Tokens never appear in logs, errors or answers.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "env/env.hpp"

namespace nuraghe::api {

enum class Role {
  kViewer,         // sees what its VO has
  kOperator,       // and changes what its VO has
  kOwner,          // and decides what its VO keeps, and who its members are
  kAdministrator,  // of the site; may act for any VO (the context header vo says which)
  kPeer,           // another Nuraghe process: its context headers are believed, the caller too
  kController,     // a Virtual Host Controller of the site: may register, report, and fetch seeds and images
  kService,        // the program of a service, by its certificate: may register itself and tell spans
};
// "viewer", "operator", "owner", "administrator", "peer", "controller", "service"
std::string_view role_name(Role role);
// The inverse; "member" is another word for an owner. kInvalid with the words that there are.
Result<Role> role_from_name(std::string_view name);
// Whether it is a role within one VO: whoever has it sees nothing of others.
constexpr bool is_of_vo(Role role) { return role == Role::kViewer || role == Role::kOperator || role == Role::kOwner; }

// What a person is in a VO.
struct Membership {
  std::string vo;
  std::string name;  // of the member in that VO
  Role role = Role::kViewer;
};

struct Identity {
  std::string name;
  std::string vo;  // for which it acts; empty: a person of several VOs who did not say for which
  Role role = Role::kViewer;
  bool on_behalf = false;  // `vo` is the one that the request chose
  // Of a person who entered as a member (api/authentication.hpp): one for each VO, the only ones that it acts for.
  // Empty: who entered by a token of the token file.
  std::vector<Membership> memberships{};
  TimePoint expires{INT64_MAX};                      // nothing is done or told by it afterwards
  std::shared_ptr<const std::atomic<bool>> valid{};  // false: it was revoked, or changed; null: it never is
  // Whether what was begun with it may go on.
  bool is_valid(TimePoint now) const { return now < expires && (!valid || valid->load()); }
  std::string certified{};  // who a client certificate says that it is ("vhc:host-2"); empty: it came with a token
  std::string caller() const {
    if (!certified.empty()) return certified;
    return (memberships.empty() ? "token:" : "member:") + name;
  }
};

struct TokenEntry {
  Identity identity;
  std::string token;
};

// Whether a request may name this VO (empty: it names none). kDenied for a member of another one, in the same words
// whether there is such a VO or not; kInvalid for what no VO is called.
Status may_act_for(const Identity& identity, std::string_view vo);
// The identity as which a request acts that names this VO: an administrator's or a peer's with that VO, a person's of
// several VOs with its role there, others as they are. Errors as above.
Result<std::shared_ptr<const Identity>> acting_for(std::shared_ptr<const Identity> identity, std::string_view vo);

// The TOKEN of "Bearer TOKEN" (RFC 6750 §2.1); nullopt for anything else.
std::optional<std::string_view> bearer_token(std::string_view authorization);

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
