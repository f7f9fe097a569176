// The machine's rows: loading what a step needs, writing what it changed.
#include <fmt/format.h>

#include "base/check.hpp"
#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel::runtime {
namespace {

constexpr std::uint32_t kPartnerLinkBase = 0x80000000U;

std::string slot_key(const std::string& region_key, std::uint32_t slot) {
  std::string key = region_key;
  key.push_back('\0');  // no number has the length 0: it parts the slots from the regions below
  for (int shift = 24; shift >= 0; shift -= 8) key.push_back(static_cast<char>((slot >> shift) & 0xff));
  return key;
}

}  // namespace

void Machine::put(store::Table table, const std::string& key, const std::string& value) {
  digest_.add(key);
  digest_.add(value);
  check(turn_.transaction().put(table, key, value));
}

void Machine::insert(store::Table table, const std::string& key, const std::string& value) {
  digest_.add(key);
  digest_.add(value);
  check(turn_.transaction().insert(table, key, value));
}

void Machine::erase(store::Table table, const std::string& key) { check(turn_.transaction().erase(table, key)); }

void Machine::set_timer(const Token& token, TimePoint due) {
  const auto key = to_text(token);
  digest_.add(key);
  digest_.add(due.micros);
  check(turn_.set_timer(key, due));
}

void Machine::cancel_timer(const Token& token) { check(turn_.cancel_timer(to_text(token))); }

Region* Machine::adopt(Path path, RegionRow row) {
  auto made = std::make_unique<Region>();
  made->path = std::move(path);
  made->row = std::move(row);
  for (auto& frame : made->row.frames) made->frames.emplace(frame.number, std::move(frame));
  made->row.frames.clear();
  const auto above = parent_of(made->path);
  if (!above.empty()) {
    made->parent = region(above);
    if (made->parent == nullptr) {
      fail(corrupt("a region's parent is not there"));
      return nullptr;
    }
    made->parent->children.emplace(made->number(), made.get());
  }
  if (made->row.kind == RegionKind::kScope) {
    made->variables.resize(definition_.scope(made->row.scope).variables.size());
    made->partner_links.resize(definition_.scope(made->row.scope).partner_links.size());
  }
  Region* placed = made.get();
  instance_.regions.emplace(placed->path, std::move(made));
  return placed;
}

Region* Machine::region(const Path& path) {
  const auto found = instance_.regions.find(path);
  if (found != instance_.regions.end()) return found->second.get();
  if (path.empty()) return nullptr;
  auto row = turn_.transaction().get(tables_.scope, key_of(path));
  if (!row) {
    check(std::move(row).error());
    return nullptr;
  }
  if (!*row) return nullptr;
  auto decoded = decode_record<RegionRow>(**row);
  if (!decoded) {
    fail(std::move(decoded).error().with("reading a region of " + instance_.header.id));
    return nullptr;
  }
  Region* placed = adopt(path, std::move(*decoded));
  if (placed != nullptr) placed->stored = placed->row_stored = true;
  return placed;
}

Region* Machine::process_region() {
  // An instance's numbers begin with its process's region.
  Path path;
  append_number(path, 1);
  return region(path);
}

void Machine::load_children(Region& parent) {
  if (parent.children_loaded) return;
  parent.children_loaded = true;
  const auto prefix = key_of(parent.path);
  std::string after = prefix;
  for (;;) {
    auto rows = turn_.transaction().scan(tables_.scope, prefix, after);
    if (!rows) return void(check(std::move(rows).error()));
    if (rows->empty()) break;
    after = rows->back().key;
    for (const auto& row : *rows) {
      const auto path = row.key.substr(instance_.header.id.size());
      if (scope_row_kind(path) != ScopeRowKind::kRegion || instance_.regions.contains(path)) continue;
      auto decoded = decode_record<RegionRow>(row.value);
      if (!decoded) return fail(std::move(decoded).error());
      if (Region* placed = adopt(path, std::move(*decoded))) placed->stored = placed->row_stored = true;
    }
  }
  const auto next = [&](Region& region, auto&& self) -> void {
    region.children_loaded = true;
    for (auto& [number, child] : region.children) self(*child, self);
  };
  next(parent, next);
}

