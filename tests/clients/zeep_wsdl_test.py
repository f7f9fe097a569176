#!/usr/bin/python3
"""python3-zeep, a SOAP client of other people, loads every WSDL without a warning and talks to generated code.

  zeep_wsdl_test.py CONTRACTS DEFINITIONS ECHO_CONTRACTS ECHO_RESPONDER

The first folder holds the WSDL of Nuraghe's services, the second their definitions; every method must be callable. The
test service's replies come from its generated skeleton: zeep writes each request and reads each reply by the WSDL alone.
"""

import datetime
import logging
import subprocess
import sys
import unittest
import warnings
from pathlib import Path

import zeep
from lxml import etree
from zeep.transports import Transport

CONTRACTS, DEFINITIONS, ECHO_CONTRACTS, ECHO_RESPONDER = map(Path, sys.argv[1:5])
SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
FORM = {"s": "urn:nuraghe:service:1"}


class Reply:
    def __init__(self, status, body):
        self.status_code, self.headers, self.encoding = status, {"Content-Type": "text/xml; charset=utf-8"}, "utf-8"
        self.content = (f'<e:Envelope xmlns:e="{SOAP[1:-1]}"><e:Body>{body}</e:Body></e:Envelope>').encode()


class Responder(Transport):
    """Takes the body out of each envelope to the responder's standard input, and its answer back."""

    def post(self, address, message, headers):
        body = etree.fromstring(message).find(SOAP + "Body")[0]
        operation = etree.QName(body).localname
        assert headers["SOAPAction"] == f'"urn:nuraghe:test:echo:1:ECHO:{operation}Request"', headers
        result = subprocess.run([ECHO_RESPONDER, operation], input=etree.tostring(body), capture_output=True,
                                timeout=60, check=False)
        text = result.stdout.decode()
        if result.returncode == 3:
            return Reply(500, f"<e:Fault><faultcode>e:Server</faultcode><faultstring>refused</faultstring>"
                              f"<detail>{text}</detail></e:Fault>")
        assert result.returncode == 0, result.stderr.decode()
        return Reply(200, text)


