// The contract of what works on a machine from within: the agent of the deployment system. It takes one order at a
// time; the same order again finds its effect there. A disk is touched by an order alone that names it by serial number
// and size.
//
// Failures: kUnavailable: the machine does not run what the order needs, or does not answer; kConflict: what the order
// builds on is not there (a file system on a disk without partitions); kInvalid: no such disk, or of another size;
// kCorrupt, kExhausted: of the data and the disk; kTimeout, kCancelled. Agents are thread safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "deploy/machine.hpp"
#include "deploy/power.hpp"

namespace nuraghe::deploy {

enum class Work { kPartition, kMakeFilesystems, kPopulate, kConfigure, kWipe };
inline constexpr std::array kWorks = {Work::kPartition, Work::kMakeFilesystems, Work::kPopulate, Work::kConfigure,
                                      Work::kWipe};
std::string_view name_of(Work work);  // "partition", "make-filesystems", ...

// What a machine runs.
enum class System {
  kDeployment,  // the deployment system, with its agent
  kOwn,         // the system on its disk
};

struct Partition {
  Bytes size;              // 0: the rest of the disk
  std::string filesystem;  // empty: none
  std::string mount;
};

struct AgentOrder {
  Work work = Work::kPartition;
  std::string deployment;  // its id: whose work this is
  std::string node;        // the name that the machine gets
  Disk disk;
  std::vector<Partition> partitions;  // none: the image is of the whole disk
  std::string image_digest;           // kPopulate: sha256:HEX of the image's manifest
  std::string image_location;         // kPopulate: folder of the OCI image layout that has it
  bool wipes_all = false;             // kWipe: every block, not only what makes it look used
};

class Agent {
 public:
  virtual ~Agent() = default;
  // Waits until the machine, which was switched on, runs this.
  virtual Status wait_system(const Target& target, System system, const Control& control) = 0;
  // `log` gets what the agent said, also when it fails.
  virtual Status run(const Target& target, const AgentOrder& order, const Control& control, std::string& log) = 0;
  // How long a whole deployment takes at least, as far as is known.
  virtual Duration estimate() const = 0;
};

}  // namespace nuraghe::deploy
