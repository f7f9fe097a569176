#include "wsrf/changes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "wsrf/producer.hpp"

namespace nuraghe::wsrf {
namespace {

constexpr std::string_view kPut = "PutResourcePropertyDocument";

std::vector<xml::Node> values_in(const xml::Document& document, const xml::QName& name) {
  return document.root().children(name.ns, name.local);
}

xml::DocumentPtr failure(const std::vector<xml::Node>& current, const std::vector<xml::DocumentPtr>& requested,
                         bool restored) {
  xml::Document document = xml::Document::create(name_of(kProperties, "ResourcePropertyChangeFailure"));
  xml::Node root = document.root();
  root.set_attribute("Restored", restored ? "true" : "false");
  if (!current.empty()) {
    xml::Node values = root.append_element(kProperties, "CurrentValue");
    for (const xml::Node value : current) values.append_copy(value);
  }
  if (!requested.empty()) {
    xml::Node values = root.append_element(kProperties, "RequestedValue");
    for (const auto& value : requested) values.append_copy(value->root());
  }
  return std::move(document).share();
}

class Reader {
 public:
  Reader(const Address& address, const xml::Document& document) : address_(address), document_(document) {}

  Answer<std::vector<Change>> read(xml::Node request) {
    if (request.local_name() == kPut) return read_put(request.first_child());
    for (const xml::Node component : request.children()) {
      auto done = component.local_name() == "Delete" ? remove(component) : set(component);
      if (!done) return tl::unexpected(std::move(done.error()));
    }
    return std::move(changes_);
  }

 private:
  using Done = tl::expected<void, Refusal>;

  tl::unexpected<Refusal> refuse_change(std::string_view fault, Error error, const xml::QName& name) const {
    Refusal refusal{name_of(kProperties, fault), std::move(error)};
    refusal.extra = failure(values_in(document_, name), {}, true);
    return tl::unexpected(std::move(refusal));
  }

  // The property that may be set under that name.
  Answer<const contracts::PropertyInfo*> settable(const xml::QName& name) const {
    const bool own = name.ns == address_.service->name_space;
    const auto& properties = address_.resource->properties;
    const auto found = std::ranges::find_if(properties, [&](const auto& one) { return own && one.name == name.local; });
    if (found != properties.end() && !found->set.empty()) return &*found;
    if (found != properties.end() || name.ns == kLifetime || is_of_producer(name)) {
      return refuse_change("UnableToModifyResourcePropertyFault",
                           denied(fmt::format("the property {} cannot be set: it follows what happens{}", name.local,
                                              name.ns == kLifetime ? "; use SetTerminationTime" : "")),
                           name);
    }
    return refuse(kProperties, "InvalidResourcePropertyQNameFault",
                  invalid(fmt::format("{} has no resource property {}", address_.path(), name.to_string())));
  }

  // Later components see what earlier ones of the same property asked for.
  Change& change_of(const contracts::PropertyInfo& property, const xml::QName& name) {
    for (Change& change : changes_) {
      if (change.property == &property) return change;
    }
    Change& change = changes_.emplace_back();
    change.property = &property;
    for (const xml::Node value : values_in(document_, name))
      change.values.push_back(xml::Document::copy_of(value).share());
    return change;
  }

  // Insert and Update.
  Done set(xml::Node component) {
    const bool replaces = component.local_name() == "Update";
    std::vector<const contracts::PropertyInfo*> replaced;
    for (const xml::Node value : component.children()) {
      const xml::QName name = value.name();
      const auto property = settable(name);
      if (!property) return tl::unexpected(property.error());
      Change& change = change_of(**property, name);
      if (replaces && std::ranges::find(replaced, *property) == replaced.end()) {
        change.values.clear();
        replaced.push_back(*property);
      }
      change.values.push_back(xml::Document::copy_of(value).share());
      if (change.values.size() > 1 && !(*property)->field->list) {
        return refuse_change("InvalidModificationFault",
                             invalid(fmt::format("the property {} has one value and no second", name.local)), name);
      }
    }
    return {};
  }