class Warnings(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.records = []

    def emit(self, record):
        self.records.append(record.getMessage())


class LoadsEveryWsdl(unittest.TestCase):
    def test_every_service(self):
        definitions = sorted(DEFINITIONS.glob("*.service.xml"))
        self.assertGreaterEqual(len(definitions), 6)
        for path in definitions:
            with self.subTest(path.name):
                self.check(path, path.name.removesuffix(".service.xml"))

    def load(self, path):
        heard = Warnings()
        logging.getLogger("zeep").addHandler(heard)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client = zeep.Client(str(path))
        logging.getLogger("zeep").removeHandler(heard)
        self.assertEqual(heard.records, [])
        return client

    def test_every_kind_of_resource(self):
        files = sorted(path for path in CONTRACTS.glob("*-*.wsdl"))
        self.assertGreaterEqual(len(files), 13)
        for path in files:
            with self.subTest(path.name):
                client = self.load(path)
                (service,) = client.wsdl.services.values()
                versions = sorted(type(port.binding).__name__ for port in service.ports.values())
                self.assertEqual(versions, ["Soap11Binding", "Soap12Binding"])
                for port in service.ports.values():
                    get = port.binding._operations["GetResourceProperty"]
                    self.assertIn("InvalidResourcePropertyQNameFault", get.faults)
                    self.assertIn("ResourceUnknownFault", get.faults)

    def check(self, path, name):
        client = self.load(CONTRACTS / f"{name}.wsdl")
        operations = client.service._binding._operations
        methods = etree.parse(str(path)).findall("s:method", FORM)
        self.assertEqual(set(operations), {m.get("name") for m in methods})
        for method in methods:
            operation = operations[method.get("name")]
            inputs = [f.get("name") for f in method.findall("s:input/s:field", FORM)]
            outputs = [f.get("name") for f in method.findall("s:output/s:field", FORM)]
            self.assertEqual([n for n, _ in operation.input.body.type.elements], inputs)
            if method.get("one-way") == "yes":
                self.assertIsNone(operation.output)
                continue
            self.assertEqual([n for n, _ in operation.output.body.type.elements], outputs)
            self.assertEqual(list(operation.faults), ["fault"])


class TalksToGeneratedCode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = zeep.Client(str(ECHO_CONTRACTS / "echo.wsdl"), transport=Responder())
        cls.service = cls.client.service

    def test_every_type(self):
        utc = datetime.timezone.utc
        value = {
            "text": "ä < & \" ' \n end", "flag": True, "small": -2**31, "large": 2**63 - 1, "real": 0.1,
            "size": 1 << 40, "moment": datetime.datetime(2030, 1, 31, 12, 0, 0, 123456, utc),
            "span": datetime.timedelta(days=1, seconds=2, microseconds=3),
            "reference": {"Address": "urn:x?a&b"}, "mood": "very-cross",
            "place": {"point": {"x": 1.5, "y": -2e300}, "reference": {"Address": "urn:y"}},
            "maybe_text": "", "maybe_flag": False, "maybe_colour": "RAL.9010", "maybe_point": {"x": 0, "y": 0},
            "texts": ["a", "b"], "flags": [True, False], "numbers": [1, -1],
            "spans": [datetime.timedelta(seconds=90)], "colours": ["red", "light-blue"],
            "trees": [{"name": "root", "child": [{"name": "leaf"}, {"name": "leaf"}]}], "class": "c", "fields": 7,
        }
        answer = zeep.helpers.serialize_object(self.service.echo(value=value), dict)
        self.assert_holds(answer, value)
        for absent in ("maybe_small", "maybe_size", "maybe_moment", "maybe_reference"):
            self.assertIsNone(answer[absent])

    def assert_holds(self, answer, value, path="value"):
        if isinstance(value, dict):
            for name, item in value.items():
                if name == "Address":
                    self.assertEqual(answer[name]["_value_1"], item, path)
                else:
                    self.assert_holds(answer[name], item, f"{path}/{name}")
        elif isinstance(value, list):
            self.assertEqual(len(answer), len(value), path)
            for mine, its in zip(answer, value):
                self.assert_holds(mine, its, path)
        elif value == "":
            self.assertIn(answer, (None, ""), path)  # zeep reads an empty element as None
        else:
            self.assertEqual(answer, value, path)

    def test_any_element(self):
        element = etree.fromstring("<x xmlns='urn:foreign' a='1'><y>text</y></x>")
        answer = self.service.carry(parcel={"content": {"_value_1": element}})
        mine, its = (etree.tostring(e, method="c14n", exclusive=True) for e in (element, answer.content._value_1))
        self.assertEqual(its, mine)

    def test_an_answer_of_a_later_turn(self):
        self.assertEqual(self.service.later(text="wait"), "wait")

    def test_no_fields(self):
        self.service.delete()

    def test_one_way(self):
        self.assertIsNone(self.service.note(text="x"))

    def test_a_fault_is_zeeps_fault_with_the_declared_detail(self):
        with self.assertRaises(zeep.exceptions.Fault) as caught:
            self.service.refuse(code="exhausted", later=False)
        detail = self.client.get_element("{urn:nuraghe:fault:1}fault").parse(caught.exception.detail[0],
                                                                             self.client.wsdl.types)
        # BaseFaultType begins with a wildcard, to which zeep gives all that follows.
        said = {etree.QName(one).localname: one for one in detail._value_1}
        self.assertEqual(list(said), ["Timestamp", "Originator", "ErrorCode", "Description"])
        self.assertEqual(said["Description"].text, "refused as asked")
        code = said["ErrorCode"]
        self.assertEqual((code.text, code.get("dialect")), ("exhausted", "urn:nuraghe:fault:1"))


if __name__ == "__main__":
    del sys.argv[1:]
    sys.exit(unittest.main(verbosity=2))
