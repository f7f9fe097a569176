// Every operation of every service as contracts/*.service.xml has it: who may call it, and how it is answered.
// The table is made by tools/generate_service.py; whoever lets requests in asks it (api/access.hpp). Thread safe.
#pragma once

#include <span>
#include <string_view>

#include "base/result.hpp"
#include "contracts/shape.hpp"

namespace nuraghe::contracts {

// Who may call from outside, beside whoever is part of this site's control: its own workflows and processes.
enum class Access {
  kViewer,      // sees what its VO has
  kOperator,    // changes what its VO has
  kOwner,       // decides what its VO keeps
  kSite,        // administrators of the site: it concerns every VO, or the machines themselves
  kController,  // Virtual Host Controllers of the site
  kInternal,    // nobody: a step of Nuraghe's own workflows
};

struct OperationInfo {
  std::string_view service;  // "vhf"
  std::string_view name;     // "reserve"
  Access access;
  bool by_workflow;
  bool one_way;
  bool read_only;
  // What it does, in one sentence without a full stop.
  std::string_view summary;
  // Its REST route: "POST", "/clusters/{cluster}/freeze"; empty: none. A parameter is an input field, but for the
  // service's instance_parameter.
  std::string_view rest_verb;
  std::string_view rest_path;
  // Where what it made is found: "/clusters/{cluster}"; empty: it makes nothing. A parameter is a field of the JSON
  // answer ("image.name": name in image), else of the request's path or JSON body.
  std::string_view rest_location;
  // The JSON body, the JSON answer is the content of this field; empty: an object of all fields.
  std::string_view rest_body_field;
  std::string_view rest_answer_field;
  bool creates;
  // What it may answer beside the doors' own kInvalid, kDenied, kUnavailable and kTimeout.
  std::span<const ErrorCode> faults;
  // The states in which it is not refused; empty: any.
  std::span<const std::string_view> states;
  const Shape* request;
  const Shape* response;  // null: one-way
};

// A property of a WS-Resource: the element {service's namespace}name, as often as the field stands in its value.
struct PropertyInfo {
  std::string_view name;    // "LeaseEnd"
  const FieldShape* field;  // of the resource's type
  // The method that sets it, with the key and a field of the same name as input; both empty: it is read only.
  std::string_view set_service;
  std::string_view set;
  std::string_view set_key_field;
};

// A kind of WS-Resource: one value of `type` at /services/SERVICE/PATH/KEY.
struct ResourceInfo {
  std::string_view name;  // "Cluster"
  std::string_view path;  // "clusters"
  const Shape* type;
  std::string_view key_field;          // of the type
  std::string_view get;                // the method of this service that answers one
  std::string_view get_input_field;    // of get: the key
  std::string_view get_output_field;   // of get: the value
  std::string_view list;               // the method of this service that answers all, asked with nothing
  std::string_view list_output_field;  // "cluster"; "catalogue/image": in the field image of the field catalogue
  // The method that destroys one; all empty: it cannot be destroyed.
  std::string_view destroy_service;
  std::string_view destroy;
  std::string_view destroy_input_field;
  std::span<const PropertyInfo> properties;  // in the order of the type's fields
};

// A kind of event that a service publishes (exchange::Event::kind).
struct TopicInfo {
  std::string_view name;  // "cluster.frozen"
  std::string_view summary;
};

struct ServiceInfo {
  std::string_view name;
  std::string_view name_space;
  std::string_view title;
  // Not empty: several instances serve it, each at /services/INSTANCE, and this parameter of its REST paths
  // ("controller") is the INSTANCE that is meant. Empty: it is at /services/NAME.
  std::string_view instance_parameter;
  std::span<const OperationInfo> operations;
  std::span<const ResourceInfo> resources;
  std::span<const TopicInfo> topics;
};

// In the order of their names; operations in that of the definition.
std::span<const ServiceInfo> all_services();

// The word of the definition: "viewer".
std::string_view access_name(Access access);

// What a request to "/services/NAME[/…]" asks for; a NAME that is no service is a controller, which are all "vhc".
// Null: no definition has it. Points into the table.
const OperationInfo* operation_at(std::string_view path, std::string_view operation);

// "vhf"; null: no definition has it.
const ServiceInfo* find_service(std::string_view name);
// Null: the service has no such operation.
const OperationInfo* find_operation(const ServiceInfo& service, std::string_view name);

}  // namespace nuraghe::contracts
