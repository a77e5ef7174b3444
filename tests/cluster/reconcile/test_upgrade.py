"""One release in place of another, and back: by the files of `make release`, and the commands of docs/upgrading.md.

There is only one release. The next one is made of the same source, changed as a next one might be: its number, a field
more in the spec, with a default, one more in the status, and another path in every worker's pod template.
The reconcilers are processes beside the pods that only seem to run; the Deployment of theirs is rolled all the same.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import build
import control_plane
import pytest
import yaml
from celery import Celery
from reconciling import NAMESPACE, Shop, granted
from servers import Redis, missing, redis_server

from reconciler.model import CHILD_KINDS

ROOT = Path(__file__).parents[3]
OLD, NEW = "0.1.0", "0.2.0"
IMAGE = "registry.example.com/celery-render"
LEASE = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "celery-reconcile"}}
RECONCILER = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "celery-reconcile"}}
OLD_PATH, NEW_PATH = "/etc/celery-probe/", "/etc/celery-probe-2/"
CPU = {"averageValue": "100m"}
USAGE = {"kwok.x-k8s.io/usage-cpu": "100m", "kwok.x-k8s.io/usage-memory": "50Mi"}
REQUEST = {"requests": {"cpu": "100m", "memory": "100Mi"}}
QUEUE = {"averageLength": 2}
MESSAGES = 6


def group(replicas: int = 0, **scaling: Any) -> list[dict[str, Any]]:
    """Return a group that scales, or has so many pods; each is as busy as it is asked to be."""
    found = {"name": "worker", "queues": ["celery"], "podAnnotations": USAGE, "resources": REQUEST}
    return [found | ({"replicas": replicas} if replicas else {"scaling": {"maxReplicas": 9} | scaling})]


def apps(broker: str) -> dict[str, dict[str, Any]]:
    """Return the specs of an app for each way to run one."""
    storage = {"size": "1Gi"}
    return {
        "fixed": {"workers": group(3), "beat": {"storage": storage}, "flower": {"persistence": storage}},
        "cpu": {"workers": group(cpu=CPU)},
        "queue": {"workers": group(queue=QUEUE), "broker": {"url": broker}},
        "hpa": {"workers": group(engine="HPA", minReplicas=2, cpu=CPU)},
        "keda": {"workers": group(engine="KEDA", queue=QUEUE), "broker": {"url": broker}},
        "scaled": {"workers": group(cpu=CPU), "reconcile": "Scale"},
        "off": {"workers": group(1), "reconcile": "Off"},
    }


REPLICAS = {"fixed": 3, "cpu": 4, "queue": MESSAGES // QUEUE["averageLength"], "hpa": 2, "keda": 2, "scaled": 4}
"""How many workers each has: as it says, as it is scaled, or as somebody has scaled it where nothing does."""
BY_HAND = ("cpu", "keda", "scaled")
APPLIED = tuple(name for name in REPLICAS if name != "scaled")
STARTED_ONCE = ("Deployment fixed-beat", "Deployment fixed-flower", "Deployment scaled-worker")
"""What the next release renders as before, or does not apply."""


class Release(NamedTuple):
    files: Path
    """What was made, as somebody has downloaded it."""
    code: Path
    """The wheel, unpacked."""


class Seen(NamedTuple):
    """The namespace of the apps at one moment."""

    children: dict[str, dict[str, Any]]
    apps: dict[str, dict[str, Any]]
    pods: dict[str, set[str]]
    """The UIDs of the pods, by Deployment."""


class Story(NamedTuple):
    old: Seen
    new: Seen
    back: Seen
    shown: str
    """What `celery-reconcile diff` of the next release said before."""
    changes: dict[str, list[dict[str, Any]]]
    """Each Deployment after each change, in their order: while the next release came, and while it went."""


@pytest.fixture(scope="module")
def releases(binary, tmp_path_factory):  # noqa: ARG001 (builds the kubectl that is used)
    """Return what `make release` makes, of the last commit and of what the next one changes."""
    folder = tmp_path_factory.mktemp("releases")
    for version in (OLD, NEW):
        subprocess.run(["git", "clone", "--quiet", ROOT, folder / version / "source"], check=True)
    change(folder / NEW / "source")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests/cluster")}
    command = [sys.executable, ROOT / "release/dist.py", "../dist", IMAGE]
    with ExitStack() as stack:
        making = [
            stack.enter_context(subprocess.Popen(command, cwd=folder / version / "source", env=environment))
            for version in (OLD, NEW)
        ]
    assert [each.returncode for each in making] == [0, 0]
    found = {}
    for version in (OLD, NEW):
        found[version] = Release(folder / version / "dist", folder / version / "code")
        [wheel] = found[version].files.glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(found[version].code)
    return found


def change(source: Path) -> None:
    """Make a next release of this one."""
    crd = source / "crds/celeryapps.yaml"
    manifest = yaml.load(crd.read_text(), yaml.CSafeLoader)
    fields = manifest["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    fields["spec"]["properties"]["tier"] = {
        "type": "string",
        "default": "gold",
        "description": "New.",
        "example": "tin",
    }
    fields["status"]["properties"]["servedBy"] = {"type": "string", "description": "New."}
    crd.write_text(yaml.dump(manifest, Dumper=yaml.CSafeDumper, sort_keys=False))
    for name, old, new in (
        ("pyproject.toml", f'version = "{OLD}"', f'version = "{NEW}"'),
        ("kustomize/base/kustomization.yaml", f"newTag: {OLD}", f"newTag: {NEW}"),
        ("render/naming.py", '"/etc/celery-probe"', '"/etc/celery-probe-2"'),
        (
            "reconciler/status/report.py",
            'found: Manifest = {\n        "observedGeneration"',
            f'found: Manifest = {{\n        "servedBy": "{NEW}",\n        "observedGeneration"',
        ),
    ):
        text = (source / name).read_text()
        assert old in text
        (source / name).write_text(text.replace(old, new))
    author = ("-c", "user.name=any", "-c", "user.email=any@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *author, "commit", "--quiet", "--all", "--message=The next"], cwd=source, check=True)


def commands(section: str) -> list[list[str]]:
    """Return the commands of a section of docs/upgrading.md, in their order."""
    text = (ROOT / "docs/upgrading.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [shlex.split(line) for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE)]


@pytest.fixture(scope="module")
def plane(binary, tmp_path_factory):
    """Yield a cluster of this file's own: what is installed elsewhere has but one version."""
    with control_plane.running(binary, tmp_path_factory.mktemp("control-plane")) as plane:
        for crd in (yaml.safe_load(path.read_text()) for path in build.keda_crds()):
            control_plane.install(plane, crd)
        yield plane


