#include "bpel/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/log.hpp"

namespace nuraghe::bpel {
namespace {

std::string version_key(const std::string& package, std::int64_t version) {
  return package + '\0' + runtime::big_endian(static_cast<std::uint64_t>(version));
}

}  // namespace

// ---- checking ----

Registry::Checked Registry::check(const std::string& package, const Package& files) {
  Checked checked;
  auto& diagnostics = checked.deployment.diagnostics;
  checked.descriptor = read_descriptor(files, diagnostics);
  for (auto& parsed : parse_package(files)) {
    diagnostics.insert(diagnostics.end(), parsed.diagnostics.begin(), parsed.diagnostics.end());
    if (parsed.definition) checked.definitions.push_back(std::move(parsed.definition));
  }
  if (checked.definitions.empty() && diagnostics.empty()) {
    diagnostics.push_back({"", package, {}, "the package holds no process: no file ends in .bpel", false});
  }
  checked.deployment.accepted =
      std::none_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& one) { return !one.warning; });
  return checked;
}

std::vector<std::shared_ptr<const runtime::Program>> Registry::make_programs(const Checked& checked,
                                                                             const PackageRow& row) {
  std::vector<std::shared_ptr<const runtime::Program>> programs;
  for (const auto& definition : checked.definitions) {
    const auto& deployment = checked.descriptor.of(definition->file());
    runtime::ProgramOptions options;
    options.id = fmt::format("{}/{}@{}", row.package, definition->file(), row.version);
    options.package = row.package;
    options.invoke_deadline = deployment.invoke_deadline;
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
  std::set<Route> routes;
  for (const auto& receiver : program.receivers) {
    routes.insert({receiver.path, receiver.event->endpoint.operation->name});
  }
  process.routes.assign(routes.begin(), routes.end());
  return process;
}

Deployment Registry::describe(const Checked& checked, const Version& version) {
  Deployment deployment = checked.deployment;
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
  auto checked = check(package, files);
  if (!checked.deployment.accepted) return checked.deployment;
  Version version;
  version.row.package = package;
  version.row.active = true;
  version.programs = make_programs(checked, version.row);
  auto deployment = describe(checked, version);
  staged_[package] = {std::move(files), std::move(checked)};
  return deployment;
}

// ---- versions ----

Status Registry::store_version(store::Transaction& transaction, const runtime::Tables& tables, const PackageRow& row) {
  return transaction.put(tables.process, version_key(row.package, row.version), encode_record(row));
}

Result<bool> Registry::is_run(store::Transaction& transaction, const runtime::Tables& tables, const Version& version) {
  for (const auto& program : version.programs) {
    TRY_ASSIGN(const auto rows, transaction.scan(tables.running, program->id + '\0', {}, 1));
    if (!rows.empty()) return true;
  }
  return false;
}

// No version of the package takes new instances; versions that nobody runs are forgotten.
Status Registry::retire(store::Transaction& transaction, const runtime::Tables& tables, const std::string& package) {
  auto& versions = packages_[package];
  for (auto at = versions.begin(); at != versions.end();) {
    auto& version = at->second;
    TRY_ASSIGN(const bool run, is_run(transaction, tables, version));
    if (!run) {
      TRY(transaction.erase(tables.process, version_key(package, version.row.version)));
      at = versions.erase(at);
      continue;
    }
    if (version.row.active) {
      version.row.active = false;
      TRY(store_version(transaction, tables, version.row));
    }
    ++at;
  }
  if (versions.empty()) packages_.erase(package);
  return {};
}

// Inactive versions that nobody runs any more.
Status Registry::forget_unused(store::Transaction& transaction, const runtime::Tables& tables) {
  for (auto& [package, versions] : packages_) {
    for (auto at = versions.begin(); at != versions.end();) {
      bool keep = at->second.row.active;
      if (!keep) {
        TRY_ASSIGN(keep, is_run(transaction, tables, at->second));
      }
      if (!keep) TRY(transaction.erase(tables.process, version_key(package, at->first)));
      at = keep ? std::next(at) : versions.erase(at);
    }
  }
  std::erase_if(packages_, [](const auto& entry) { return entry.second.empty(); });
  return {};
}

Status Registry::activate(store::Transaction& transaction, const runtime::Tables& tables, const std::string& package,
                          Package files, const Checked& checked) {
  const auto found = packages_.find(package);
  std::int64_t newest = 0;
  if (found != packages_.end() && !found->second.empty()) {
    const auto& last = found->second.rbegin()->second;
    if (last.row.active && last.row.files == files.files) return {};
    newest = last.row.version;
  }
  TRY(retire(transaction, tables, package));
  Version version;
  version.row = {package, newest + 1, true, std::move(files.files)};
  version.programs = make_programs(checked, version.row);
  TRY(store_version(transaction, tables, version.row));
  packages_[package].emplace(version.row.version, std::move(version));
  return {};
}

Status Registry::read_rows(store::Transaction& transaction, const runtime::Tables& tables) {
  packages_.clear();
  std::string after;
  for (;;) {
    TRY_ASSIGN(const auto rows, transaction.scan(tables.process, {}, after, 100));
    if (rows.empty()) break;
    after = rows.back().key;
    for (const auto& stored : rows) {
      TRY_ASSIGN(auto row, decode_record<PackageRow>(stored.value));
      auto checked = check(row.package, {row.files});
      for (const auto& diagnostic : checked.deployment.diagnostics) {
        if (!diagnostic.warning)
          log_error("bpel", "a stored process is not accepted any more", {{"finding", diagnostic.to_string()}});
      }
      Version version;
      version.programs = make_programs(checked, row);
      version.row = std::move(row);
      packages_[version.row.package].emplace(version.row.version, std::move(version));
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
  std::vector<std::string> others;
  for (const auto& [package, versions] : packages_) {
    if (!staged_.contains(package)) others.push_back(package);
  }
  for (auto& [package, staged] : staged_) {
    TRY(activate(transaction, tables, package, staged.first, staged.second));
  }
  if (options_.packages_are_complete) {
    for (const auto& package : others) TRY(retire(transaction, tables, package));
  }
  TRY(forget_unused(transaction, tables));
  rebuild_index();
  return {};
}

Result<Deployment> Registry::deploy(store::Transaction& transaction, const runtime::Tables& tables,
                                    const std::string& package, Package files) {
  const auto checked = check(package, files);
  if (!checked.deployment.accepted) return checked.deployment;
  TRY(activate(transaction, tables, package, std::move(files), checked));
  rebuild_index();
  return describe(checked, packages_[package].rbegin()->second);
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
          fresh[{receiver.path, receiver.event->endpoint.operation->name}].push_back(
              {program, &receiver, version.row.active});
        }
      }
    }
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
    for (const auto& program : make_programs(staged.second, row)) {
      const auto own = describe(*program, row).routes;
      routes.insert(own.begin(), own.end());
    }
  }
  return {routes.begin(), routes.end()};
}

}  // namespace nuraghe::bpel
