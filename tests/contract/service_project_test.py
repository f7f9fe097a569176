#!/usr/bin/python3
"""What docs/services.md and CONTRIBUTING.md promise, done as they say it, outside of the tree: one program, built once, is
the reason for its length.

  service_project_test.py BUILD    the built tree of Nuraghe
"""

import json
import os
import re
import select
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from lxml import etree

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "sim"))
sys.path.insert(0, str(ROOT / "tests" / "contract"))
from tls import Impostor  # noqa: E402
from units_test import check_units  # noqa: E402
from world import clean_up_when_asked_to_end, Fault, World  # noqa: E402
BUILD = None
TIMEOUT = 600
SOAP11, SOAP12 = "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"


def run(*command, cwd, check=True):
    result = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT,
                            check=False)
    if check and result.returncode != 0:
        raise AssertionError(f"{command} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
    return result


def block(text, language, beginning):
    """The code block of a page that begins with some text."""
    for found in re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if found.lstrip().startswith(beginning):
            return found
    raise AssertionError(f"no block {language} begins with {beginning}")


class InAFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def configure(self, source, build):
        faster = []  # the same result in less time
        if shutil.which("ccache"):
            faster.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
        if shutil.which("ld.lld"):
            faster.append("-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld")
        run("cmake", "-G", "Ninja", "-S", source, "-B", build, f"-DNuraghe_DIR={BUILD}", "-DCMAKE_CXX_FLAGS=-O0",
            "-DCMAKE_BUILD_TYPE=None", *faster, cwd=self.folder)


class WorkedExample(InAFolder):
    """CONTRIBUTING.md: adding a method touches its definition and one handler."""

    FILES = ("echo.service.xml", "shapes.service.xml", "echo_service.hpp", "echo_service.cpp", "echo_responder.cpp")
    PROJECT = """cmake_minimum_required(VERSION 3.25)
project(example LANGUAGES CXX)
find_package(Nuraghe REQUIRED)
set(here ${CMAKE_CURRENT_SOURCE_DIR})
file(GLOB_RECURSE common ROOT/contracts/*.xsd)
nuraghe_services(sources DEFINITIONS ${here}/echo.service.xml ${here}/shapes.service.xml
  CODE ${CMAKE_BINARY_DIR}/code/contracts CONTRACTS ${CMAKE_BINARY_DIR}/contracts
  COMMON ROOT/contracts COMMON_FILES ${common})
add_executable(echo_responder ${sources} echo_service.cpp echo_responder.cpp)
target_include_directories(echo_responder PRIVATE ${CMAKE_BINARY_DIR}/code ${here})
target_link_libraries(echo_responder PRIVATE nuraghe::room_contracts)
"""

    def test_as_it_is_written(self):
        page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        for name in self.FILES:
            shutil.copy(ROOT / "tests" / "contract" / name, self.folder)
        (self.folder / "CMakeLists.txt").write_text(self.PROJECT.replace("ROOT", str(ROOT)), encoding="utf-8")
        definition, header, source = (self.folder / name for name in
                                      ("echo.service.xml", "echo_service.hpp", "echo_service.cpp"))
        method = block(page, "xml", '<method name="count_notes"')
        definition.write_text(definition.read_text().replace("</service>", method + "</service>"), encoding="utf-8")
        self.configure(".", "build")

        # The definition alone: the compiler names what is missing.
        incomplete = run("cmake", "--build", "build", cwd=self.folder, check=False)
        self.assertNotEqual(incomplete.returncode, 0)
        self.assertIn("count_notes", incomplete.stdout)
        self.assertRegex(incomplete.stdout, "pure within|abstract|unimplemented pure virtual")

        declaration = block(page, "cpp", "Status count_notes")
        header.write_text(header.read_text().replace(" private:\n", declaration + "\n private:\n", 1), encoding="utf-8")
        handler = block(page, "cpp", "Status EchoService::count_notes")
        end = "}  // namespace nuraghe::contracts::echo"
        source.write_text(source.read_text().replace(end, handler + "\n" + end), encoding="utf-8")
        run("cmake", "--build", "build", cwd=self.folder)

        answer = subprocess.run([self.folder / "build" / "echo_responder", "count_notes"], capture_output=True, text=True,
                                input='<count_notes xmlns="urn:nuraghe:test:echo:1"><beginning>a</beginning></count_notes>',
                                timeout=60, check=True).stdout
        root = etree.fromstring(answer)
        self.assertEqual(root.tag, "{urn:nuraghe:test:echo:1}count_notesResponse")
        self.assertEqual([child.text for child in root], ["0"])
        document = json.loads((self.folder / "build" / "contracts" / "openapi.json").read_text(encoding="utf-8"))
        self.assertEqual(document["paths"]["/note-count"]["get"]["operationId"], "count_notes")
        # It touched what the page says, and nothing else.
        changed = {name for name in self.FILES
                   if (self.folder / name).read_bytes() != (ROOT / "tests" / "contract" / name).read_bytes()}
        self.assertEqual(changed, {"echo.service.xml", "echo_service.hpp", "echo_service.cpp"})


class Running:
    """The program of a service; ends with the with-block."""

    def __init__(self, program, state, *options, cwd=None):
        self.program, self.state, self.options, self.cwd = program, state, options, cwd
        self.log = Path(f"{state}.log")

    def __enter__(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([self.program, "--state", self.state, "--listen", "127.0.0.1:0", *self.options],
                                            stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.cwd)
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        line = self.process.stdout.readline() if ready else ""
        if " serves on " not in line:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the program did not begin to serve: {line!r} {self.log.read_text()}")
        self.base = line.split(" serves on ")[1].strip()
        lines = (self.state / "token").read_text(encoding="utf-8").splitlines()
        self.token = next(line for line in lines if not line.startswith("#")).split()[3]
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.status = self.process.wait(30)
        finally:
            self.process.kill()
            self.process.stdout.close()

    def ask(self, method, path, body=None, content_type="application/json", token=None):
        request = urllib.request.Request(self.base + path, method=method, data=body.encode() if body else None)
        request.add_header("Authorization", f"Bearer {self.token if token is None else token}")
        if body:
            request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def soap(self, element, envelope=SOAP11, content_type="text/xml"):
        text = f'<s:Envelope xmlns:s="{envelope}"><s:Body>{element}</s:Body></s:Envelope>'
        return self.ask("POST", "/services/greeting", text, content_type)


class OutsideService(InAFolder):
    """docs/services.md: a service that is defined outside of the tree."""

    def setUp(self):
        super().setUp()
        self.page = (ROOT / "docs" / "services.md").read_text(encoding="utf-8")
        self.definition = self.folder / "greeting.service.xml"
        self.definition.write_text(block(self.page, "xml", "<?xml"), encoding="utf-8")

    def new(self, *arguments, check=True):
        return run(BUILD / "bin" / "nuraghe", "service", "new", *arguments, cwd=self.folder, check=check)

    def write_handlers(self):
        path = self.folder / "greeting" / "src" / "greeting_service.cpp"
        text = path.read_text(encoding="utf-8")
        for name in ("greet", "list_greeted", "get_guest", "list_guests", "set_mood", "forget"):
            stub = re.search(rf"^Status GreetingService::{name}\(.*?^}}\n", text, re.DOTALL | re.MULTILINE).group(0)
            self.assertIn("has no handler", stub)
            handlers = block(self.page, "cpp", "Status GreetingService::greet")
            mine = re.search(rf"^Status GreetingService::{name}\(.*?^}}\n", handlers, re.DOTALL | re.MULTILINE).group(0)
            text = text.replace(stub, mine)
        path.write_text(text, encoding="utf-8")

    def test_as_it_is_written(self):
        self.new("greeting.service.xml")
        self.write_handlers()
        self.configure("greeting", "greeting/build")
        run("cmake", "--build", "greeting/build", cwd=self.folder)
        program = self.folder / "greeting" / "build" / "greeting"
        state = self.folder / "state"
        with Running(program, state) as service:
            self.check_rest(service)
            self.check_soap(service)
            self.check_descriptions(service)
        self.assertEqual(service.status, 0)
        with Running(program, state) as again:
            self.assertEqual(again.base, service.base)
            self.assertEqual(again.token, service.token)
            self.assertEqual(json.loads(again.ask("GET", "/greetings")[1]), {"name": ["Ada", "Maria"]})
        self.assertEqual(again.status, 0)
        self.assertEqual(os.stat(state / "token").st_mode & 0o777, 0o600)
        self.check_unit()
        with Container(self, program) as container:
            container.check()
        with Site(self, program) as site:
            site.check()

    def check_rest(self, service):
        self.assertEqual(service.ask("POST", "/greetings", '{"name":"Maria"}'), (200, '{"text":"Good day, Maria"}'))
        status, problem = service.ask("POST", "/greetings", '{"name":"Maria","gift":{"cpus":1,"memory":1,"disk":0}}')
        self.assertEqual((status, json.loads(problem)["code"]), (409, "conflict"))
        status, problem = service.ask("POST", "/greetings", '{"name":"Eva","gift":{"cpus":1}}')
        self.assertEqual(status, 400)
        self.assertIn("gift.memory is missing", json.loads(problem)["detail"])
        self.assertEqual(service.ask("GET", "/greetings", token="wrong")[0], 401)
        # Nuraghe's own services are not here.
        self.assertEqual(service.ask("GET", "/clusters")[0], 404)

    def check_soap(self, service):
        status, answer = service.soap('<greet xmlns="urn:example:greeting:1"><name>Ada</name></greet>')
        self.assertEqual(status, 200, answer)
        self.assertEqual(etree.fromstring(answer).findtext(".//{urn:example:greeting:1}text"), "Good day, Ada")
        status, answer = service.soap('<greet xmlns="urn:example:greeting:1"><name>Ada</name></greet>')
        self.assertEqual(status, 500)
        self.assertIn("Ada was greeted already", answer)
        status, answer = service.soap('<greet xmlns="urn:example:greeting:1"><who>Ada</who></greet>')
        self.assertIn("greet/who (line 1) is unknown", answer)

    def check_descriptions(self, service):
        status, text = service.ask("GET", "/services/greeting?wsdl")
        self.assertEqual(status, 200)
        wsdl = etree.fromstring(text.encode())
        operations = wsdl.findall(".//{http://schemas.xmlsoap.org/wsdl/}portType/{http://schemas.xmlsoap.org/wsdl/}operation")
        self.assertEqual([o.get("name") for o in operations],
                         ["greet", "list_greeted", "get_guest", "list_guests", "set_mood", "forget"])
        addresses = {e.get("location") for e in wsdl.iter("{*}address")}
        self.assertEqual(addresses, {service.base + "/services/greeting"})
        # Every import leads somewhere, and so do theirs.
        open_files, seen = [text], set()
        while open_files:
            for element in etree.fromstring(open_files.pop().encode()).iter("{http://www.w3.org/2001/XMLSchema}import"):
                location = element.get("schemaLocation")
                if location and location not in seen:
                    seen.add(location)
                    status, schema = service.ask("GET", location.removeprefix(service.base))
                    self.assertEqual(status, 200, location)
                    open_files.append(schema)
        self.assertTrue(any("vhc.xsd" in location for location in seen), seen)
        status, text = service.ask("GET", "/openapi.json")
        self.assertEqual(status, 200)
        self.assertEqual(list(json.loads(text)["paths"]), ["/greetings"])
        self.assertEqual(service.ask("GET", "/healthz")[0], 200)

    def check_unit(self):
        unit = (self.folder / "greeting" / "packaging" / "greeting.service").read_text(encoding="utf-8")
        self.assertIn("ExecStart=/usr/bin/greeting --state %S/greeting ", unit)
        run("cmake", "--install", "greeting/build", "--prefix", self.folder / "installed", cwd=self.folder)
        self.assertTrue((self.folder / "installed" / "bin" / "greeting").exists())
        check_units(self, self.folder / "installed", ("greeting",))

    def test_what_cannot_be_made_says_why(self):
        wrong = self.folder / "wrong.service.xml"
        wrong.write_text(self.definition.read_text().replace('name="greeting"', 'name="wrong"').replace(
            'type="vhc:Capacity"', 'type="vhc:Capacitance"'), encoding="utf-8")
        result = self.new("wrong.service.xml", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"wrong.service.xml:19: the field 'gift' has an unknown type 'vhc:Capacitance'")
        self.assertFalse((self.folder / "wrong").exists())
        taken = self.folder / "vcm.service.xml"
        taken.write_text(self.definition.read_text().replace('name="greeting"', 'name="vcm"'), encoding="utf-8")
        self.assertIn("'vcm' is the name of a service of Nuraghe", self.new("vcm.service.xml", check=False).stderr)
        self.new("greeting.service.xml")
        result = self.new("greeting.service.xml", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("greeting is there already", result.stderr)


GREETING = "urn:example:greeting:1"
WSNT = "http://docs.oasis-open.org/wsn/b-2"
WSA = "http://www.w3.org/2005/08/addressing"
TOKENS = """admin administrator default token-of-the-administrator
vera viewer physics token-of-a-viewer-of-physics
olga operator physics token-of-an-operator-of-physics
dora viewer default token-of-a-viewer-of-default
"""
# Stalls of a busy machine are shorter than three of these.
RENEWAL = ("--renewal", "10s")


class Behind:
    """A nuraghed, and the service behind its doors."""

    def __init__(self, test, program, options=()):
        self.test, self.program = test, program
        self.world = World(BUILD / "bin", controllers=(), options=options)
        self.state = Path(self.world.folder) / "greeting"

    def __enter__(self):
        self.world.write("s/token", TOKENS)
        os.chmod(os.path.join(self.world.state), 0o700)
        os.chmod(os.path.join(self.world.state, "token"), 0o600)
        return self

    def __exit__(self, *what):
        self.world.__exit__(*what)

    def ask(self, method, path, body=None, token="", **headers):
        """Status, JSON or text, headers."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body:
            headers["Content-Type"] = "application/json"
        status, text, answer = self.world.http(method, path, body, headers, token=token)
        is_json = "json" in (answer["Content-Type"] or "")
        return status, json.loads(text) if is_json else text.decode(), answer

    def listed(self):
        return [one for one in self.ask("GET", "/services")[1]["service"] if not one["own"]]

    def until_listed(self):
        return self.world.until(self.listed, "the service was listed")

    def until_gone(self):
        self.world.until(lambda: not self.listed(), "the service was gone")

    def greet(self, name, **options):
        return self.world.soap("greeting", "greet", f"<x:name>{name}</x:name>", namespace=GREETING, **options)

    def wsrf(self, path, text, token=""):
        """The answer to a message at a path below /services; g: is the service's prefix."""
        words = (f'xmlns:g="{GREETING}" xmlns:rp="http://docs.oasis-open.org/wsrf/rp-2" xmlns:rl="http://docs.oasis-open.org/wsrf/rl-2" '
                 f'xmlns:n="{WSNT}" xmlns:a="{WSA}"')
        return self.world.soap_text(path, f'<s:Envelope xmlns:s="{SOAP11}" {words}><s:Body>{text}</s:Body></s:Envelope>', token=token)

    def fault(self, code, call, *arguments, **options):
        with self.test.assertRaises(Fault) as caught:
            call(*arguments, **options)
        self.test.assertEqual(caught.exception.code, code, caught.exception)
        return caught.exception.text


class Container(Behind):
    """On one machine, with the site's token: one door, one token, one document."""

    def check(self):
        world, test = self.world, self.test
        world.start()
        with open(os.path.join(world.state, "port"), encoding="utf-8") as file:
            nuraghed = f"http://127.0.0.1:{file.read().strip()}"
        options = ("--nuraghed", nuraghed, "--site-token", os.path.join(world.state, "site-token"), *RENEWAL)
        with Running(self.program, self.state, *options) as service:
            listed = self.until_listed()
            test.assertEqual([one["name"] for one in listed], ["greeting"])
            test.assertEqual(listed[0]["address"], nuraghed + "/services/greeting")
            test.assertEqual(listed[0]["program"], service.base + "/services/greeting")
            test.assertEqual(listed[0]["version"], "0.1.0")
            self.check_lists(nuraghed)
            self.check_rest()
            self.check_soap()
            self.check_audit_and_trace()
            self.check_resources(nuraghed)
            self.check_topics(nuraghed)
            self.check_descriptions(nuraghed)
            self.check_refusals(options, service)
        self.check_restart(options)
        self.check_workflow(options)

    def check_lists(self, nuraghed):
        test, world = self.test, self.world
        names = [one["name"] for one in self.ask("GET", "/services", token="token-of-a-viewer-of-physics")[1]["service"]]
        test.assertEqual(names, sorted(names))
        test.assertTrue({"vcm", "vcf", "registry", "greeting"} <= set(names), names)
        test.assertEqual([one["name"] for one in world.json("service", "ls")], ["greeting"])
        test.assertIn("vcm", world.cli("service", "ls", "--all").stdout)
        status, one, _ = self.ask("GET", "/services/greeting")
        test.assertEqual((status, one["wsdl"]), (200, nuraghed + "/services/greeting?wsdl"))
        test.assertEqual(self.ask("GET", "/services/absent")[0], 404)

    def check_rest(self):
        test = self.test
        viewer, operator = "token-of-a-viewer-of-physics", "token-of-an-operator-of-physics"
        test.assertEqual(self.ask("GET", "/greetings", token=None)[0], 401)
        test.assertEqual(self.ask("GET", "/greetings", token="wrong")[0], 401)
        status, problem, _ = self.ask("POST", "/greetings", '{"name":"Maria"}', token=viewer)
        test.assertEqual((status, problem["code"]), (403, "denied"))
        test.assertIn("needs the role operator in the VO physics", problem["detail"])
        key = {"Idempotency_Key": "once"}
        for _ in range(2):
            test.assertEqual(self.ask("POST", "/greetings", '{"name":"Maria"}', token=operator, **key)[:2],
                             (200, {"text": "Good day, Maria"}))
        status, problem, _ = self.ask("POST", "/greetings", '{"name":"Maria"}', token=operator)
        test.assertEqual((status, problem["detail"]), (409, "Maria was greeted already"))
        # Another's key is another request.
        test.assertEqual(self.ask("POST", "/greetings", '{"name":"Maria"}', **key)[0], 409)
        status, names, headers = self.ask("GET", "/greetings", token=viewer)
        test.assertEqual((status, names), (200, {"name": ["Maria"]}))
        test.assertEqual(self.ask("GET", "/greetings", token=viewer, If_None_Match=headers["ETag"])[0], 304)
        status, problem, headers = self.ask("DELETE", "/greetings", token=operator)
        test.assertEqual((status, headers["Allow"]), (405, "POST, GET, HEAD, OPTIONS"))
        status, problem, _ = self.ask("POST", "/greetings", '{"nam":"Eva"}', token=operator)
        test.assertEqual((status, problem["code"]), (400, "invalid"))

    def check_soap(self):
        test = self.test
        viewer, operator = "token-of-a-viewer-of-physics", "token-of-an-operator-of-physics"
        answer = self.greet("Ada", token=operator)
        test.assertEqual(answer.findtext(f"{{{GREETING}}}text"), "Good day, Ada")
        test.assertEqual(self.fault("conflict", self.greet, "Ada", token=operator), "Ada was greeted already")
        test.assertIn("needs the role operator", self.fault("denied", self.greet, "Eva", token=viewer))
        self.fault("not-found", self.world.soap, "greeting", "forgive", namespace=GREETING)
        # An action that names what the caller may do makes the body no other.
        text = (f'<s:Envelope xmlns:s="{SOAP11}" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header>'
                f'<a:Action>{GREETING}:list_greeted</a:Action><a:MessageID>urn:x:1</a:MessageID></s:Header>'
                f'<s:Body><greet xmlns="{GREETING}"><name>Eva</name></greet></s:Body></s:Envelope>')
        with test.assertRaises(Fault):
            self.world.soap_text("greeting", text, token=viewer)
        test.assertNotIn("Eva", self.ask("GET", "/greetings")[1]["name"])

    def check_resources(self, nuraghed):
        """Its WS-Resources, at nuraghed: who may what is what the methods behind them say."""
        test = self.test
        viewer, operator = "token-of-a-viewer-of-physics", "token-of-an-operator-of-physics"
        ada = "greeting/guests/Ada"
        answer = self.wsrf(ada, "<rp:GetResourceProperty>g:Mood</rp:GetResourceProperty>", viewer)
        test.assertEqual([one.text for one in answer], ["good"])
        query = ('<rp:QueryResourceProperties><rp:QueryExpression Dialect="http://www.w3.org/TR/1999/REC-xpath-19991116">'
                 "string(//g:Name)</rp:QueryExpression></rp:QueryResourceProperties>")
        test.assertEqual([one.text for one in self.wsrf(ada, query, viewer)], ["Ada"])
        change = ("<rp:SetResourceProperties><rp:Update><g:Mood>splendid</g:Mood></rp:Update></rp:SetResourceProperties>")
        test.assertIn("needs the role operator", self.fault("denied", self.wsrf, ada, change, viewer))
        self.wsrf(ada, change, operator)
        document = self.wsrf(ada, "<rp:GetResourcePropertyDocument/>", viewer)
        test.assertEqual(document.findtext(f".//{{{GREETING}}}Mood"), "splendid")
        test.assertIn("greeting.greeted", "".join(document.itertext()))
        group = self.wsrf("greeting/guests", "<rp:GetResourcePropertyDocument/>", viewer)
        members = [one.text for one in group.iter(f"{{{WSA}}}Address")]
        test.assertIn(nuraghed + "/services/" + ada, members)
        test.assertIn("needs the role owner", self.fault("denied", self.wsrf, ada, "<rl:Destroy/>", operator))
        self.fault("not-found", self.wsrf, "greeting/guests/nobody", "<rl:Destroy/>")
        for text in ("<g:GetResourceProperty>g:Mood</g:GetResourceProperty>", "<n:Destroy/>"):
            with test.assertRaises(Fault):
                self.wsrf(ada, text)
        self.greet("Otto", token=operator)
        self.wsrf("greeting/guests/Otto", "<rl:Destroy/>")
        test.assertNotIn("Otto", self.ask("GET", "/greetings")[1]["name"])
        for path in (ada, "greeting/guests"):
            status, text, _ = self.ask("GET", f"/services/{path}?wsdl")
            test.assertEqual(status, 200, text)
            addresses = {e.get("location") for e in etree.fromstring(text.encode()).iter("{*}address")}
            test.assertEqual(addresses, {f"{nuraghed}/services/{path}"})

    def check_topics(self, nuraghed):
        """Who subscribes at nuraghed is told what the program publishes, in his VO."""
        test, world = self.test, self.world
        viewer, operator = "token-of-a-viewer-of-physics", "token-of-an-operator-of-physics"
        subscribe = ("<n:Subscribe><n:ConsumerReference><a:Address>{}</a:Address></n:ConsumerReference><n:Filter><n:TopicExpression "
                     'Dialect="http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete">{}</n:TopicExpression></n:Filter></n:Subscribe>')

        def point(token):
            made = self.wsrf("notification", "<n:CreatePullPoint/>", token)
            return next(made.iter(f"{{{WSA}}}Address")).text

        def told(where, token):
            path = where.removeprefix(nuraghed + "/services/")
            return "".join(self.wsrf(path, "<n:GetMessages/>", token).itertext())
        stranger = "token-of-a-viewer-of-default"
        all_of_it, of_ada, elsewhere = point(viewer), point(viewer), point(stranger)
        self.wsrf("greeting", subscribe.format(all_of_it, "g:greeting.greeted"), viewer)
        self.wsrf("greeting/guests/Ada", subscribe.format(of_ada, "g:Mood"), viewer)
        self.wsrf("greeting", subscribe.format(elsewhere, "g:greeting.greeted"), stranger)
        with test.assertRaises(Fault) as caught:
            self.wsrf("greeting", subscribe.format(all_of_it, "g:greeting.eaten"), viewer)
        test.assertIn("has no topic", caught.exception.text)
        properties = self.wsrf("greeting", "<rp:GetResourcePropertyDocument/>", viewer)
        test.assertIn("greeting.greeted", "".join(properties.itertext()))
        self.greet("Nora", token=operator)
        heard = world.until(lambda: told(all_of_it, viewer), "the subscriber was told")
        test.assertIn("Nora was greeted", heard)
        change = "<rp:SetResourceProperties><rp:Update><g:Mood>tired</g:Mood></rp:Update></rp:SetResourceProperties>"
        self.wsrf("greeting/guests/Ada", change, operator)
        test.assertIn("tired", world.until(lambda: told(of_ada, viewer), "the change was told"))
        _, body, _ = world.http("GET", "/events?after=0&limit=10000", token=stranger)
        test.assertNotIn(b"greeting.greeted", body, "it is another VO's")
        test.assertEqual(told(elsewhere, stranger), "")
        # Once each, whatever was published before.
        _, body, _ = world.http("GET", "/events?after=0&limit=10000", token=viewer)
        texts = [one["text"] for one in map(json.loads, body.decode().splitlines()) if one["kind"] == "greeting.greeted"]
        test.assertEqual(len(texts), len(set(texts)))
        test.assertTrue({"Ada was greeted", "Otto was greeted", "Nora was greeted"} <= set(texts), texts)

    def check_audit_and_trace(self):
        test = self.test
        lines = self.world.cli("-o", "json", "audit", "--all").stdout.splitlines()
        calls = [one for one in map(json.loads, lines) if one["service"] == "greeting"]
        found = {(one["kind"], one["who"], one["vo"], one["operation"], one["outcome"]) for one in calls}
        operator = ("token:olga", "physics", "greet")
        test.assertTrue({("call", *operator, "accepted"), ("outcome", *operator, "done"),
                         ("outcome", *operator, "conflict"),
                         ("refused", "token:vera", "physics", "greet", "denied")} <= found, found)
        test.assertEqual({one["operation"] for one in calls if one["kind"] != "refused"}, {"greet"})
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        status, _, headers = self.ask("POST", "/greetings", '{"name":"Tina"}', token="token-of-an-operator-of-physics",
                                      traceparent=f"00-{trace}-00f067aa0ba902b7-01")
        test.assertEqual((status, headers["traceparent"].split("-")[1]), (200, trace))

        def spans():
            status, told, _ = self.ask("GET", "/traces/" + trace, token="token-of-a-viewer-of-physics")
            return [one for one in told["span"] if one["where"] == "greeting"] if status == 200 else []
        span = self.world.until(spans, "the service's span was told")[0]
        test.assertEqual((span["service"], span["operation"]), ("greeting", "greet"))

    def check_descriptions(self, nuraghed):
        test = self.test
        status, text, _ = self.ask("GET", "/services/greeting?wsdl")
        test.assertEqual(status, 200)
        addresses = {e.get("location") for e in etree.fromstring(text.encode()).iter("{*}address")}
        test.assertEqual(addresses, {nuraghed + "/services/greeting"})
        open_files, seen = [text], set()
        while open_files:
            for element in etree.fromstring(open_files.pop().encode()).iter("{http://www.w3.org/2001/XMLSchema}import"):
                location = element.get("schemaLocation")
                if location and location not in seen:
                    seen.add(location)
                    status, schema, _ = self.ask("GET", location.removeprefix(nuraghed))
                    test.assertEqual(status, 200, location)
                    open_files.append(schema)
        test.assertTrue(any("greeting.xsd" in one for one in seen) and any("vhc.xsd" in one for one in seen), seen)
        status, document, _ = self.ask("GET", "/openapi.json")
        test.assertEqual(document["paths"]["/greetings"]["post"]["operationId"], "greet")
        test.assertIn("/clusters", document["paths"])
        for name in re.findall(r'"#/components/([^"]+)"', json.dumps(document["paths"]["/greetings"])):
            kind, key = name.split("/")
            test.assertIn(key, document["components"][kind])

    def check_refusals(self, options, service):
        """A second program of the name is told so, and the first one stays; strangers register nothing."""
        test, world = self.test, self.world
        with Running(self.program, Path(f"{self.state}-2"), *options) as second:
            deadline = 120
            while "is served by another program already" not in second.log.read_text(encoding="utf-8"):
                world.events(0, "100ms")
                deadline -= 0.1
                test.assertGreater(deadline, 0, second.log.read_text(encoding="utf-8"))
            test.assertEqual([one["program"] for one in self.listed()], [service.base + "/services/greeting"])
        for token in ("", "token-of-an-operator-of-physics"):
            self.fault("denied", world.soap, "registry", "renew_service", "<x:name>greeting</x:name><x:program>p</x:program>",
                       token=token)
        self.check_addresses(service)
        # The program knows its nuraghed alone: a token of nuraghed's users opens nothing there.
        test.assertEqual(service.ask("GET", "/greetings", token="token-of-the-administrator")[0], 401)

    def check_addresses(self, service):
        """Where a program says that it is must be its own address: nuraghed sends there what VOs say."""
        with open(os.path.join(self.world.state, "site-token"), encoding="utf-8") as file:
            token = [line for line in file if not line.startswith("#")][0].split()[-1]
        nuraghed = self.listed()[0]["address"].removesuffix("/services/greeting")
        for base, code in ((nuraghed, "conflict"), ("http://localhost", "conflict"), (service.base, "conflict"),
                           (re.sub(r":(\d+)$", r":0\1", nuraghed), "conflict"),
                           (service.base.replace("%2F", "%2f"), "conflict"),
                           (service.base.replace("%2F", "%2F%2F"), "conflict"),
                           ("http+unix://%2ftmp%2fx.sock", "invalid"), ("http://127.0.0.1:08471", "invalid"),
                           ("http://10.0.0.3:8471", "denied"), ("ftp://127.0.0.1", "invalid")):
            fields = {"name": "welcome", "title": "t", "namespace": "urn:w", "version": "1",
                      "address": f"{base}/services/welcome", "program": "p", "interval": "PT10S", "openapi": "{}"}
            inner = "".join(f"<x:{name}>{value}</x:{name}>" for name, value in fields.items())
            text = (f'<s:Envelope xmlns:s="{SOAP11}"><s:Header><c:caller xmlns:c="urn:nuraghe:context:1">service:welcome</c:caller>'
                    f'</s:Header><s:Body><x:register_service xmlns:x="urn:nuraghe:registry:1">{inner}</x:register_service>'
                    "</s:Body></s:Envelope>")
            self.fault(code, self.world.soap_text, "registry", text, token=token)

    def check_restart(self, options):
        """Its program is gone: a registration outlives nuraghed, a call says unavailable, in its time it vanishes."""
        test, world = self.test, self.world
        quick = (*options[:-1], "1s")
        with Running(self.program, self.state, *options) as service:
            self.until_listed()
            service.process.kill()
            service.process.wait()
        world.kill()
        world.start()
        test.assertEqual([one["name"] for one in self.listed()], ["greeting"])
        status, problem, headers = self.ask("GET", "/greetings")
        test.assertEqual((status, problem["code"]), (503, "unavailable"))
        test.assertTrue(headers["Retry-After"])
        self.fault("unavailable", self.greet, "Eva")
        with Running(self.program, self.state, *quick):
            names = world.until(lambda: self.ask("GET", "/greetings")[1].get("name"), "the service was back")
            test.assertIn("Ada", names)
        self.until_gone()
        test.assertEqual(self.ask("GET", "/greetings")[0], 404)
        test.assertEqual(world.json("service", "ls"), [])
        kinds = [one["kind"] for one in world.events()[0]]
        test.assertTrue({"service.registered", "service.gone"} <= set(kinds), kinds)

    def check_workflow(self, options):
        """A workflow invokes it by its name."""
        test, world = self.test, self.world
        world.stop()
        contracts = Path(world.folder) / "contracts"
        shutil.copytree(BUILD / "contracts", contracts)
        for name in ("greeting.wsdl", "greeting.xsd"):
            shutil.copy(self.program.parent / "made" / "contracts" / name, contracts)
        folder = world.own_workflows()
        world.edit(f"{folder}/partners.wsdl", '  <wsdl:import namespace="urn:nuraghe:vhc:1"',
                   f'  <wsdl:import namespace="{GREETING}" location="../contracts/greeting.wsdl"/>\n'
                   '  <wsdl:import namespace="urn:nuraghe:vhc:1"')
        world.edit(f"{folder}/partners.wsdl", '  <plnk:partnerLinkType name="vcm">',
                   f'  <plnk:partnerLinkType name="greeting"><plnk:role name="service" xmlns:g="{GREETING}" '
                   'portType="g:GREETING"/></plnk:partnerLinkType>\n  <plnk:partnerLinkType name="vcm">')
        pause = f"{folder}/vcm/pause.bpel"
        world.edit(pause, 'xmlns:vcf="urn:nuraghe:vcf:1">', f'xmlns:vcf="urn:nuraghe:vcf:1" xmlns:g="{GREETING}">\n'
                   f'  <import namespace="{GREETING}" location="../../contracts/greeting.wsdl" '
                   'importType="http://schemas.xmlsoap.org/wsdl/"/>')
        for old, new in (('name="factory" partnerLinkType="p:vcf"', 'name="factory" partnerLinkType="p:greeting"'),
                         ("vcf:pause_clusterRequest", "g:greetRequest"), ("vcf:pause_clusterResponse", "g:greetResponse"),
                         ("<vcf:pause_cluster><vcf:cluster/></vcf:pause_cluster>", "<g:greet><g:name/></g:greet>"),
                         ("$order.parameters/vcf:cluster", "$order.parameters/g:name"),
                         ('portType="vcf:VCF" operation="pause_cluster"', 'portType="g:GREETING" operation="greet"')):
            world.edit(pause, old, new)
        world.start("--contracts", str(contracts))
        with Running(self.program, self.state, *options):
            self.until_listed()
            world.soap("vcm", "pause_vc", "<x:cluster>Workflow</x:cluster>", token="token-of-an-operator-of-physics")
            test.assertIn("Workflow", self.ask("GET", "/greetings")[1]["name"])
            text = self.fault("conflict", world.soap, "vcm", "pause_vc", "<x:cluster>Workflow</x:cluster>")
            test.assertIn("Workflow was greeted already", text)


class Site(Behind):
    """As a member of a site, over TLS: by a join token, until it is revoked."""

    def __init__(self, test, program):
        super().__init__(test, program, ("--listen", "tls:127.0.0.1:0"))

    def check(self):
        world, test = self.world, self.test
        world.cli("ca", "init")
        world.start()
        nuraghed = re.search(r"https://127\.0\.0\.1:\d+", world.banner).group()
        world.cli("service", "join-token", "greeting", "--out", "token")
        world.cli("service", "join-token", "another", "--out", "another")
        options = ("--nuraghed", nuraghed, "--join", os.path.join(world.folder, "token"), "--renewal", "3s")
        with Running(self.program, self.state, *options) as service:
            test.assertTrue(service.base.startswith("https://"))
            listed = self.until_listed()
            test.assertEqual(listed[0]["program"], service.base + "/services/greeting")
            test.assertEqual(self.ask("POST", "/greetings", '{"name":"Maria"}')[:2], (200, {"text": "Good day, Maria"}))
            test.assertEqual(self.greet("Ada").findtext(f"{{{GREETING}}}text"), "Good day, Ada")
            test.assertFalse((self.state / "segment-key").exists())
            test.assertEqual(os.stat(self.state / "pki" / "own.pem").st_mode & 0o777, 0o600)
            self.check_certificate(nuraghed)
            # Used once: another machine does not get in by it.
            again = subprocess.run([self.program, "--state", f"{self.state}-2", "--listen", "127.0.0.1:0", *options],
                                   capture_output=True, text=True, timeout=60, check=False)
            test.assertEqual(again.returncode, 1)
            test.assertIn("the join token is unknown, used or expired", again.stderr)
            wrong = subprocess.run([self.program, "--state", f"{self.state}-3", "--listen", "127.0.0.1:0", "--nuraghed", nuraghed,
                                    "--join", os.path.join(world.folder, "another")],
                                   capture_output=True, text=True, timeout=60, check=False)
            test.assertIn("the join token is for another, and this is greeting", wrong.stderr)
            world.cli("service", "revoke", "greeting", "--yes")
            self.until_gone()
            test.assertIn("the service greeting is gone: its certificates were withdrawn", world.cli("events").stdout)
            test.assertEqual(self.ask("GET", "/greetings")[0], 404)
            for path in ("/healthz", "/services/registry"):
                status, text = self.by_certificate(nuraghed, path, "<x/>" if "registry" in path else None)
                test.assertEqual(status, 403, text)
                test.assertIn("does not count", text)
        test.assertEqual(service.status, 0)
        # Whoever answers there now, with its key: nobody comes.
        with Impostor(service.base, str(self.state / "pki" / "own.pem")) as impostor:
            test.assertEqual(self.ask("GET", "/greetings")[0], 404)
            self.fault("not-found", self.greet, "Eva")
            self.fault("not-found", self.wsrf, "greeting/guests/Ada", "<rp:GetResourcePropertyDocument/>")
        test.assertEqual(impostor.connections, [])

    def by_certificate(self, nuraghed, path, body=None):
        """Status and text of what its certificate opens."""
        context = ssl.create_default_context(cafile=os.path.join(self.world.state, "ca", "trusted.pem"))
        context.load_cert_chain(self.state / "pki" / "own.pem")
        request = urllib.request.Request(nuraghed + path, data=body.encode() if body else None)
        if body:
            request.add_header("Content-Type", "text/xml")
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def check_certificate(self, nuraghed):
        """What it opens at nuraghed: its own registration, and nothing that is a controller's or a VO's."""
        test = self.test

        def ask(path, body=None):
            return self.by_certificate(nuraghed, path, body)
        test.assertEqual(ask("/healthz")[0], 200)
        for path in ("/clusters", "/events", "/seeds/a/sha256:0", "/images/sha256:0", "/openapi.json", "/greetings"):
            test.assertEqual(ask(path)[0], 403, path)
        for service, operation, inner in (
                # What listens on nuraghed's machine alone: nuraghed sends nothing there for who came from another.
                *(("registry", "register_service",
                   "<x:name>greeting</x:name><x:title>t</x:title><x:namespace>urn:w</x:namespace><x:version>1</x:version>"
                   f"<x:address>{base}/services/greeting</x:address><x:program>p</x:program><x:interval>PT10S</x:interval>"
                   "<x:openapi>{}</x:openapi>")
                  for base in ("http://127.0.0.1:1", "http+unix://%2Fx.sock", "http://[::1]:1")),
                ("registry", "renew_service", "<x:name>other</x:name><x:program>p</x:program>"),
                ("vcf", "list_clusters", ""),
                ("vhf", "renew_physical_host", "<x:name>greeting</x:name><x:interval>PT1S</x:interval>")):
            text = (f'<s:Envelope xmlns:s="{SOAP11}"><s:Header><c:caller xmlns:c="urn:nuraghe:context:1">vhc:greeting</c:caller>'
                    f'</s:Header><s:Body><x:{operation} xmlns:x="urn:nuraghe:{service}:1">{inner}</x:{operation}></s:Body>'
                    "</s:Envelope>")
            answer = ask("/services/" + service, text)[1]
            test.assertIn(">denied<", answer, operation)


if __name__ == "__main__":
    clean_up_when_asked_to_end()
    BUILD = Path(sys.argv.pop(1)).resolve()
    sys.exit(unittest.main(verbosity=2))
