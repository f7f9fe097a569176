#!/usr/bin/python3
"""Programs of other people use the REST door of a real nuraghed on simulated hypervisors.

  rest_client_test.py PROGRAMS SOURCE

The OpenAPI document is taken from the door, checked by @seriousme/openapi-schema-validator, and made into a client by
@hey-api/openapi-ts, which lives a cluster's life (rest/life.ts). /metrics is read by the parser of prometheus-client,
/events by curl. The commands of docs/rest.md run as they stand.

The npm packages are those of rest/package-lock.json, kept below NURAGHE_CACHE (~/.cache/nuraghe). Without them, and
without a registry to get them from, the test fails and says so.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv[2]).resolve()
sys.path.insert(0, str(SOURCE / "tests/sim"))
from world import IMAGE, World, blueprint, clean_up_when_asked_to_end  # noqa: E402
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families  # noqa: E402
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

PROGRAMS = os.path.abspath(sys.argv[1])
REST = SOURCE / "tests/clients/rest"
PATIENCE_S = 240
JSON = {"Content-Type": "application/json"}


def run(argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def npm_packages():
    """The folder with node_modules, installed once for each state of the lock file."""
    for program in ("node", "npm"):
        assert shutil.which(program), f"{program} is not installed; Node.js 20 or later is needed"
    lock = (REST / "package-lock.json").read_bytes()
    cache = pathlib.Path(os.environ.get("NURAGHE_CACHE", pathlib.Path.home() / ".cache/nuraghe")) / "rest-clients"
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        half = tempfile.mkdtemp(dir=cache)
        try:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(REST / name, half)
            done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=half,
                                  capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            assert done.returncode == 0, ("the npm packages of tests/clients/rest are not there, and npm cannot reach its "
                                          "registry for them: " + " ".join(done.stderr.split())[-300:])
            try:
                os.rename(half, folder)
            except OSError:
                assert folder.exists()  # another run was first
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return folder


class RestClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.packages = npm_packages()
        cls.world = World(PROGRAMS, options=("--power-limit", "soft-off=300ms"))
        cls.addClassCleanup(cls.world.__exit__, None, None, None)
        cls.world.start()
        cls.world.import_image()
        port = json.loads((pathlib.Path(cls.world.state) / "port").read_text())
        cls.base = f"http://127.0.0.1:{port}"
        cls.folder = tempfile.TemporaryDirectory(prefix="nuraghe-rest.")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.work = pathlib.Path(cls.folder.name)
        status, body, headers = cls.world.http("GET", "/openapi.json")
        assert status == 200 and headers["Content-Type"] == "application/json", (status, headers)
        (cls.work / "openapi.json").write_bytes(body)
        (cls.work / "node_modules").symlink_to(cls.packages / "node_modules")

    def test_1_the_document_is_openapi_3_1(self):
        shutil.copy(REST / "validate.mjs", self.work)
        run(["node", "validate.mjs", "openapi.json"], cwd=self.work)
        # A check that cannot fail is none.
        broken = json.loads((self.work / "openapi.json").read_text())
        del broken["info"]["title"]
        (self.work / "broken.json").write_text(json.dumps(broken))
        done = subprocess.run(["node", "validate.mjs", "broken.json"], cwd=self.work, capture_output=True, check=False,
                              timeout=PATIENCE_S)
        self.assertNotEqual(done.returncode, 0)

    def test_2_a_generated_client_lives_a_clusters_life(self):
        run(["node_modules/.bin/openapi-ts", "-i", "openapi.json", "-o", "generated", "-c", "@hey-api/client-fetch",
             "--no-log-file"], cwd=self.work)
        shutil.copy(REST / "life.ts", self.work)
        types = self.packages / "node_modules/@types/node"
        (self.work / "tsconfig.json").write_text(json.dumps({
            "compilerOptions": {"strict": True, "module": "commonjs", "target": "es2022", "outDir": "made",
                                "lib": ["es2023", "dom", "dom.iterable", "dom.asynciterable"], "skipLibCheck": True,
                                "types": ["node"] if types.exists() else []},
            "files": ["life.ts"]}))
        run(["node_modules/.bin/tsc"], cwd=self.work)
        (self.work / "duo.xml").write_text(blueprint("duo", 2))
        said = run(["node", "made/life.js", self.base, self.world.token(), "duo.xml"], cwd=self.work)
        self.assertEqual(said, "done\n")
        self.world.until_quiet()

    def test_3_a_repeat_is_answered_as_first_after_a_restart(self):
        body = json.dumps({"blueprint": blueprint("again", 0)})
        headers = {"Content-Type": "application/json", "Idempotency-Key": "after-a-restart"}
        first = self.world.http("POST", "/clusters", body, headers)
        self.assertEqual(first[0], 201, first[1])
        self.world.stop()
        self.world.start()
        again = self.world.http("POST", "/clusters", body, headers)
        self.assertEqual((again[0], again[1], again[2]["Location"]), (201, first[1], first[2]["Location"]))
        other = self.world.http("POST", "/clusters", json.dumps({"blueprint": blueprint("other", 0)}), headers)
        self.assertEqual((other[0], json.loads(other[1])["code"]), (409, "conflict"))
        early = self.world.http("DELETE", first[2]["Location"], headers={"Prefer": "respond-async, wait=60"})
        self.assertEqual(early[0], 204, early[1])

    def test_4_what_is_being_made_is_located(self):
        body = json.dumps({"blueprint": blueprint("early", 3)})
        status, text, headers = self.world.http("POST", "/clusters", body, {"Content-Type": "application/json",
                                                                            "Prefer": "respond-async"})
        self.assertEqual(status, 202, text)
        self.assertRegex(headers["Location"], r"^/clusters/[^/]+$")
        where = headers["Location"]
        self.world.until(lambda: self.cluster(where)["state"] == "running", "it ran")
        self.assertEqual(self.cluster(where)["name"], "early")
        self.assertEqual(self.world.http("DELETE", where)[0], 204)

    def test_4b_what_was_made_is_where_its_location_says(self):
        document = json.loads((self.work / "openapi.json").read_text())
        makers = {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb, operation in verbs.items()
                  if "201" in operation.get("responses", {})}
        node = ('<node xmlns="urn:nuraghe:node:1" name="found"><image name="tiny"/><cpus>1</cpus><memory>64MiB</memory></node>')
        _, image = self.made("POST", "/images", {"path": self.image("tiny", "7")})
        self.made("POST", "/images", {"path": self.image("tiny", "8")})
        # Of the version that was made, also when there is a newer one.
        self.assertEqual(self.found(image)["image"]["reference"], "tiny:7")
        _, cluster = self.made("POST", "/clusters", {"blueprint": blueprint("found", 0)})
        self.assertEqual(self.found(cluster)["cluster"]["name"], "found")
        status, body, _ = self.world.http("POST", "/identities", json.dumps({"fragment": node}), JSON)
        self.assertEqual(status, 200, body)
        known = json.loads(body)
        request = {"host": "", "fragment": known["fragment"], "seed": known["seed"], "keep": False,
                   "requirement": {"name": "tiny", "version": "7"}}
        answer, host = self.made("POST", "/hosts", request)
        self.assertEqual(self.found(host)["host"]["id"], answer["host"])
        image = {"name": "tiny", "version": "7", "digest": self.found(image)["image"]["digest"],
                 "location": os.path.join(self.world.state, "images")}
        _, raw = self.made("POST", "/controllers/a/hosts", {"id": "vh-raw", "group": "", "fragment": known["fragment"],
                                                            "image": image, "seed": known["seed"]})
        self.assertEqual(self.found(raw)["host"]["id"], "vh-raw")
        _, machine = self.made("POST", "/machines", {"name": "m1", "driver": "sim", "address": "cpus=8,memory=16GiB,disk=100GiB"})
        self.assertEqual(self.found(machine)["machine"]["name"], "m1")
        self.assertEqual(self.world.http("POST", machine + "/inspect", "{}", JSON)[0], 200)
        disk = node.replace("</memory>", '</memory><disk name="root" size="20GiB"/>')
        answer, deployment = self.made("POST", "/deployments", {"machine": "m1", "fragment": disk})
        self.assertEqual(self.found(deployment)["deployment"]["id"], answer["deployment"])
        self.assertEqual(makers, {"POST /images", "POST /clusters", "POST /hosts", "POST /controllers/{controller}/hosts",
                                  "POST /machines", "POST /deployments"}, "another operation makes something: is it found?")
        # A machine that was not wiped in full keeps its organisation, and is not removed.
        for made in (deployment + "?wipe=full", machine, raw, host, cluster):
            self.assertIn(self.world.http("DELETE", made)[0], (200, 202, 204))
        for version in "78":
            self.assertEqual(self.world.http("DELETE", f"/images/tiny:{version}")[0], 204)

    def image(self, name, version):
        folder = f"image-{name}-{version}"
        self.world.write(f"{folder}/vhi.xml", IMAGE.replace('name="tiny" version="1">', f'name="{name}" version="{version}">'))
        self.world.write(f"{folder}/tiny.elf", "")
        return os.path.join(self.world.folder, folder)

    def made(self, verb, path, body):
        status, text, headers = self.world.http(verb, path, json.dumps(body), JSON)
        self.assertEqual(status, 201, (path, text))
        return json.loads(text), headers["Location"]

    def found(self, path):
        status, text, _ = self.world.http("GET", path)
        self.assertEqual(status, 200, (path, text))
        return json.loads(text)

    def cluster(self, path):
        status, body, _ = self.world.http("GET", path)
        self.assertEqual(status, 200, body)
        return json.loads(body)["cluster"]

    def test_5_metrics_are_prometheus_text(self):
        self.world.http("GET", "/clusters")
        self.world.soap("vcf", "list_clusters")
        _, body, _ = self.world.http("GET", "/metrics")
        families = {family.name: family for family in text_string_to_metric_families(body.decode())}
        for name, kind in (("nuraghe_requests", "counter"), ("nuraghe_request_duration_seconds", "histogram"),
                           ("nuraghe_exchange_failed", "gauge"), ("nuraghe_http_requests", "counter")):
            self.assertEqual(families[name].type, kind, name)
        requests = {tuple(sorted(sample.labels.items())): sample.value for sample in families["nuraghe_requests"].samples}
        for door in ("rest", "soap"):
            key = (("door", door), ("operation", "list_clusters"), ("outcome", "answered"), ("service", "vcf"))
            self.assertGreaterEqual(requests[key], 1, door)
        self.check_histograms(families["nuraghe_request_duration_seconds"], requests)
        self.check_open_metrics(families)

    def check_open_metrics(self, families):
        """The strict parser of OpenMetrics takes it, and finds the same families."""
        _, body, headers = self.world.http("GET", "/metrics", headers={
            "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"})
        self.assertTrue(headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"), headers)
        strict = list(open_metrics_families(body.decode()))
        self.assertEqual(len({family.name for family in strict}), len(strict), "a family is there twice")
        self.assertEqual({family.name: family.type for family in strict},
                         {name: family.type for name, family in families.items()})

    def check_histograms(self, family, requests):
        """Buckets grow, and the last is the count, which is the sum of all outcomes."""
        series = {}
        for sample in family.samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            series.setdefault(labels, {}).setdefault(sample.name.rsplit("_", 1)[1], []).append(sample)
        self.assertGreater(len(series), 1)
        for labels, parts in series.items():
            counts = [sample.value for sample in parts["bucket"]]
            self.assertEqual(counts, sorted(counts), labels)
            self.assertEqual(parts["bucket"][-1].labels["le"], "+Inf")
            self.assertEqual(counts[-1], parts["count"][0].value, labels)
            self.assertGreaterEqual(parts["sum"][0].value, 0)
            outcomes = sum(value for key, value in requests.items() if set(labels) <= set(key))
            self.assertEqual(counts[-1], outcomes, labels)

    def test_6_the_commands_of_the_page_work(self):
        page = (SOURCE / "docs/rest.md").read_text()
        commands = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        self.assertGreater(len(commands), 6)
        script = "set -eu\n" + "".join(commands).replace("image name='mini'", "image name='tiny'")
        said = run(["sh", "-c", script], cwd=self.work, env={**os.environ, "NURAGHE_STATE": self.world.state})
        # As the page tells: not sent again, changed, refused for another's change, done, and its repeat.
        self.assertEqual(re.findall(r"(\d{3})$", said, re.MULTILINE)[:5], ["304", "204", "412", "204", "204"], said)
        self.assertIn("event: cluster.frozen", said)
        self.assertIn('"code":"not-found"', said)


if __name__ == "__main__":
    clean_up_when_asked_to_end()
    del sys.argv[1:]
    sys.exit(unittest.main(verbosity=2))