class Place:
    """The cluster with a release in it, and the reconciler that acts."""

    def __init__(self, plane, folder):
        self.plane = plane
        self.home = plane.in_namespace(NAMESPACE)
        self.apps = plane.in_namespace("shops")
        self.folder = folder

    def type(self, section, release):
        """Type the commands of a section of the docs, where the files of this release are; return what they print."""
        printed = []
        environment = os.environ | {"KUBECONFIG": str(self.plane.kubeconfig), "HOME": str(self.folder)}
        for program, *args in commands(section):
            if program == "pip":
                continue  # the wheel is unpacked in `code`
            if program == "kubectl":
                command = [self.plane.binary, program, *args]
            else:
                command = [sys.executable, "-m", "reconciler", *args]
            ended = subprocess.run(
                command,
                cwd=release.files,
                env=environment | {"PYTHONPATH": str(release.code)},
                check=False,
                capture_output=True,
                text=True,
            )
            assert ended.returncode == (0 if program == "kubectl" else 1), ended.stderr  # 1: diff has shown something
            printed.append(ended.stdout)
        return printed

    @contextmanager
    def reconciler(self, release, identity):
        """Run it, and wait until it has the Lease; whoever had it has to end meanwhile."""
        granted(self.home, self.folder)
        (self.folder / "namespace").write_text(NAMESPACE)
        environment = {name: text for name, text in os.environ.items() if name != "KUBECONFIG"} | {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.plane.port),
            "CELERY_RECONCILE_SERVICE_ACCOUNT": str(self.folder),
            "PYTHONPATH": str(release.code),
        }
        options = ("--leader-elect", f"--identity={identity}", "--rollouts=1", "--broker-hosts=127.0.0.1")
        command = [sys.executable, "-m", "reconciler", "run", *options]
        log = self.folder / f"{identity}.log"
        with (
            log.open("w") as output,
            subprocess.Popen(command, cwd=release.code, env=environment, stderr=output) as process,
        ):
            try:
                yield process
            finally:
                process.kill()
                sys.stderr.write(log.read_text())  # shown when the test fails

    def holder(self):
        answer = self.home.request("GET", self.home.path(LEASE))
        return answer.body["spec"].get("holderIdentity", "") if answer.status == 200 else ""

    def list(self, kind):
        return self.apps.request("GET", kind.path(self.apps.namespace)).accepted().body["items"]

    def is_served(self, template):
        """Say whether every app is as this release wants it, and says so."""
        for name in APPLIED:
            app = Shop(self.apps, name).live
            if template not in str(self.deployment(name)["spec"]["template"]["spec"]["containers"]):
                return False
            if not (status := app.get("status")) or status["observedGeneration"] != app["metadata"]["generation"]:
                return False
            ready = {each["type"]: each["status"] for each in status["conditions"]}["Ready"]
            if ready != "True" or not self.apps.is_rolled_out(self.deployment(name)):
                return False
        return True

    def deployment(self, name):
        return Shop(self.apps, name).get(f"Deployment {name}-worker")

    def is_scaled(self):
        counts = {name: self.deployment(name)["spec"]["replicas"] for name in REPLICAS}
        message = f"{REPLICAS['scaled']} of {REPLICAS['scaled']} pods ready"
        return counts == REPLICAS and message in ready(Shop(self.apps, "scaled").live)["message"]

    def heals(self):
        """Take from every app what its pods do not hear of, and wait until it is there again."""
        path = f"/api/v1/namespaces/{self.apps.namespace}/configmaps"
        for name in APPLIED:
            self.apps.request("DELETE", f"{path}/{name}-probe").accepted()
        for name in APPLIED:
            self.apps.wait_until(lambda name=name: self.apps.request("GET", f"{path}/{name}-probe").status == 200)

    def seen(self):
        children = {f"{kind.name} {each['metadata']['name']}": each for kind in CHILD_KINDS for each in self.list(kind)}
        return Seen(
            children,
            {name: Shop(self.apps, name).live for name in apps("")},
            {
                name: {
                    pod["metadata"]["uid"]
                    for pod in self.apps.pods()
                    if re.fullmatch(rf"{name.split()[1]}-[a-z0-9]+-[a-z0-9]+", pod["metadata"]["name"])
                }
                for name in children
                if name.startswith("Deployment")
            },
        )


