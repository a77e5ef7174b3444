"""Pairs of Deployments alike: one is scaled by the control plane's HorizontalPodAutoscaler, the other by our scaler.

All pairs live at once, in one namespace. What a case needs has happened before anybody scales; then both sides begin.
"""

import copy
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from cluster import Cluster

from reconciler import clock
from reconciler.apply import plan
from reconciler.cluster.live import App
from reconciler.model import (
    APP_LABEL,
    CELERY_APP,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    POD,
    POD_METRICS,
    Kind,
    Manifest,
)
from reconciler.scaling import groups, sight
from reconciler.scaling.group import Group
from reconciler.scaling.groups import Remembered, Scaled
from reconciler.scaling.model import Policy, Timing
from reconciler.scaling.sight import Sight
from render import pipeline, quantity
from render.model import Document
from render.schema import load as load_schema

if TYPE_CHECKING:
    from reconciling import Reconciler  # a plugin: pytest wants to be the first to import it

LIKE_THE_FLAGS = Timing(cpu_initialization_seconds=0, initial_readiness_seconds=0, downscale_window_seconds=0)
"""As in parts.py."""
REQUESTS = {"cpu": "50m", "memory": "50Mi"}
CPU, MEMORY = "kwok.x-k8s.io/usage-cpu", "kwok.x-k8s.io/usage-memory"
NEXT_TO_NOTHING = {CPU: "1m", MEMORY: "1Mi"}
"""What pods use that come later."""
TREMOR = 0.06
"""The share by which the measured CPU may be off: KWOK adds it up over a second that is not exactly one."""
UNMEASURED = "0"
"""Of memory: metrics-server leaves out a pod that uses none."""
LONG_AGO = "2020-01-01T00:00:00Z"
INTERVAL_SECONDS = 0.7
QUIET_SECONDS = 5
"""The autoscalers are many: a round of them takes longer than their period."""
PATIENCE_SECONDS = 45
SCHEMA = load_schema()


class Outcome(NamedTuple):
    """So many pods, and the reasons of ScalingActive, ScalingLimited and AbleToScale."""

    replicas: int
    active: str | None = "ValidMetricFound"
    limited: str | None = "DesiredWithinRange"
    able: str | None = "ReadyForNewScale"


@dataclass(frozen=True)
class Case:
    """A group of workers at its beginning, and what becomes of it."""

    pods: int
    scaling: Mapping[str, Any]
    outcome: Outcome
    cpu: int = 100
    """Millicores that each of the pods uses."""
    memory: int = 100
    """Mebibytes."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    """More of the worker group."""
    container: Mapping[str, Any] = field(default_factory=dict)
    """What its Celery container has that no CeleryApp can give it."""
    rollout: Mapping[str, Any] | None = None
    """What a new image's pods have besides; one of them has come, and nothing has gone."""
    mishap: "Mishap | None" = None
    """What happens to the pods before anybody scales."""
    extra: int = 0
    """So many more pods there are because of these."""
    ours: Outcome | None = None
    """What becomes of our side, where it is to differ."""
    then: "Then | None" = None


