#!/usr/bin/python3
"""postgres.py PROGRAMS [TEST...]: bpel serve --store over a PostgreSQL server of its own."""
import os
import signal
import subprocess
import sys
import threading
import time

import world

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from postgres_server import PostgresServer  # noqa: E402


class Server(world.Server):
    """bpel serve over a store that is named."""

    def __init__(self, programs, folder, store, *options):
        super().__init__(programs, folder, *options)
        self.store = ["--store", store]

    def start(self, *more):
        return super().start(*more, kept=self.store)


def refused(programs, store, *options):
    done = subprocess.run([os.path.join(programs, "bpel"), "serve", "--listen", "127.0.0.1:0", "--store", store, *options],
                          capture_output=True, text=True, timeout=world.PATIENCE, env={"LC_ALL": "C"})
    assert done.returncode not in (0, -6, -11), done
    return done.stderr


def keeps_everything(programs, folder):
    with PostgresServer() as database:
        server = Server(programs, folder, database.store()).start()
        server.deploy(world.waiting("first", "second"))
        for name in "ab":
            assert server.say(f"<id>{name}</id>").said == "first"
        server.stop(signal.SIGKILL)
        server.start()
        assert server.say("<id>a</id>", "more").said == "second"
        assert sorted(one["state"] for one in server.instances()) == ["completed", "running"]
        for one in server.instances():
            assert server.ask("POST", f"/instances/{one['id']}/replay").json["same"]
        assert not os.path.exists(os.path.join(folder, "state"))
        uri = f"postgresql://nuraghe@/postgres?host={database.folder.replace('/', '%2F')}"
        other = Server(programs, folder, uri, "--store-schema", "another").start()
        assert other.instances() == [], "each schema is a store of its own"
        assert other.stop() == 0 and server.stop() == 0
        assert database.sql("SELECT count(*) FROM pg_namespace WHERE nspname IN ('bpel', 'another')") == "2"


def refusals(programs, folder):
    """Each says what is wrong, and no password."""
    with PostgresServer() as database:
        for text in ("mysql:x", "", "sqlite:///secret", "postgres"):
            said = refused(programs, text)
            assert "postgres:CONNECTION" in said and "secret" not in said or text == "", said
        said = refused(programs, "postgres:nonsense")
        assert "malformed" in said, said
        said = refused(programs, f"postgres:host={folder} dbname=postgres password=secret")
        assert "No such file or directory" in said and folder in said and "secret" not in said, said
        said = refused(programs, database.store("guarded") + " password=wrong")
        assert "password authentication failed" in said and "wrong" not in said, said
        said = refused(programs, database.store(), "--memory")
        assert "--store" in said and "--memory" in said, said
        said = refused(programs, database.store(), "--store-schema", "No Schema")
        assert "No Schema" in said and "a-z" in said, said
        server = Server(programs, folder, database.store("guarded") + " password=right").start()
        assert server.stop() == 0
        before = database.sql("SELECT value FROM bpel.meta WHERE name = 'format'")
        database.sql("UPDATE bpel.meta SET value = '99' WHERE name = 'format'")
        said = refused(programs, database.store())
        assert "99" in said and "newer" in said, said
        assert database.sql("SELECT value FROM bpel.meta WHERE name = 'format'") == "99" != before
        database.sql("CREATE SCHEMA alien; CREATE TABLE alien.things (n int)")
        said = refused(programs, database.store(), "--store-schema", "alien")
        assert "another program" in said, said


def taken_over(programs, folder):
    """Who comes later works on; who was there ends and says why."""
    with PostgresServer() as database:
        first = Server(programs, folder, database.store()).start()
        first.deploy(world.waiting("first", "second"))
        assert first.say("<id>a</id>").said == "first"
        second = Server(programs, folder, database.store()).start()
        assert second.say("<id>a</id>", "more").said == "second"
        assert first.say("<id>b</id>").status in (500, 503)
        assert first.process.wait(world.PATIENCE) == 1
        first.stop()
        assert "newer owner" in open(os.path.join(folder, "log")).read()
        assert second.say("<id>b</id>").said == "first"
        assert second.stop() == 0


def sessions_that_end(programs, folder):
    """Sessions are ended while requests come, and the server is restarted: each request makes one instance."""
    with PostgresServer() as database:
        server = Server(programs, folder, database.store()).start()
        server.deploy(world.waiting("first", "second"))
        over = threading.Event()

        def disturb():
            while not over.wait(0.05):
                database.end_sessions()
        disturber = threading.Thread(target=disturb)
        disturber.start()

        def ask(number, operation, said):
            """The client repeats at once, with the same message id, until it is answered."""
            header = (f'<a:MessageID xmlns:a="http://www.w3.org/2005/08/addressing">urn:test:{operation}:{number}'
                      "</a:MessageID>")
            due = time.monotonic() + world.PATIENCE
            while True:
                answered = server.say(f"<id>{number}</id>", operation, header=header)
                if answered.status == 200:
                    assert answered.said == said, answered.text
                    return
                assert answered.status in (500, 503) and time.monotonic() < due, (answered.status, answered.text)
        try:
            for number in range(40):
                ask(number, "say", "first")
        finally:
            over.set()
            disturber.join()
        database.stop("immediate")
        gone = server.say("<id>x</id>")
        assert gone.status in (500, 503), gone.text
        database.start()
        for number in range(40):
            ask(number, "more", "second")
        instances = server.instances()
        assert len(instances) == 40 and {one["state"] for one in instances} == {"completed"}, instances
        for one in instances:
            assert server.ask("POST", f"/instances/{one['id']}/replay").json["same"]
        assert server.stop() == 0


if __name__ == "__main__":
    world.main({test.__name__: test for test in (keeps_everything, refusals, taken_over, sessions_that_end)})
