#!/usr/bin/python3
"""The OpenAPI document that tools/generate_service.py makes: every reference leads somewhere, every example validates
against its schema, every route of the definitions is there. Its conformance to OpenAPI 3.1 itself is checked where it is
served.

  openapi_test.py FILE     the document
"""

import json
import re
import sys
import unittest
from pathlib import Path

import jsonschema
from lxml import etree

ROOT = Path(__file__).resolve().parents[2]
FILE = None


def walk(value, path=()):
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))


class OpenApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = json.loads(FILE.read_text(encoding="utf-8"))

    def target(self, reference):
        at = self.document
        for key in reference.removeprefix("#/").split("/"):
            at = at[key]
        return at

    def validator(self, schema):
        return jsonschema.Draft202012Validator(
            {**schema, "components": self.document["components"]}, format_checker=jsonschema.FormatChecker())

    def test_references_lead_somewhere(self):
        references = {v["$ref"] for _, v in walk(self.document) if isinstance(v, dict) and isinstance(v.get("$ref"), str)}
        self.assertGreater(len(references), 30)
        for reference in references:
            self.target(reference)

    def test_nothing_is_there_for_nothing(self):
        text = json.dumps(self.document)
        for kind in ("schemas", "parameters", "headers", "responses"):
            for name in self.document["components"][kind]:
                self.assertIn(f'"#/components/{kind}/{name}"', text, f"{kind} {name}")

    def test_schemas_are_schemas_and_examples_validate(self):
        examples = 0
        for path, value in walk(self.document):
            if isinstance(value, dict) and "schema" in value and isinstance(value["schema"], dict):
                jsonschema.Draft202012Validator.check_schema(value["schema"])
                if "example" in value:
                    self.validator(value["schema"]).validate(value["example"])
                    examples += 1
                    with self.assertRaises(jsonschema.ValidationError, msg=path):
                        self.validator(value["schema"]).validate([])  # all are objects: the check can fail
        for schema in self.document["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)
        self.assertGreater(examples, 30)

    def test_every_route_is_there_once(self):
        expected = set()
        for file in sorted((ROOT / "contracts").glob("*.service.xml")):
            for method in etree.parse(str(file)).getroot().iter("{urn:nuraghe:service:1}method"):
                if method.get("rest"):
                    verb, path = method.get("rest").split()
                    expected.add((verb.lower(), re.sub(r"\{[^}]*\}", "{}", path)))
        found = [(verb, re.sub(r"\{[^}]*\}", "{}", path))
                 for path, item in self.document["paths"].items() for verb in item]
        self.assertEqual(set(found), expected)
        self.assertEqual(len(found), len(expected))
        ids = [operation["operationId"] for item in self.document["paths"].values() for operation in item.values()]
        self.assertEqual(len(ids), len(set(ids)))

    def test_parameters_of_a_path_are_those_of_its_operations(self):
        for path, item in self.document["paths"].items():
            for verb, operation in item.items():
                parameters = [self.target(p["$ref"]) if "$ref" in p else p for p in operation["parameters"]]
                in_path = [p["name"] for p in parameters if p["in"] == "path"]
                self.assertEqual(in_path, re.findall(r"\{([^}]*)\}", path), (path, verb))
                self.assertTrue(all(p["required"] for p in parameters if p["in"] == "path"))
                names = [(p["in"], p["name"]) for p in parameters]
                self.assertEqual(len(names), len(set(names)), (path, verb))


if __name__ == "__main__":
    FILE = Path(sys.argv.pop(1))
    sys.exit(unittest.main(verbosity=2))
