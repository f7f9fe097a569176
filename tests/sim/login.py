#!/usr/bin/python3
"""Who gets a certificate to log in to the hosts of a VO: members, by their roles and keys, as long as they are members.

  login.py PROGRAMS
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from oidc import Provider  # noqa: E402
from tenants import create, field, Person, refused  # noqa: E402
from world import child, clean_up_when_asked_to_end, World  # noqa: E402


def new_key(world, name):
    """The public half of a key pair, one line."""
    path = os.path.join(world.folder, name)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    with open(path + ".pub", encoding="utf-8") as file:
        return file.read().strip()


def issue(person, key):
    return person.soap("vcf", "issue_login_certificate", field("public_key", key))


def set_keys(world, person, *keys):
    inner = field("vo", "physics") + field("name", person.name) + "".join(field("authorized_key", key) for key in keys)
    world.soap("tenant", "change_member", inner)


def certificate_shown(world, certificate):
    world.write("shown-cert.pub", certificate + "\n")
    return subprocess.run(["ssh-keygen", "-L", "-f", os.path.join(world.folder, "shown-cert.pub")], check=True,
                          capture_output=True, text=True).stdout


def by_rule(world, provider, key, authority):
    """Who is a member by a rule alone: any key, as long as the provider says so, and only by the role."""
    staff, guest = (provider.token("sub-" + group, groups=[group]) for group in ("staff", "guests"))
    world.until(lambda: world.http("GET", "/readyz", token=staff)[0] == 200, "the provider's keys were fetched")
    answer = world.soap("vcf", "issue_login_certificate", field("public_key", key), token=staff)
    assert child(answer, "authority") == authority
    assert re.search(r'Key ID: "member:sub-staff~[0-9a-f]{8}@physics"', certificate_shown(world, child(answer, "certificate")))
    refused("denied", world.soap, "vcf", "issue_login_certificate", field("public_key", key), token=guest)
    request = create("ruled").replace("</x:request>", f"<c:authorized_key xmlns:c='urn:nuraghe:vcf:1'>{key}</c:authorized_key></x:request>")
    fault = refused("denied", world.soap, "vcm", "create_vc", request, token=staff)
    assert "leave the ssh key out" in fault.text, fault.text


def main():
    clean_up_when_asked_to_end()
    with World(sys.argv[1]) as world, Provider(os.path.join(world.folder, "provider")) as provider:
        world.write("oidc.json", provider.configuration([{"claim": "groups", "value": "staff", "vo": "physics", "role": "operator"},
                                                         {"claim": "groups", "value": "guests", "vo": "physics", "role": "viewer"}]))
        world.start("--oidc", "oidc.json")
        world.import_image()
        # A token of the site's own file, in a VO without members: any key.
        anyone = new_key(world, "anyone")
        answer = world.soap("vcf", "issue_login_certificate", field("public_key", anyone))
        shown = certificate_shown(world, child(answer, "certificate"))
        assert "token:admin@default" in shown and child(answer, "account") == "root", shown
        refused("invalid", world.soap, "vcf", "issue_login_certificate", field("public_key", "ssh-ed25519 AAAA"))
        world.cli("vo", "create", "physics")
        world.cli("--vo", "physics", "image", "import", "image")
        vera, olga, otto = (Person(world, "physics", name, role)
                            for name, role in (("vera", "viewer"), ("olga", "operator"), ("otto", "owner")))
        keys = {person.name: new_key(world, person.name) for person in (vera, olga, otto)}
        fault = refused("denied", issue, olga, keys["olga"])
        assert "none of olga's" in fault.text and "an owner adds it" in fault.text, fault.text
        for person in (vera, olga, otto):
            set_keys(world, person, keys[person.name])
        # By role: operators and owners.
        refused("denied", issue, vera, keys["vera"])
        authority = child(issue(olga, keys["olga"]), "authority")
        assert child(issue(otto, keys["otto"]), "authority") == authority != child(answer, "authority")
        refused("denied", issue, olga, keys["otto"])
        by_rule(world, provider, anyone, authority)
        # Keys that are named when a cluster is made are members' own, or refused; hosts get none of them.
        request = create("duo").replace("</x:request>", "<c:authorized_key xmlns:c='urn:nuraghe:vcf:1'>{}</c:authorized_key>"
                                        "</x:request>")
        fault = refused("denied", olga.soap, "vcm", "create_vc", request.format(anyone))
        assert "is no member's of the VO physics" in fault.text, fault.text
        olga.soap("vcm", "create_vc", request.format(keys["olga"]))
        seeds = b"".join(value for _, value in world.table("vcf_seed"))
        assert authority.encode() in seeds and keys["olga"].split()[1].encode() not in seeds
        # A key that is taken away, a role, a member: from that moment on.
        spare = new_key(world, "spare")
        set_keys(world, olga, keys["olga"], spare)
        issue(olga, spare)
        set_keys(world, olga, keys["olga"])
        refused("denied", issue, olga, spare)
        world.cli("--vo", "physics", "member", "set", "otto", "--role", "viewer")
        refused("denied", issue, otto, keys["otto"])
        issue(olga, keys["olga"])
        world.cli("--vo", "physics", "member", "rm", "olga", "--yes")
        assert olga.status("GET", "/readyz") == 401
        try:
            issue(olga, keys["olga"])
            raise AssertionError("who was removed got a certificate")
        except Exception as error:  # pylint: disable=broad-except  (401 has no envelope of a service)
            assert "401" in str(error), error
        world.cli("--vo", "physics", "destroy", "duo", "--yes")
        world.until_quiet()
        code, _ = world.stop()
        print("ok     who gets a certificate")
        return 0 if code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
