"""Several organisations at one nuraghed: members with roles and personal tokens, shut out at once; the audit log."""
import csv
import io
import json
import os
import re
import sys

from oidc import Key, Provider
from world import PATIENCE_S, Fault, UnixConnection, World, blueprint, child, children, clean_up_when_asked_to_end

TENANT = "urn:nuraghe:tenant:1"


def refused(code, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except Fault as fault:
        assert fault.code == code, f"{fault} instead of {code}"
        return fault
    raise AssertionError(f"{arguments} was not refused")


def field(name, value):
    return f"<x:{name}>{value}</x:{name}>"


class Person:
    """A member of a VO with a personal token."""

    def __init__(self, world, vo, name, role):
        self.world, self.vo, self.name = world, vo, name
        world.cli("--vo", vo, "member", "add", name, "--role", role)
        issued = world.json("--vo", vo, "token", "issue", name, "--label", "test")
        self.token, self.token_id = issued["secret"], issued["id"]

    def soap(self, service, operation, inner="", **options):
        return self.world.soap(service, operation, inner, token=self.token, **options)

    def status(self, method, path, **headers):
        return self.world.http(method, path, headers=headers, token=self.token)[0]


def create(name, workers=1):
    return f"<x:request><c:blueprint xmlns:c='urn:nuraghe:vcf:1'>{blueprint(name, workers)}</c:blueprint></x:request>"


def own_tokens(viewer, other):
    """A viewer's own tokens: they may what it may, and it sees and revokes no others."""
    vo = field("vo", "physics")
    mine = viewer.soap("tenant", "issue_own_token", vo + field("label", "mine"))
    token, secret = children(mine, "token")[0], child(mine, "secret")
    as_it = {"token": secret}
    assert viewer.world.soap("vcf", "list_clusters", **as_it) is not None
    refused("denied", viewer.world.soap, "vcm", "create_vc", create("mine"), **as_it)
    refused("denied", viewer.world.soap, "tenant", "issue_token", vo + field("member", "otto"), **as_it)
    listed = children(viewer.soap("tenant", "list_own_tokens", vo), "token")
    assert {child(one, "id") for one in listed} == {viewer.token_id, child(token, "id")}, listed
    fault = refused("not-found", viewer.soap, "tenant", "revoke_own_token", vo + field("id", other.token_id))
    never = refused("not-found", viewer.soap, "tenant", "revoke_own_token", vo + field("id", "token-x"))
    assert fault.text.replace(other.token_id, "token-x") == never.text, (fault.text, never.text)
    assert other.status("GET", "/readyz") == 200
    viewer.soap("tenant", "revoke_own_token", vo + field("id", child(token, "id")))
    assert viewer.world.http("GET", "/readyz", token=secret)[0] == 401
    refused("invalid", viewer.world.soap, "tenant", "list_own_tokens", vo)


def roles(world, people):
    viewer, operator, owner = people
    for person in people:
        assert child(children(person.soap("tenant", "get_vo", field("vo", "physics")), "vo")[0], "name") == "physics"
        assert len(children(person.soap("tenant", "list_members", field("vo", "physics")), "member")) == 3
        fault = refused("denied", person.soap, "tenant", "create_vo", field("name", "mine"))
        assert "administrator" in fault.text, fault.text
    fault = refused("denied", viewer.soap, "vcm", "create_vc", create("duo"))
    assert "needs the role operator" in fault.text and "viewer" in fault.text, fault.text
    cluster = child(operator.soap("vcm", "create_vc", create("duo")), "cluster")
    assert [child(one, "id") for one in children(viewer.soap("vcf", "list_clusters"), "cluster")] == [cluster]
    refused("denied", viewer.soap, "vcm", "freeze_vc", field("cluster", cluster))
    refused("denied", operator.soap, "tenant", "add_member",
            field("vo", "physics") + field("name", "eve") + field("role", "owner"))
    own = operator.soap("tenant", "issue_own_token", field("vo", "physics") + field("label", "mine"))
    assert child(own, "secret").startswith("nut-")
    assert world.http("GET", "/readyz", token=child(own, "secret"))[0] == 200
    refused("denied", operator.soap, "tenant", "list_tokens", field("vo", "physics"))
    own_tokens(viewer, operator)
    listed = owner.soap("tenant", "list_tokens", field("vo", "physics"))
    assert len(children(listed, "token")) == 4
    operator.soap("vcm", "destroy_vc", field("cluster", cluster))


def isolation(world, people):
    """Another VO is not there, whatever one's role."""
    owner = people[2]
    for operation, more in (("get_vo", ""), ("list_members", ""), ("get_quota", ""), ("list_audit", ""), ("get_usage", ""),
                            ("remove_member", field("name", "lena")), ("list_tokens", "")):
        for vo in ("chemistry", "nowhere", "site"):
            fault = refused("not-found", owner.soap, "tenant", operation, field("vo", vo) + more)
            assert fault.text == f"there is no VO {vo}; 'nuraghe vo ls' lists what there is", fault.text


def shut_out(world):
    """A token that is revoked and a member who is removed are shut out at once, streams too."""
    person = Person(world, "physics", "leo", "operator")
    assert person.status("GET", "/readyz") == 200
    world.cli("--vo", "physics", "token", "revoke", person.token_id)
    assert person.status("GET", "/readyz") == 401
    other = world.json("--vo", "physics", "token", "issue", "leo")["secret"]
    short = world.json("--vo", "physics", "token", "issue", "leo", "--lifetime", "1s")["secret"]
    assert world.http("GET", "/readyz", token=other)[0] == 200
    world.cli("--vo", "physics", "member", "set", "leo", "--role", "viewer")
    refused("denied", world.soap, "vcm", "create_vc", create("trio"), token=other)
    world.cli("--vo", "physics", "member", "rm", "leo", "--yes")
    assert world.http("GET", "/readyz", token=other)[0] == 401
    world.cli("--vo", "physics", "member", "add", "leo", "--role", "owner")
    assert world.http("GET", "/readyz", token=other)[0] == 401, "a token outlived its membership"
    world.cli("--vo", "physics", "member", "rm", "leo", "--yes")
    world.until(lambda: world.http("GET", "/readyz", token=short)[0] == 401, "a token expired")


def stream(world):
    """A stream of events ends when its reader is shut out."""
    person = Person(world, "physics", "lea", "viewer")
    connection = UnixConnection(os.path.join(world.state, "nuraghed.sock"), PATIENCE_S)
    connection.request("GET", "/events?after=newest", headers={"Authorization": "Bearer " + person.token,
                                                               "Accept": "text/event-stream"})
    response = connection.getresponse()
    assert response.status == 200
    world.cli("--vo", "physics", "member", "add", "ben", "--role", "viewer")
    while b"ben is a member" not in response.readline():
        pass
    world.cli("--vo", "physics", "member", "rm", "lea", "--yes")
    world.cli("--vo", "physics", "member", "rm", "ben", "--yes")
    rest = response.read()
    assert b"ben" not in rest, rest
    connection.close()


def several(world):
    """A person of two VOs says for which one a request is."""
    for vo, role in (("physics", "viewer"), ("chemistry", "operator")):
        world.cli("--vo", vo, "member", "add", "kim", "--role", role)
    token = world.json("--vo", "physics", "token", "issue", "kim", "--also", "chemistry")["secret"]
    fault = refused("invalid", world.soap, "vcf", "list_clusters", token=token)
    assert "chemistry" in fault.text and "physics" in fault.text, fault.text
    assert world.http("GET", "/events", token=token)[0] == 400
    for vo in ("physics", "chemistry"):
        assert world.http("GET", "/events", headers={"Nuraghe-VO": vo}, token=token)[0] == 200
    assert world.http("GET", "/events", headers={"Nuraghe-VO": "site"}, token=token)[0] == 403
    for vo in ("physics", "chemistry"):
        world.cli("--vo", vo, "member", "rm", "kim", "--yes")


def ready(world, token):
    return world.http("GET", "/readyz", token=token)[0]


def providers(world, provider):
    """Persons of an OIDC provider: members by row or by rule; forged tokens; keys that rotate; a provider that is away."""
    world.until(lambda: ready(world, provider.token("nobody")) != 503, "the keys were fetched")
    assert ready(world, provider.token("nobody")) == 401, "somebody without a VO is nobody"
    world.cli("--vo", "physics", "member", "add", "ida", "--role", "operator", "--issuer", provider.issuer,
              "--subject", "sub-ida")
    ida = provider.token("sub-ida")
    assert ready(world, ida) == 200
    assert len(children(world.soap("tenant", "list_members", field("vo", "physics"), token=ida), "member")) > 1
    refused("denied", world.soap, "tenant", "list_tokens", field("vo", "physics"), token=ida)
    for what, token in provider.forged("sub-ida").items():
        assert ready(world, token) == 401, what
    # By a rule: one group is in physics, a person of both groups is in both.
    student = provider.token("sub-7", groups=["students"])
    refused("denied", world.soap, "vcm", "create_vc", create("duo"), token=student)
    assert world.soap("vcf", "list_clusters", token=student) is not None
    both = provider.token("sub-8", groups=["students", "chemists"])
    refused("invalid", world.soap, "vcf", "list_clusters", token=both)
    assert child(children(world.soap("tenant", "get_vo", field("vo", "chemistry"), token=both), "vo")[0], "name") == "chemistry"
    # What a token says of its holder's name makes nobody a member.
    refused("not-found", world.soap, "tenant", "issue_own_token", field("vo", "chemistry"),
            token=provider.token("olga", groups=["chemists"], preferred_username="olga"))
    # A new key is asked for when it is first seen; the old one is gone with it.
    provider.keys = [Key(provider.folder, "second", "ED25519")]
    fresh = provider.token("sub-ida")
    world.until(lambda: ready(world, fresh) == 200, "the new key was fetched")
    assert ready(world, ida) in (401, 503), "a key that was withdrawn is believed"
    fetches = provider.fetches
    for number in range(20):
        unknown = provider.token("sub-ida", header={"kid": f"unknown-{number}"})
        assert ready(world, unknown) in (401, 503)
    assert provider.fetches <= fetches + 1, "unknown keys make nuraghed ask again and again"
    # Long answers of a person who is removed end.
    world.cli("--vo", "physics", "member", "rm", "ida", "--yes")
    assert ready(world, fresh) == 401


def secrets(world, tokens):
    """No token is in any file but those that are for it, or in what is told."""
    found = []
    for folder, _, files in os.walk(world.folder):
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                content = file.read()
            found += [path for token in tokens if token.encode() in content]
    assert not found, found


def entries(world):
    return [json.loads(line) for line in world.cli("-o", "json", "audit", "--all").stdout.splitlines()]


def strangers(world, provider):
    """Who is not known is in the log with what it claims, never with what it showed; however often it asks."""
    for number in range(300):
        assert world.http("GET", "/clusters", token=f"wrong-{number % 7}")[0] == 401
    assert world.http("GET", "/clusters", token=None)[0] == 401

    def told():
        found = [one for one in entries(world) if one["kind"] == "stranger"]
        said = " ".join(one["text"] for one in found)
        return found if "unknown token" in said and "no token" in said and "says to be of" in said else None
    found = world.until(told, "strangers are in the audit log")
    assert len(found) < 30, found
    assert all((one["who"], one["vo"], one["outcome"]) == ("unknown", "", "denied") for one in found), found
    assert {one["origin"] for one in found} <= {"rest unix", "soap unix"}, found
    assert [one for one in found if f"says to be of sub-ida at {provider.issuer}" in one["text"]], found
    assert [one for one in found if "personal token that is unknown, or was revoked" in one["text"]], found
    assert not [one for one in found if "wrong-" in json.dumps(one) or "eyJ" in json.dumps(one)], found


def audit(world, owner):
    """Who did what; an owner reads its own VO's entries, an administrator all; nothing can be changed unseen."""
    records = entries(world)
    assert [one["sequence"] for one in records] == list(range(1, len(records) + 1))
    by = {}
    for one in records:
        by.setdefault((one["who"], one["operation"], one["kind"], one["outcome"]), []).append(one)
    assert by["member:olga", "create_vc", "call", "accepted"][0]["vo"] == "physics"
    assert by["member:olga", "create_vc", "outcome", "done"][0]["object"] == "duo"
    assert by["member:vera", "create_vc", "refused", "denied"], "a refusal was not written down"
    assert by["token:admin", "add_member", "call", "done"], "members were added"
    assert all(one["origin"] == "soap unix" for one in records if one["kind"] in ("call", "refused")), records[0]
    own = [json.loads(line) for line in
           world.cli("-o", "json", "--vo", "physics", "audit").stdout.splitlines()]
    assert own == [one for one in records if one["vo"] == "physics"]
    assert {child(one, "vo") for one in
            children(owner.soap("tenant", "list_audit", field("vo", "physics") + field("limit", 1000)), "record")} == {"physics"}
    refused("denied", owner.soap, "tenant", "list_site_audit")
    lines = list(csv.reader(io.StringIO(world.cli("audit", "--all", "--csv").stdout)))
    # What was refused meanwhile comes after; so may strangers of before, whose requests were counted.
    assert [one[-1] for one in lines[1:]][:len(records)] == [one["hash"] for one in records]
    assert [one[6] for one in lines[1 + len(records):] if one[2] != "stranger"] == ["list_site_audit"], lines[-1]
    verified = re.search(r"up to (\d+) ", world.cli("audit", "verify").stdout)
    assert verified and int(verified.group(1)) > len(records), verified
    assert not [one for one in records if "secret" in json.dumps(one) or "nut-" in json.dumps(one)]


def main():
    clean_up_when_asked_to_end()
    with World(sys.argv[1]) as world, Provider(os.path.join(world.folder, "provider")) as provider:
        world.write("oidc.json", provider.configuration(
            [{"claim": "groups", "value": "students", "vo": "physics", "role": "viewer"},
             {"claim": "groups", "value": "chemists", "vo": "chemistry", "role": "operator"}]))
        world.start("--oidc", "oidc.json")
        world.import_image()
        for vo in ("physics", "chemistry"):
            world.cli("vo", "create", vo, "--title", f"All of {vo}")
            world.cli("--vo", vo, "image", "import", "image")
        assert "already" in world.cli("vo", "create", "physics", check=5).stderr
        assert "no name of a VO" in world.cli("vo", "create", "Phys/ics", check=3).stderr
        people = [Person(world, "physics", name, role)
                  for name, role in (("vera", "viewer"), ("olga", "operator"), ("otto", "owner"))]
        Person(world, "chemistry", "lena", "owner")
        roles(world, people)
        isolation(world, people)
        shut_out(world)
        stream(world)
        several(world)
        providers(world, provider)
        strangers(world, provider)
        audit(world, people[2])
        world.stop()
        secrets(world, [one.token for one in people])
        world.start()
        assert people[0].status("GET", "/readyz") == 200
        world.until_quiet()


if __name__ == "__main__":
    main()