void Machine::load_completed(Region& region) {
  if (region.completed_loaded || !region.stored) {
    region.completed_loaded = true;
    return;
  }
  region.completed_loaded = true;
  const auto prefix = key_of(region.path) + '\0';
  std::string after;
  std::vector<Completed> found;
  for (;;) {
    auto rows = turn_.transaction().scan(tables_.scope, prefix, after);
    if (!rows) return void(check(std::move(rows).error()));
    if (rows->empty()) break;
    after = rows->back().key;
    for (const auto& row : *rows) {
      if (row.key.size() != prefix.size() + 8) continue;  // a variable
      auto decoded = decode_record<CompletedRow>(row.value);
      if (!decoded) return fail(std::move(decoded).error());
      std::uint64_t completion = 0;
      for (const char c : row.key.substr(row.key.size() - 8))
        completion = (completion << 8) | static_cast<unsigned char>(c);
      found.push_back({static_cast<std::int64_t>(completion), *decoded});
    }
  }
  region.completed = std::move(found);
}

Region* Machine::scope_region(Region& from, ScopeIndex scope) {
  for (Region* at = &from; at != nullptr; at = at->parent) {
    if (at->row.kind == RegionKind::kScope && at->row.scope == scope) return at;
  }
  fail(internal("a name is used outside the scope that declares it"));
  return nullptr;
}

bool Machine::load_slot(Region& owner, VariableSlot& slot, std::uint32_t number) {
  if (slot.loaded) return true;
  slot.loaded = true;
  if (!owner.stored) return true;
  auto row = turn_.transaction().get(tables_.scope, slot_key(key_of(owner.path), number));
  if (!row) return check(std::move(row).error());
  if (!*row) return true;
  auto decoded = decode_record<ValueRow>(**row);
  if (!decoded) return check(std::move(decoded).error());
  auto value = from_row(*decoded);
  if (!value) return check(std::move(value).error().with("reading a variable of " + instance_.header.id));
  slot.value = std::move(*value);
  slot.stored = true;
  account(owner, owner.bytes + (*row)->size());
  return true;
}

VariableSlot* Machine::variable_slot(const VariableRef& ref) {
  CHECK(current_ != nullptr);
  Region* owner = scope_region(*current_, ref.scope);
  if (owner == nullptr) return nullptr;
  auto& slot = owner->variables.at(ref.slot);
  return load_slot(*owner, slot, ref.slot) ? &slot : nullptr;
}

VariableSlot* Machine::partner_link_slot(const PartnerLinkRef& ref) {
  CHECK(current_ != nullptr);
  Region* owner = scope_region(*current_, ref.scope);
  if (owner == nullptr) return nullptr;
  auto& slot = owner->partner_links.at(ref.slot);
  return load_slot(*owner, slot, kPartnerLinkBase | ref.slot) ? &slot : nullptr;
}

// ---- what expressions and assignments ask ----

Evaluated<const VariableValue*> Machine::variable(const VariableRef& ref) {
  const VariableSlot* slot = variable_slot(ref);
  if (slot == nullptr) return engine_failure(*error_);
  return slot->value.initialised ? &slot->value : nullptr;
}

Evaluated<std::shared_ptr<const xml::Stylesheet>> Machine::stylesheet(std::string_view location) {
  return program_.resources->stylesheet(location);
}

Evaluated<void> Machine::store_variable(const VariableRef& ref, VariableValue value) {
  VariableSlot* slot = variable_slot(ref);
  if (slot == nullptr) return engine_failure(*error_);
  slot->value = std::move(value);
  slot->value.initialised = true;
  slot->dirty = true;
  touch(*scope_region(*current_, ref.scope));
  return {};
}

Evaluated<xml::DocumentPtr> Machine::endpoint_reference(const PartnerLinkRef& ref, bool my_role) {
  constexpr std::string_view kAddressing = "http://www.w3.org/2005/08/addressing";
  std::string address;
  if (my_role) {
    const auto path = program_.my_paths.find(ref);
    if (path == program_.my_paths.end()) return nullptr;
    address = own_base_ + path->second;
  } else {
    const VariableSlot* slot = partner_link_slot(ref);
    if (slot == nullptr) return engine_failure(*error_);
    if (slot->value.initialised) return slot->value.part();
    const auto known = program_.partner_addresses.find(ref);
    if (known == program_.partner_addresses.end()) return nullptr;
    address = known->second;
  }
  auto document = xml::Document::create({std::string(kAddressing), "EndpointReference"}, "wsa");
  document.root().append_text_element(kAddressing, "Address", address);
  return std::move(document).share();
}

