// Basic activities but for those that send and receive: assign, throw, rethrow, wait, validate (WS-BPEL 2.0 §8.4, §10).
#include <fmt/format.h>

#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel::runtime {

void Machine::begin_assign(Region& region, Frame& frame) {
  current_ = &region;
  const NodeIndex node = frame.node;
  auto done = execute_assign(as<Assign>(program_.node(node)), *this);
  if (!done) return throw_fault(region, done.error(), node);
  complete(region, frame.number);
}

void Machine::begin_throw(Region& region, Frame& frame) {
  const auto& activity = as<Throw>(program_.node(frame.node));
  FaultRow fault;
  fault.ns = activity.fault_name.ns;
  fault.local = activity.fault_name.local;
  fault.where = program_.where(frame.node);
  if (activity.declaration != nullptr) {
    current_ = &region;
    auto value = variable(activity.variable);
    if (!value) return throw_fault(region, value.error(), frame.node);
    if (*value == nullptr) {
      return throw_standard(region, faults::kUninitializedVariable,
                            fmt::format("the variable {} of the fault has no value", activity.declaration->name),
                            frame.node);
    }
    fault.data = to_row(**value).parts;
    if (fault.data.size() == 1) {
      const auto data = xml::Document::parse(fault.data.front().xml, {.source = "fault"});
      if (data && exchange::lacks_timestamp(data->root()))
        fault.data.front().xml = exchange::with_timestamp(data->root(), turn_.now())->root().to_string();
    }
    const auto& type = activity.declaration->type;
    if (activity.declaration->kind == VariableKind::kMessage)
      fault.message_ns = type.ns, fault.message_local = type.local;
    else if (activity.declaration->kind == VariableKind::kElement)
      fault.element_ns = type.ns, fault.element_local = type.local;
    // Thrown on from a catch of a remote fault, with the same data: the words of the service go with it.
    for (Region* at = &region; at != nullptr; at = at->parent) {
      const auto& caught = at->row.fault;
      if (caught && caught->remote && !fault.data.empty() && !caught->data.empty() &&
          caught->data.front().xml == fault.data.front().xml) {
        fault.remote = true, fault.reason = caught->reason, fault.code = caught->code;
        fault.from_sender = caught->from_sender, fault.detail = caught->detail;
        break;
      }
    }
  }
  fault.text = fault.remote ? fault.reason : fmt::format("the process threw {}", fault.name().to_string());
  throw_fault(region, std::move(fault));
}

void Machine::begin_rethrow(Region& region, Frame& frame) {
  for (Region* at = &region; at != nullptr; at = at->parent) {
    if (at->row.kind == RegionKind::kFaultHandler && at->parent != nullptr && at->parent->row.fault) {
      return throw_fault(region, *at->parent->row.fault);
    }
  }
  fail(internal("a rethrow stands outside a fault handler: " + program_.where(frame.node)));
}

void Machine::begin_wait(Region& region, Frame& frame) {
  const auto& wait = as<Wait>(program_.node(frame.node));
  current_ = &region;
  auto due =
      wait.for_duration ? evaluate_for(*wait.for_duration, *this, turn_.now()) : evaluate_until(*wait.until, *this);
  if (!due) return throw_fault(region, due.error(), frame.node);
  if (*due <= turn_.now()) return complete(region, frame.number);
  frame.state = FrameState::kWaiting;
  frame.timers = 1;
  touch(region);
  set_timer({instance_.header.id, region.path, frame.number, 0}, *due);
}

bool Machine::substitutes(const xml::QName& element, const xml::QName& head) {
  return definition_.wsdl().substitutes(element, head);
}

Evaluated<void> Machine::validate(const Variable& declaration, const VariableValue& value) {
  return program_.resources->validate(declaration, value);
}

void Machine::begin_validate(Region& region, Frame& frame) {
  const auto& activity = as<Validate>(program_.node(frame.node));
  current_ = &region;
  for (std::size_t i = 0; i < activity.variables.size(); ++i) {
    auto value = variable(activity.variables[i]);
    if (!value) return throw_fault(region, value.error(), frame.node);
    if (*value == nullptr) {
      return throw_standard(region, faults::kUninitializedVariable,
                            fmt::format("the variable {} has no value", activity.declarations[i]->name), frame.node);
    }
    auto valid = validate(*activity.declarations[i], **value);
    if (!valid) return throw_fault(region, valid.error(), frame.node);
  }
  complete(region, frame.number);
}

}  // namespace nuraghe::bpel::runtime
