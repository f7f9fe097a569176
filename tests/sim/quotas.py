"""Many requests at once against a quota, also when nuraghed is killed in between: no limit is ever passed, nothing that was
given back stays booked, and the usage is what the audit log says."""
import json
import sys
import threading

from tenants import create
from world import Died, Fault, World, blueprint, clean_up_when_asked_to_end

LIMIT = 7


def used(world):
    return world.json("--vo", "physics", "quota", "show")["used"]


def check(world):
    hosts = world.json("--vo", "physics", "vh", "ls")
    assert len(hosts) <= LIMIT, f"{len(hosts)} hosts, and the limit is {LIMIT}"
    return len(hosts)


def storm(world, round_, count=16, kill_after=None):
    """Creates of two hosts each, all at once; answers what became of each."""
    outcomes = {}

    def one(number):
        name = f"s{round_}x{number}"
        try:
            world.soap("vcm", "create_vc", create(name), token=world.owner)
            outcomes[name] = "done"
        except Fault as fault:
            outcomes[name] = fault.code or str(fault.status)
        except Died:
            outcomes[name] = "died"

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    if kill_after:
        kill_after()
    for thread in threads:
        thread.join()
    return outcomes


def equal_to_log(world):
    """The usage is the sum of the audit log's entries and of what is in use now, which is nothing."""
    sums = {}
    for line in world.cli("-o", "json", "--vo", "physics", "audit").stdout.splitlines():
        record = json.loads(line)
        usage = record.get("usage")
        if usage is None:
            continue
        key = (record["who"], usage["cluster"], usage["state"])
        begin, end = (int(time_ms(usage[name])) for name in ("begin", "end"))
        sums[key] = sums.get(key, 0) + (end - begin) * usage["cpus"] / 3_600_000
    found = {}
    for line in world.json("--vo", "physics", "usage"):
        key = (line["member"], line["cluster"], line["state"])
        found[key] = found.get(key, 0) + line["cpu_hours"]
    assert set(sums) == set(found) and sums, (sums, found)
    for key, hours in sums.items():
        assert abs(hours - found[key]) < 1e-9, (key, hours, found[key])


def time_ms(text):
    import datetime
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(moment.timestamp() * 1_000_000) // 1000


def main():
    clean_up_when_asked_to_end()
    with World(sys.argv[1]) as world:
        world.start()
        world.import_image()
        world.cli("vo", "create", "physics")
        world.cli("--vo", "physics", "image", "import", "image")
        world.cli("--vo", "physics", "member", "add", "otto", "--role", "owner")
        world.owner = world.json("--vo", "physics", "token", "issue", "otto")["secret"]
        world.cli("--vo", "physics", "quota", "set", "--hosts", str(LIMIT))

        outcomes = storm(world, 1)
        assert sorted(outcomes.values()) == ["done"] * 3 + ["exhausted"] * 13, outcomes
        assert check(world) == 6 and used(world)["hosts"] == 6 and used(world)["clusters"] == 3
        world.write("c.xml", blueprint("more", 1))
        said = world.cli("--vo", "physics", "create", "c.xml", check=6).stderr
        assert "hosts: the limit is 7, 6 are used, 2 more are asked for" in said, said
        for cluster in world.json("--vo", "physics", "ls"):
            world.cli("--vo", "physics", "destroy", cluster["name"], "--yes")
        assert used(world) == {"hosts": 0, "cpus": 0, "memory": 0, "disk": 0, "frozen": 0, "clusters": 0}, used(world)

        # Killed while some of them are at work.
        for round_ in (2, 3):
            first = threading.Event()

            def kill():
                first.wait(0.15 * round_)
                world.kill()

            storm(world, round_, kill_after=kill)
            world.start()
            world.until_quiet()
            count = check(world)
            assert used(world)["hosts"] == count, (used(world), count)
            for cluster in world.json("--vo", "physics", "ls"):
                world.cli("--vo", "physics", "destroy", cluster["name"], "--yes")
            world.until_quiet()
            assert used(world)["hosts"] == 0 and used(world)["clusters"] == 0, used(world)
        equal_to_log(world)

        # Images: what is too much is taken back.
        world.cli("--vo", "physics", "quota", "set", "--images", "1B")
        world.import_image("other")
        said = world.cli("--vo", "physics", "image", "import", "image", check=6).stderr
        assert "images: the limit is 1B" in said, said
        assert [one["name"] for one in world.json("--vo", "physics", "image", "ls")] == ["tiny"]
        world.cli("--vo", "physics", "quota", "set", "--images", "none", "--longest-lease", "1d")
        world.cli("--vo", "physics", "image", "import", "image")
        assert "verify" not in world.cli("image", "verify", "other").stderr

        # Leases: one without an end is longer than any.
        assert "allows leases of at most" in world.cli("--vo", "physics", "create", "c.xml", check=6).stderr
        world.write("lease.xml", blueprint("short", 1).replace("<placement", '<lease duration="PT12H"/><placement'))
        world.cli("--vo", "physics", "create", "lease.xml")
        assert "allows leases" in world.cli("--vo", "physics", "extend", "short", "--by", "2d", check=6).stderr
        world.cli("--vo", "physics", "destroy", "short", "--yes")
        assert "as it was written" in world.cli("audit", "verify").stdout


if __name__ == "__main__":
    main()
