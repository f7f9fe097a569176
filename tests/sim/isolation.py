"""Every method of every service, as its definition has it, asked by everybody: by no one, with tokens that are expired,
revoked, forged; by another organisation's owner; by viewer, operator and owner of the same. What must happen follows from
the definition alone, and nothing of one organisation is ever told to another."""
import glob
import json
import os
import re
import sys
import xml.etree.ElementTree as ET

from oidc import Provider
from world import Fault, World, blueprint, child, children, clean_up_when_asked_to_end

LANGUAGE = "{urn:nuraghe:service:1}"
RANK = {"viewer": 1, "operator": 2, "owner": 3, "administrator": 4}
NEEDS = {"viewer": 1, "operator": 2, "owner": 3, "site": 4, "controller": 9, "internal": 9}
BUILT_IN = {"boolean": "false", "int": "1", "long": "0", "double": "1", "bytes": "1048576", "duration": "PT1S",
            "time": "2026-01-01T00:00:00Z"}
VO = "quartzite"
OTHER = "feldspar"


class Definitions:
    def __init__(self, folder):
        self.services = {}
        for path in glob.glob(os.path.join(folder, "*.service.xml")):
            root = ET.parse(path).getroot()
            self.services[root.get("name")] = root
        assert len(self.services) >= 8, self.services

    def methods(self):
        for name, root in sorted(self.services.items()):
            for method in root.findall(LANGUAGE + "method"):
                yield name, root.get("namespace"), method

    def value(self, service, field, known, depth=0):
        """The content of a field: what is known by its name, else something of its type."""
        kind, name = field.get("type"), field.get("name")
        if kind == "any":
            return known["fragment"] if name == "fragment" else known["blueprint"]
        if kind in BUILT_IN or kind == "string":
            return known.get(name, BUILT_IN.get(kind, "x")) if kind == "string" else BUILT_IN[kind]
        if kind == "epr":
            return '<a:address xmlns:a="urn:x">http://localhost/</a:address>'.replace("a:address", "a:Address").replace(
                "urn:x", "http://www.w3.org/2005/08/addressing")
        prefix, _, local = kind.rpartition(":")
        owner = prefix and next(one.get("service") for one in self.services[service].findall(LANGUAGE + "import")
                                if one.get("prefix") == prefix) or service
        root = self.services[owner]
        for enum in root.findall(LANGUAGE + "enum"):
            if enum.get("name") == local:
                return enum.find(LANGUAGE + "value").get("name")
        [definition] = [one for one in root.findall(LANGUAGE + "type") if one.get("name") == local]
        return self.fields(owner, definition, known, depth + 1)

    def fields(self, service, parent, known, depth=0):
        namespace = self.services[service].get("namespace")
        text = ""
        for field in parent.findall(LANGUAGE + "field"):
            if field.get("optional") == "yes" or field.get("list") == "yes":
                continue
            name = field.get("name")
            text += f'<f:{name} xmlns:f="{namespace}">{self.value(service, field, known, depth)}</f:{name}>'
        return text

    def json_value(self, service, field, known, depth=0):
        """As value, for REST."""
        kind, name = field.get("type"), field.get("name")
        if kind == "any":
            return known["fragment"] if name == "fragment" else known["blueprint"]
        if kind == "string":
            return known.get(name, "x")
        if kind in BUILT_IN:
            return {"boolean": False, "int": 1, "long": 0, "double": 1, "bytes": 1048576}.get(kind, BUILT_IN[kind])
        if kind == "epr":
            return {"address": "http://localhost/"}
        prefix, _, local = kind.rpartition(":")
        owner = prefix and next(one.get("service") for one in self.services[service].findall(LANGUAGE + "import")
                                if one.get("prefix") == prefix) or service
        root = self.services[owner]
        for enum in root.findall(LANGUAGE + "enum"):
            if enum.get("name") == local:
                return enum.find(LANGUAGE + "value").get("name")
        [definition] = [one for one in root.findall(LANGUAGE + "type") if one.get("name") == local]
        return self.json_fields(owner, definition, known, depth + 1)

    def json_fields(self, service, parent, known, depth=0, but=()):
        return {field.get("name"): self.json_value(service, field, known, depth)
                for field in parent.findall(LANGUAGE + "field")
                if field.get("optional") != "yes" and field.get("list") != "yes" and field.get("name") not in but}

    def json_body(self, service, method, known, in_path):
        """What a route takes as its body."""
        inputs = method.find(LANGUAGE + "input")
        fields = self.json_fields(service, inputs, known, but=in_path) if inputs is not None else {}
        return fields[method.get("rest-body")] if method.get("rest-body") else fields

    def body(self, service, method, known):
        inputs = method.find(LANGUAGE + "input")
        return self.fields(service, inputs, known) if inputs is not None else ""


