// Registry: the deployed packages in all stored versions, and which receivers serve which operation.
//
// Rows: table bpel_process, key PACKAGE, a zero byte, version as eight bytes; value PackageRow. A version that is not
// active any more stays in memory while an instance runs it, and stored while an instance that is remembered ran it.
// Where several packages serve one path, the one that was deployed last takes new instances.
// Threading: the exchange's thread, but for prepare() (any) and stage() before the exchange opens.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "bpel/deployment.hpp"
#include "bpel/engine.hpp"

namespace nuraghe::bpel {

struct PackageRow {
  std::string package;
  std::int64_t version = 0;
  bool active = false;
  std::map<std::string, std::string> files;
  std::int64_t order = 0;  // of deploying, over all packages
  bool at_start = false;   // one of those with which the engine was started
  template <class V>
  void fields(V& v) {
    v(1, package), v(2, version), v(3, active), v(4, files), v(5, order), v(6, at_start);
  }
};

class Registry {
 public:
  // One receiver of an operation.
  struct Entry {
    std::shared_ptr<const runtime::Program> program;
    const runtime::Receiver* receiver = nullptr;
    bool active = false;
    std::int64_t order = 0;
  };

  static std::shared_ptr<const PreparedPackage> prepare(const std::string& package, Package files);
  explicit Registry(const EngineOptions& options) : options_(options) {}

  // Before the start: checks a package and keeps it for start().
  Deployment stage(const std::string& package, Package files);
  // Before the start: the package is there but cannot be read now; what is stored of it stays as it is.
  void keep(const std::string& package) { kept_.insert(package); }
  // Reads what is stored, makes the staged packages its newest versions, forgets versions that nobody runs.
  Status start(store::Transaction& transaction, const runtime::Tables& tables);
  // Reads again what is stored.
  Status reload(store::Transaction& transaction, const runtime::Tables& tables);
  Result<Deployment> deploy(store::Transaction& transaction, const runtime::Tables& tables,
                            const PreparedPackage& prepared);
  Status undeploy(store::Transaction& transaction, const runtime::Tables& tables, const std::string& package);

  std::shared_ptr<const runtime::Program> program(const std::string& id) const;
  // As program(), else made of what is stored; kNotFound.
  Result<std::shared_ptr<const runtime::Program>> stored_program(store::Transaction& transaction,
                                                                 const runtime::Tables& tables,
                                                                 const std::string& id) const;
  // Those of the newest deployment first.
  const std::vector<Entry>& receivers(const Route& route) const;
  std::vector<DeployedProcess> processes() const;
  std::vector<Route> routes() const;

 private:
  struct Version {
    PackageRow row;
    std::vector<std::shared_ptr<const runtime::Program>> programs;
  };
  std::vector<std::shared_ptr<const runtime::Program>> make_programs(const PreparedPackage& prepared,
                                                                     const PackageRow& row) const;
  static Deployment describe(const PreparedPackage& prepared, const Version& version);
  static DeployedProcess describe(const runtime::Program& program, const PackageRow& row);
  Status store_version(store::Transaction& transaction, const runtime::Tables& tables, const PackageRow& row);
  Status activate(store::Transaction& transaction, const runtime::Tables& tables, const PreparedPackage& prepared,
                  bool at_start);
  bool is_to_be_retired(const std::string& package) const;
  Status retire(store::Transaction& transaction, const runtime::Tables& tables, const std::string& package);
  Status read_rows(store::Transaction& transaction, const runtime::Tables& tables);
  Status forget_unused(store::Transaction& transaction, const runtime::Tables& tables);
  void add_version(const PackageRow& row);
  void rebuild_index();

  const EngineOptions& options_;
  std::map<std::string, std::shared_ptr<const PreparedPackage>> staged_;
  std::set<std::string> kept_;  // not staged, and not to be retired
  std::map<std::string, std::map<std::int64_t, Version>> packages_;
  std::map<std::string, std::int64_t> newest_;  // the highest version of each package that is stored
  std::int64_t last_order_ = 0;
  std::map<Route, std::vector<Entry>> index_;
};

}  // namespace nuraghe::bpel
