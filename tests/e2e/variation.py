"""What a seed chooses for an end-to-end run: a blueprint with names, sizes and addresses of its own, and what its attributes
must look like from inside the guests."""
import ipaddress
import json
import os
import random
import re

import steps
from steps import check

MIB = 1 << 20
WORDS = ("alba", "bosa", "cala", "dune", "erba", "faro", "gesso", "isola", "lago", "mare", "nave", "olmo", "pane", "riva",
         "sale", "torre", "uva", "vela", "zolla")


class Variation:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        names = self.random.sample(WORDS, 5)
        suffix = f"-{self.random.randrange(1000)}" if self.random.random() < 0.5 else ""
        self.cluster, self.head, self.group, self.single, self.network = names
        self.cluster += suffix
        self.workers = self.random.choice((2, 3))
        prefix = self.random.randrange(24, 29)
        top = self.random.choice(("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
        within = ipaddress.ip_network(top)
        place = self.random.randrange(1 << (prefix - within.prefixlen))
        self.subnet = ipaddress.ip_network((int(within.network_address) + (place << (32 - prefix)), prefix))
        if self.subnet.overlaps(ipaddress.ip_network("10.0.2.0/24")):  # QEMU's own for ssh from outside
            self.subnet = ipaddress.ip_network(f"10.77.0.0/{prefix}")
        self.address = str(self.subnet[self.random.randrange(6, self.subnet.num_addresses - 2)])
        self.mtu = self.random.randrange(1280, 1451)
        self.head_memory = self.random.randrange(128, 193)
        self.worker_memory = self.random.randrange(96, 161)
        self.disk = self.random.choice(WORDS)[:3] + str(self.random.randrange(100))
        self.disk_size = self.random.randrange(16, 65)
        self.root_size = self.random.randrange(300, 700)
        self.mount = "/" + self.random.choice(WORDS)
        self.filesystem_size = self.random.randrange(8, self.disk_size - 4)
        self.mac = "02:" + ":".join(f"{self.random.randrange(256):02x}" for _ in range(5))
        self.parameter = f"nuraghe.seed={seed}"
        self.by_file = self.random.random() < 0.5
        self.shape = self.random.choice(("group", "single nodes"))

    def worker_names(self) -> list:
        return [f"{self.group}-{number}" for number in range(1, self.workers + 1)]

    def names(self) -> list:
        return [self.head, *self.worker_names()]

    def describe(self) -> str:
        where = ", in a file of their own" if self.by_file else ""
        return (f"cluster {self.cluster}: {self.head} ({self.head_memory} MiB, 2 CPUs, {self.address}) and {self.workers} "
                f"workers {self.group} ({self.worker_memory} MiB, as {self.shape}{where}) in {self.subnet}, MTU {self.mtu}")

    def write(self, folder: str) -> str:
        """The blueprint's path."""
        namespace = 'xmlns="urn:nuraghe:node:1"'
        worker = (f"<cpus>1</cpus><memory>{self.worker_memory}MiB</memory><disk name=\"root\" size=\"{self.root_size}MiB\"/>"
                  f"<boot parameters=\"{self.parameter}\"/>")
        if self.by_file:
            with open(folder + "/nodes.xml", "w", encoding="utf-8") as file:
                file.write(f'<configurations {namespace}><configuration name="{self.group}">{worker}</configuration>'
                           "</configurations>")
            worker = f'<configuration {namespace} href="nodes.xml#{self.group}"/>'
        else:
            worker = f"<configuration {namespace}>{worker}</configuration>"
        if self.shape == "group":
            nodes = f'<node name="{self.group}" role="worker" count="{self.workers}">{worker}</node>'
        else:
            nodes = "".join(f'<node name="{name}" role="worker">{worker}</node>' for name in self.worker_names())
        text = f"""<?xml version="1.0" encoding="UTF-8"?>
<cluster xmlns="urn:nuraghe:cluster:1" name="{self.cluster}">
  <defaults><configuration {namespace}><image name="mini"/><memory>{self.worker_memory}MiB</memory>
    <network ref="{self.network}"/></configuration></defaults>
  <network name="{self.network}" subnet="{self.subnet}" uplink="none" mtu="{self.mtu}"/>
  <network name="outside" uplink="nat"/>
  <node name="{self.head}" role="head">
    <configuration {namespace}>
      <cpus>2</cpus>
      <memory>{self.head_memory}MiB</memory>
      <disk name="{self.disk}" size="{self.disk_size}MiB">
        <partition size="{self.filesystem_size}MiB" filesystem="ext4" mount="{self.mount}"/>
        <partition/>
      </disk>
      <network ref="{self.network}" address="{self.address}" mac="{self.mac}"/>
      <network ref="outside"/>
    </configuration>
  </node>
  {nodes}
  <placement policy="spread"/>
</cluster>
"""
        path = folder + "/cluster.xml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    # ---- from inside

    def check_file_system(self, world: steps.World) -> None:
        """The first partition of the head's second disk: its size, its file system, and where it is mounted."""
        mounted = world.guest(f"{self.cluster}/{self.head}", f"grep ' {self.mount} ' /proc/mounts").split()
        check(len(mounted) > 2 and mounted[2] == "ext4", f"{self.mount} is mounted as {mounted}")
        device = os.path.basename(mounted[0])
        sectors = int(world.guest(f"{self.cluster}/{self.head}", f"cat /sys/class/block/{device}/size"))
        check(sectors * 512 == self.filesystem_size * MIB,
              f"the file system has {sectors * 512} bytes, not {self.filesystem_size} MiB")
        disk = device.rstrip("0123456789")
        table = world.guest(f"{self.cluster}/{self.head}", f"ls -d /sys/class/block/{disk}[0-9]*").split()
        check(len(table) == 2, f"the disk has the partitions {table}")

    def check_guests(self, world: steps.World, members: list) -> None:
        by_name = {member["name"]: member for member in members}
        check(sorted(by_name) == sorted(self.names()), f"the hosts are {sorted(by_name)}, not {sorted(self.names())}")
        addresses = set()
        for name in self.names():
            facts = guest_facts(world, f"{self.cluster}/{name}")
            is_head = name == self.head
            memory = self.head_memory if is_head else self.worker_memory
            check(facts["nproc"] == (2 if is_head else 1), f"{name} has {facts['nproc']} processors")
            # What the kernel keeps for itself is not seen: up to 40 MiB.
            check(memory - 40 <= facts["memory"] <= memory, f"{name} has {facts['memory']} MiB of memory, not {memory}")
            check(memory == by_name[name]["memory"] // MIB, f"nuraghe show says {by_name[name]['memory']} bytes for {name}")
            check((self.parameter in facts["cmdline"].split()) != is_head, f"{name} was booted with {facts['cmdline']}")
            interface = [one for one in facts["interfaces"] if ipaddress.ip_address(one["address"]) in self.subnet]
            check(len(interface) == 1, f"{name} is in {self.subnet} with {facts['interfaces']}")
            check(interface[0]["mtu"] == self.mtu, f"{name} has MTU {interface[0]['mtu']}, not {self.mtu}")
            check(interface[0]["prefix"] == self.subnet.prefixlen, f"{name} has prefix {interface[0]['prefix']}")
            check(not is_head or interface[0]["address"] == self.address,
                  f"{name} has {interface[0]['address']}, not {self.address}")
            check(any(interface[0]["address"] in shown for shown in by_name[name]["addresses"]),
                  f"nuraghe show says {by_name[name]['addresses']} for {name}")
            addresses.add(interface[0]["address"])
            check(("default" in facts["routes"]) == is_head,
                  f"{name} is {'' if is_head else 'not '}in a network that leads out, its routes are\n{facts['routes']}")
            check(not is_head or interface[0]["mac"] == self.mac, f"{name} has the MAC {interface[0]['mac']}, not {self.mac}")
            check(facts["hostname"] == name, f"{name} calls itself {facts['hostname']}")
            disks = facts["disks"]
            root = 256 * MIB if is_head else self.root_size * MIB
            check(disks.get("root") == root, f"the root disk of {name} has {disks.get('root')} bytes, not {root}: {disks}")
            check(not is_head or disks.get(self.disk) == self.disk_size * MIB, f"{name} has the disks {disks}")
            check(is_head or self.disk not in disks, f"{name} has the disks {disks}")
        self.check_file_system(world)
        check(len(addresses) == len(self.names()), f"addresses are shared: {addresses}")
        world.report.holds("seen in the guests: processors, memory, disks by serial and size, partitions, mounts, addresses, "
                           "prefix, MAC, MTU, kernel parameters, a way out only where uplink is nat")


def guest_facts(world: steps.World, host: str) -> dict:
    """What a host's own tools say."""
    parts = world.guest(host, "hostname; echo ===; nproc; echo ===; grep MemTotal /proc/meminfo; echo ===; "
                        "cat /proc/cmdline; echo ===; ip addr; echo ===; ip route; echo ===; "
                        "lsblk -b -d -n -o NAME,SIZE; echo ===; "
                        "for d in /sys/block/vd*; do echo ${d##*/} $(cat $d/serial); done").split("===\n")
    check(len(parts) == 8, f"{host} answered {parts}")
    interfaces = []
    for block in re.split(r"^(?=\d+: )", parts[4], flags=re.M):
        mtu, mac = re.search(r"mtu (\d+)", block), re.search(r"link/ether (\S+)", block)
        for address, prefix in re.findall(r"inet (\S+)/(\d+)", block):
            interfaces.append({"address": address, "prefix": int(prefix), "mtu": int(mtu[1]),
                               "mac": mac[1] if mac else ""})
    sizes = dict(line.split()[:2] for line in parts[6].splitlines() if line.strip())
    serials = dict(line.split()[:2] for line in parts[7].splitlines() if len(line.split()) > 1)
    return {"hostname": parts[0].strip(), "nproc": int(parts[1]), "memory": int(parts[2].split()[1]) / 1024,
            "cmdline": parts[3].strip(), "interfaces": interfaces, "routes": parts[5],
            "disks": {serial: int(sizes[device]) for device, serial in serials.items() if device in sizes}}


def events_of(world: steps.World, cluster: str) -> list:
    """Events as `nuraghe -o json events` prints them, one a line."""
    return [json.loads(line) for line in world.run("-o", "json", "events", cluster).splitlines() if line]
