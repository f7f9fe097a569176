#!/usr/bin/python3
"""A SOAP client of other people takes a cluster through its life on the `sim` driver and is told what happens to it.

  flow.py PROGRAMS CLIENT [ARGUMENT...]

CLIENT is a program that gets the folder of the WSDL files, the address of nuraghed, a token, the file with the
blueprint and the address of a consumer, and prints what it did, a line each. It is asked for the same of every client:
create the cluster, read a property of it, subscribe at it, freeze, thaw and destroy it; and a fault, whose detail it has
read as the type that the WSDL declares.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../sim"))
from consumer import Consumer, Schemas, events_of  # noqa: E402
from world import World, blueprint, clean_up_when_asked_to_end  # noqa: E402

TIMEOUT_S = 240
DONE = ["created", "state running", "subscribed", "frozen", "state frozen", "thawed", "destroyed",
        "fault not-found"]


def main():
    clean_up_when_asked_to_end()
    programs, client = sys.argv[1], sys.argv[2:]
    contracts = os.path.abspath(os.path.join(programs, "../contracts"))
    with World(programs) as world, Consumer(Schemas(contracts)) as consumer:
        world.start()
        world.import_image()
        world.write("cluster.xml", blueprint("duo", 1))
        with open(os.path.join(world.state, "port"), encoding="utf-8") as port:
            address = f"http://127.0.0.1:{port.read().strip()}"
        arguments = [contracts, address, world.token(), os.path.join(world.folder, "cluster.xml"),
                     consumer.address]
        done = subprocess.run([*client, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        print(done.stdout, done.stderr, sep="", flush=True)
        assert done.returncode == 0, f"{client} ended with {done.returncode}"
        lines = done.stdout.splitlines()
        assert [line for line in lines if not line.startswith("# ")] == DONE, lines
        heard = []
        while "cluster.destroyed" not in heard:
            _, envelope = consumer.next()
            heard += [kind for kind, _ in events_of(envelope)]
        assert heard == ["cluster.frozen", "cluster.running", "cluster.destroyed"], heard
        world.until_quiet()
        world.stop()


if __name__ == "__main__":
    main()