Evaluated<void> Machine::store_endpoint_reference(const PartnerLinkRef& ref, xml::DocumentPtr reference) {
  VariableSlot* slot = partner_link_slot(ref);
  if (slot == nullptr) return engine_failure(*error_);
  slot->value = VariableValue::of(std::move(reference));
  slot->dirty = true;
  touch(*scope_region(*current_, ref.scope));
  return {};
}

// ---- writing ----

// Memory is about four times the text: trees of small nodes.
void Machine::account(Region& region, std::size_t bytes) {
  instance_.bytes += 4 * bytes;
  instance_.bytes -= std::min(instance_.bytes, 4 * region.bytes);
  region.bytes = bytes;
}

// A path is never used twice, so a row of a region that was not stored is a new one.
void Machine::write_row(const std::string& key, const std::string& value, bool& stored) {
  if (std::exchange(stored, true))
    put(tables_.scope, key, value);
  else
    insert(tables_.scope, key, value);
}

void Machine::write_slots(Region& region, std::vector<VariableSlot>& slots, std::uint32_t base) {
  for (std::uint32_t i = 0; i < slots.size(); ++i) {
    if (!slots[i].dirty) continue;
    slots[i].dirty = false;
    const auto text = encode_record(to_row(slots[i].value));
    if (text.size() > static_cast<std::size_t>(limits_.variable.count)) {
      return fail(exhausted(
          fmt::format("a variable of {} is larger than {}", instance_.header.id, limits_.variable.to_string())));
    }
    account(region, region.bytes + text.size());
    write_row(slot_key(key_of(region.path), base | i), text, slots[i].stored);
  }
}

void Machine::write_region(Region& region) {
  region.dirty = false;
  RegionRow& row = region.row;
  row.frames.clear();
  for (const auto& [number, frame] : region.frames) row.frames.push_back(frame);
  const auto text = encode_record(row);
  row.frames.clear();
  account(region, std::max(region.bytes, text.size() + 512));
  write_row(key_of(region.path), text, region.row_stored);
  write_slots(region, region.variables, 0);
  write_slots(region, region.partner_links, kPartnerLinkBase);
  region.stored = true;
}

void Machine::keep_tasks() {
  instance_.header.tasks.clear();
  for (auto& task : tasks_) instance_.header.tasks.push_back({task.path, task.frame});
}

void Machine::write_header() {
  if (!ended())
    keep_tasks();
  else
    tasks_.clear(), instance_.header.tasks.clear();
  // Not in the digest: suspending changes it between steps.
  check(turn_.transaction().put(tables_.instance, instance_.header.id, encode_record(instance_.header)));
}

void Machine::flush() {
  settle();
  if (error_) return;
  if (!ended()) {
    for (auto& [path, region] : dirty_) {
      if (!region->dropped) write_region(*region);
      if (error_) break;
    }
    settle();
    if (error_) return;
  }
  dirty_.clear();
  write_header();
}

// ---- dropping ----

void Machine::drop_rows(const Region& region) {
  if (!region.stored || all_rows_dropped_) return;
  auto& transaction = turn_.transaction();
  const auto prefix = key_of(region.path);
  check(transaction.erase_prefix(tables_.scope, prefix));
}

void Machine::drop_memory(Region& region) {
  for (auto& [number, child] : region.children) {
    child->parent = nullptr;
    drop_memory(*child);
  }
  region.children.clear();
  for (const auto& set : region.row.sets) {
    if (!set.index_key.empty()) erase(tables_.correlation, set.index_key + instance_.header.id);
  }
  account(region, 0);
  region.dropped = true;
  dirty_.erase(region.path);
  const auto found = instance_.regions.find(region.path);
  if (found == instance_.regions.end()) return;
  graveyard_.push_back(std::move(found->second));
  instance_.regions.erase(found);
}

void Machine::drop(Region& region) {
  // Kept scopes below may have rows in the correlation index: they are found through their own rows.
  if (region.row.completed_children > 0 && !definition_.scopes().empty() && !program_.indexed_sets.empty()) {
    load_children(region);
  }
  drop_rows(region);
  if (region.parent != nullptr) region.parent->children.erase(region.number());
  drop_memory(region);
}

}  // namespace nuraghe::bpel::runtime
