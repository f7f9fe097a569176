// Who tells what: the addresses at which one subscribes and the topics that each of them has. Made of the contracts'
// table, and of what services of other programs say. One thread at a time.
//
//   /services/notification        everything that is told in the caller's VO
//   /services/vcf                 the service's topics: all its resources of the caller's VO
//   /services/vcf/clusters/ID     those of one resource, and the changes of its properties: a topic for each property,
//                                 of the property's own name (WS-ResourceProperties 1.2 §7)
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "exchange/exchange.hpp"
#include "services/notification/refusal.hpp"

namespace nuraghe::services::notification {

// A kind of WS-Resource: "/services/SERVICE/PATH/KEY".
struct ResourceKind {
  struct Property {
    std::string name;   // local, in the service's namespace: "State"
    std::string field;  // of the resource's type: "state"
  };
  std::string name;                        // "Cluster"
  std::string path;                        // "clusters"
  std::string get, get_input, get_output;  // the read-only method that shows one, its field with the key, the value's
  std::vector<Property> properties;
  bool is_site_wide = false;  // one whatever the VO: only who looks after the site is shown it
};

struct TellingService {
  std::string name;                // "vcf"
  std::string name_space;          // "urn:nuraghe:vcf:1": of its topics and properties
  std::vector<std::string> kinds;  // of the events that it publishes: the names of its topics
  std::vector<ResourceKind> resources;
};

// One address to subscribe at.
struct Producer {
  std::string service;   // "notification": all
  std::string resource;  // the kind's path; empty: the service itself
  std::string key;

  std::string path() const;
  // Whether what happened is this one's to tell. `of_service`: the service that declares the event's kind.
  bool tells(const exchange::Event& event, std::string_view of_service) const;
  // Whether an event that it tells is the last one of the resource.
  bool ends_with(const exchange::Event& event) const;
};

class Producers {
 public:
  explicit Producers(std::vector<TellingService> services);
  // Puts a service in, in place of one of its name; takes it out. What points into this is void then.
  void set(TellingService service);
  void remove(std::string_view name);

  // The producer at an address, with or without a base before "/services/". ResourceUnknownFault when nothing is told
  // there. Whether there is a resource of that key is not known here.
  Answer<Producer> find(std::string_view address) const;
  // Its topics, sorted.
  std::vector<xml::QName> topics(const Producer& producer) const;
  // Null for the service itself.
  const ResourceKind* kind_of(const Producer& producer) const;
  const TellingService* service(std::string_view name) const;
  // Who declares the event's kind; null: nobody.
  const TellingService* declaring(std::string_view kind) const;
  // Whether a subscriber of a VO hears at the producer of what happened: what is the VO's own, and of the site, which
  // has no VO, the physical hosts, which every VO sees. The site's administrators hear all, but at a resource of a VO:
  // another VO may have one of its name.
  bool is_for(std::string_view vo, exchange::Administrator administrator, const Producer& at,
              const exchange::Event& event, const TellingService& of) const;

 private:
  void index();
  std::vector<TellingService> services_;
  std::map<std::string, std::size_t, std::less<>> by_name_, by_kind_;
};

// wsnt:NotificationProducerRP (WS-BaseNotification 1.3 §4.1): its topics, dialects and topic set.
xml::DocumentPtr producer_properties(const Producers& producers, const Producer& producer);

}  // namespace nuraghe::services::notification