DEPLOYMENTS = next(kind for kind in CHILD_KINDS if kind.name == "Deployment")


@pytest.fixture(scope="module")
def story(plane, releases, tmp_path_factory):
    """Run apps under one release, put the next in its place, and go back; return what was seen of it."""
    place = Place(plane, tmp_path_factory.mktemp("story"))
    old, new = releases[OLD], releases[NEW]
    program = redis_server() or missing("redis-server is not installed (apt install redis-server)")
    broker = Redis(program, tmp_path_factory.mktemp("redis"))
    with ExitStack() as stack:
        stack.callback(broker.stop)
        broker.start()
        plane.kubectl("create", "namespace", place.apps.namespace)
        for name in ("celeryapps-crd.yaml", "celery-reconcile.yaml"):
            place.home.kubectl("apply", "--server-side", "--filename", old.files / name)
        plane.wait_until(lambda: plane.kubectl("get", "celeryapps", check=False).returncode == 0)
        one = stack.enter_context(place.reconciler(old, "one"))
        begin(place, old, broker)
        place.apps.wait_until(lambda: place.is_served(OLD_PATH) and place.is_scaled(), 120)
        first = place.seen()

        since = place.apps.request("GET", DEPLOYMENTS.path("shops")).body["metadata"]["resourceVersion"]
        shown, *_ = place.type("To the next version", new)
        place.home.wait_until(lambda: place.home.is_rolled_out(RECONCILER))
        two = stack.enter_context(place.reconciler(new, "two"))
        one.send_signal(signal.SIGTERM)
        place.home.wait_until(lambda: place.holder() == "two")
        place.apps.wait_until(lambda: place.is_served(NEW_PATH), timeout_seconds=180)
        place.heals()
        Shop(place.apps, "fixed").take(**apps(broker.url)["fixed"], tier="tin")
        place.apps.wait_until(lambda: place.is_served(NEW_PATH))
        second = place.seen()
        there = changes(place, since)

        since = place.apps.request("GET", DEPLOYMENTS.path("shops")).body["metadata"]["resourceVersion"]
        two.send_signal(signal.SIGTERM)
        assert two.wait(60) == 0
        place.type("Back again", old)
        stack.enter_context(place.reconciler(old, "three"))
        place.home.wait_until(lambda: place.holder() == "three")
        place.apps.wait_until(lambda: place.is_served(OLD_PATH), timeout_seconds=180)
        place.heals()
        place.apps.wait_until(lambda: place.is_served(OLD_PATH))
        yield Story(first, second, place.seen(), shown, {"there": there, "back": changes(place, since)})


