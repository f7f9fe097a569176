// For tests: a process of pieces with values for its variables, outside of any engine.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "bpel/expression/assign.hpp"
#include "bpel/resources.hpp"
#include "bpel/test_processes.hpp"

namespace nuraghe::bpel::test {

// Answers from maps; counts what is stored.
class MapContext : public AssignContext {
 public:
  Evaluated<const VariableValue*> variable(const VariableRef& ref) override {
    const auto found = values.find(ref);
    return found == values.end() ? nullptr : &found->second;
  }
  Evaluated<bool> link_status(LinkIndex link) override { return links[link]; }
  Evaluated<std::shared_ptr<const xml::Stylesheet>> stylesheet(std::string_view location) override {
    return resources->stylesheet(location);
  }
  bool substitutes(const xml::QName& element, const xml::QName& head) override {
    return resources->substitutes(element, head);
  }
  Evaluated<void> validate(const Variable& declaration, const VariableValue& value) override {
    return resources->validate(declaration, value);
  }
  Evaluated<void> store_variable(const VariableRef& ref, VariableValue value) override {
    values[ref] = std::move(value);
    ++stored;
    return {};
  }
  Evaluated<xml::DocumentPtr> endpoint_reference(const PartnerLinkRef& ref, bool my_role) override {
    const auto found = endpoints.find({ref, my_role});
    return found == endpoints.end() ? nullptr : found->second;
  }
  Evaluated<void> store_endpoint_reference(const PartnerLinkRef& ref, xml::DocumentPtr reference) override {
    endpoints[{ref, false}] = std::move(reference);
    return {};
  }

  std::map<VariableRef, VariableValue> values;
  std::map<LinkIndex, bool> links;
  std::map<std::pair<PartnerLinkRef, bool>, xml::DocumentPtr> endpoints;
  int stored = 0;
  std::unique_ptr<const Resources> resources;
};

inline xml::DocumentPtr document(const std::string& text) {
  auto parsed = xml::Document::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? std::move(*parsed).share() : nullptr;
}

// A process whose first activity of a kind is looked at, with a value for each variable on demand.
class World {
 public:
  explicit World(const Pieces& pieces, const std::map<std::string, std::string>& files = {}) {
    Package package = shop_package(pieces);
    for (const auto& [path, text] : files) package.files[path] = text;
    parsed_ = parse_process(package, "p.bpel");
    EXPECT_NE(parsed_.definition, nullptr) << all_of(parsed_.diagnostics);
    context.resources = std::make_unique<const Resources>(parsed_.definition);
  }
  explicit World(const std::string& body)
      : World([&] {
          Pieces pieces;
          pieces.body = body;
          return pieces;
        }()) {}

  const ProcessDefinition& definition() const { return *parsed_.definition; }
  template <class T>
  const T& first(NodeKind kind) const {
    for (const auto& node : definition().nodes()) {
      if (node->kind == kind) return as<T>(*node);
    }
    ADD_FAILURE() << "no " << node_kind_name(kind);
    std::abort();
  }
  VariableRef ref(const std::string& name) const {
    const auto& variables = definition().process().variables;
    for (std::uint32_t slot = 0; slot < variables.size(); ++slot) {
      if (variables[slot].name == name) return {0, slot};
    }
    ADD_FAILURE() << "no variable " << name;
    return {};
  }
  void set(const std::string& name, const std::string& xml, const std::string& part = "") {
    VariableValue& value = context.values[ref(name)];
    value.initialised = true;
    value.parts[part] = document(xml);
  }
  void set_text(const std::string& name, const std::string& text) { context.values[ref(name)] = simple_value(text); }
  // The value as XML text; "-" when the part has none.
  std::string get(const std::string& name, const std::string& part = "") {
    const VariableValue& value = context.values[ref(name)];
    const xml::DocumentPtr found = value.initialised ? value.part(part) : nullptr;
    return found == nullptr ? "-" : found->to_string();
  }

  MapContext context;

 private:
  ParsedProcess parsed_;
};

}  // namespace nuraghe::bpel::test
