#include <fmt/format.h>

#include <algorithm>

#include "model/blueprint.hpp"

namespace nuraghe::model {

namespace {

constexpr std::string_view kTemplate = R"(<?xml version="1.0" encoding="UTF-8"?>
<!-- A virtual cluster: a head and {workers_text} on one private network. Sized to this machine: {cpus} cpus and {memory}
     of memory. Check it with 'nuraghe validate FILE', make it with 'nuraghe create FILE' (its option dry-run
     shows placement and steps only). docs/formats/blueprint.md explains every element and attribute. -->
<cluster xmlns="urn:nuraghe:cluster:1" name="{name}" on-failure="undo">
  <!-- on-failure="keep" leaves a cluster that could not be made as it is, to be looked at. -->

  <!-- What all nodes have in common; a node's own configuration goes before it, part by part. -->
  <defaults>
    <configuration xmlns="urn:nuraghe:node:1">
      <!-- By name, or by what it must be: <image system="debian" version=">=12"/> -->
      <image name="{image}"/>
      <cpus>1</cpus>
      <memory>{node_memory}</memory>
    </configuration>
  </defaults>

  <!-- A private network that no other cluster sees. uplink="nat": its hosts may open connections to the outside.
       subnet="10.1.0.0/24" chooses the addresses; without it one is allocated. -->
  <network name="private" uplink="none"/>

  <node name="head" role="head"/>

  <!-- A group: its nodes are named worker-1, worker-2 and so on. -->
  <node name="worker" role="worker" count="{workers}">
    <configuration xmlns="urn:nuraghe:node:1">
      <!-- An empty disk besides the image's, with one file system on it:
      <disk name="scratch" size="1GiB"><partition filesystem="ext4" mount="/scratch"/></disk> -->
    </configuration>
  </node>

  <!-- pack: few physical hosts; spread: even load; also random, round-robin, optimise. -->
  <placement policy="spread">
    <!-- <together nodes="head worker-1"/>  <apart nodes="worker"/>  <pin nodes="head" host="NAME"/> -->
  </placement>
</cluster>
)";

}  // namespace

std::string default_blueprint(const std::string& name, const MachineFacts& machine) {
  // Half of the machine's memory for all nodes, in steps of 32 MiB, from 128 MiB (or what the image needs) to 1 GiB
  // each.
  const std::int64_t least = std::max(mib(128).count, machine.image_minimum_memory.count);
  const std::int64_t affordable = machine.memory.count / 2 / least - 1;
  const std::int64_t workers = std::clamp<std::int64_t>(std::min(machine.cpus - 1, affordable), 1, 3);
  const std::int64_t share = machine.memory.count / 2 / (workers + 1);
  const std::int64_t step = mib(32).count;
  const std::int64_t wanted = std::clamp(share / step * step, (least + step - 1) / step * step,
                                         std::max(gib(1).count, (least + step - 1) / step * step));
  const Bytes rounded{machine.memory.count / mib(1).count * mib(1).count};
  return fmt::format(kTemplate, fmt::arg("name", name), fmt::arg("image", machine.image), fmt::arg("workers", workers),
                     fmt::arg("workers_text", workers == 1 ? "one worker" : fmt::format("{} workers", workers)),
                     fmt::arg("cpus", machine.cpus), fmt::arg("memory", rounded.to_string()),
                     fmt::arg("node_memory", Bytes{wanted}.to_string()));
}

}  // namespace nuraghe::model
