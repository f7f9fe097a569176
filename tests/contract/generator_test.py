#!/usr/bin/python3
"""What tools/generate_service.py says about wrong definitions, and that it writes the same thing twice."""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ROOT / "tools" / "generate_service.py"

HEAD = '<service xmlns="urn:nuraghe:service:1" name="{0}" namespace="urn:test:{0}:1" title="T">\n'


def service(*lines, name="a"):
    """A definition whose first line is the service element: the given lines begin at line 2."""
    return HEAD.format(name) + "\n".join(lines) + "\n</service>\n"


class Generator(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)

    def run_generator(self, **definitions):
        for name, text in definitions.items():
            (self.path / f"{name}.service.xml").write_text(text, encoding="utf-8")
        files = sorted(f"{name}.service.xml" for name in definitions)
        return subprocess.run(
            [GENERATOR, "--code", "code", "--contracts", "contracts", *files],
            cwd=self.path, capture_output=True, text=True, timeout=120, check=False)

    def assert_findings(self, result, *expected):
        """Exactly these findings, in this order; each given by its beginning."""
        found = result.stderr.splitlines()
        self.assertEqual(len(found), len(expected), result.stderr)
        for line, beginning in zip(found, expected):
            self.assertTrue(line.startswith(beginning), f"\n{line}\ndoes not begin with\n{beginning}")
        self.assertEqual(result.returncode, 1)
        self.assertFalse((self.path / "code").exists(), "a wrong definition must not write anything")

    def test_all_findings_at_once_over_all_files(self):
        result = self.run_generator(
            a=service('<import prefix="b" service="b"/>', '<import prefix="gone" service="gone"/>',
                      '<type name="T">', '<field name="x" type="strin"/>', '<field name="x" type="b:Missing"/>',
                      '<field name="y" type="c:T"/>', '</type>',
                      '<method name="m" access="internal" one-way="yes">', "<output/>", "</method>"),
            b=service('<type name="U"><field name="u" type="V"/></type>', name="b"))
        self.assert_findings(
            result,
            "a.service.xml:3: there is no definition of the service 'gone' (known: a, b)",
            "a.service.xml:5: the field 'x' has an unknown type 'strin'; built in: string, boolean, int",
            "a.service.xml:6: the field 'x' has an unknown type 'b:Missing'; built in:",
            "a.service.xml:6: the field 'x' stands here twice (line 5); for several values write list=\"yes\" once",
            "a.service.xml:7: the prefix 'c' of the type 'c:T' is not imported; add <import prefix=\"c\"",
            "a.service.xml:10: the method 'm' is one-way and cannot have an output",
            "b.service.xml:2: the field 'u' has an unknown type 'V'; built in:")

    def test_schema_violations(self):
        result = self.run_generator(a=service(
            '<type name="lower"/>',
            '<type name="T"><field name="Upper" type="string"/></type>',
            '<type name="U"><field name="x"/></type>',
            '<method name="m" access="owner" by="magic"/>',
            '<methd name="n"/>'))
        self.assertEqual(result.returncode, 1)
        lines = result.stderr.splitlines()
        self.assertTrue(any(f.startswith("a.service.xml:2: ") and "'lower'" in f for f in lines), result.stderr)
        self.assertTrue(any(f.startswith("a.service.xml:3: ") and "'Upper'" in f for f in lines), result.stderr)
        self.assertTrue(any(f.startswith("a.service.xml:4: ") and "'type' is required" in f for f in lines),
                        result.stderr)
        self.assertTrue(any(f.startswith("a.service.xml:5: ") and "'magic'" in f for f in lines), result.stderr)
        self.assertTrue(any(f.startswith("a.service.xml:6: ") and "'methd'" in f for f in lines), result.stderr)
        self.assertNotIn("urn:nuraghe:service:1}", result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_not_xml_at_all(self):
        self.assert_findings(self.run_generator(a="<service>\n<type>\n</service>\n"),
                             "a.service.xml:3: the file is not well-formed XML: Opening and ending tag mismatch",
                             "a.service.xml:4: the file is not well-formed XML: Premature end of data")

    def test_another_language(self):
        self.assert_findings(self.run_generator(a="\n<service/>"),
                             "a.service.xml:2: the document element must be service of urn:nuraghe:service:1")

    def test_entities_stay_closed(self):
        result = self.run_generator(a='<!DOCTYPE service [<!ENTITY e SYSTEM "file:///etc/hostname">]>\n'
                                    + service("<documentation>&e;</documentation>"))
        self.assertNotIn(Path("/etc/hostname").read_text(encoding="utf-8").strip(),
                         "".join(p.read_text(encoding="utf-8") for p in self.path.rglob("a.wsdl")) + result.stderr)

    def test_names(self):
        result = self.run_generator(
            a=service('<enum name="E"><value name="a-b"/>', '<value name="a.b"/></enum>',
                      '<type name="E"/>', '<type name="Client"/>', '<type name="MRequest"/>',
                      '<method name="m" access="operator"/>', '<method name="m" access="operator"/>', '<method name="open" access="site"/>'),
            other=service(name="b"))
        self.assert_findings(
            result,
            "a.service.xml:3: the value 'a.b' of E is the same word as the value of line 2",
            "a.service.xml:4: the name 'E' is used already (line 2)",
            "a.service.xml:5: the name 'Client' is made by the generator; choose another",
            "a.service.xml:7: the name 'MRequest' is used already (line 6)",
            "a.service.xml:8: the method 'm' is defined already (line 7)",
            "a.service.xml:8: the name 'MRequest' is used already (line 6)",
            "a.service.xml:8: the name 'MResponse' is used already (line 7)",
            "a.service.xml:9: the method name 'open' is a member of every skeleton; choose another",
            "other.service.xml:1: the service is named 'b' but its file 'other'; both names must be equal")

    def test_every_method_says_who_may_call_it(self):
        result = self.run_generator(a=service(
            '<method name="m"/>', '<method name="n" access="everybody"/>', '<method name="o" access="viewer"/>',
            '<method name="p" access="viewer" read-only="yes"/>', '<method name="q" access=""/>'))
        self.assert_findings(
            result,
            "a.service.xml:2: the method 'm' does not say who may call it; write access=\"…\" with one of viewer, operator, "
            "owner, site, controller, internal",
            "a.service.xml:3: the method 'n' has the unknown access 'everybody'; write access=\"…\" with one of viewer,",
            "a.service.xml:4: the method 'o' changes something and lets viewers call it; give it another access, or",
            "a.service.xml:6: the method 'q' does not say who may call it; write")

    def test_circles(self):
        result = self.run_generator(
            a=service('<import prefix="b" service="b"/>',
                      '<type name="S"><field name="s" type="S"/></type>',
                      '<type name="T"><field name="u" type="U" list="yes"/></type>',
                      '<type name="U"><field name="t" type="T" optional="yes"/></type>',
                      '<type name="Fine"><field name="f" type="Fine" list="yes"/></type>'),
            b=service('<import prefix="x" service="a"/>', '<import prefix="y" service="b"/>', name="b"))
        self.assert_findings(
            result,
            "a.service.xml:3: the types hold one another in a circle: S → S",
            "a.service.xml:4: the types hold one another in a circle: T → U → T",
            "b.service.xml:2: the services import one another in a circle: a → b → a; move the shared types into one",
            "b.service.xml:3: the service imports itself; its own types need no prefix")

    def test_field_numbers_and_lists(self):
        result = self.run_generator(a=service(
            '<type name="T">', '<field name="x" type="int"/>', '<field name="y" type="int" number="1"/>',
            '<field name="z" type="int" optional="yes" list="yes"/>', '</type>'))
        self.assert_findings(
            result,
            "a.service.xml:4: the field 'y' has the number 1 of 'x' (line 3); give it one that was never used",
            "a.service.xml:5: the field 'z' is a list and optional; a list may be empty: leave optional out")

    def test_a_file_that_is_not_there(self):
        result = subprocess.run([GENERATOR, "gone.service.xml"], cwd=self.path, capture_output=True, text=True,
                                timeout=120, check=False)
        self.assert_findings(result, "gone.service.xml:1: the file cannot be read")

    def test_the_same_twice_and_untouched(self):
        definition = service('<type name="T"><field name="x" type="any"/></type>', '<method name="m" access="operator"/>')
        self.assertEqual(self.run_generator(a=definition).stderr, "")
        first = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in self.path.rglob("a.*") if "service" not in p.name}
        self.assertEqual(sorted(p.suffix for p in first), [".cpp", ".hpp", ".wsdl", ".xsd"])
        self.assertEqual(self.run_generator(a=definition).returncode, 0)
        for path, (content, time) in first.items():
            self.assertEqual((path.read_bytes(), path.stat().st_mtime_ns), (content, time), path)
        # A changed definition changes only what depends on it.
        self.run_generator(a=definition.replace("<method", '<method by="workflow"'))
        changed = {p.name for p, (content, _) in first.items() if p.read_bytes() != content}
        self.assertEqual(changed, {"a.cpp", "a.hpp"})
        for path, (_, time) in first.items():
            self.assertEqual(path.name not in changed, path.stat().st_mtime_ns == time, path)

    def test_the_worked_example_of_the_documentation(self):
        text = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
        method = re.search(r'<method name="count_hosts".*?</method>', text, re.DOTALL).group(0)
        definitions = {p.name.removesuffix(".service.xml"): p.read_text(encoding="utf-8")
                       for p in (ROOT / "contracts").glob("*.service.xml")}
        definitions["vhf"] = definitions["vhf"].replace("</service>", method + "</service>")
        self.assertEqual(self.run_generator(**definitions).stderr, "")
        header = (self.path / "code" / "vhf.hpp").read_text(encoding="utf-8")
        self.assertIn("const CountHostsRequest& input) = 0;", header)
        self.assertIn("std::optional<nuraghe::contracts::vhc::HostState> state{};", header)
        self.assertIn('<wsdl:operation name="count_hosts">',
                      (self.path / "contracts" / "vhf.wsdl").read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
