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
            '<method name="p" access="viewer" read-only="yes"/>', '<method name="q" access=""/>',
            '<method name="r" access="viewer" own="yes"/>'))
        self.assert_findings(
            result,
            "a.service.xml:2: the method 'm' does not say who may call it; write access=\"…\" with one of viewer, operator, "
            "owner, site, controller, internal",
            "a.service.xml:3: the method 'n' has the unknown access 'everybody'; write access=\"…\" with one of viewer,",
            "a.service.xml:4: the method 'o' changes something and lets viewers call it; give it another access, "
            "read-only=\"yes\" if it changes nothing, or own=\"yes\"",
            "a.service.xml:6: the method 'q' does not say who may call it; write")

    def test_rest_routes(self):
        field = '<field name="{0}" type="{1}"{2}/>'

        def method(name, attributes, *fields, output=""):
            return (f'<method name="{name}" {attributes}><input>' + "".join(fields) + "</input><output>" + output
                    + "</output></method>")

        text = field.format("x", "string", "")
        result = self.run_generator(a=service(
            '<type name="T"><field name="x" type="string"/></type>',
            method("a", 'access="operator" rest="GET /a"'),
            method("b", 'access="operator" rest="POST /b/{y}"', text),
            method("c", 'access="operator" rest="FETCH /c"'),
            method("d", 'access="operator" rest="POST d/{x}"', text),
            method("e", 'access="operator" rest="POST /E"'),
            method("f", 'access="operator" rest="POST /b/{x}"', text),
            method("g", 'access="operator" rest="PUT /b/{x}"', text),
            method("h", 'access="operator" rest="PUT /b/{y}"', field.format("y", "int", "")),
            method("i", 'access="operator" rest="DELETE /i"', field.format("t", "T", "")),
            method("j", 'access="operator" rest="POST /j/{x}"', field.format("x", "string", ' list="yes"')),
            method("k", 'access="operator" rest="POST /k/{x}/{x}"', text),
            method("l", 'access="internal" rest="POST /l"'),
            method("m", 'access="viewer" read-only="yes" rest="DELETE /m"'),
            method("n", 'access="operator" creates="yes" rest="POST /n"'),
            method("o", 'access="operator" creates="yes"'),
            method("p", 'access="operator" rest="POST /p" rest-body="x"', text),
            method("q", 'access="operator" rest="POST /q" rest-answer="x"', output=text),
            method("r", 'access="operator" creates="yes" rest="DELETE /r"')))
        self.assert_findings(
            result,
            "a.service.xml:3: the method 'a' answers GET and may change something; give it another verb, or read-only",
            "a.service.xml:4: the method 'b' has {y} in its REST path and no such input field; it has x",
            "a.service.xml:5: the method 'c' has the unknown REST verb 'FETCH'; write rest=\"VERB /path\" with one of GET,",
            "a.service.xml:6: the method 'd' has the REST path 'd/{x}'; a path is /word/{field}/…",
            "a.service.xml:7: the method 'e' has the REST path '/E'",
            "a.service.xml:8: the method 'f' has the REST route POST /b/{x} of 'b' (a.service.xml:4)",
            "a.service.xml:10: the method 'h' has the REST route PUT /b/{y} of 'g' (a.service.xml:9)",
            "a.service.xml:11: the method 'i' has the input field 't' of the type T, which cannot be a query parameter of "
            "DELETE; use POST",
            "a.service.xml:12: the method 'j' has {x} in its REST path; only one value of a simple type",
            "a.service.xml:13: the method 'k' has {x} twice in its REST path",
            "a.service.xml:14: the method 'l' has a REST route and the access internal: only what people may call has one",
            "a.service.xml:15: the method 'm' is read-only and has the verb DELETE; use GET, or POST",
            "a.service.xml:16: the method 'n' creates something, but there is no GET /n/{x} whose x its answer or its input",
            "a.service.xml:17: the method 'o' has creates and no rest; it says something about a REST route",
            "a.service.xml:18: the method 'p' has rest-body=\"x\"; it must be the only input field beside the path's",
            "a.service.xml:19: the method 'q' has rest-answer=\"x\"; it must be the only output field",
            "a.service.xml:20: the method 'r' creates something and has the verb DELETE; use POST or PUT",
            "a.service.xml:20: the method 'r' creates something, but there is no GET /r/{x}")

    def test_routes_of_two_services_and_of_instances(self):
        result = self.run_generator(
            a=service('<method name="m" access="operator" rest="POST /m"/>'),
            b=service('<method name="n" access="operator" rest="POST /m"/>', name="b"),
            c=service('<method name="m" access="operator" rest="POST /c"/>',
                      '<method name="n" access="operator" rest="POST /c/{where}"/>',
                      '<method name="o" access="operator" rest="POST /d/{where}"><input><field name="where" type="int"/>'
                      '</input></method>', name="c").replace('name="c"', 'name="c" instance="where"', 1))
        self.assert_findings(
            result,
            "b.service.xml:2: the method 'n' has the REST route POST /m of 'm' (a.service.xml:2)",
            "c.service.xml:2: the method 'm' lacks {where} in its REST path: it says which instance of the service is",
            "c.service.xml:4: the method 'o' has the input field 'where', which its REST path needs")

    def test_faults_states_topics(self):
        result = self.run_generator(
            a=service('<import prefix="b" service="b"/>',
                      '<method name="m" access="internal" faults="conflict broken conflict"/>',
                      '<method name="n" access="internal" one-way="yes" faults="conflict"/>',
                      '<method name="o" access="internal" states="on sideways"/>',
                      '<method name="p" access="internal" states="on off on"/>',
                      '<method name="q" access="internal" states="on red"/>',
                      '<topic name="a.b"/>', '<topic name="a.b"/>', '<topic name="ab"/>'),
            b=service('<enum name="LampState"><value name="on"/><value name="off"/></enum>',
                      '<enum name="Colour"><value name="red"/></enum>', name="b"))
        self.assertIn("a.service.xml:10: ", result.stderr)  # the schema's finding: topics have a dot
        result = self.run_generator(a=(self.path / "a.service.xml").read_text().replace('<topic name="ab"/>', ""),
                                    b=(self.path / "b.service.xml").read_text())
        self.assert_findings(
            result,
            "a.service.xml:3: the method 'm' has the fault 'conflict' twice",
            "a.service.xml:3: the method 'm' has the unknown fault 'broken'; there are invalid, not-found, conflict",
            "a.service.xml:4: the method 'n' is one-way and cannot have faults",
            "a.service.xml:5: the states 'on sideways' of the method 'o' are not words of one enum that is named …State, "
            "here or in an imported service (LampState: off, on)",
            "a.service.xml:6: the method 'p' has the state 'on' twice",
            "a.service.xml:7: the states 'on red' of the method 'q' are not words of one enum",
            "a.service.xml:9: the topic 'a.b' stands here twice (line 8)")

    LAMPS = (
        '<type name="Lamp"><field name="id" type="string"/><field name="level" type="int"/></type>',
        '<type name="Shade"><field name="id" type="int"/></type>',
        '<method name="get_lamp" access="internal" read-only="yes"><input><field name="id" type="string"/></input>'
        '<output><field name="lamp" type="Lamp"/></output></method>',
        '<method name="list_lamps" access="internal" read-only="yes"><output><field name="lamp" type="Lamp" list="yes"/>'
        '</output></method>',
        '<method name="dim_lamp" access="internal"><input><field name="id" type="string"/><field name="level" type="int"/>'
        '</input><output/></method>',
        '<method name="break_lamp" access="internal"><input><field name="id" type="string"/></input><output/></method>',
        '<method name="break_all" access="internal"><output/></method>',
    )

    def test_a_resource_that_fits(self):
        result = self.run_generator(a=service(
            *self.LAMPS,
            '<resource name="Lamp" path="lamps" type="Lamp" key="id" get="get_lamp" list="list_lamps" '
            'destroy="a:break_lamp"><property field="level" name="Brightness" set="dim_lamp"/></resource>'))
        self.assertEqual(result.stderr, "")

    def test_resources_that_do_not_fit(self):
        def resource(name, path, attributes, content=""):
            return f'<resource name="{name}" path="{path}" {attributes}>{content}</resource>'

        good = 'type="Lamp" key="id" get="get_lamp" list="list_lamps"'
        result = self.run_generator(a=service(
            *self.LAMPS,
            resource("A", "a", 'type="Lantern" key="id" get="get_lamp" list="list_lamps"'),
            resource("B", "b", 'type="Lamp" key="name" get="get_lamp" list="list_lamps"'),
            resource("C", "c", 'type="Lamp" key="id" get="get_it" list="get_lamp"'),
            resource("D", "d", 'type="Lamp" key="id" get="list_lamps" list="list_them"'),
            resource("E", "e", good + ' destroy="b:break_lamp"'),
            resource("F", "f", good + ' destroy="break_all"'),
            resource("G", "g", good, '<property field="hue"/><property field="level" set="break_lamp"/>'),
            resource("H", "h", good, '<property field="id" hidden="yes" name="X"/><property field="level" name="Id"/>'),
            resource("I", "i", good, '<property field="id"/><property field="id"/>'),
            resource("I", "i", good, '<property field="level" name="Id"/><property field="id" hidden="yes"/>')))
        self.assert_findings(
            result,
            "a.service.xml:9: the resource 'A' is of the unknown type 'Lantern'; this service has Lamp, Shade",
            "a.service.xml:10: the resource 'B' has the key 'name', which is no field of Lamp of a simple type",
            "a.service.xml:11: the resource 'C' has get=\"get_it\" and a has no such method",
            "a.service.xml:11: the resource 'C' has list=\"get_lamp\", which must be read-only, need no input and answer",
            "a.service.xml:12: the resource 'D' has get=\"list_lamps\", which must be read-only, ask for one value (the key)",
            "a.service.xml:12: the resource 'D' has list=\"list_them\" and a has no such method",
            "a.service.xml:13: the resource 'E' has destroy=\"b:break_lamp\" and there is no definition of the service 'b'",
            "a.service.xml:14: the resource 'F' has destroy=\"break_all\", which must change something, answer, and ask for",
            "a.service.xml:15: the resource 'G' has a property of the field 'hue', which Lamp has not",
            "a.service.xml:15: the resource 'G' has set=\"break_lamp\" for 'level', which must change something, answer,",
            "a.service.xml:16: the property 'Id' of 'H' is of another type than that of 'C'",
            "a.service.xml:16: the resource 'H' hides the field 'id' and says more of it",
            "a.service.xml:17: the resource 'I' has two properties of the field 'id' (line 17)",
            "a.service.xml:18: the property 'Id' of 'I' is of another type than that of 'C'",
            "a.service.xml:18: the resource 'I' has the name 'I' of another (line 17)",
            "a.service.xml:18: the resource 'I' has the path 'i' of another (line 17)")

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
