#!/usr/bin/python3
"""Every line of the table in docs/security.md names tests that prove it, and they are there.

  security_table_test.py

A proof is a word in backquotes with a dot or an ellipsis in it: `Suite.*`, `Suite.Test…`, `sim.NAME`, `fuzz.NAME`; or the
name of another test of ctest.
"""
import fnmatch
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASE = re.compile(r"(?:TEST(?:_F|_P)?|RC_GTEST_(?:FIXTURE_)?PROP)\(\s*(\w+),\s*(\w+)")


def rows():
    """(line, the cell with the proofs) of the table that ends with a column 'proved by'."""
    inside = False
    for number, line in enumerate((ROOT / "docs/security.md").read_text(encoding="utf-8").splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if inside and not line.startswith("|"):
            return
        if inside and not set(cells[0]) <= {"-"}:
            yield number, cells[-1]
        inside = inside or cells[-1] == "proved by"


def tests():
    names = {f"{suite}.{case}" for folder in ("src", "tests") for path in (ROOT / folder).rglob("*.[ch]pp")
             for suite, case in CASE.findall(path.read_text(encoding="utf-8"))}
    for path in (ROOT / "tests").rglob("CMakeLists.txt"):
        text = path.read_text(encoding="utf-8")
        names |= {"sim." + name for name in re.findall(r"nuraghe_sim_test\((\S+)", text)}
        names |= set(re.findall(r"add_test\(NAME (\S+)", text))
    return names | {"fuzz." + path.name.removesuffix("_fuzz.cpp") for path in (ROOT / "fuzz").glob("*_fuzz.cpp")}


class SecurityTable(unittest.TestCase):
    def test_every_line_has_a_proof(self):
        known = tests()
        all_rows = list(rows())
        self.assertGreater(len(all_rows), 30)
        for number, cell in all_rows:
            proofs = [word for word in re.findall(r"`([^`]+)`", cell) if "." in word or "…" in word or word in known]
            self.assertTrue(proofs, f"docs/security.md:{number}: nothing proves this line")
            for proof in proofs:
                pattern = proof.replace("…", "*")
                pattern = pattern if "." in proof or proof in known else "*." + pattern
                self.assertTrue(fnmatch.filter(known, pattern),
                                f"docs/security.md:{number}: there is no test {proof}")


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
