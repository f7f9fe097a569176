"""What the tests of the program `bpel` share: a server of one's own, packages made of texts, SOAP by hand."""
import contextlib
import http.client
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import urllib.parse
import xml.etree.ElementTree as ET
import zipfile

PATIENCE = 60  # seconds for what takes one on a quiet machine
BPEL = "http://docs.oasis-open.org/wsbpel/2.0/process/executable"
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
WSDL = "http://schemas.xmlsoap.org/wsdl/"


def types(namespace="urn:t"):
    elements = "".join(f'<xsd:element name="{name}" type="xsd:anyType"/>' for name in ("say", "said", "note", "more", "bad"))
    return (f'<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" targetNamespace="{namespace}" '
            f'elementFormDefault="qualified">{elements}</xsd:schema>')


def wsdl(path="/services/talk", host="http://localhost:8080", versions=(11,), namespace="urn:t", schema=None):
    """Operations: say (two-way, fault bad), more (two-way, property id), note (one-way)."""
    bindings, ports = "", ""
    for version in versions:
        soap = {11: "soap", 12: "soap12"}[version]
        operations = "".join(
            f'<wsdl:operation name="{name}"><{soap}:operation soapAction="urn:act:{name}"/>'
            f'<wsdl:input><{soap}:body use="literal"/></wsdl:input>'
            + (f'<wsdl:output><{soap}:body use="literal"/></wsdl:output>' if name != "note" else "")
            + (f'<wsdl:fault name="bad"><{soap}:fault name="bad" use="literal"/></wsdl:fault>' if name == "say" else "")
            + "</wsdl:operation>" for name in ("say", "more", "note"))
        bindings += (f'<wsdl:binding name="B{version}" type="t:Talk"><{soap}:binding style="document" '
                     f'transport="http://schemas.xmlsoap.org/soap/http"/>{operations}</wsdl:binding>')
        ports += f'<wsdl:port name="P{version}" binding="t:B{version}"><{soap}:address location="{host}{path}"/></wsdl:port>'
    service = f'<wsdl:service name="S">{ports}</wsdl:service>' if path else ""
    return (f'<wsdl:definitions targetNamespace="{namespace}" xmlns:t="{namespace}" xmlns:wsdl="{WSDL}" '
            'xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" '
            'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:plnk="http://docs.oasis-open.org/wsbpel/2.0/plnktype" '
            'xmlns:vprop="http://docs.oasis-open.org/wsbpel/2.0/varprop">'
            f'<wsdl:types>{schema or types(namespace)}</wsdl:types>'
            + "".join(f'<wsdl:message name="{name}"><wsdl:part name="p" element="t:{name}"/></wsdl:message>'
                      for name in ("say", "said", "note", "more", "bad"))
            + '<wsdl:portType name="Talk">'
            '<wsdl:operation name="say"><wsdl:input message="t:say"/><wsdl:output message="t:said"/>'
            '<wsdl:fault name="bad" message="t:bad"/></wsdl:operation>'
            '<wsdl:operation name="more"><wsdl:input message="t:more"/><wsdl:output message="t:said"/></wsdl:operation>'
            '<wsdl:operation name="note"><wsdl:input message="t:note"/></wsdl:operation></wsdl:portType>'
            + bindings + service +
            '<plnk:partnerLinkType name="L"><plnk:role name="service" portType="t:Talk"/></plnk:partnerLinkType>'
            '<vprop:property name="id" type="xsd:string"/>'
            + "".join(f'<vprop:propertyAlias propertyName="t:id" messageType="t:{name}" part="p">'
                      '<vprop:query>t:id</vprop:query></vprop:propertyAlias>' for name in ("say", "more"))
            + '</wsdl:definitions>')


def process(body, name="talk", partners="", variables="", before="", namespace="urn:t", location="talk.wsdl"):
    return (f'<process name="{name}" targetNamespace="urn:p" xmlns="{BPEL}" xmlns:t="{namespace}" '
            'xmlns:xsd="http://www.w3.org/2001/XMLSchema">\n'
            f'<import namespace="{namespace}" location="{location}" importType="{WSDL}"/>\n'
            f'<partnerLinks><partnerLink name="client" partnerLinkType="t:L" myRole="service"/>{partners}</partnerLinks>\n'
            '<variables><variable name="in" messageType="t:say"/><variable name="out" messageType="t:said"/>'
            f'<variable name="moreIn" messageType="t:more"/>{variables}</variables>\n{before}'
            f'<sequence name="main">\n{body}\n</sequence></process>')


def receive(operation="say", variable="in", create=True, inside=""):
    return (f'<receive partnerLink="client" operation="{operation}" variable="{variable}"'
            f'{" createInstance=" + chr(34) + "yes" + chr(34) if create else ""}>{inside}</receive>\n')