class Side:
    """One of the two Deployments of a case."""

    def __init__(self, cluster: Cluster, case: Case, name: str) -> None:
        self.cluster = cluster
        self.case = case
        self.name = name
        group = {"name": "worker", "resources": {"requests": REQUESTS}, "probe": {"type": "None"}} | dict(case.spec)
        group |= {"podAnnotations": NEXT_TO_NOTHING}
        engine = "HPA" if name.startswith("hpa") else "Reconciler"
        # Where nothing is written, ours has the defaults that an HPA has as soon as anything is.
        group |= {"scaling": {"maxReplicas": 9, "engine": engine, "behavior": {"scaleUp": {}}} | dict(case.scaling)}
        if engine == "Reconciler":  # there is no Celery that could say what it runs
            group["scaling"] |= {"whenSilent": "ScaleIn"}
        metadata = {"name": name, "namespace": cluster.namespace, "uid": name, "generation": 1}
        spec = {"image": "registry.example.com/shop:1", "app": "shop.celery:app", "workers": [group]}
        app = {"apiVersion": CELERY_APP.api_version, "kind": CELERY_APP.name, "metadata": metadata, "spec": spec}
        document = Document(app, name, {})
        self.app = App.of(app)
        self.children = {child["kind"]: child for child in pipeline.base(document, SCHEMA).children}
        [self.group] = pipeline.app(document, SCHEMA).groups

    @property
    def is_ours(self) -> bool:
        return self.app.scales

    @property
    def outcome(self) -> Outcome:
        return self.case.ours if self.is_ours and self.case.ours else self.case.outcome

    @property
    def scaled(self) -> Scaled:
        policy = Policy.of(self.group.spec, LIKE_THE_FLAGS)
        return Scaled(self.app.generation, (Group.of(self.group, {})._replace(policy=policy),))

    def begin(self) -> None:
        self._apply(self._deployment(self.case.container, {}))

    def roll_out(self) -> None:
        """Let the pods of a new image come, which are not available for long."""
        image = {"image": "registry.example.com/shop:2"}
        self._apply(self._deployment(self.case.container | image, self.case.rollout, minReadySeconds=500))

    def _deployment(self, container: Mapping[str, Any], pod: Mapping[str, Any], **spec: Any) -> Manifest:
        """Return the Deployment with these parts of it changed by hand."""
        deployment = copy.deepcopy(self.children["Deployment"])
        deployment["spec"] |= {"replicas": self.case.pods} | spec
        deployment["spec"]["template"]["spec"] |= pod
        deployment["spec"]["template"]["spec"]["containers"][0] |= container
        return deployment

    def be_scaled(self) -> None:
        if not self.is_ours:
            self._apply(self.children["HorizontalPodAutoscaler"])

    @property
    def pods(self) -> list[Manifest]:
        """All there are, those of a new image last."""
        path, query = POD.path(self.cluster.namespace), {"labelSelector": f"{APP_LABEL}={self.name}"}
        pods = self.cluster.request("GET", path, **query).accepted().body["items"]
        return sorted(pods, key=lambda pod: (pod["spec"]["containers"][0]["image"], pod["metadata"]["name"]))

    def patch(self, pod: Manifest, patch: Manifest, subresource: str = "") -> None:
        path = POD.path(self.cluster.namespace, pod["metadata"]["name"]) + subresource
        query = {"content_type": "application/strategic-merge-patch+json"}
        self.cluster.request("PATCH", path, patch, **query).accepted()

    def turn_unready(self, pod: Manifest, since: str) -> None:
        condition = {"type": "Ready", "status": "False", "lastTransitionTime": since}
        self.patch(pod, {"status": {"conditions": [condition]}}, "/status")

    def terminate(self, pod: Manifest) -> None:
        """Delete the pod, which stays."""
        self.patch(pod, {"metadata": {"finalizers": ["tests.celeryproject.org/stays"]}})
        self.cluster.request("DELETE", POD.path(self.cluster.namespace, pod["metadata"]["name"])).accepted()

    def use(self, cpu: int, memory: int) -> None:
        """Let every pod that is measured use so much."""
        for pod in self.pods:
            if pod["metadata"]["annotations"][MEMORY] != UNMEASURED:
                self.patch(pod, {"metadata": {"annotations": {CPU: f"{cpu}m", MEMORY: f"{memory}Mi"}}})

    def _apply(self, manifest: Manifest) -> None:
        query = {"content_type": "application/apply-patch+yaml", "fieldManager": "tests", "force": "true"}
        [kind] = [kind for kind in (DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER) if kind.name == manifest["kind"]]
        path = kind.path(self.cluster.namespace, manifest["metadata"]["name"])
        self.cluster.request("PATCH", path, manifest, **query).accepted()


Mishap = Callable[[Side], Any]


class Then(NamedTuple):
    """What happens to both sides while they are scaled, and what comes of it."""

    mishap: Mishap
    outcome: Outcome


