// The blueprint of a virtual cluster: urn:nuraghe:cluster:1 (contracts/cluster.xsd, docs/formats/blueprint.md).
//
// parse_blueprint reads and checks at once and answers ALL findings, each with file:line:column (also within referenced
// files), the element, what is wrong and what would be right. What a driver cannot honour is refused by name, after the
// Capabilities that the caller gives. Pure: files come through the resolver, images through the catalogue.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "model/node.hpp"
#include "model/places.hpp"
#include "model/subnet.hpp"
#include "xml/schema.hpp"

namespace nuraghe::model {

inline constexpr const char* kClusterNamespace = "urn:nuraghe:cluster:1";

struct Network {
  std::string name;
  std::optional<Subnet> subnet;  // absent: one is allocated
  bool uplink = false;           // "nat": its hosts may open connections to the outside
  int mtu = 0;                   // 0: the driver's default
  Where where;
};

// One <node>: a single node, or a group of equal ones named NAME-1 to NAME-count.
struct NodeGroup {
  std::string name;
  std::optional<std::int64_t> count;  // absent: a single node
  std::string type = "virtual";
  std::string site;                 // empty: any
  std::string role;                 // a label; the name when none is given
  NodeConfiguration configuration;  // merged with the cluster's defaults
  bool is_single = false;           // of no cluster: there are no defaults
  Where where;
  std::vector<std::string> node_names() const;
};

struct PlacementWish {
  enum class Kind { kTogether, kApart } kind = Kind::kTogether;
  std::vector<std::string> nodes;  // names of nodes, groups expanded
};
struct Pin {
  std::string node;  // name of a node, groups expanded
  std::string host;  // name of the physical host
};
struct Link {
  std::string from, to;  // names of nodes or groups
  std::optional<double> min_mbps;
  std::optional<double> max_ms;
};

// Until when a cluster may run, from the moment it does.
struct Lease {
  static constexpr Duration kLongest = std::chrono::hours(24 * 3650);
  Duration duration{0};
  bool destroys = false;  // at its end; else the cluster is frozen
  Duration notice{0};     // how long before the end it is announced; 0: not at all
  Where where;
};

struct Blueprint {
  std::string name;
  std::string vo;  // empty: the caller's
  bool keep_on_failure = false;
  std::vector<Network> networks;
  std::vector<NodeGroup> groups;
  std::string policy;  // empty: the factory's default
  std::vector<PlacementWish> wishes;
  std::vector<Pin> pins;
  std::vector<Link> links;
  std::optional<Lease> lease;  // absent: nothing ends it
};

// What Nuraghe's drivers can honour. Not every physical host offers every machine and firmware; placement knows.
struct Capabilities {
  std::set<std::string> node_types = {"virtual"};
  std::set<std::string> initial_conditions = {"cold"};
  std::set<std::string> machines = {"q35", "pc", "microvm"};
  std::set<std::string> firmwares = {"bios", "uefi"};
  Bytes uefi_memory = mib(192);  // the least with firmware uefi
  std::set<std::string> filesystems = {"ext4"};
  bool link_bandwidth = false;  // <link min-mbps>
  bool link_latency = false;    // <link max-ms>
  int max_cpus = 255;
  int max_disks = 16;
  int max_networks = 8;
  // Subnets that hosts see besides the cluster's: of the management network.
  std::vector<Subnet> taken_subnets = {{{0x0A000200}, 24}};
};

// What an image asks of its nodes.
struct ImageFacts {
  std::string name, version;
  Bytes minimum_memory;
  Bytes disk_size;               // virtual size of its disk; 0: it has none
  bool takes_seed = true;        // it has a seed: mounts can be told
  bool takes_parameters = true;  // its kernel is started directly
};
class ImageCatalogue {
 public:
  virtual ~ImageCatalogue() = default;
  // The image that meets a requirement best; else kNotFound whose message names the nearest and why it does not fit.
  virtual Result<ImageFacts> find(const ImageRequirement& requirement) const = 0;
  virtual std::set<std::string> names() const = 0;
};

struct ParseContext {
  // The text of a file that the blueprint refers to, by the reference as written. Empty: references are refused.
  std::function<Result<std::string>(const std::string& reference)> files;
  const ImageCatalogue* images = nullptr;  // null: images are not checked
  Capabilities capabilities;
  std::int64_t node_limit = 1024;
  // The physical hosts and sites that there are; absent: not checked.
  std::optional<std::set<std::string>> physical_hosts;
  std::optional<std::set<std::string>> sites;
};

struct ParsedBlueprint {
  Blueprint blueprint;  // as far as it could be read when there are findings
  std::vector<xml::Finding> findings;
  // The blueprint with its referenced configurations inlined; only without findings.
  std::optional<xml::Document> inlined;
  Places places;  // where the elements of `inlined` were written
  bool ok() const { return findings.empty(); }
  // kInvalid with all findings, a line each, when there are any.
  Status status() const;
};

// Never fails otherwise: text that is not well-formed is one finding.
ParsedBlueprint parse_blueprint(std::string_view text, const std::string& source, const ParseContext& context);
ParsedBlueprint parse_blueprint(const xml::Document& document, const ParseContext& context);

// The configuration of a single virtual host: a file whose root is <configuration>, or <configurations> of which
// `chosen` names one. It is named by its own name, else `fallback`; a `name` that is not empty goes before both.
struct ConfigurationSource {
  std::string_view text;
  std::string source;  // how findings name the file
  std::string chosen;  // empty: the only one
  std::string name, fallback;
};
struct ParsedConfiguration {
  Node node;  // without NICs; only without findings
  std::vector<xml::Finding> findings;
  Status status() const;  // as ParsedBlueprint's
};
ParsedConfiguration parse_configuration(const ConfigurationSource& source, const ParseContext& context);

// A commented blueprint sized to a machine, for `nuraghe init`.
struct MachineFacts {
  std::int64_t cpus = 1;
  Bytes memory;
  std::string image;  // name of an image that is there
  Bytes image_minimum_memory;
};
std::string default_blueprint(const std::string& name, const MachineFacts& machine);

}  // namespace nuraghe::model