def begin(place, release, broker):
    """Create the apps, and let each come to its number of pods."""
    with Celery("shop", broker=broker.url) as client:
        for _ in range(MESSAGES):
            client.send_task("any", queue="celery")
    for name, spec in apps(broker.url).items():
        Shop(place.apps, name).take(**spec)
    scaled = Shop(place.apps, "scaled").manifest(**apps(broker.url)["scaled"])
    (place.folder / "app.json").write_text(json.dumps(scaled))
    render = [sys.executable, "-c", "from render.cli import main; main()", place.folder / "app.json"]
    base = subprocess.run(
        render, env=os.environ | {"PYTHONPATH": str(release.code)}, check=True, capture_output=True, text=True
    ).stdout
    place.apps.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=base)
    for claim in ("fixed-beat", "fixed-flower"):
        Shop(place.apps, "fixed").provide(claim)
    for name in BY_HAND:
        path = f"Deployment {name}-worker"
        place.apps.wait_until(lambda path=path: path in Shop(place.apps, "any").names())
        place.apps.kubectl("scale", f"deployment/{name}-worker", f"--replicas={REPLICAS[name]}")


def changes(place, since):
    """Return each Deployment after each change since then, as the server tells it again."""
    seen = []
    for event in place.apps.watch(DEPLOYMENTS.path("shops"), resourceVersion=since, timeoutSeconds=2):
        assert event["type"] != "ERROR"
        seen.append(event["object"] | {"deleted": event["type"] == "DELETED"})
    return seen


def test_nothing_is_deleted_and_made_again(story):
    for later in (story.new, story.back):
        assert later.children.keys() == story.old.children.keys()
        kept = {name for name in story.old.children if not name.startswith("ConfigMap")}  # which were taken away
        assert {name for name in kept if uid(later.children[name]) != uid(story.old.children[name])} == set()
        assert {name for name in story.old.apps if uid(later.apps[name]) != uid(story.old.apps[name])} == set()
    assert not any(each["deleted"] for seen in story.changes.values() for each in seen)
    assert {name for name in story.old.children if name.startswith("PersistentVolumeClaim")} == {
        "PersistentVolumeClaim fixed-beat",
        "PersistentVolumeClaim fixed-flower",
    }


