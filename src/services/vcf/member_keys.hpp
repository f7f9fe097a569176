// Whose ssh keys open the hosts of a virtual organisation: its members', as whoever keeps the members tells them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "store/store.hpp"

namespace nuraghe::services::vcf {

// From the issue of a login certificate to the last moment at which a host lets somebody in by it. With the time that a
// controller takes to learn of it, and to end what is open, it is less than a minute.
inline constexpr Duration kLoginValid = std::chrono::seconds(40);

// Called within turns of VCF: reads the rows of the same store, and changes nothing.
class MemberKeys {
 public:
  virtual ~MemberKeys() = default;
  // Opens the tables that it reads. Called once, before anything else.
  virtual Status open(store::Store& store) = 0;
  // The public keys of a member, a line each. nullopt: there is none of that name.
  virtual Result<std::optional<std::vector<std::string>>> of_member(store::Transaction& tx, std::string_view vo,
                                                                    std::string_view name) const = 0;
  // Those of an administrator of the site, who acts in every VO, and may have the name of a member there.
  virtual Result<std::optional<std::vector<std::string>>> of_administrator(store::Transaction& tx,
                                                                           std::string_view name) const = 0;
  // Whether a name is that of a person who is a member by a rule over what an OIDC provider says, and in no row.
  virtual bool is_by_rule(std::string_view name) const = 0;
  // Those of all members; nullopt: the VO has none.
  virtual Result<std::optional<std::vector<std::string>>> of_vo(store::Transaction& tx, std::string_view vo) const = 0;
};

}  // namespace nuraghe::services::vcf
