// The texts of contracts/cluster.xsd, node.xsd and vhi.xsd. Internal to this room.
#pragma once

namespace nuraghe::model {

extern const char k_cluster_schema[];
extern const char k_node_schema[];
extern const char k_vhi_schema[];

}  // namespace nuraghe::model
