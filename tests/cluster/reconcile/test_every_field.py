"""Every field of the CRD, set in an app and taken out again: the children show it, and end where they began.

All fields are tried in the same few looks, since one after the other would take half an hour.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import every_field
import pytest

from reconciler.cluster import client
from reconciler.cluster.live import stable
from reconciler.model import APP_LABEL, CELERY_APP, CHILD_KINDS, PERSISTENT_VOLUME_CLAIM
from render.naming import COMPONENT_LABEL

pytest_plugins = "reconciling"

NEEDED = {"image": "registry.example.com/shop:1", "app": "shop.celery:app"}
OF_EACH_OBJECT = ("uid", "creationTimestamp")

NOT_SHOWN = {
    "celeryVersion": "it decides what else is allowed",
    "reconcile": "Apply is the default, and all others do not touch the children",
    "broker.type": "the URL says it too; without one KEDA needs it, and it may not be left out",
    "flower.auth.external": "it allows an Ingress or a Service, and a proxy asks",
    "workers[].scaling.whenSilent": "it is read by who scales, and no child has it",
    "workers[].scaling.queue.maxWaitSeconds": "likewise",
    "workers[].env[].valueFrom.fieldRef.apiVersion": "v1 is the default, and there is no other",
    "workers[].initContainers[].livenessProbe.successThreshold": "1 is the default, and there is no other",
}
WHILE_SET, AFTERWARDS = (False, True, False), (False, False, True)
OF_A_CLAIM = {"size": WHILE_SET, "accessMode": WHILE_SET, "storageClassName": AFTERWARDS}
REFUSED = {  # Kubernetes does not let a claim change, but be given a class
    f"{volume}.{field}": when for volume in ("beat.storage", "flower.persistence") for field, when in OF_A_CLAIM.items()
}
STAYS = {
    "beat.storage.storageClassName": "refused, see above",
    "flower.persistence.storageClassName": "likewise",
    "flower.service.nodePort": "without a wish the API server leaves the port that the Service has",
}


class Told(NamedTuple):
    """The children before, while and after the app has the field, and what was said."""

    before: dict
    during: dict
    after: dict
    problems: tuple
    unsettled: tuple


@cache
def trials(release):
    return every_field.trials(release)


def pytest_generate_tests(metafunc):
    if "field" in metafunc.fixturenames:
        metafunc.parametrize("field", trials(metafunc.config.getoption("kubernetes")))


class Batch:
    """All the apps, in a namespace of their own."""

    def __init__(self, cluster, reconciler, trials):
        self.cluster = cluster
        self.reconciler = reconciler
        self.trials = {id(trial): trial for trial in trials.values()}.values()
        self._autoscaled = {
            trial.app
            for trial in self.trials
            for group in trial.whole.get("workers", ())
            if group.get("scaling", {}).get("engine") == "HPA"
        }

    def take(self, *, whole):
        """Let the apps have their fields, or not."""
        specs = every_field.specs(self.trials, whole=whole)
        with ThreadPoolExecutor(4) as pool:
            answers = pool.map(self._take, specs, specs.values())
        assert [answer.body for answer in answers if answer.status not in (200, 201)] == []

    def serve(self):
        """Return what became of each app."""
        looked_at = self.reconciler.run(allow_cluster_trigger_authentication=True)
        return {result.app.name: result for result in looked_at.apps}

    def children(self):
        """Return the children of each app by component, kind and name.

        How many pods the cluster's own HorizontalPodAutoscaler wants, and when it says so, is not ours to judge.
        """
        found = {}
        for kind in CHILD_KINDS:
            path = kind.path(self.cluster.namespace)
            for item in self.cluster.request("GET", path, labelSelector=APP_LABEL).accepted().body["items"]:
                child = stable(item)
                metadata = {key: value for key, value in child["metadata"].items() if key not in OF_EACH_OBJECT}
                app, component = (metadata["labels"][label] for label in (APP_LABEL, COMPONENT_LABEL))
                if app in self._autoscaled and "replicas" in child.get("spec", ()):
                    child |= {"spec": {key: value for key, value in child["spec"].items() if key != "replicas"}}
                found.setdefault(app, {})[component, kind.name, metadata["name"]] = child | {"metadata": metadata}
        return found

    def _take(self, name, spec):
        app = {"apiVersion": CELERY_APP.api_version, "kind": CELERY_APP.name, "metadata": {"name": name}}
        path = CELERY_APP.path(self.cluster.namespace, name)
        query = {"fieldManager": "tests", "fieldValidation": "Strict", "content_type": "application/apply-patch+yaml"}
        return self.cluster.request("PATCH", path, app | {"spec": NEEDED | spec}, **query)


@pytest.fixture(scope="module")
def batch(plane, installed, keda_crds, tmp_path_factory, pytestconfig, release):  # noqa: ARG001 (installs them)
    reconciling = pytestconfig.pluginmanager.getplugin("reconciling")
    created = plane.request("POST", "/api/v1/namespaces", {"metadata": {"generateName": "test-"}}).accepted()
    cluster = plane.in_namespace(created.body["metadata"]["name"])
    path = f"/api/v1/namespaces/{installed.namespace}/serviceaccounts/celery-reconcile/token"
    folder = tmp_path_factory.mktemp("service-account")
    (folder / "token").write_text(installed.request("POST", path, {}).accepted().body["status"]["token"])
    (folder / "ca.crt").write_bytes((installed.folder / "tls.crt").read_bytes())
    access = client.in_cluster(f"https://127.0.0.1:{installed.port}", folder)
    yield Batch(cluster, reconciling.Reconciler(cluster, access), trials(release))
    plane.request("DELETE", f"/api/v1/namespaces/{cluster.namespace}").accepted()


@pytest.fixture(scope="module")
def told(batch, release):
    """Return what came of every field."""
    served, children = [], []
    for whole in (False, True, False):
        batch.take(whole=whole)
        served.append(batch.serve())
        if whole:
            batch.reconciler.restart()  # it asks the server about every child again
            again = batch.serve()
        children.append(batch.children())
    return {
        field: Told(
            *(_of(trial, found) for found in children),
            problems=tuple(results[trial.app].problem for results in served),
            unsettled=again[trial.app].steps,
        )
        for field, trial in trials(release).items()
    }


def _of(trial, children):
    """Return those of the children that the trial is about."""
    return {key: child for key, child in children[trial.app].items() if trial.group in ("", key[0])}


def test_every_field_has_an_example(release):
    known = {field for field in every_field.needed() if not every_field.is_younger(field, release)}
    assert known - trials(release).keys() == set()


def test_a_field_that_is_set_and_taken_out_leaves_no_trace(told, field, release):
    app = told[field]
    refused = tuple(map(bool, app.problems))
    assert refused == REFUSED.get(field, (False, False, False)), app.problems
    assert [step.ref.kind for step in app.unsettled] == [PERSISTENT_VOLUME_CLAIM.name] * refused[1]
    leaves_empty = trials(release)[field].gone[-2:-1] == ("sources",)  # where one is dropped, an empty one stays
    is_hidden = field in NOT_SHOWN or (every_field.is_dropped(field, release) and not leaves_empty)
    assert (app.during != app.before) == (not is_hidden and not refused[1])
    assert (app.after == app.before) == (field not in STAYS)
