#include "bpel/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/log.hpp"

namespace nuraghe::bpel {
namespace {

std::string version_key(const std::string& package, std::int64_t version) {
  return package + '\0' + runtime::big_endian(static_cast<std::uint64_t>(version));
}

constexpr std::size_t kVersionsAtOnce = 100;

// "PACKAGE@VERSION" of "PACKAGE/FILE@VERSION" for every way to read it: a package's name may have slashes.
void add_versions_of(const std::string& program, std::set<std::string>& versions) {
  const auto at = program.rfind('@');
  if (at == std::string::npos) return;
  for (auto slash = program.find('/'); slash < at; slash = program.find('/', slash + 1)) {
    versions.insert(program.substr(0, slash) + program.substr(at));
  }
}

Result<bool> is_run(store::Transaction& transaction, const runtime::Tables& tables,
                    const std::vector<std::shared_ptr<const runtime::Program>>& programs) {
  for (const auto& program : programs) {
    TRY_ASSIGN(const auto rows, transaction.scan(tables.running, program->id + '\0', {}, 1));
    if (!rows.empty()) return true;
  }
  return false;
}

// Which versions running instances are of: one look per version, not per instance.
Result<std::set<std::string>> running_versions(store::Transaction& transaction, const runtime::Tables& tables) {
  std::set<std::string> versions;
  std::string after;
  for (;;) {
    TRY_ASSIGN(const auto rows, transaction.scan(tables.running, {}, after, 1));
    if (rows.empty()) return versions;
    const auto program = rows.front().key.substr(0, rows.front().key.find('\0'));
    add_versions_of(program, versions);
    after = program + '\1';
  }
}

// Takes the versions out of `candidates` that instances which ended, and are remembered, ran.
Status keep_remembered(store::Transaction& transaction, const runtime::Tables& tables,
                       std::map<std::string, std::string>& candidates) {
  std::string after;
  while (!candidates.empty()) {
    TRY_ASSIGN(const auto rows, transaction.scan(tables.ended, {}, after));
    if (rows.empty()) return {};
    after = rows.back().key;
    for (const auto& row : rows) {
      TRY_ASSIGN(const auto stored, transaction.get(tables.instance, row.key.substr(8)));
      if (!stored) continue;
      TRY_ASSIGN(const auto header, decode_record<runtime::HeaderRow>(*stored));
      std::set<std::string> versions;
      add_versions_of(header.program, versions);
      for (const auto& version : versions) candidates.erase(version);
    }
  }
  return {};
}

}  // namespace

// ---- checking ----

std::shared_ptr<const PreparedPackage> Registry::prepare(const std::string& package, Package files) {
  auto prepared = std::make_shared<PreparedPackage>();
  prepared->package = package;
  prepared->files = std::move(files);
  auto& diagnostics = prepared->deployment.diagnostics;
  prepared->descriptor = read_descriptor(prepared->files, diagnostics);
  for (auto& parsed : parse_package(prepared->files)) {
    diagnostics.insert(diagnostics.end(), parsed.diagnostics.begin(), parsed.diagnostics.end());
    if (!parsed.definition) continue;
    const auto named = prepared->descriptor.processes.find(parsed.definition->file());
    if (named != prepared->descriptor.processes.end())
      resolve_ports(parsed.definition->wsdl(), prepared->descriptor.source, named->second, &diagnostics);
    prepared->definitions.push_back(std::move(parsed.definition));
  }
  if (prepared->definitions.empty() && diagnostics.empty()) {
    diagnostics.push_back({"", package, {}, "the package holds no process: no file ends in .bpel", false});
  }
  prepared->deployment.accepted =
      std::none_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& one) { return !one.warning; });
  return prepared;
}

