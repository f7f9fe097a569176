// OutsideTable: the services of other programs that stand behind this process's doors (docs/services.md), as they have
// registered: which operations they have, who may call them, their REST routes and descriptions.
//
// Thread safe; never blocks for long: it is asked for every request that is not for a service of the process itself.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "contracts/operation.hpp"
#include "xml/xml.hpp"

namespace nuraghe::services::registry {
struct ServiceRow;
}

namespace nuraghe::api {

struct OutsideOperation {
  std::string service;
  std::string name;
  contracts::Access access = contracts::Access::kInternal;
  bool read_only = false;
  bool one_way = false;
  std::string verb, path;  // its REST route; both empty: it has none
};

class OutsideTable {
 public:
  OutsideTable();
  ~OutsideTable();
  // Puts a service in, or with null takes it out.
  void set(const std::string& name, const services::registry::ServiceRow* row);

  bool empty() const { return services()->empty(); }

  // ---- by the path of a service: "/services/NAME", "/services/NAME/…" ----
  bool has(std::string_view path) const;
  // What is called there; at a WS-Resource of the service (/services/NAME/PATH/KEY) the operations of WSRF, too, which
  // need what the methods behind them need. kNotFound: no such operation; kInvalid: the body (an element) is not that
  // operation's, in whose words the program reads it, or names a property in a way that cannot be read.
  Result<OutsideOperation> operation_at(std::string_view path, std::string_view operation, xml::Node body) const;
  // Likewise, whatever the body: nullopt, there is none.
  std::optional<OutsideOperation> operation_at(std::string_view path, std::string_view operation) const;
  // What somebody needs who is told what happens there: at a WS-Resource, whose properties' changes are told, what the
  // method needs that shows it. kNotFound: there is no such service or resource.
  Result<contracts::Access> access_of_news(std::string_view path) const;
  // Where its program is asked for what is at that path; nullopt: nobody is.
  std::optional<std::string> address_of(std::string_view path) const;

  // ---- by the path of a REST request ----
  // The operations at a path, by verb, as the program's own door finds them; empty: none.
  std::vector<OutsideOperation> routes_at(std::string_view path) const;
  // The base of the program that serves a service: "https://10.0.0.3:8471"; empty: there is none.
  std::string base_of(std::string_view service) const;
  // The service whose program is at that base; empty: none.
  std::string name_of(std::string_view base) const;

  // ---- descriptions ----
  // `file` empty: the WSDL of the service, or of what is at its path ("greeting/greeted/Ada"). kNotFound: no text of
  // its own has that name.
  Result<std::string> document(std::string_view service, std::string_view file) const;
  // An OpenAPI document (JSON) with the routes of all of them added. Made once after each change.
  std::string openapi(std::string_view own) const;

 private:
  struct Service;
  using Services = std::map<std::string, std::shared_ptr<const Service>, std::less<>>;
  std::shared_ptr<const Services> services() const;
  std::shared_ptr<const Service> service_at(std::string_view path) const;
  static Result<OutsideOperation> find(const Service& service, std::string_view rest, std::string_view operation,
                                       xml::Node body);

  mutable std::mutex mutex_;
  std::shared_ptr<const Services> services_;
  mutable std::string openapi_;  // empty: to be made
};

}  // namespace nuraghe::api