def ask(world, controller, service, namespace, method, inner, token):
    """(status, code of the fault or "", the whole answer)."""
    path = controller if service == "vhc" else service
    name = method.get("name")
    envelope = (f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
                f'<x:{name} xmlns:x="{namespace}">{inner}</x:{name}></s:Body></s:Envelope>')
    status, body, _ = world.http("POST", f"/services/{path}", envelope.encode(), {"Content-Type": "text/xml"}, token=token)
    text = body.decode(errors="replace")
    code = re.search(r'<(?:[a-z-]+:)?ErrorCode [^>]*dialect="urn:nuraghe:fault:1"[^>]*>([a-z-]+)<', text)
    return status, code.group(1) if code else "", text


def marks_of(world):
    """What no other organisation may ever read: ids and names of this one."""
    cluster = world.json("--vo", VO, "show", "basalt")
    marks = {"basalt", "obsidian", "petra", "tuff", cluster["id"]}
    marks |= {one["id"] for one in world.json("--vo", VO, "vh", "ls")}
    marks |= {one["id"] for one in world.json("--vo", VO, "token", "ls")}
    answer = world.soap("workflow", "list_instances", "<x:running_only>false</x:running_only><x:limit>1000</x:limit>",
                        token=world.tokens["owner"])
    marks |= {child(one, "id") for one in children(answer, "instance")}
    return cluster, marks


def people(world, provider):
    tokens = {}
    for vo, name, role in ((VO, "petra.v", "viewer"), (VO, "petra.o", "operator"), (VO, "petra.w", "owner"),
                           (OTHER, "felix", "owner")):
        world.cli("--vo", vo, "member", "add", name, "--role", role, "--issuer", provider.issuer, "--subject", "sub-" + name)
        key = "stranger" if vo == OTHER else role
        tokens[key] = world.json("--vo", vo, "token", "issue", name)["secret"]
    revoked = world.json("--vo", VO, "token", "issue", "petra.w")
    world.cli("--vo", VO, "token", "revoke", revoked["id"])
    expired = world.json("--vo", VO, "token", "issue", "petra.w", "--lifetime", "1s")
    nobody = {"no token": None, "a wrong token": "nut-wrong", "a revoked token": revoked["secret"],
              "an expired token": expired["secret"]}
    nobody.update(provider.forged("sub-petra.w"))
    world.until(lambda: world.http("GET", "/readyz", token=expired["secret"])[0] == 401, "a token expired")
    return tokens, nobody


def state_of(world):
    return (world.json("--vo", VO, "show", "basalt"), world.json("--vo", VO, "vh", "ls"), world.json("--vo", VO, "image", "ls"),
            world.json("--vo", VO, "member", "ls"), world.json("--vo", VO, "token", "ls"), world.json("--vo", VO, "quota", "show"))


def check_method(world, definitions, marks, known, nobody, service, namespace, method):
    name, access = method.get("name"), method.get("access")
    full = definitions.body(service, method, known)
    what = f"{service} {name}"
    read_only = method.get("read-only") == "yes"
    for who, token in nobody.items():
        status, _, text = ask(world, "a", service, namespace, method, full, token)
        assert status == 401, f"{what} with {who}: {status} {text}"
        assert not [mark for mark in marks if mark in text], f"{what} with {who}: {text}"
    for role in ("viewer", "operator", "owner"):
        allowed = RANK[role] >= NEEDS[access]
        # What may be done is not done here: an incomplete request is refused for another reason.
        inner = full if read_only or not allowed else "<incomplete/>"
        status, code, text = ask(world, "a", service, namespace, method, inner, world.tokens[role])
        if allowed:
            assert status != 401 and code != "denied", f"{what} as {role}: {status} {code} {text}"
            assert read_only or code == "invalid", f"{what} as {role}: {status} {code} {text}"
        else:
            assert (status, code) == (403, "denied"), f"{what} as {role}: {status} {code} {text}"
    # Another organisation's owner names everything of this one.
    status, code, text = ask(world, "a", service, namespace, method, full, world.tokens["stranger"])
    if NEEDS[access] > RANK["owner"]:
        assert (status, code) in ((403, "denied"), (404, "not-found")), f"{what} as a stranger: {status} {code} {text}"
    else:
        assert status != 403 and code != "denied", f"{what} as a stranger: {status} {code} {text}"
    # What was asked is in the question: an answer may say it again, but for ids it says "there is none".
    told = [mark for mark in marks if mark in text]
    assert not [mark for mark in told if mark not in full], f"{what} tells a stranger {told}: {text}"
    assert not told or code in ("not-found", "invalid", "denied"), f"{what} tells a stranger {told}: {text}"