std::vector<std::shared_ptr<const runtime::Program>> Registry::make_programs(const PreparedPackage& prepared,
                                                                             const PackageRow& row) const {
  std::vector<std::shared_ptr<const runtime::Program>> programs;
  for (const auto& definition : prepared.definitions) {
    const auto& deployment = prepared.descriptor.of(definition->file());
    runtime::ProgramOptions options;
    options.id = fmt::format("{}/{}@{}", row.package, definition->file(), row.version);
    options.package = row.package;
    options.invoke_deadline = deployment.invoke_deadline;
    options.unreachable_deadline = deployment.unreachable_deadline.value_or(options_.unreachable_deadline);
    options.validate = deployment.validate.value_or(options_.validate_messages);
    options.my_paths = deployment.paths;
    options.partner_addresses = deployment.addresses;
    programs.push_back(runtime::make_program(definition, options));
  }
  return programs;
}

DeployedProcess Registry::describe(const runtime::Program& program, const PackageRow& row) {
  DeployedProcess process;
  process.id = program.id;
  process.package = row.package;
  process.file = program.definition->file();
  process.name = program.definition->name();
  process.version = row.version;
  process.active = row.active;
  process.order = row.order;
  std::set<Route> routes, own_routes;
  for (const auto& receiver : program.receivers) {
    routes.insert({receiver.path, receiver.event->endpoint.operation->name});
    own_routes.insert({receiver.own_path, receiver.event->endpoint.operation->name});
    for (const auto& path : receiver.more_paths) routes.insert({path, receiver.event->endpoint.operation->name});
  }
  process.routes.assign(routes.begin(), routes.end());
  process.own_routes.assign(own_routes.begin(), own_routes.end());
  return process;
}

Deployment Registry::describe(const PreparedPackage& prepared, const Version& version) {
  Deployment deployment = prepared.deployment;
  std::set<Route> routes;
  for (const auto& program : version.programs) {
    deployment.processes.push_back(describe(*program, version.row));
    const auto& own = deployment.processes.back().routes;
    routes.insert(own.begin(), own.end());
  }
  deployment.routes.assign(routes.begin(), routes.end());
  return deployment;
}

Deployment Registry::stage(const std::string& package, Package files) {
  auto prepared = prepare(package, std::move(files));
  if (!prepared->deployment.accepted) {
    keep(package);
    return prepared->deployment;
  }
  Version version;
  version.row.package = package;
  version.row.active = true;
  version.programs = make_programs(*prepared, version.row);
  auto deployment = describe(*prepared, version);
  staged_[package] = std::move(prepared);
  return deployment;
}

// ---- versions ----

Status Registry::store_version(store::Transaction& transaction, const runtime::Tables& tables, const PackageRow& row) {
  return transaction.put(tables.process, version_key(row.package, row.version), encode_record(row));
}

// No version of the package takes new instances; versions that nobody runs leave the memory.
Status Registry::retire(store::Transaction& transaction, const runtime::Tables& tables, const std::string& package) {
  auto& versions = packages_[package];
  for (auto at = versions.begin(); at != versions.end();) {
    auto& version = at->second;
    if (version.row.active) {
      version.row.active = false;
      TRY(store_version(transaction, tables, version.row));
    }
    TRY_ASSIGN(const bool run, is_run(transaction, tables, version.programs));
    at = run ? std::next(at) : versions.erase(at);
  }
  if (versions.empty()) packages_.erase(package);
  return {};
}

// Versions that are not in memory, and that no remembered instance ran, leave the store.
Status Registry::forget_unused(store::Transaction& transaction, const runtime::Tables& tables) {
  std::map<std::string, std::string> candidates;  // "PACKAGE@VERSION" → key of the row
  std::string after;
  for (;;) {
    TRY_ASSIGN(const auto rows, transaction.scan(tables.process, {}, after, kVersionsAtOnce));
    if (rows.empty()) break;
    after = rows.back().key;
    for (const auto& stored : rows) {
      TRY_ASSIGN(const auto row, decode_record<PackageRow>(stored.value));
      const auto found = packages_.find(row.package);
      if (found != packages_.end() && found->second.contains(row.version)) continue;
      candidates.emplace(fmt::format("{}@{}", row.package, row.version), stored.key);
    }
  }
  TRY(keep_remembered(transaction, tables, candidates));
  for (const auto& [version, key] : candidates) TRY(transaction.erase(tables.process, key));
  return {};
}