def uid(thing):
    return thing["metadata"]["uid"]


def test_every_group_keeps_the_pods_it_has(story):
    for seen in story.changes.values():
        counts = {(each["metadata"]["name"], each["spec"]["replicas"]) for each in seen}
        assert counts <= {(f"{name}-worker", count) for name, count in REPLICAS.items()}


def test_what_is_rendered_alike_restarts_no_pod(story):
    for later in (story.new, story.back):
        for name in STARTED_ONCE:
            assert len(story.old.pods[name]) > 0
            assert later.pods[name] == story.old.pods[name]


def test_what_is_rendered_otherwise_is_so_only_where_the_release_has_changed_it(story):
    """So nothing of it names the version of what rendered it."""
    for name in APPLIED:
        before, after, back = (
            seen.children[f"Deployment {name}-worker"] for seen in (story.old, story.new, story.back)
        )
        assert rendered(after) != rendered(before)
        assert json.loads(json.dumps(rendered(after)).replace("/etc/celery-probe-2", "/etc/celery-probe")) == rendered(
            before
        )
        assert rendered(back) == rendered(before)
        assert f"Deployment/shops/{name}-worker" in story.shown


def rendered(deployment):
    """Return a Deployment less what controllers write of it."""
    metadata = {key: deployment["metadata"][key] for key in ("labels", "ownerReferences")}
    return {"metadata": metadata, "spec": {key: each for key, each in deployment["spec"].items() if key != "replicas"}}


@pytest.mark.parametrize("way", ["there", "back"])
def test_one_app_rolls_at_a_time_and_no_worker_is_missed(story, way):
    newest = {f"{name}-worker": story.old.children[f"Deployment {name}-worker"] for name in REPLICAS}
    rolled = set()
    for deployment in story.changes[way]:
        newest[deployment["metadata"]["name"]] = deployment
        rolling = {name for name, each in newest.items() if rolls(each)}
        assert len(rolling) <= 1
        rolled |= rolling
        assert deployment["status"].get("availableReplicas", 0) >= deployment["spec"]["replicas"]
    assert rolled == {f"{name}-worker" for name in APPLIED}


def rolls(deployment):
    status, wanted = deployment["status"], deployment["spec"]["replicas"]
    return (
        status.get("observedGeneration") != deployment["metadata"]["generation"]
        or status.get("updatedReplicas", 0) < wanted
        or status.get("replicas", 0) > wanted
    )


def test_each_reads_what_the_other_has_written_of_an_app(story):
    """Since when a condition holds is known from the status alone; an app that did not roll was ready all along."""
    since = {ready(seen.apps["scaled"])["lastTransitionTime"] for seen in (story.old, story.new, story.back)}
    assert len(since) == 1
    for name in APPLIED:
        statuses = [seen.apps[name]["status"] for seen in (story.old, story.new, story.back)]
        assert [status.get("servedBy", OLD) for status in statuses] == [OLD, NEW, OLD]
        assert [ready({"status": status})["reason"] for status in statuses] == ["AllReady"] * 3
    assert {ready(seen.apps["off"])["reason"] for seen in (story.old, story.new, story.back)} == {"Off"}


def ready(app):
    return next(each for each in app["status"]["conditions"] if each["type"] == "Ready")


def test_a_field_that_only_the_next_one_knows_comes_and_goes(story):
    assert {name: app["spec"].get("tier") for name, app in story.old.apps.items()} == dict.fromkeys(story.old.apps)
    assert story.new.apps["fixed"]["spec"]["tier"] == "tin"
    assert story.new.apps["cpu"]["spec"]["tier"] == "gold"
    assert {name: app["spec"].get("tier") for name, app in story.back.apps.items()} == dict.fromkeys(story.back.apps)