def rest_routes(world, definitions, marks, known, nobody):
    """The same over REST, where the definition has a route."""
    asked = 0
    tried = {"viewer": 0, "operator": 0, "owner": 0}  # what changes something
    for service, _, method in definitions.methods():
        route = method.get("rest")
        if not route:
            continue
        verb, path = route.split(" ", 1)
        in_path = re.findall(r"\{(\w+)\}", path)
        path = re.sub(r"\{(\w+)\}", lambda field: known.get(field.group(1), "x").replace("/", "%2F"), path)
        what = f"{verb} {path}"
        needs, read_only = NEEDS[method.get("access")], method.get("read-only") == "yes"
        headers = {"Content-Type": "application/json"} if verb not in ("GET", "DELETE") else {}
        # All that the method wants, so that nothing but who asks is a reason to refuse it.
        body = json.dumps(definitions.json_body(service, method, known, in_path)).encode() if headers else None
        for who, token in nobody.items():
            status, answer, _ = world.http(verb, path, body, headers, token=token)
            assert status == 401, f"{what} with {who}: {status} {answer}"
        for role in ("viewer", "operator", "owner"):
            if RANK[role] >= needs and not read_only:
                # What may be done is not done here: what nobody asks for is refused for that, and nothing else.
                more = {**definitions.json_body(service, method, known, in_path), "no_such_field": 1}
                wrong = ("", json.dumps(more).encode()) if headers else ("?no_such_field=1", None)
                status, answer, _ = world.http(verb, path + wrong[0], wrong[1], headers, token=world.tokens[role])
                assert status == 400 and b"no_such_field" in answer, f"{what} as {role}: {status} {answer}"
                tried[role] += 1
                continue
            status, answer, _ = world.http(verb, path, body, headers, token=world.tokens[role])
            assert (status == 403) == (RANK[role] < needs), f"{what} as {role}: {status} {answer}"
            tried[role] += not read_only
        status, answer, _ = world.http(verb, path, body, headers, token=world.tokens["stranger"])
        text = answer.decode(errors="replace")
        assert status != 403 or needs > RANK["owner"], f"{what} as a stranger: {status} {text}"
        sent = path + (body or b"").decode()
        told = [mark for mark in marks if mark in text and mark not in sent]
        assert not told, f"{what} tells a stranger {told}: {text}"
        asked += 1
    assert min(tried.values()) == max(tried.values()) > 40, tried
    return asked


RESOURCE_PROPERTIES = "http://docs.oasis-open.org/wsrf/rp-2"
RESOURCE_LIFETIME = "http://docs.oasis-open.org/wsrf/rl-2"


def resources(world, definitions, marks):
    """Every id and name at the address of every kind of WS-Resource, and the group of each kind."""
    operations = [(RESOURCE_PROPERTIES, "GetResourcePropertyDocument", ""),
                  (RESOURCE_PROPERTIES, "QueryResourceProperties",
                   '<x:QueryExpression Dialect="http://www.w3.org/TR/1999/REC-xpath-19991116">//*</x:QueryExpression>'),
                  (RESOURCE_LIFETIME, "Destroy", ""),
                  (RESOURCE_LIFETIME, "SetTerminationTime", "<x:RequestedTerminationTime>2026-01-01T00:00:00Z</x:RequestedTerminationTime>")]
    asked = 0
    for service, root in sorted(definitions.services.items()):
        for resource in root.findall(LANGUAGE + "resource"):
            base = f"/services/{service}/{resource.get('path')}"
            for key in [""] + sorted(marks):
                path = base + ("/" + key.replace("/", "%2F") if key else "")
                for namespace, operation, inner in operations:
                    envelope = (f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
                                f'<x:{operation} xmlns:x="{namespace}">{inner}</x:{operation}></s:Body></s:Envelope>')
                    status, body, _ = world.http("POST", path, envelope.encode(), {"Content-Type": "text/xml"},
                                                 token=world.tokens["stranger"])
                    text = body.decode(errors="replace").replace(path, "")
                    assert status != 200 or not key, f"{path} {operation}: {status} {text}"
                    told = [mark for mark in marks if mark in text and mark != key]
                    assert not told, f"{path} {operation} tells a stranger {told}: {text}"
                    asked += 1
    return asked


