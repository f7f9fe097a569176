#!/usr/bin/python3
"""What the command line shows and answers: steps of one's own, exit codes, completion.

  command_line.py PROGRAMS [NAME...]
"""
import concurrent.futures
import json
import os
import pty
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from flows import attempt, clear, NODE, progress, until_event  # noqa: E402
from invariants import check_empty, refused  # noqa: E402
from world import blueprint, clean_up_when_asked_to_end, PATIENCE_S, World  # noqa: E402

DELAYS = [f"--sim-delay={verb}=2s" for verb in ("create", "destroy")]


def own_steps(world):
    """Of operations at work at the same time each shows its own steps alone; who is refused shows none."""
    for name in ("left", "right"):
        world.write(f"{name}.xml", blueprint(name, 1).replace('name="head"', f'name="head-of-{name}"')
                    .replace('name="worker"', f'name="worker-of-{name}"'))
    world.write("node.xml", NODE)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = {name: pool.submit(world.cli, "create", f"{name}.xml") for name in ("left", "right")}
        made["single"] = pool.submit(world.cli, "vh", "create", "node.xml", "--name", "single")
        until_event(world, "host.placed", about="head-of-left")
        taken = [pool.submit(world.cli, "create", "left.xml", check=None) for _ in range(2)]
        said = {name: one.result().stdout for name, one in made.items()}
        taken = [one.result() for one in taken]
    for name, output in said.items():
        steps = progress(output)
        assert len(steps) > 4, output
        for other in set(said) - {name}:
            assert other not in "".join(steps), output
        if name != "single":
            for what in (f"cluster {name} is planned", f"head-of-{name} is placed", f"image tiny:1 is referenced for head-of-{name}", f"head-of-{name} booted", f"cluster {name} is running"):
                assert what in output, output
        else:
            assert "single is placed" in output and "single joined" in output, output
    # The name was taken: somebody else's steps are not theirs.
    for one in taken:
        assert one.returncode == 5 and progress(one.stdout) == [], (one.returncode, one.stdout, one.stderr)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        single = pool.submit(world.cli, "vh", "pause", "single")
        left = pool.submit(world.cli, "pause", "left")
        assert "left" not in single.result().stdout and "single paused" in single.result().stdout, single.result().stdout
        assert "single" not in left.result().stdout and "head-of-left paused" in left.result().stdout, left.result().stdout


def same_name_at_once(world):
    """Two creates with the same name at once: one makes it and shows its steps, the other is refused and shows none."""
    world.write("c.xml", blueprint("both", 1))
    for _ in range(3):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            done = sorted(pool.map(lambda _: world.cli("create", "c.xml", check=None), range(2)), key=lambda one: one.returncode)
        assert [one.returncode for one in done] == [0, 5], done
        assert len(progress(done[0].stdout)) > 6 and progress(done[1].stdout) == [], done
        world.cli("destroy", "both", "--yes")


def destroy_not_waited_for(world):
    """What was only accepted is destroying, not destroyed; the destruction of a single host shows its steps."""
    world.write("c.xml", blueprint("duo", 1))
    world.write("node.xml", NODE)
    world.cli("create", "c.xml")
    for name in ("one", "two"):
        world.cli("vh", "create", "node.xml", "--name", name)
    said = world.json("--no-wait", "destroy", "duo", "--yes")
    assert said["state"] == "destroying" and world.json("show", "duo")["state"] == "destroying", said
    said = world.json("--no-wait", "vh", "destroy", "one")
    assert said["state"] == "destroying" and world.json("vh", "show", "one")["operation"] == "destroy", said
    said = world.cli("--no-wait", "vh", "destroy", "two").stdout
    assert "destroying virtual host two" in said and "goes on" in said, said
    world.until(lambda: not world.json("ls") and not world.json("vh", "ls"), "everything was destroyed")
    assert world.json("--no-wait", "vh", "destroy", "one")["state"] == "destroyed"
    world.cli("vh", "create", "node.xml", "--name", "one")
    said = world.cli("vh", "destroy", "one").stdout
    assert progress(said) == ["virtual host one is destroyed"], said
    world.cli("vh", "create", "node.xml", "--name", "one")
    assert world.json("vh", "destroy", "one")["state"] == "destroyed"
    check_empty(world)