def answer(text, operation="say"):
    """`text`: an expression."""
    return ('<assign><copy><from><literal><t:said/></literal></from><to variable="out" part="p"/></copy>'
            f'<copy><from>{text}</from><to>$out.p</to></copy></assign>\n'
            f'<reply partnerLink="client" operation="{operation}" variable="out"/>\n')


CORRELATE = '<correlations><correlation set="key" initiate="{}"/></correlations>'
SETS = '<correlationSets><correlationSet name="key" properties="t:id"/></correlationSets>'


def echo(name="talk"):
    return {f"{name}.bpel": process(receive() + answer("$in.p"), name), "talk.wsdl": wsdl()}


def waiting(first, second, name="talk"):
    """say answers `first`; then more, correlated by id, answers `second`."""
    body = (receive(inside=CORRELATE.format("yes")) + answer(f"'{first}'")
            + receive("more", "moreIn", False, CORRELATE.format("no")) + answer(f"'{second}'", "more"))
    return {f"{name}.bpel": process(body, name, before=SETS), "talk.wsdl": wsdl()}


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return buffer.getvalue()


def write(folder, files):
    for path, text in files.items():
        target = pathlib.Path(folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return str(folder)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.text = body.decode()

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def payload(self):
        """The element in the SOAP body, or None."""
        root = ET.fromstring(self.text)
        envelope = root.tag[1:].split("}")[0]
        return next(iter(root.find(f"{{{envelope}}}Body")), None)

    @property
    def said(self):
        assert self.status == 200, (self.status, self.text)
        return "".join(self.payload.itertext())


class Server:
    """bpel serve on a free port, over a state folder that outlives it."""

    def __init__(self, programs, folder, *options, memory=False):
        self.program = os.path.join(programs, "bpel")
        self.folder, self.options, self.memory = folder, options, memory
        self.port, self.process = 0, None

    def start(self, *more, kept=None):
        kept = kept or (["--memory"] if self.memory else ["--state", os.path.join(self.folder, "state")])
        self.process = subprocess.Popen(
            [self.program, "serve", "--listen", f"127.0.0.1:{self.port}", *kept, *self.options, *more],
            stdout=subprocess.PIPE, stderr=open(os.path.join(self.folder, "log"), "a"), text=True)
        line = self.process.stdout.readline()
        match = re.match(r"bpel serves on http://127\.0\.0\.1:(\d+)", line)
        assert match, (line, open(os.path.join(self.folder, "log")).read())
        self.port = int(match.group(1))
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return 0
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process = None
        return code

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def deploy(self, files, name=None, status=201):
        content = files if isinstance(files, bytes) else zipped(files)
        answered = self.ask("POST", "/deployments" + (f"?name={name}" if name else ""), content,
                            Content_Type="application/zip")
        assert answered.status == status, (answered.status, answered.text)
        return answered.json

    def say(self, content, operation="say", path="/services/talk", version=11, namespace="urn:t", header="", action=None):
        envelope, media = {11: (SOAP11, "text/xml"), 12: (SOAP12, "application/soap+xml")}[version]
        body = f'<{operation} xmlns="{namespace}">{content}</{operation}>' if operation else content
        text = f'<e:Envelope xmlns:e="{envelope}"><e:Header>{header}</e:Header><e:Body>{body}</e:Body></e:Envelope>'
        headers = {"Content_Type": media}
        if action is not None:
            headers["SOAPAction"] = f'"{action}"'
        return self.ask("POST", path, text, **headers)

    def run(self, *arguments, code=0, stdin=None):
        return command(self.program, "--server", self.base, *arguments, code=code, stdin=stdin)

    def instances(self, **query):
        return self.ask("GET", "/instances?" + urllib.parse.urlencode(query)).json["instances"]


def command(program, *arguments, code=0, stdin=None):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=PATIENCE, input=stdin)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stdout + done.stderr


def main(tests):
    """Runs the functions test(programs, folder) that are named in the arguments, or all."""
    programs, names = sys.argv[1], sys.argv[2:]
    failed = []
    for name, test in tests.items():
        if names and name not in names:
            continue
        folder = tempfile.mkdtemp(prefix="bpel-")
        try:
            test(programs, folder)
            print("ok    ", name, flush=True)
        except Exception:  # the others shall still run
            failed.append(name)
            print("FAILED", name)
            traceback.print_exc(file=sys.stdout)
            log = pathlib.Path(folder, "log")
            if log.exists():
                print(log.read_text()[-3000:])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


@contextlib.contextmanager
def serving(programs, folder, *options, memory=False):
    server = Server(programs, folder, *options, memory=memory).start()
    try:
        yield server
    finally:
        server.stop()