def doors(world, marks):
    """Events, consoles, descriptions, metrics, instances: what a stranger can read without naming anything."""
    [host] = [one for one in world.json("--vo", VO, "vh", "ls") if one["name"] == "obsidian"]
    console = f"/services/{host['physical_host']}/hosts/{host['id']}/console"
    assert world.http("GET", console, token=world.tokens["owner"])[0] == 200
    for path in ("/events?after=0&limit=10000", "/metrics", "/readyz", console, console + "?follow=1",
                 "/services/vcf?wsdl", "/seeds/x/sha256:ab", "/images/sha256:ab"):
        status, body, _ = world.http("GET", path, token=world.tokens["stranger"])
        text = body.decode(errors="replace")
        assert not [mark for mark in marks if mark in text and mark not in path], f"{path}: {status} {text}"
        assert "console" not in path or status == 404, f"{path}: {status} {text}"
    told = set()
    for vo in (VO, "no-such-vo"):
        status, body, _ = world.http("GET", "/events", headers={"Nuraghe-VO": vo}, token=world.tokens["stranger"])
        assert status == 403 and f"is a member of the VO {OTHER} and does not act for {vo}" in body.decode(), body
        told.add(re.sub(vo, "VO", body.decode()))
    assert len(told) == 1, told


def main():
    clean_up_when_asked_to_end()
    with World(sys.argv[1]) as world, Provider(os.path.join(world.folder, "provider")) as provider:
        definitions = Definitions(sys.argv[2])
        world.write("oidc.json", provider.configuration())
        world.start("--oidc", "oidc.json")
        for vo in (VO, OTHER):
            world.cli("vo", "create", vo)
        world.import_image()
        world.import_image("tuff")
        world.cli("--vo", VO, "image", "import", "image")
        world.tokens, nobody = people(world, provider)
        world.write("c.xml", blueprint("basalt", 1, image="tuff"))
        world.cli("--vo", VO, "create", "c.xml")
        world.write("n.xml", '<configuration xmlns="urn:nuraghe:node:1"><image name="tuff"/><cpus>1</cpus>'
                             "<memory>16MiB</memory></configuration>")
        world.cli("--vo", VO, "vh", "create", "n.xml", "--name", "obsidian")
        world.until(lambda: world.http("GET", "/readyz", token=provider.token("sub-felix"))[0] == 200, "keys were fetched")
        world.tokens["stranger"] = provider.token("sub-felix")  # an OIDC person is as good a stranger
        cluster, marks = marks_of(world)
        host = world.json("--vo", VO, "vh", "ls")[0]["id"]
        instance = max(mark for mark in marks if re.match(r"^[a-z]*-?[a-z0-9-]{20,}$", mark))
        known = {"cluster": cluster["id"], "host": host, "id": host, "vo": VO, "name": "basalt", "member": "petra.v",
                 "instance": instance, "physical_host": "a", "path": "/nowhere",
                 "blueprint": blueprint("basalt", 1, image="tuff"),
                 "fragment": '<node xmlns="urn:nuraghe:node:1" name="x"><image name="tiny"/><cpus>1</cpus>'
                             "<memory>16MiB</memory></node>"}
        before = state_of(world)
        asked = 0
        for service, namespace, method in definitions.methods():
            check_method(world, definitions, marks, known, nobody, service, namespace, method)
            asked += 1
        assert asked > 100, asked
        # Names instead of ids, and every id there is for what takes one.
        for value in sorted(marks):
            for service, namespace, method in definitions.methods():
                if method.get("read-only") != "yes" or NEEDS[method.get("access")] > 3:
                    continue
                values = {**known, **{name: value for name in ("cluster", "host", "id", "name", "member", "instance")}}
                full = definitions.body(service, method, values)
                _, code, text = ask(world, "a", service, namespace, method, full, world.tokens["stranger"])
                told = [mark for mark in marks if mark in text and mark not in full]
                assert not told, f"{service} {method.get('name')} {value}: {text}"
                assert value not in text or code in ("not-found", "invalid"), f"{service} {method.get('name')}: {text}"
        doors(world, marks)
        assert resources(world, definitions, marks) > 200
        assert rest_routes(world, definitions, marks, known, nobody) > 40
        world.until_quiet()
        assert state_of(world) == before, "somebody changed something"


if __name__ == "__main__":
    main()