def exit_codes(world):
    """2: the command line is wrong; 3: what it names has findings."""
    world.write("c.xml", blueprint("duo", 1))
    for line, words in ((["--timeout", "1x", "ls"], "1x"), (["create", "c.xml", "--policy", "foo"], "spread"),
                        (["cp", "a", "b"], "CLUSTER/HOST:PATH"), (["cp", "a:1", "b:2"], "CLUSTER/HOST:PATH"),
                        (["exec", "duo/head"], "COMMAND"), (["--nope"], "'--nope'"), (["show", "a", "b"], "b"),
                        (["lz"], "did you mean 'ls'?"), (["distroy", "duo"], "did you mean 'destroy'?"),
                        (["vh", "creat"], "did you mean 'vh create'?"), (["vh", "bogus"], "'vh bogus'; there are: create, ls"),
                        ([], "subcommand"), (["vh"], "subcommand"), (["create"], "BLUEPRINT")):
        said = world.cli(*line, check=2)
        assert words in said.stderr and not said.stdout, (line, said)
    said = world.cli("bogus", check=2).stderr
    assert "'bogus'" in said and "destroy" in said and "console" in said, said
    for line in (("validate", "."), ("create", "."), ("vh", "create", ".")):
        assert ". is a directory" in world.cli(*line, check=3).stderr
    world.cli("validate", "nothing.xml", check=4)
    world.cli("--timeout", "PT1M", "ls")
    check_empty(world)


def dry_run(world):
    """A dry run names every step that the create then takes."""
    world.write("c.xml", blueprint("duo", 1))
    said = world.cli("create", "c.xml", "--dry-run").stdout
    assert "WHY" not in said and re.search(r"^head +[ab]$", said, re.M), said
    assert "WHY" in world.cli("create", "c.xml", "--dry-run", "--explain").stdout
    planned = world.json("create", "c.xml", "--dry-run")
    place = {one["node"]: one["physical_host"] for one in planned["placements"]}
    steps = planned["steps"]
    for node in ("head", "worker-1"):
        own = [step["text"] for step in steps if step["of"] == node]
        assert own == [f"{node} is reserved on {place[node]}", f"image tiny:1 is referenced for {node}",
                       f"{node} is created on {place[node]}", f"{node} boots", f"{node} joins private"], own
    assert [step["of"] for step in steps if step["step"] == "network"] == ["private"], steps
    for step in steps:
        assert "  " + step["text"] in said.splitlines(), (step, said)
    check_empty(world)
    world.cli("create", "c.xml")
    taken = [json.loads(line) for line in world.cli("-o", "json", "events", "duo").stdout.splitlines()]
    taken = sorted((event["kind"].split(".")[1].replace("placed", "reserved"), event["attributes"]["name"]) for event in taken if event["host"])
    assert taken == sorted((step["step"], step["of"]) for step in steps if step["step"] != "network"), taken
    world.cli("destroy", "duo", "--yes")


