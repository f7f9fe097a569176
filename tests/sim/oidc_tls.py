#!/usr/bin/python3
"""OIDC providers over https: known by a CA of their own or by the system's, and by nothing else.

  oidc_tls.py PROGRAMS
"""
import contextlib
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from oidc import Authority, Key, Provider  # noqa: E402
from world import clean_up_when_asked_to_end, World  # noqa: E402

RULES = [{"claim": "groups", "value": "students", "vo": "default", "role": "viewer"}]


def ready(world, provider):
    return world.http("GET", "/readyz", token=provider.token("somebody", groups=["students"]))[0]


def bad_files(world, authority):
    """What is wrong in the file is said at the start, with the file's name."""
    provider = {"issuer": "https://id.example", "audience": "nuraghe"}
    empty = world.write("empty.pem", "nothing\n")
    for change, says in (({"issuer": "http://id.example"}, "no https address"),
                         ({"issuer": "http://127.0.0.1.example:80"}, "no https address"),
                         ({"ca": "missing.pem"}, "missing.pem"),
                         ({"ca": empty}, "holds no certificate"),
                         ({"ca": 1}, "name of a file"),
                         ({"issuer": "http://127.0.0.1:80", "ca": authority.file}, "no https address")):
        world.write("bad.json", json.dumps({"providers": [{**provider, **change}]}))
        assert not world.start("--oidc", "bad.json", expect_death=True), change
        said = world.log().splitlines()[-1]
        assert says in said and "bad.json" in said, said


def main():
    clean_up_when_asked_to_end()
    with World(sys.argv[1]) as world, contextlib.ExitStack() as stack:
        folder = os.path.join(world.folder, "provider")
        own, other = Authority(folder, "own"), Authority(folder, "other")
        bad_files(world, own)

        def provider(name, **options):
            return stack.enter_context(Provider(os.path.join(folder, name), certificate=own.issue(name, **options)))
        good, unnamed, wrong, expired, stranger = (provider("good"), provider("unnamed"), provider("wrong"),
                                                   provider("expired", days=0),
                                                   provider("stranger", names="DNS:elsewhere.example"))
        # Relative to the file that names it, wherever nuraghed was started.
        world.write("provider/oidc.json", json.dumps({"providers": [
            good.settings(RULES, ca="own.pem"), unnamed.settings(RULES), wrong.settings(RULES, ca=other.file),
            expired.settings(RULES, ca=own.file), stranger.settings(RULES, ca=own.file)]}))
        world.start("--oidc", "provider/oidc.json")
        world.until(lambda: ready(world, good) == 200, "the provider's keys were fetched over https")
        assert world.http("GET", "/readyz", token=good.token("x", key=Key(folder, "none"), groups=["students"]))[0] in (401, 503)
        remedy = 'name the CA of {} as its "ca" in the file of --oidc'
        for one, says in ((unnamed, "was made by a CA that is not trusted here: " + remedy.format(unnamed.issuer)),
                          (wrong, "was made by a CA that is not trusted here: " + remedy.format(wrong.issuer)),
                          (expired, "its certificate has expired"),
                          (stranger, "does not name this address")):
            world.until(lambda: [line for line in world.log().replace('\\"', '"').splitlines()
                                 if one.issuer in line and says in line], f"it was said why {one.issuer} is not believed")
            assert ready(world, one) == 503 and one.fetches == 0
        # A file that is replaced counts at once, without a restart.
        shutil.copy(own.file, other.file + ".new")
        os.replace(other.file + ".new", other.file)
        world.until(lambda: ready(world, wrong) == 200, "the other CA's file was read again")
        world.write("provider/broken.pem", "nothing\n")
        os.replace(os.path.join(folder, "broken.pem"), own.file)
        world.until(lambda: "that of before stays" in world.log(), "it was said that a file cannot be read")
        assert ready(world, good) == 200
        code, _ = world.stop()
        print("ok     providers over https")
        return 0 if code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