Status Registry::activate(store::Transaction& transaction, const runtime::Tables& tables,
                          const PreparedPackage& prepared, bool at_start) {
  const auto& package = prepared.package;
  const auto found = packages_.find(package);
  if (found != packages_.end() && !found->second.empty()) {
    auto& last = found->second.rbegin()->second;
    if (last.row.active && last.row.files == prepared.files.files) {
      if (!at_start || last.row.at_start) return {};
      last.row.at_start = true;
      return store_version(transaction, tables, last.row);
    }
  }
  TRY(retire(transaction, tables, package));
  Version version;
  version.row = {package, newest_[package] + 1, true, prepared.files.files, last_order_ + 1, at_start};
  version.programs = make_programs(prepared, version.row);
  TRY(store_version(transaction, tables, version.row));
  newest_[package] = version.row.version;
  last_order_ = version.row.order;
  packages_[package].emplace(version.row.version, std::move(version));
  return {};
}

void Registry::add_version(const PackageRow& row) {
  const auto prepared = prepare(row.package, {row.files});
  for (const auto& diagnostic : prepared->deployment.diagnostics) {
    if (!diagnostic.warning)
      log_error("bpel", "a stored process is not accepted any more", {{"finding", diagnostic.to_string()}});
  }
  Version version;
  version.programs = make_programs(*prepared, row);
  version.row = row;
  packages_[row.package].emplace(row.version, std::move(version));
}

Status Registry::read_rows(store::Transaction& transaction, const runtime::Tables& tables) {
  packages_.clear();
  newest_.clear();
  last_order_ = 0;
  TRY_ASSIGN(const auto running, running_versions(transaction, tables));
  std::string after;
  for (;;) {
    TRY_ASSIGN(const auto rows, transaction.scan(tables.process, {}, after, kVersionsAtOnce));
    if (rows.empty()) break;
    after = rows.back().key;
    for (const auto& stored : rows) {
      TRY_ASSIGN(const auto row, decode_record<PackageRow>(stored.value));
      auto& newest = newest_[row.package];
      newest = std::max(newest, row.version);
      last_order_ = std::max(last_order_, row.order);
      if (row.active || running.contains(fmt::format("{}@{}", row.package, row.version))) add_version(row);
    }
  }
  return {};
}

Status Registry::reload(store::Transaction& transaction, const runtime::Tables& tables) {
  TRY(read_rows(transaction, tables));
  rebuild_index();
  return {};
}

Status Registry::start(store::Transaction& transaction, const runtime::Tables& tables) {
  TRY(read_rows(transaction, tables));
  std::vector<std::string> gone;
  for (const auto& [package, versions] : packages_) {
    if (is_to_be_retired(package)) gone.push_back(package);
  }
  for (const auto& [package, prepared] : staged_) TRY(activate(transaction, tables, *prepared, true));
  for (const auto& package : gone) TRY(retire(transaction, tables, package));
  TRY(forget_unused(transaction, tables));
  rebuild_index();
  return {};
}

bool Registry::is_to_be_retired(const std::string& package) const {
  if (staged_.contains(package)) return false;
  if (options_.others == OtherPackages::kRetire) return true;
  if (options_.others == OtherPackages::kKeep || kept_.contains(package)) return false;
  const auto& versions = packages_.at(package);
  return !versions.empty() && versions.rbegin()->second.row.at_start;
}

Result<Deployment> Registry::deploy(store::Transaction& transaction, const runtime::Tables& tables,
                                    const PreparedPackage& prepared) {
  if (!prepared.deployment.accepted) return prepared.deployment;
  TRY(activate(transaction, tables, prepared, false));
  rebuild_index();
  return describe(prepared, packages_[prepared.package].rbegin()->second);
}

