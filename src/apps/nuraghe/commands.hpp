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
  std::string name;  // instead of the blueprint's
  bool explain = false;
  bool dry_run = false;
};
Status create(Context& context, const CreateOptions& options);
Status list_clusters(Context& context);
Status show_cluster(Context& context, const std::string& cluster);
// Of a cluster or a single virtual host, by name or id; of all when the name is empty.
Status show_events(Context& context, const std::string& name, bool follow);
// pause, resume, freeze, thaw
Status change_cluster(Context& context, const std::string& verb, const std::string& cluster);
Status abort_cluster(Context& context, const std::string& cluster);
Status destroy_cluster(Context& context, const std::string& cluster);
Result<contracts::vcf::Cluster> find_cluster(Context& context, const std::string& cluster);

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

// ---- images (images.cpp) ----
Status list_images(Context& context);
Status import_image(Context& context, const std::string& folder);
Status remove_image(Context& context, const std::string& name);
Status verify_image(Context& context, const std::string& name);

// ---- into the hosts (access.cpp); HOST is CLUSTER/NAME, or the id or name of a single host ----
Result<std::string> own_public_key(Context& context);
// Removes what ssh and cp kept of a virtual host that is gone.
void forget_host_key(Context& context, const std::string& host);
Result<int> ssh(Context& context, const std::string& host, const std::vector<std::string>& command);
Result<int> copy(Context& context, const std::string& from, const std::string& to);
Result<int> console(Context& context, const std::string& host, bool follow);

// ---- workflows (workflows.cpp) ----
Status list_workflows(Context& context, bool running_only);
Status show_workflow(Context& context, const std::string& id);

// ---- on this machine (local.cpp) ----
Status init(Context& context);
// Prints every finding itself; answers the exit code.
Result<int> validate(Context& context, const std::string& file);
Result<int> doctor(Context& context);

// ---- for the completion in a shell (completion.cpp) ----
// Prints the names of a kind, one per line: clusters, hosts (as ssh takes them), singles, images.
Status list_names(Context& context, const std::string& kind);

}  // namespace nuraghe::cli
