#!/usr/bin/python3
"""The control logic stands in the workflow files: who edits one changes what happens.

  workflow_files.py PROGRAMS
"""
import http.server
import json
import os
import re
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from flows import attempt, states  # noqa: E402
from invariants import check, check_empty  # noqa: E402
from world import blueprint, clean_up_when_asked_to_end, World  # noqa: E402


def order_of_operations(world, process):
    """The operations that the last instance of a workflow called, by its history."""
    instances = [one for one in world.json("workflow", "ls")["instances"] if one["process"] == process]
    newest = max(instances, key=lambda one: one["started"])
    history = world.json("workflow", "show", newest["id"])["history"]
    return [step["operation"] for step in history]


def swapped_activities(world):
    """When networks are given back before the hosts are destroyed, destroy does it in that order."""
    world.write("c.xml", blueprint("duo", 1))

    def destroyed():
        world.cli("create", "c.xml")
        world.cli("destroy", "duo", "--yes")
        check_empty(world)
        operations = [one.rsplit(" ")[-1] for one in order_of_operations(world, "vcf-destroy")]
        hosts = [at for at, one in enumerate(operations) if "destroy_vh" in one]
        network = [at for at, one in enumerate(operations) if "destroy_network" in one]
        assert hosts and network, operations
        return "hosts first" if max(hosts) < min(network) else "network first"

    assert destroyed() == "hosts first"
    world.stop()
    path = os.path.join(world.own_workflows(), "vcf/destroy.bpel")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    each = re.search(r" *<forEach .*?</forEach>\n", text, re.S).group()
    network = re.search(r" *<assign>\s*<copy>\s*<from><literal><vhf:destroy_network>.*?</assign>\s*"
                        r"<invoke [^>]*destroy_network[^>]*/>\n", text, re.S).group()
    text = text.replace(network, "").replace(each, network + each)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    world.start()
    assert destroyed() == "network first"


def removed_file(world):
    """Without its file an operation is not there; every other one is."""
    world.stop()
    folder = world.own_workflows()
    os.remove(os.path.join(folder, "vcm/pause.bpel"))
    world.start()
    world.write("c.xml", blueprint("duo", 1))
    world.cli("create", "c.xml")
    before = check(world)
    done = world.cli("pause", "duo", check=1)
    assert "pause_vc" in done.stderr, done.stderr
    assert check(world) == before
    for verb, state in (("freeze", "frozen"), ("thaw", "running")):
        world.cli(verb, "duo")
        assert states(world, "duo") == (state, [state])
    host = world.json("vh", "ls")[0]["id"]
    world.cli("vh", "pause", host)
    world.cli("vh", "resume", host)
    world.cli("destroy", "duo", "--yes")
    check_empty(world)
    served = json.dumps(world.json("workflow", "ls")["processes"])
    assert "freeze_vc" in served and "pause_vc" not in served, served


class Stranger(http.server.BaseHTTPRequestHandler):
    """A server that is no controller: keeps what it is sent."""
    heard = []

    def do_POST(self):  # pylint: disable=invalid-name
        self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append(dict(self.headers))
        self.send_error(404)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def foreign_address(world):
    """A request goes to any address that a workflow names, the site's token only to registered controllers."""
    world.stop()
    folder = world.own_workflows()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        world.edit(os.path.join(folder, "vhf/pause.bpel"), "<from>$begun.parameters/vhf:controller/wsa:Address</from>",
                   f"<from><literal>http://127.0.0.1:{server.server_port}/services/a</literal></from>")
        world.start()
        world.write("c.xml", blueprint("duo", 1))
        world.cli("create", "c.xml")
        world.cli("pause", "duo", check=None)
        server.shutdown()
    assert Stranger.heard and not [headers for headers in Stranger.heard if "Authorization" in headers], Stranger.heard
    world.cli("destroy", "duo", "--yes")
    check_empty(world)


def broken_file(world):
    """A workflow that cannot be deployed is refused with its place, not run."""
    world.stop()
    folder = world.own_workflows()
    world.edit(os.path.join(folder, "vcm/pause.bpel"), 'operation="pause_cluster"', 'operation="invented"')
    try:
        world.start()
    except Exception as death:  # pylint: disable=broad-except
        assert "pause.bpel" in str(death), death
        return
    raise AssertionError("nuraghed serves a workflow that calls an operation which is not there")


def main():
    clean_up_when_asked_to_end()
    ok = True
    for test in (swapped_activities, removed_file, foreign_address, broken_file):
        if len(sys.argv) > 2 and test.__name__ not in sys.argv[2:]:
            continue
        with World(sys.argv[1]) as world:
            world.start()
            world.import_image()
            ok = attempt(test, world) and ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
