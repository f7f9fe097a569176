#!/usr/bin/python3
"""What the command line shows and answers: steps of one's own, exit codes, completion.

  command_line.py PROGRAMS [NAME...]
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from flows import attempt, clear, NODE, progress, until_event  # noqa: E402
from invariants import check_empty  # noqa: E402
from world import blueprint, clean_up_when_asked_to_end, World  # noqa: E402

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
        until_event(world, "host.placed")
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
    for line, words in (("u", ["up"]), ("des", ["destroy"]), ("vh th", ["thaw"]), ("vh pause ", ["alone"]), ("show ", ["duo"]),
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


# test, options of nuraghed
ALL = [(own_steps, DELAYS),
       (same_name_at_once, []),
       (dry_run, []),
       (completion, []),
       (exit_codes, []),
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
