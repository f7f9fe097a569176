#!/usr/bin/python3
"""The systemd units of an installed tree: systemd takes them, and they let the programs touch little.

  units_test.py BUILD    the built tree of Nuraghe
"""

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BUILD = None
ANALYZE = shutil.which("systemd-analyze")
# What systemd-analyze counts as open, of 100: nuraghed and vhcd start hypervisors, which need KVM and write machine code.
MOST_EXPOSED = {"nuraghed": 20, "vhcd": 20}
MOST_EXPOSED_SERVICE = 15
EVERYWHERE = ("NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "CapabilityBoundingSet=", "UMask=0077",
              "StateDirectoryMode=0700", "PrivateTmp=yes", "RestrictNamespaces=yes", "LockPersonality=yes")


def analyze(*arguments):
    return subprocess.run([ANALYZE, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def check_units(test, prefix, names):
    """The units of an installed tree; what systemd says of them where it is installed."""
    for name in names:
        path = prefix / "lib" / "systemd" / "system" / f"{name}.service"
        lines = path.read_text(encoding="utf-8").splitlines()
        for line in EVERYWHERE:
            test.assertIn(line, lines, name)
        [command] = [line for line in lines if line.startswith("ExecStart=")]
        test.assertTrue(command.startswith(f"ExecStart={prefix}/bin/{name} --state %S/"), command)
        # No secret stands in a unit, nor in what the program is started with: everybody on a machine can read those.
        test.assertFalse([line for line in lines if re.search("token|--join", line)])
        if ANALYZE is None:
            print(f"systemd-analyze is not installed: {name}.service is not verified", file=sys.stderr)
            continue
        verified = analyze("verify", path)
        test.assertEqual((verified.returncode, verified.stderr), (0, ""), name)
        most = MOST_EXPOSED.get(name, MOST_EXPOSED_SERVICE)
        security = analyze("security", "--offline=yes", f"--threshold={most}", path)
        test.assertEqual(security.returncode, 0, security.stdout + security.stderr)


class Installed(unittest.TestCase):
    def test_units(self):
        with tempfile.TemporaryDirectory() as folder:
            prefix = Path(folder) / "usr"
            done = subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], capture_output=True, text=True,
                                  timeout=300, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            check_units(self, prefix, ("nuraghed", "vhcd"))
            units = prefix / "lib" / "systemd" / "system"
            for name in ("nuraghed", "vhcd"):
                text = (units / f"{name}.service").read_text(encoding="utf-8")
                # Virtual hosts outlive both.
                self.assertIn("\nKillMode=process\n", text)
                self.assertIn("\nDeviceAllow=/dev/kvm rw\n", text)
                self.assertIn("\nUser=nuraghe\n", text)
            self.assertIn("u nuraghe ", (prefix / "lib" / "sysusers.d" / "nuraghe.conf").read_text(encoding="utf-8"))
            for program in ("nuraghe", "nuraghed", "vhcd", "bpel", "nuraghe-shim", "nuraghe-switch"):
                self.assertTrue((prefix / "bin" / program).exists(), program)
            self.check_it_runs(prefix, Path(folder) / "state")

    def check_it_runs(self, prefix, state):
        """What is installed finds what it reads."""
        daemon = subprocess.Popen([prefix / "bin" / "nuraghed", "--state", state, "--no-tcp"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn(" serves on ", daemon.stdout.readline())
        finally:
            daemon.terminate()
            _, errors = daemon.communicate(timeout=60)
        self.assertEqual(daemon.returncode, 0, errors)

    def test_a_unit_that_is_wrong_is_found(self):
        if ANALYZE is None:
            self.skipTest("systemd-analyze is not installed")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "open.service"
            path.write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
            self.assertNotEqual(analyze("security", "--offline=yes", "--threshold=20", path).returncode, 0)
            path.write_text("[Service]\nExecStart=/not/there\n", encoding="utf-8")
            self.assertNotEqual(analyze("verify", path).returncode, 0)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    sys.exit(unittest.main(verbosity=2))