class Scaler:
    """What a tick of the scaling clock is to groups that are scaled, with the flags' timing."""

    def __init__(self, reconciler: "Reconciler", sides: Iterable[Side]) -> None:
        self.cluster, self.looks = reconciler.client, reconciler.looks
        self.namespaces = (reconciler.cluster.namespace,)
        self.sides = list(sides)
        self.remembered = {side.name: Remembered(side.scaled) for side in self.sides}
        self.reasons: dict[str, dict[str, str]] = {side.name: {} for side in self.sides}
        self.ticks = itertools.count()

    def run(self) -> None:
        """Scale every group, and remember why."""
        pods = self.looks.ticks.pods
        for store in (self.looks.cache.children[DEPLOYMENT.name], pods):
            store.refresh()
        seen = Sight(
            next(self.ticks), pods, self.looks.ticks.autoscalers, sight.measured(self.cluster, self.namespaces)
        )
        for side in self.sides:
            lives = [live for live in self.looks.cache.of(side.app).values() if plan.belongs(side.app, live)]
            targets = groups.targets(side.app, side.scaled.groups, lives)
            after = groups.rescaled(self.remembered[side.name], targets, seen, self.cluster, clock.now())
            self.remembered[side.name] = after
            for decision in after.decisions.values():
                self.reasons[side.name] |= {each.type: each.reason for each in decision.conditions}


