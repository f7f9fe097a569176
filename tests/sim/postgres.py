#!/usr/bin/python3
"""nuraghed whose rows are in a PostgreSQL server of the test's own: killed, without its sessions, refused.

  postgres.py PROGRAMS
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from flows import attempt  # noqa: E402
from postgres_server import PostgresServer  # noqa: E402
from world import blueprint, clean_up_when_asked_to_end, Died, World  # noqa: E402


def keeps_clusters(world):
    """A cluster outlives a kill, and sessions that end while it is made."""
    world.start()
    world.import_image()
    world.write("one.xml", blueprint("one", 2))
    world.cli("create", "one.xml")
    world.kill()
    assert not os.path.exists(os.path.join(world.state, "control.db"))
    world.start()
    assert [cluster["name"] for cluster in world.json("ls")] == ["one"]
    world.database.end_sessions()
    world.write("two.xml", blueprint("two", 2))
    # The connection's loss may meet the first request: it is told to come again.
    for _ in range(20):
        if world.cli("create", "two.xml", check=None).returncode == 0:
            break
    assert sorted(cluster["name"] for cluster in world.json("ls")) == ["one", "two"]
    for name in ("one", "two"):
        world.cli("destroy", name, "--yes")
    assert world.json("ls") == []
    assert world.stop()[0] == 0


def says_what_is_wrong(world):
    def refused(store):
        world.options = ["--store", store]
        try:
            world.start()
        except Died:
            pass
        else:
            raise AssertionError("it started over " + store)
        return world.log().splitlines()[-1]
    assert "postgres:CONNECTION" in refused("mysql:x")
    assert "No such file" in refused("postgres:host=/nowhere dbname=postgres")
    world.database.sql("UPDATE nuraghe.meta SET value = '99' WHERE name = 'format'")
    assert "newer" in refused(world.database.store())


def main():
    clean_up_when_asked_to_end()
    ok = True
    with PostgresServer() as database:
        for test in (keeps_clusters, says_what_is_wrong):
            with World(sys.argv[1], options=["--store", database.store()]) as world:
                world.database = database
                ok = attempt(test, world) and ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
