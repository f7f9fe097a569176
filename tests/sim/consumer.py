"""A consumer of notifications: an HTTP server of the test's own, which checks what it gets by the OASIS schemas."""
import http.server
import os
import queue
import threading

from lxml import etree

WSNT = "http://docs.oasis-open.org/wsn/b-2"
WSA = "http://www.w3.org/2005/08/addressing"
EVENT = "urn:nuraghe:event:1"
ENVELOPES = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope")
PATIENCE_S = 60


class Schemas:
    """Every schema that a message of WS-Notification and WSRF is made of; all imports resolve within the folder."""

    def __init__(self, contracts):
        parts = {WSNT: "standards/wsn/b-2.xsd", "http://docs.oasis-open.org/wsn/t-1": "standards/wsn/t-1.xsd",
                 "http://docs.oasis-open.org/wsrf/bf-2": "standards/wsrf/bf-2.xsd",
                 "http://docs.oasis-open.org/wsrf/r-2": "standards/wsrf/r-2.xsd",
                 "http://docs.oasis-open.org/wsrf/rp-2": "standards/wsrf/rp-2.xsd",
                 WSA: "standards/wsa/ws-addr.xsd", EVENT: "event.xsd"}
        # The properties whose changes are told.
        parts |= {f"urn:nuraghe:{service}:1": f"{service}.xsd" for service in ("vcf", "vhf", "vhir", "workflow")}
        imports = "".join(f'<xsd:import namespace="{ns}" schemaLocation="{os.path.join(contracts, path)}"/>'
                          for ns, path in parts.items())
        text = f'<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema">{imports}</xsd:schema>'
        self.schema = etree.XMLSchema(etree.fromstring(text))

    def check(self, element):
        copy = etree.fromstring(etree.tostring(element))
        assert self.schema.validate(copy), f"{self.schema.error_log}\n{etree.tostring(copy).decode()}"


class Consumer:
    """Use as a context manager. `messages` gets (path, envelope) of each message that was answered with success."""

    def __init__(self, schemas):
        self.schemas, self.messages, self.problems = schemas, queue.Queue(), []
        self.seen = set()
        self.refusals = []  # HTTP statuses of the next answers; 202 when there is none
        consumer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                envelope = etree.fromstring(self.rfile.read(int(self.headers["Content-Length"])))
                consumer.take(self.headers, envelope)
                status = consumer.refusals.pop(0) if consumer.refusals else 202
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if status == 202:
                    consumer.messages.put((self.path, envelope))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        if kind is None:
            assert not self.problems, self.problems

    def take(self, headers, envelope):
        try:
            assert "Authorization" not in headers, "a token was sent to a consumer"
            assert not envelope.xpath("//*[namespace-uri()='urn:nuraghe:context:1']"), etree.tostring(envelope)
            self.schemas.check(body_of(envelope))
        except AssertionError as error:
            self.problems.append(str(error))

    def next(self):
        """(path, envelope) of the next message. One that comes again, as after a crash it may, has its old id."""
        while True:
            try:
                path, envelope = self.messages.get(timeout=PATIENCE_S)
            except queue.Empty:
                raise AssertionError(f"no notification came; {self.problems}") from None
            message_id = header_of(envelope, WSA, "MessageID")
            if message_id not in self.seen:
                self.seen.add(message_id)
                return path, envelope


def body_of(envelope):
    for ns in ENVELOPES:
        body = envelope.find(f"{{{ns}}}Body")
        if body is not None:
            return body[0]
    raise AssertionError("no envelope: " + etree.tostring(envelope).decode())


def header_of(envelope, ns, name):
    found = envelope.findtext(f"*/{{{ns}}}{name}")
    return found.strip() if found is not None else None


def events_of(envelope):
    """(kind, event element) of all notification messages in it."""
    return [(event.findtext(f"{{{EVENT}}}kind"), event) for event in body_of(envelope).iter(f"{{{EVENT}}}event")]