class Stage:
    """All pairs together."""

    def __init__(self, reconciler: "Reconciler", cases: Iterable[Case]) -> None:
        self.cluster = reconciler.cluster
        self.pairs = [
            (Side(self.cluster, case, f"hpa-{number}"), Side(self.cluster, case, f"ours-{number}"))
            for number, case in enumerate(cases)
        ]
        self.sides = {side.name: side for pair in self.pairs for side in pair}
        self.scaler = Scaler(reconciler, (ours for _, ours in self.pairs))

    def prepare(self) -> None:
        """Let everything happen that happens before anybody scales."""
        self._each(Side.begin, self.sides.values())
        self._wait_until(lambda: self._are_there(0))
        self._each(Side.roll_out, (side for side in self.sides.values() if side.case.rollout is not None))
        self._wait_until(lambda: self._are_there(sum(side.case.rollout is not None for side in self.sides.values())))
        self._each(lambda side: side.case.mishap(side), (side for side in self.sides.values() if side.case.mishap))
        self._wait_until(lambda: self._are_there(sum(side.case.extra for side in self.sides.values())))
        self._each(lambda side: side.use(side.case.cpu, side.case.memory), self.sides.values())
        self._wait_until(self._is_measured)

    def begin(self) -> list[tuple[Outcome, Outcome]]:
        """Return what becomes of each pair."""
        self._each(Side.be_scaled, self.sides.values())
        return self._become({side.name: side.outcome for side in self.sides.values()})

    def go_on(self) -> list[tuple[Outcome, Outcome]]:
        """Return what becomes of each pair then: once the pods have come and gone, which may take its time."""
        sides = [side for side in self.sides.values() if side.case.then]
        self._wait_until(lambda: all(len(side.pods) == side.outcome.replicas for side in sides))
        self._each(lambda side: side.case.then.mishap(side), sides)
        self._wait_until(self._is_measured)
        outcomes = {side.name: side.outcome for side in self.sides.values()}
        return self._become(
            outcomes | {name: side.case.then.outcome for name, side in self.sides.items() if side.case.then}
        )

    def end(self) -> None:
        """Let pods go that stay."""
        for pod in self._all(POD):
            if "finalizers" in pod["metadata"]:
                self.sides[_app(pod)].patch(pod, {"metadata": {"finalizers": None}})

    def _become(self, want: Mapping[str, Outcome]) -> list[tuple[Outcome, Outcome]]:
        """Return how each pair is when all stay as they are to be for a while, or after long enough."""
        since = time.monotonic()
        deadline = since + PATIENCE_SECONDS
        while time.monotonic() - since < QUIET_SECONDS and time.monotonic() < deadline:
            self.scaler.run()
            if (found := self._seen()) != want:
                since = time.monotonic()
            time.sleep(INTERVAL_SECONDS)
        return [(found[hpa.name], found[ours.name]) for hpa, ours in self.pairs]

    def _seen(self) -> dict[str, Outcome]:
        reasons = dict(self.scaler.reasons)
        for autoscaler in self._all(HORIZONTAL_POD_AUTOSCALER):
            conditions = autoscaler.get("status", {}).get("conditions") or ()
            reasons[_app(autoscaler)] = {each["type"]: each["reason"] for each in conditions}
        found = {_app(each): each["spec"]["replicas"] for each in self._all(DEPLOYMENT)}
        of = ("ScalingActive", "ScalingLimited", "AbleToScale")
        return {name: Outcome(count, *map(reasons[name].get, of)) for name, count in found.items()}

    def _are_there(self, extra: int) -> bool:
        """Say whether there are as many pods as asked for and so many more, and what is to become of each."""
        pods = self._all(POD)
        homeless = sum("nodeName" not in pod["spec"] and "conditions" in pod["status"] for pod in pods)
        settled = homeless + sum(pod["status"]["phase"] != "Pending" for pod in pods)
        return len(pods) == settled == sum(side.case.pods for side in self.sides.values()) + extra

    def _is_measured(self) -> bool:
        """Say whether the metrics API tells of every running pod what its annotations say."""
        measured = {each["metadata"]["name"]: each["containers"][0]["usage"] for each in self._all(POD_METRICS)}
        running = [pod["metadata"] for pod in self._all(POD) if pod["status"]["phase"] == "Running"]
        return all(_is_near(pod["annotations"], measured.get(pod["name"])) for pod in running)

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait, and leave the control plane the time to work: hundreds of pods are dear to list."""
        self.cluster.wait_until(lambda: time.sleep(INTERVAL_SECONDS) or holds())

    def _all(self, kind: Kind) -> list[Manifest]:
        return self.cluster.request("GET", kind.path(self.cluster.namespace)).accepted().body["items"]

    @staticmethod
    def _each(do: Callable[[Side], Any], sides: Iterable[Side]) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(do, sides))


def _app(child: Manifest) -> str:
    return child["metadata"]["labels"][APP_LABEL]


def _is_near(annotations: Mapping[str, str], used: Mapping[str, str] | None) -> bool:
    if annotations[MEMORY] == UNMEASURED or used is None:
        return annotations[MEMORY] == UNMEASURED and used is None
    measured, wanted = quantity.milli(used["cpu"]), quantity.milli(annotations[CPU])
    is_same = quantity.milli(used["memory"]) == quantity.milli(annotations[MEMORY])
    return is_same and abs(measured - wanted) <= max(wanted * TREMOR, 1)


# What may happen to pods: to the first so many or, where the number is negative, to the last.


def using(cpu: int = 100, memory: int = 100) -> Mishap:
    return lambda side: side.use(cpu, memory)


def never_ready(count: int) -> Mishap:
    return lambda side: [side.turn_unready(pod, LONG_AGO) for pod in _some(side.pods, count)]


def not_ready_any_more(count: int) -> Mishap:
    return lambda side: [side.turn_unready(pod, _now()) for pod in _some(side.pods, count)]


def unmeasured(count: int) -> Mishap:
    patch = {"metadata": {"annotations": {MEMORY: UNMEASURED}}}
    return lambda side: [side.patch(pod, patch) for pod in _some(side.pods, count)]


def failed(count: int) -> Mishap:
    return lambda side: [side.patch(pod, {"status": {"phase": "Failed"}}, "/status") for pod in _some(side.pods, count)]


def terminating(count: int) -> Mishap:
    return lambda side: [side.terminate(pod) for pod in _some(side.pods, count)]


def joined_by_a_stranger(side: Side) -> None:
    """Create a pod that has the labels, and no owner."""
    template = side.children["Deployment"]["spec"]["template"]
    metadata = {"name": f"{side.name}-stranger"} | {key: template["metadata"][key] for key in ("labels", "annotations")}
    path = POD.path(side.cluster.namespace)
    side.cluster.request("POST", path, {"metadata": metadata, "spec": template["spec"]}).accepted()


def _some(pods: list[Manifest], count: int) -> list[Manifest]:
    return pods[:count] if count > 0 else pods[count:]


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