Status Registry::undeploy(store::Transaction& transaction, const runtime::Tables& tables, const std::string& package) {
  if (!packages_.contains(package)) return not_found(fmt::format("there is no package {}", package));
  TRY(retire(transaction, tables, package));
  staged_.erase(package);
  rebuild_index();
  return {};
}

// ---- looking up ----

void Registry::rebuild_index() {
  std::map<Route, std::vector<Entry>> fresh;
  for (const auto& [package, versions] : packages_) {
    for (const auto& [number, version] : versions) {
      for (const auto& program : version.programs) {
        for (const auto& receiver : program->receivers) {
          const Entry entry{program, &receiver, version.row.active, version.row.order};
          const auto& operation = receiver.event->endpoint.operation->name;
          fresh[{receiver.path, operation}].push_back(entry);
          if (receiver.own_path != receiver.path) fresh[{receiver.own_path, operation}].push_back(entry);
          for (const auto& path : receiver.more_paths) {
            if (path != receiver.own_path) fresh[{path, operation}].push_back(entry);
          }
        }
      }
    }
  }
  for (auto& [route, entries] : fresh) {
    std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.order > b.order; });
  }
  std::swap(index_, fresh);
  if (!options_.route_changed) return;
  for (const auto& [route, entries] : index_) {
    if (!fresh.contains(route)) options_.route_changed(route, true);
  }
  for (const auto& [route, entries] : fresh) {
    if (!index_.contains(route)) options_.route_changed(route, false);
  }
}

std::shared_ptr<const runtime::Program> Registry::program(const std::string& id) const {
  for (const auto& [package, versions] : packages_) {
    if (id.compare(0, package.size(), package) != 0) continue;
    for (const auto& [number, version] : versions) {
      for (const auto& program : version.programs) {
        if (program->id == id) return program;
      }
    }
  }
  return nullptr;
}

Result<std::shared_ptr<const runtime::Program>> Registry::stored_program(store::Transaction& transaction,
                                                                         const runtime::Tables& tables,
                                                                         const std::string& id) const {
  if (auto known = program(id)) return known;
  const auto at = id.rfind('@');
  std::int64_t version = 0;
  if (at != std::string::npos) std::from_chars(id.data() + at + 1, id.data() + id.size(), version);
  // "PACKAGE/FILE@VERSION": both may have slashes.
  for (auto slash = id.find('/'); version > 0 && slash < at; slash = id.find('/', slash + 1)) {
    TRY_ASSIGN(const auto stored, transaction.get(tables.process, version_key(id.substr(0, slash), version)));
    if (!stored) continue;
    TRY_ASSIGN(auto row, decode_record<PackageRow>(*stored));
    const auto prepared = prepare(row.package, {row.files});
    for (auto& made : make_programs(*prepared, row)) {
      if (made->id == id) return made;
    }
  }
  return not_found(fmt::format("{} is not deployed any more", id));
}

const std::vector<Registry::Entry>& Registry::receivers(const Route& route) const {
  static const std::vector<Entry> kNobody;
  const auto found = index_.find(route);
  return found == index_.end() ? kNobody : found->second;
}

std::vector<DeployedProcess> Registry::processes() const {
  std::vector<DeployedProcess> all;
  for (const auto& [package, versions] : packages_) {
    for (const auto& [number, version] : versions) {
      for (const auto& program : version.programs) all.push_back(describe(*program, version.row));
    }
  }
  return all;
}

std::vector<Route> Registry::routes() const {
  std::set<Route> routes;
  for (const auto& [route, entries] : index_) routes.insert(route);
  for (const auto& [package, staged] : staged_) {
    if (packages_.contains(package)) continue;
    PackageRow row;
    row.package = package;
    for (const auto& program : make_programs(*staged, row)) {
      const auto process = describe(*program, row);
      routes.insert(process.routes.begin(), process.routes.end());
      routes.insert(process.own_routes.begin(), process.own_routes.end());
    }
  }
  return {routes.begin(), routes.end()};
}

}  // namespace nuraghe::bpel
