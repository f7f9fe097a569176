// The commands of `nuraghe`, one function each. They print their result; an Error becomes a message and an exit code.
#pragma once

#include <string>
#include <vector>

#include "apps/nuraghe/context.hpp"

namespace nuraghe::cli {

// ---- clusters (clusters.cpp) ----
struct CreateOptions {
  std::string file;
  std::string idempotency_key;
  std::string policy;
  std::string name;    // instead of the blueprint's; of a copy
  std::string source;  // the frozen cluster of which a copy is made
  bool explain = false;
  bool dry_run = false;
};
Status create(Context& context, const CreateOptions& options);
Status fork_cluster(Context& context, const CreateOptions& options);
Status list_clusters(Context& context);
Status show_cluster(Context& context, const std::string& cluster);
// Of a cluster or a single virtual host, by name or id; of all when the name is empty.
Status show_events(Context& context, const std::string& name, bool follow);
// pause, resume, freeze, thaw
Status change_cluster(Context& context, const std::string& verb, const std::string& cluster);
Status abort_cluster(Context& context, const std::string& cluster);
Status destroy_cluster(Context& context, const std::string& cluster);
Result<contracts::vcf::Cluster> find_cluster(Context& context, const std::string& cluster);

// ---- the lease of a cluster (lease.cpp) ----
struct LeaseOptions {
  std::string cluster;
  std::string by;     // a duration; empty: the blueprint's
  std::string until;  // a point of time; empty: not given
  std::string then;   // freeze, destroy; empty: as before
  bool is_endless = false;
};
Status extend_lease(Context& context, const LeaseOptions& options);
// "6 d 23 h", "ended", "-"
std::string lease_left(const contracts::vcf::Cluster& cluster);
// "lease: until …, then it is frozen"; empty without one.
std::string lease_line(const contracts::vcf::Cluster& cluster);

// ---- single virtual hosts and physical hosts (hosts.cpp) ----
Status create_host(Context& context, const std::string& file, const std::string& name);
Status list_hosts(Context& context);
Result<contracts::vhf::VirtualHost> find_host(Context& context, const std::string& name);
Status show_host(Context& context, const std::string& host);
Status change_host(Context& context, const std::string& verb, const std::string& host);
Status destroy_host(Context& context, const std::string& host);
Status list_physical_hosts(Context& context);
// Of one that is gone for good; its virtual hosts are lost.
Status forget_physical_host(Context& context, const std::string& name);
// The image of a virtual host, NAME:VERSION@DIGEST, as {"name", "version", "digest"}; without members when not known.
boost::json::object image_json(const std::string& reference);

// ---- the site's certificates (certificates.cpp) ----
struct AuthorityOptions {
  std::string site = "nuraghe";  // for the name of the root
  std::string lifetime = "3650d";
  bool change_over = false, finish = false, force = false;
};
Status init_authority(Context& context, const AuthorityOptions& options);
Status show_authority(Context& context);
Status rotate_authority(Context& context, const AuthorityOptions& options);
// Of a physical host, or of the program of a service (docs/services.md).
enum class Member { kHost, kService };
// Prints the token, or writes it to the file (mode 0600).
Status make_join_token(Context& context, Member member, const std::string& name, const std::string& lifetime,
                       const std::string& file);
Status revoke_member(Context& context, Member member, const std::string& name);

// ---- images (images.cpp) ----
Status list_images(Context& context);
Status import_image(Context& context, const std::string& folder);
Status remove_image(Context& context, const std::string& name);
Status verify_image(Context& context, const std::string& name);

// ---- into the hosts (access.cpp); HOST is CLUSTER/NAME, or the id or name of a single host ----
// Removes what ssh and cp kept of a virtual host that is gone.
void forget_host_key(Context& context, const std::string& host);
Result<int> ssh(Context& context, const std::string& host, const std::vector<std::string>& command);
Result<int> copy(Context& context, const std::string& from, const std::string& to);
Result<int> console(Context& context, const std::string& host, bool follow);

// ---- workflows (workflows.cpp) ----
Status list_workflows(Context& context, bool running_only);
Status show_workflow(Context& context, const std::string& id);

// ---- traces (trace.cpp) ----
// Of a trace's id, or of the newest trace of a cluster or single host by name or id.
Status show_trace(Context& context, const std::string& what);

// ---- on this machine (local.cpp) ----
Status init(Context& context);
// Prints every finding itself; answers the exit code.
Result<int> validate(Context& context, const std::string& file);
Result<int> doctor(Context& context);
// The project of a service that is defined outside of the tree (docs/services.md); `folder` empty: named after it,
// here. Findings go to standard error; answers the exit code.
Result<int> new_service(Context& context, const std::string& definition, const std::string& folder);
// Those of other programs; `all`: Nuraghe's own, too.
Status list_services(Context& context, bool all);

// ---- for the completion in a shell (completion.cpp) ----
// Prints the names of a kind, one per line: clusters, hosts (as ssh takes them), singles, images.
Status list_names(Context& context, const std::string& kind);

}  // namespace nuraghe::cli