  Done remove(xml::Node component) {
    const std::string text = component.attribute_or("ResourceProperty", "");
    const auto name = component.resolve_qname(text);
    if (!name) return refuse(kProperties, "InvalidResourcePropertyQNameFault", name.error());
    const auto property = settable(*name);
    if (!property) return tl::unexpected(property.error());
    const auto* service = contracts::find_service((*property)->set_service);
    const auto* method = contracts::find_operation(*service, (*property)->set);
    const auto& fields = method->request->fields;
    const auto field =
        std::ranges::find_if(fields, [&](const auto& one) { return one.name == (*property)->field->name; });
    if (field == fields.end() || !(field->optional || field->list)) {
      return refuse_change("InvalidModificationFault",
                           invalid(fmt::format("the property {} always has a value", name->local)), *name);
    }
    change_of(**property, *name).values.clear();
    return {};
  }

  Answer<std::vector<Change>> read_put(xml::Node wanted) {
    const auto refuse_put = [&](const std::string& why, const xml::QName& name) {
      return refuse_change("UnableToPutResourcePropertyDocumentFault", invalid(why), name);
    };
    const xml::QName root = document_.root().name();
    if (!wanted || wanted.name() != root)
      return refuse_put(fmt::format("the property document of {} is {}", address_.path(), root.to_string()), {});
    for (const xml::Node child : wanted.children()) {
      const bool is_own = child.namespace_uri() == address_.service->name_space;
      const bool known = std::ranges::any_of(address_.resource->properties,
                                             [&](const auto& one) { return is_own && one.name == child.local_name(); });
      if (!known && child.namespace_uri() != kLifetime && !is_of_producer(child.name()))
        return refuse_put(fmt::format("there is no resource property {}", child.name().to_string()), {});
    }
    for (const auto& property : address_.resource->properties) {
      const xml::QName name = name_of(address_.service->name_space, property.name);
      const auto now = values_in(document_, name);
      const auto then = wanted.children(name.ns, name.local);
      if (std::ranges::equal(now, then, [](xml::Node a, xml::Node b) { return xml::equivalent(a, b); })) continue;
      if (property.set.empty()) {
        return refuse_put(fmt::format("the property {} cannot be set: leave it as GetResourcePropertyDocument shows it",
                                      property.name),
                          name);
      }
      Change& change = changes_.emplace_back();
      change.property = &property;
      for (const xml::Node value : then) change.values.push_back(xml::Document::copy_of(value).share());
    }
    return std::move(changes_);
  }

  const Address& address_;
  const xml::Document& document_;
  std::vector<Change> changes_;
};

}  // namespace

xml::DocumentPtr Change::call(std::string_view key) const {
  const auto* service = contracts::find_service(property->set_service);
  xml::Document body = xml::Document::create(name_of(service->name_space, property->set));
  body.root().append_text_element(service->name_space, property->set_key_field, key);
  for (const auto& value : values) {
    xml::Node field = body.root().append_copy(value->root());
    field.rename(name_of(service->name_space, property->field->name));
  }
  return std::move(body).share();
}

Answer<std::vector<Change>> changes_of(const Address& address, const xml::Document& document, xml::Node request) {
  return Reader(address, document).read(request);
}

Refusal failure_of(std::string_view operation, const Change& change, const xml::Document& document, const Error& error,
                   bool restored) {
  const std::string_view ns = document.root().namespace_uri();
  const auto current = document.root().children(ns, change.property->name);
  std::string fault = "InvalidModificationFault";
  // A value that is not of its type could not stand in the fault either.
  std::vector<xml::DocumentPtr> requested;
  if (error.code() != ErrorCode::kInvalid) {
    requested = change.values;
    fault = operation == kPut                      ? "UnableToPutResourcePropertyDocumentFault"
            : operation == "SetResourceProperties" ? "SetResourcePropertyRequestFailedFault"
                                                   : fmt::format("{}RequestFailedFault", operation);
  } else if (operation == kPut) {
    fault = "UnableToPutResourcePropertyDocumentFault";
  }
  Refusal refusal{name_of(kProperties, fault), error};
  refusal.extra = failure(current, requested, restored);
  return refusal;
}

}  // namespace nuraghe::wsrf