def complete(world, line):
    """What bash offers for the last word of a line."""
    script = ('source <(nuraghe completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _nuraghe; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    path = world.programs + ":" + os.environ["PATH"]
    done = subprocess.run(["bash", "-c", script, "bash", *line.split(" ")], cwd=world.folder, env={**os.environ, "PATH": path},
                          capture_output=True, text=True, timeout=120, check=True)
    assert not done.stderr, done.stderr
    return done.stdout.split()


def completion(world):
    """Commands, options, and the names of what there is."""
    world.write("c.xml", blueprint("duo", 1))
    world.write("node.xml", NODE)
    world.cli("create", "c.xml")
    world.cli("vh", "create", "node.xml", "--name", "alone")
    hosts = ["alone", "duo/head", "duo/worker-1"]
    for line, words in (("u", ["up", "usage"]), ("des", ["destroy"]), ("vh th", ["thaw"]), ("vh pause ", ["alone"]), ("show ", ["duo"]),
                        ("destroy d", ["duo"]), ("events ", ["duo", "alone"]), ("ssh ", hosts), ("exec ", hosts),
                        ("console duo/h", ["duo/head"]), ("-o json console duo/h", ["duo/head"]), ("cp duo/h", ["duo/head:"]),
                        ("cp c.xml duo/h", ["duo/head:"]), ("cp c.", ["c.xml"]), ("image rm ", ["tiny"]), ("-o ", ["text", "json"]),
                        ("create --po", ["--policy"]), ("up --policy opt", ["optimise"]), ("up no", ["node.xml"]),
                        ("destroy --y", ["--yes"]), ("--no", ["--no-wait"]), ("completion z", ["zsh"]), ("nam", []), ("bogus ", [])):
        found = complete(world, "nuraghe --state s " + line)
        assert sorted(found) == sorted(words), (line, found)
    assert {"create", "up", "vh"} <= set(complete(world, "nuraghe "))
    assert complete(world, "nuraghe show ") == []  # no nuraghed there
    world.cli("destroy", "duo", "--yes")
    world.cli("vh", "destroy", "alone")
    assert "bashcompinit" in world.cli("completion", "zsh").stdout


def inner_operations(world, token):
    """What workflows and controllers call among themselves is not a member's, though its VO has the cluster."""
    [cluster] = [one["id"] for one in world.json("--vo", "physics", "ls")]
    node = world.json("--vo", "physics", "vh", "ls")[0]
    before = world.json("--vo", "physics", "show", "duo"), world.json("host", "ls")[0]["reserved"]
    of_cluster, of_host = f"<x:cluster>{cluster}</x:cluster>", f"<x:host>{node['id']}</x:host>"
    vhc = "urn:nuraghe:vhc:1"
    for service, operation, inner, namespace in (
            ("vhf", "release", of_cluster, ""), ("vhf", "begin_host", of_host + "<x:operation>destroy</x:operation>", ""),
            ("vhf", "end_host", of_host + "<x:operation>any</x:operation><x:succeeded>true</x:succeeded>", ""),
            ("vhf", "destroy_vh", of_host, ""), ("vcf", "begin", of_cluster + "<x:operation>destroy</x:operation>", ""),
            ("vcf", "destroy_cluster", of_cluster, ""), ("vhir", "release_image", of_host, ""),
            (node["physical_host"], "destroy_host", f"<x:id>{node['id']}</x:id>", vhc),
            (node["physical_host"] + "/hosts/" + node["id"], "pause_host", f"<x:id>{node['id']}</x:id>", vhc)):
        fault = refused("denied", world.soap, service, operation, inner, namespace=namespace, token=token)
        assert fault.status == 403, (service, operation, fault.status)
    assert (world.json("--vo", "physics", "show", "duo"), world.json("host", "ls")[0]["reserved"]) == before


def organisations(world):
    """An administrator chooses the VO to act for; a member has its own alone."""
    path = os.path.join(world.state, "token")
    with open(path, encoding="utf-8") as file:
        administrator = file.read()
    member = "marie member physics token-of-marie-of-physics\n"

    def put_first(*entries):  # the command line takes the first
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(entries))

    world.stop()
    put_first(administrator, member)
    world.start()
    world.write("c.xml", blueprint("duo", 1))
    assert "tiny" in world.cli("--vo", "physics", "create", "c.xml", check=3).stderr  # images are a VO's, too
    world.cli("--vo", "physics", "image", "import", "image")
    world.cli("--vo", "physics", "create", "c.xml")
    assert world.json("ls") == [] and [one["vo"] for one in world.json("--vo", "physics", "ls")] == ["physics"]
    world.cli("show", "duo", check=4)
    told = [json.loads(line)["vo"] for line in world.cli("-o", "json", "--vo", "physics", "events").stdout.splitlines()]
    assert len(told) > 5 and set(told) == {"physics"}, told
    assert complete(world, "nuraghe --state s --vo physics show ") == ["duo"]
    assert complete(world, "nuraghe --state s show ") == []
    world.write("other.xml", blueprint("other", 1).replace(' name="other"', ' name="other" vo="biology"'))
    assert "--vo biology" in world.cli("create", "other.xml", check=5).stderr
    assert "one word" in world.cli("--vo", "a b", "ls", check=2).stderr
    inner_operations(world, "token-of-marie-of-physics")
    put_first(member, administrator)
    try:
        assert [one["name"] for one in world.json("ls")] == ["duo"]
        assert "nuraghe --vo physics" in world.cli("image", "import", "image", check=5).stderr
        os.environ["NURAGHE_VO"] = "chemistry"
        for line in (["ls"], ["events"], ["pause", "duo"], ["--vo", "local", "ls"], ["image", "ls"]):
            said = world.cli(*line, check=5).stderr
            assert "the VO physics" in said and ("local" if "--vo" in line else "chemistry") in said, said
        world.cli("--vo", "physics", "destroy", "duo", "--yes")
    finally:
        os.environ.pop("NURAGHE_VO", None)
        put_first(administrator, member)
    check_empty(world)


