"""Every field of the CRD, set in an app and taken out again: what becomes of the children.

A pytest plugin, for the files that say by `is_tried` which fields they are about. All fields of a file are tried in the
same few looks, since one after the other would take half an hour; two files, so that two workers share them.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import control_plane
import every_field
import pytest

from reconciler.cluster.live import stable
from reconciler.model import APP_LABEL, CELERY_APP, CHILD_KINDS
from render.naming import COMPONENT_LABEL

NEEDED = {"image": "registry.example.com/shop:1", "app": "shop.celery:app"}
ALTERED = "the cluster changes"
OF_EACH_OBJECT = ("uid", "creationTimestamp")


class Told(NamedTuple):
    """The children before, while and after the app has the field, and what was said."""

    before: dict
    during: dict
    after: dict
    problems: tuple
    unsettled: tuple
    altered: str
    """What is said of fields that the cluster changed on their way in."""


def trials(release, is_tried):
    return {field: trial for field, trial in every_field.trials(release).items() if is_tried(field)}


def pytest_generate_tests(metafunc):
    if "field" in metafunc.fixturenames and hasattr(metafunc.module, "is_tried"):
        release = metafunc.config.getoption("kubernetes")
        metafunc.parametrize("field", trials(release, metafunc.module.is_tried))


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

    def altered(self):
        """Return by app what is said of fields that the cluster changes on their way in."""
        apps = self.cluster.request("GET", CELERY_APP.path(self.cluster.namespace)).accepted().body["items"]
        warned = {app["metadata"]["name"]: [*_messages(app, "Warned")] for app in apps}
        return {app: message for app, messages in warned.items() for message in messages if ALTERED in message}

    def _take(self, name, spec):
        app = {"apiVersion": CELERY_APP.api_version, "kind": CELERY_APP.name, "metadata": {"name": name}}
        path = CELERY_APP.path(self.cluster.namespace, name)
        query = {"fieldManager": "tests", "fieldValidation": "Strict", "content_type": "application/apply-patch+yaml"}
        return self.cluster.request("PATCH", path, app | {"spec": NEEDED | spec}, **query)


@pytest.fixture(scope="module")
def batch(plane, installed, keda_crds, tmp_path_factory, pytestconfig, request, release):  # noqa: ARG001 (installs them)
    reconciling = pytestconfig.pluginmanager.getplugin("reconciling")
    access = reconciling.granted(installed, tmp_path_factory.mktemp("service-account"))
    with control_plane.own_namespace(plane) as cluster:
        yield Batch(cluster, reconciling.Reconciler(cluster, access), trials(release, request.module.is_tried))


@pytest.fixture(scope="module")
def told(batch, request, release):
    """Return what came of every field."""
    served, children = [], []
    for whole in (False, True, False):
        batch.take(whole=whole)
        served.append(batch.serve())
        if whole:
            batch.reconciler.restart()  # it asks the server about every child again
            again, altered = batch.serve(), batch.altered()
        children.append(batch.children())
    return {
        field: Told(
            *(_of(trial, found) for found in children),
            problems=tuple(results[trial.app].problem for results in served),
            unsettled=again[trial.app].steps,
            altered=altered.get(trial.app, ""),
        )
        for field, trial in trials(release, request.module.is_tried).items()
    }


def _messages(app, kind):
    return (each["message"] for each in app["status"]["conditions"] if each["type"] == kind)


def _of(trial, children):
    """Return those of the children that the trial is about."""
    return {key: child for key, child in children[trial.app].items() if trial.group in ("", key[0])}
