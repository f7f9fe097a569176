"""What must hold whenever nothing is at work: every part of the control plane tells the same of what exists."""
from world import Fault, child, children, number, record, rows

CAPACITY = ("cpus", "memory", "disk")


def check(world):
    """Waits until nothing is at work. Raises AssertionError; returns the clusters: id → (name, state, ids of its hosts)."""
    world.until_quiet()
    clusters = {}
    for one in children(world.soap("vcf", "list_clusters"), "cluster"):
        hosts = {child(member, "host") for member in children(one, "member")}
        clusters[child(one, "id")] = (child(one, "name"), child(one, "state"), hosts)
        assert not child(one, "operation"), f"{child(one, 'name')} is still at work: {child(one, 'operation')}"
    hosts = children(world.soap("vhf", "list_virtual_hosts"), "host")
    ids = {child(host, "id"): host for host in hosts}

    # No host belongs to nobody, and no cluster lacks one.
    for host in hosts:
        owner = child(host, "cluster")
        assert not owner or owner in clusters, f"host {child(host, 'name')} belongs to {owner}, which is not there"
        assert not child(host, "operation"), f"host {child(host, 'name')} is still at work: {child(host, 'operation')}"
    for name, state, members in clusters.values():
        missing = members - set(ids)
        assert state == "broken" or not missing, f"cluster {name} is {state} but lacks {missing}"
        if state in ("running", "paused", "frozen"):
            assert members, f"cluster {name} is {state} without any host"
            states = {child(ids[one], "state") for one in members}
            assert states == {state}, f"cluster {name} is {state}, its hosts are {states}"

    # The physical hosts hold exactly these, by what their controllers say and by their hypervisors' own files.
    at_controllers = {}
    for controller in children(world.soap("vhf", "list_physical_hosts"), "physical_host"):
        name = child(controller, "name")
        for host in children(world.soap(name, "list_hosts", namespace="urn:nuraghe:vhc:1"), "host"):
            if child(host, "state") != "destroyed":
                at_controllers[child(host, "id")] = (name, child(host, "state"))
        mine = [host for host in hosts if child(host, "physical_host") == name]
        assert int(child(controller, "hosts")) == len(mine), f"{name} counts {child(controller, 'hosts')} hosts"
        reserved = children(controller, "reserved")[0]
        for what in CAPACITY:
            held = sum(int(child(host, what)) for host in mine if what == "disk" or child(host, "state") != "frozen")
            assert int(child(reserved, what)) == held, \
                f"{name} has {child(reserved, what)} of {what} reserved, its hosts hold {held}"
    known = {key: (child(host, "physical_host"), child(host, "state")) for key, host in ids.items()}
    broken = {key for key, host in ids.items() if child(host, "condition")}
    for what, found in (("controllers", at_controllers), ("hypervisors", world.driver_hosts())):
        strangers = set(found) - set(known)
        assert not strangers, f"{what} have hosts of nobody: {strangers}"
        for key, value in known.items():
            if value[1] == "frozen" and key not in found and child(ids[key], "frozen_state"):
                continue  # the repository has it
            assert key in broken or found.get(key) == value, \
                f"host {key} is {value} for the VHF, {found.get(key)} for {what}"

    # Books of what belongs to a cluster or a host end with it.
    for table, kind in (("vcf_member", clusters), ("vhf_network", clusters), ("vcf_seed", clusters)):
        for key, _ in world.table(table):
            owner = bytes(key).decode().split("/")[0]
            if table == "vcf_seed" and owner.startswith("identity-"):
                continue  # of a single host, see below
            assert owner in kind, f"{table} has a row of {owner}, which is not there"
    # What physical hosts take part in is a network of a cluster, by the secret name that both have.
    keys = {record(value)[4][0] for _, value in world.table("vhf_network")}
    for path in world.databases()[1:]:
        for key, value in rows(path, "vhc_network"):
            is_destroyed = number(record(value).get(2, [b"\0"])[0])
            assert is_destroyed or bytes(key) in keys, f"{path} takes part in the network {key!r} of nobody"

    # The private key of a single host stays no longer than the host.
    owners = {bytes(key).decode() for key, _ in world.table("vcf_identity_of")}
    assert owners <= {key for key, host in ids.items() if not child(host, "cluster")}, f"identities of {owners}"
    identities = {bytes(key).decode() for key, _ in world.table("vcf_identity")}
    assert len(identities) == len(owners) and not world.table("vcf_identity_new"), f"{identities} of {owners}"
    seeds = {bytes(key).decode().split("/")[0] for key, _ in world.table("vcf_seed")}
    assert {owner for owner in seeds if owner.startswith("identity-")} == identities, f"{seeds}, {identities}"
    assert len(world.table("vhf_host")) == len(ids)
    assert len(world.table("vhf_segment")) == len(world.table("vhf_network"))
    assert len(world.table("vhf_subnet")) <= len(world.table("vhf_network"))
    assert len(world.table("vcf_name")) == len(clusters)
    assert len(world.table("vcf_idempotency")) <= len(clusters)
    # The repository has the states that the VHF counts on, and nothing of hosts that run or are gone.
    stored = {bytes(key).decode() for key, _ in world.table("vhir_state")}
    frozen = {key for key, host in ids.items() if child(host, "frozen_state")}
    assert stored == frozen, f"the repository has states of {stored}, the VHF counts on {frozen}"
    held = len(world.table("vhir_hold"))
    assert held == len(ids) or broken, f"{held} images are held for {len(ids)} hosts"
    return clusters


def check_empty(world):
    clusters = check(world)
    assert not clusters, f"there is still {clusters}"
    hosts = children(world.soap("vhf", "list_virtual_hosts"), "host")
    assert not hosts, f"there are still hosts: {[child(host, 'name') for host in hosts]}"
    assert not world.driver_hosts()


def refused(code, call, *arguments, **options):
    """The fault with which a call is refused."""
    try:
        call(*arguments, **options)
    except Fault as fault:
        assert fault.code == code, f"refused as {fault}, not as {code}"
        return fault
    raise AssertionError(f"{arguments} was not refused")
