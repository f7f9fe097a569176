// Address: which WS-Resource a path names. The kinds of resources are those of the services' definitions
// (contracts/operation.hpp); nothing here knows one of them by name, but for the service groups that take members in.
// Pure, thread safe.
//
//   /services/vcf/clusters/ID                 a resource
//   /services/vhf/physical-hosts              all of a kind: a service group (WS-ServiceGroup 1.2 §3)
//   /services/vhf/physical-hosts/NAME/entry   a member's entry in a group that takes members in (§4)
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contracts/operation.hpp"
#include "xml/xml.hpp"

namespace nuraghe::wsrf {

// A group whose members come and go by themselves: by a method with which they make themselves known, and stay as long
// as they renew.
struct Membership {
  std::string_view service, resource;  // "vhf", "PhysicalHost"
  std::string_view add;                // of the service; its request element is the content of an entry
  std::string_view renew;              // with the key and the interval: three of them the member stays
  std::string_view interval;           // the field of both
  std::string_view alive, until;       // fields of the resource's type: is it a member, until when
  std::int64_t intervals;              // that it stays without renewing
};

enum class Part { kResource, kGroup, kEntry };

struct Address {
  Part part = Part::kResource;
  const contracts::ServiceInfo* service = nullptr;
  const contracts::ResourceInfo* resource = nullptr;
  const Membership* membership = nullptr;  // null: the group is what there is, nobody adds to it
  std::string key;                         // empty: of a group

  std::string service_path() const;                 // "/services/vhf": where the methods are called
  std::string group_path() const;                   // "/services/vhf/physical-hosts"
  std::string path_of(std::string_view id) const;   // the resource of that key, percent-encoded
  std::string entry_of(std::string_view id) const;  // its entry
  std::string path() const;                         // of what this names
};

// nullopt: no definition has a resource there. `path` may carry a scheme and authority.
std::optional<Address> find_address(std::string_view path);

// The description of what is there, of contracts::wsdl_text: "vcf-cluster", "vcf-cluster-group".
std::string description_of(const Address& address);

// The property that is the resource's termination time (WS-ResourceLifetime 1.2 §5), where its service ends it by
// itself and others set the same time too; null: its termination time is this room's to keep.
const contracts::PropertyInfo* own_termination(const Address& address);

// The operations that are asked for at addresses of that kind: those of WSRF, and lifecycle_of() it. What a router
// needs to know.
std::vector<std::string> operations_of(const contracts::ResourceInfo& resource);

// What an operation of WSRF does with a resource; kOther: it is none of these.
enum class Doing { kReads, kChanges, kEnds, kOther };
Doing doing_of(std::string_view operation);

// The methods that the operation would call for its caller, each of which the caller must be allowed to call; empty: no
// such operation. `body` is the request's element.
std::vector<const contracts::OperationInfo*> methods_behind(const Address& address, std::string_view operation,
                                                            xml::Node body);

// The methods that do something with a resource and ask for its key alone: freeze_vc of a cluster.
std::vector<const contracts::OperationInfo*> lifecycle_of(const contracts::ResourceInfo& resource);

}  // namespace nuraghe::wsrf
