"""A PostgreSQL server of a test's own, of Debian's package postgresql, on a UNIX socket in a folder of its own."""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

PATIENCE = 60


class PostgresServer:
    """Everybody may log in as nuraghe; who logs in as `guarded` needs the password `right`."""

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
        assert found, "PostgreSQL's server is not installed: install Debian's package postgresql"
        self.bin = found[-1]
        # It refuses to run as root.
        self.user = "postgres" if os.getuid() == 0 else None
        self.folder = tempfile.mkdtemp(prefix="pg-")
        if self.user:
            shutil.chown(self.folder, self.user)
        self.data = os.path.join(self.folder, "data")
        self.process = None
        self.run("initdb", "-D", self.data, "-U", "nuraghe", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with open(os.path.join(self.data, "pg_hba.conf"), "w") as file:
            file.write("local all guarded scram-sha-256\nlocal all all trust\n")
        self.start()
        self.sql("CREATE ROLE guarded LOGIN PASSWORD 'right'; GRANT CREATE ON DATABASE postgres TO guarded")

    def run(self, program, *arguments):
        done = subprocess.run([os.path.join(self.bin, program), *arguments], user=self.user, cwd="/", text=True,
                              capture_output=True, timeout=PATIENCE, env={"LC_ALL": "C"})
        assert done.returncode == 0, (program, done.stdout, done.stderr)
        return done.stdout

    def start(self):
        self.run("pg_ctl", "start", "-w", "-D", self.data, "-l", os.path.join(self.folder, "log"), "-o",
                 f"-k {self.folder} -c listen_addresses= -c fsync=off -c shared_buffers=32MB")

    def stop(self, how="fast"):
        self.run("pg_ctl", "stop", "-w", "-m", how, "-D", self.data)

    def sql(self, text):
        return self.run("psql", "-h", self.folder, "-U", "nuraghe", "-d", "postgres", "-Atqc", text).strip()

    def end_sessions(self):
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'nuraghe%'")

    def store(self, user="nuraghe"):
        return f"postgres:host={self.folder} user={user} dbname=postgres"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if os.path.exists(os.path.join(self.data, "postmaster.pid")):
                self.stop("immediate")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