def answer_on_terminal(world, answer, *arguments):
    """Runs nuraghe on a terminal of its own and types the answer when it asks; returns exit code and what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([os.path.join(world.programs, "nuraghe"), "--state", "s", *arguments], cwd=world.folder,
                               stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    shown, is_answered = b"", False
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
            if b"[y/N]" in shown and not is_answered:
                os.write(ours, answer)
                is_answered = True
    except OSError:  # EIO: the other end is closed
        pass
    finally:
        os.close(ours)
    return process.wait(timeout=PATIENCE_S), is_answered, shown.decode()


def asked_first(world):
    """On a terminal what is destroyed is said and asked for first."""
    world.write("c.xml", blueprint("duo", 1))
    world.write("node.xml", NODE)
    world.cli("create", "c.xml")
    world.cli("vh", "create", "node.xml", "--name", "one")
    for line, words in ((["destroy", "duo"], ["cluster duo", "2 virtual hosts", "head, worker-1", "1 network\r"]),
                        (["vh", "destroy", "one"], ["virtual host one", "running on", "disks"])):
        code, was_asked, said = answer_on_terminal(world, b"n\n", *line)
        assert code == 1 and was_asked and "nothing was changed" in said, (code, said)
        assert all(word in said.split("[y/N]", maxsplit=1)[0] for word in words), said
    assert world.json("show", "duo")["state"] == world.json("vh", "show", "one")["state"] == "running"
    code, was_asked, said = answer_on_terminal(world, b"", "vh", "destroy", "one", "--yes")
    assert code == 0 and not was_asked, (code, said)
    code, was_asked, said = answer_on_terminal(world, b"y\n", "destroy", "duo")
    assert code == 0 and was_asked, (code, said)
    check_empty(world)


def options_of_daemons(world):
    """Help with an example; a wrong word is told with the right ones."""
    for program in ("nuraghe", "nuraghed", "vhcd"):
        said = subprocess.run([os.path.join(world.programs, program), "--help"], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        assert program == "nuraghe" or f"Example: {program} " in said.stdout, said.stdout
    for option in ("--sim-delay=bot=1s", "--sim-fail=bot:*"):
        said = subprocess.run([os.path.join(world.programs, "nuraghed"), "--state", "other", "--vhc", "x:driver=sim", option],
                              cwd=world.folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert said.returncode == 1, said
        assert "'bot' is no verb" in said.stderr and "create, pause, resume, freeze, thaw, destroy, set_link" in said.stderr, said
        assert option.split("=")[0] in said.stderr, said


def doctor(world):
    """What is lacking has a remedy; what is not needed does not make the machine unfit."""
    said = world.json("doctor", check=None)
    checks = {check["check"]: check for check in said["checks"]}
    assert {"firmware uefi", "networks of bridges", "accelerator", "disk", "TCP ports of 127.0.0.1"} <= set(checks), checks
    assert not checks["firmware uefi"]["needed"] and not checks["networks of bridges"]["needed"], checks
    assert all(bool(check["remedy"]) == (not check["ok"]) for check in checks.values()), checks
    assert said["ok"] == all(check["ok"] for check in checks.values() if check["needed"]), said


# test, options of nuraghed
ALL = [(own_steps, DELAYS),
       (same_name_at_once, []),
       (dry_run, []),
       (completion, []),
       (exit_codes, []),
       (organisations, []),
       (asked_first, []),
       (options_of_daemons, []),
       (doctor, []),
       (destroy_not_waited_for, ["--sim-delay=destroy=6s"])]


def main():
    clean_up_when_asked_to_end()
    programs, *names = sys.argv[1:]
    ok = True
    for test, options in ALL:
        if names and test.__name__ not in names:
            continue
        with World(programs, options=options) as world:
            world.start()
            world.import_image()
            ok = attempt(test, world) and ok
            clear(world)
            world.stop()
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
