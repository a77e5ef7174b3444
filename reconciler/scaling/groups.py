"""Scaling on one screen: what is seen of each group of an app, how many pods that takes, which of them may go."""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from reconciler.cluster.client import MERGE_PATCH, Cluster
from reconciler.cluster.errors import ClusterError, Conflict, NotFound
from reconciler.cluster.live import App, Live
from reconciler.model import DEPLOYMENT, Change, Condition, Moment, Outcome, Scaling, StepResult, Verdict
from reconciler.scaling import decide, pace, running
from reconciler.scaling.demand import Crew, Demanded
from reconciler.scaling.group import Group, GroupKey
from reconciler.scaling.model import (
    CELERY_SILENT,
    MAX_INT32,
    Active,
    Backlog,
    Decision,
    History,
    NotAsked,
    Observation,
    Pod,
    Policy,
    Stay,
)
from reconciler.scaling.pace import Line, Pace
from reconciler.scaling.running import MARGIN_SECONDS, Cost, Experience, Kept, Told
from reconciler.scaling.sight import Sight, crew
from reconciler.scaling.usage import COST_BEFORE, DELETION_COST, Seen

log = logging.getLogger(__name__)

AT_ONCE = 8
"""So many pods' deletion costs are written at a time."""
_TOO_OLD = "what runs was told too long ago, and is asked again"


class Scaled(NamedTuple):
    """The groups of an app that are scaled, as its spec of this generation has them."""

    generation: int = -1
    groups: tuple[Group, ...] = ()
    verdict: Verdict | None = None
    """Why there are none, of an app that is invalid."""


@dataclass(frozen=True)
class Remembered:
    """What was decided about the groups of one app, and what the next decision has to know of it."""

    scaled: Scaled = field(default=Scaled())
    tick: int = -1
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    experience: Mapping[str, Experience] = field(default_factory=dict)
    """How long tasks take, by group."""
    paces: Mapping[str, Pace] = field(default_factory=dict)
    """How fast they come and end, by group."""
    results: tuple[StepResult, ...] = ()
    """What has just been written."""

    def history(self, group: Group) -> History:
        """Return what is remembered; without it nothing is scaled in for as long as its window is."""
        decision = self.decisions.get(group.name)
        return decision.history if decision else History()

    def beside(self, before: Self) -> Self:
        """Return this with what was decided of the other groups at the last tick."""
        decisions, experience = {**before.decisions, **self.decisions}, {**before.experience, **self.experience}
        paces = {**before.paces, **self.paces}
        return replace(self, tick=before.tick, decisions=decisions, experience=experience, paces=paces)

    @property
    def said(self) -> dict[str, Scaling]:
        return {name: each.said for name, each in self.decisions.items()}

    @property
    def numbers(self) -> dict[str, dict[str, int]]:
        return {
            name: {"replicas": each.replicas, "held": each.is_held, "failing": each.said.is_failing, **each.metrics}
            for name, each in self.decisions.items()
        }


class Target(NamedTuple):
    """A group and its Deployment."""

    key: GroupKey
    group: Group
    live: Live


def targets(app: App, groups: Iterable[Group], lives: Iterable[Live]) -> Iterator[Target]:
    """Yield the groups that have a Deployment, whatever it is called, which is to stay: ours before a copy of it."""
    there = [live for live in lives if live.ref.kind == DEPLOYMENT.name and live.replicas is not None]
    for group in groups:
        own = [live for live in there if live.component == group.name and not live.is_terminating]
        own.sort(key=lambda live: live.controller is None or live.controller.uid != app.uid)
        if own:
            yield Target((app.uid, group.name), group, own[0])


def crews(targets: Iterable[Target], sight: Sight) -> dict[GroupKey, Crew]:
    """Return who is to be asked about."""
    return {each.key: crew(each.group, each.live, sight.pods_of(each.live.ref)) for each in targets}


def rescaled(
    before: Remembered, found: Iterable[Target], sight: Sight, cluster: Cluster | None, now: Moment
) -> Remembered:
    """Give every group the pods it needs, or without a cluster say so; what fails is decided anew at the next tick."""
    decisions: dict[str, Decision] = {}
    experience: dict[str, Experience] = {}
    paces: dict[str, Pace] = {}
    results: list[StepResult] = []
    for target in found:
        name = target.group.name
        if rival := sight.rival(target.live.ref, target.key[0]):
            message = f"{rival} scales Deployment {target.live.ref.name} too: remove one"
            decisions[name] = _left_alone(target, "ForeignAutoscaler", message)
            _take_back(target.live, sight, cluster)
            continue
        known = _pace(target, before.paces.get(name, Pace()), sight, now)
        seen = _seen(target, before.experience.get(name, Experience()), known, sight, now)
        decision = decide.decision(target.group.policy, seen.observation, before.history(target.group), now.steady)
        if target.group.policy.counts_queue:
            decision = replace(decision, metrics={**decision.metrics, **_waits(target.group.policy, known)})
        if decision.replicas != target.live.replicas:
            results.append(_written(target, decision, seen, sight, cluster))
            if results[-1].outcome is Outcome.FAILED:
                decision = replace(decision, history=decision.unwritten)
        elif not seen.is_shrinking:
            _take_back(target.live, sight, cluster)
        decisions[name], experience[name], paces[name] = decision, seen.experience, known
    return replace(
        before, tick=sight.number, decisions=decisions, experience=experience, paces=paces, results=tuple(results)
    )


def ambiguous(
    before: Remembered, found: Sequence[Target], others: Iterable[App], sight: Sight, cluster: Cluster | None
) -> Remembered:
    """Scale nothing that is another app's as well."""
    names = ", ".join(sorted(other.ref.name for other in others))
    message = f"CeleryApp {names} has the same label: which of them is to scale is not known"
    held = {each.group.name: _left_alone(each, "AmbiguousSelector", message) for each in found}
    for each in found:
        _take_back(each.live, sight, cluster)
    return replace(before, decisions=held, results=())


def without_ended(before: Remembered, lives: Iterable[Live], sight: Sight, cluster: Cluster | None) -> Remembered:
    """Forget groups that are not scaled any more, and leave nothing on their pods."""
    names = {group.name for group in before.scaled.groups}
    gone = before.decisions.keys() - names
    for live in lives if gone else ():
        if live.ref.kind == DEPLOYMENT.name and live.component in gone:
            _take_back(live, sight, cluster)
    return replace(before, decisions={name: each for name, each in before.decisions.items() if name in names})


def _left_alone(target: Target, reason: str, message: str) -> Decision:
    off = Condition("ScalingActive", "False", reason, message)
    return Decision(target.live.replicas or 0, reason, message, (off,), History(), History())


class _Seen(NamedTuple):
    """What was seen of a group at this tick."""

    observation: Observation
    pods: list[Seen]
    told: Told
    active: Active
    kept: Kept
    experience: Experience
    is_shrinking: bool
    """Pods are still to go."""

    def asks_all(self, replicas: int) -> bool:
        """Say whether with so many pods all stay that do not say what they run."""
        return self.active.silent.pods <= replicas


def _pace(target: Target, before: Pace, sight: Sight, now: Moment) -> Pace:
    """Return how fast tasks come and end, by what was seen of them last."""
    policy, demanded = target.group.policy, sight.demanded.get(target.key)
    if demanded is None or not isinstance(demanded.backlog, Backlog):
        return before.after(None)
    pods = [each.pod for each in sight.pods_of(target.live.ref) if not each.pod.is_terminating]
    quiet = [pod for pod in pods if pod.name not in demanded.counters and (pod.is_ready or pod.was_ready)]
    silent = {pod.name: _taken_slots(policy, pod, demanded.running) for pod in quiet}
    return before.after(Line(now.steady, demanded.backlog, demanded.counters, silent, pace.starts(pods)))


def _taken_slots(policy: Policy, pod: Pod, told: Told) -> int:
    """Return how many slots of a pod that does not count what it begins are taken to be busy."""
    if isinstance(told, Mapping) and pod.name in told:
        return len(told[pod.name])
    return policy.concurrency if pod.is_ready and policy.when_silent == "Hold" else 0


def _waits(policy: Policy, known: Pace) -> dict[str, int]:
    """Return how long a message waits, where that is known, and how long it may."""
    found = {"wait_seconds": known.wait_seconds, "max_wait_seconds": policy.max_wait_seconds}
    return {name: math.ceil(seconds) for name, seconds in found.items() if seconds is not None}


def _seen(target: Target, before: Experience, known: Pace, sight: Sight, now: Moment) -> _Seen:
    policy, live = target.group.policy, target.live
    demanded = sight.demanded.get(target.key, Demanded(None, NotAsked()))
    seen, told, count = sight.pods_of(live.ref), demanded.running, live.status.get("replicas", 0)
    pods, experience = tuple(each.pod for each in seen), before.after(told, sight.heard.get(target.key, now))
    kept = running.kept(policy, pods, told, experience)
    observed = live.status.get("observedGeneration", 0) >= live.generation
    is_whole = live.status.get("updatedReplicas", 0) == count
    is_rolling = count > 0 and not (observed and is_whole)
    is_shrinking = not observed or (is_whole and count > (live.replicas or 0))
    active = running.active(policy, pods, told, kept, is_rolling=is_rolling)
    if isinstance(told, Mapping) and _is_old(sight, target.key):
        active = active._replace(silent=Stay(MAX_INT32, CELERY_SILENT, _TOO_OLD))
    if problem := sight.pods.problem or running.unknown(pods, count):
        active = active._replace(silent=Stay(MAX_INT32, CELERY_SILENT, problem))
    slots = known.slots(policy.max_wait_seconds)
    in_one = known.slots_in_one_pod
    observation = Observation(
        live.replicas or 0,
        count,
        pods,
        sight.usage(live.ref.namespace, seen),
        demanded.backlog,
        active,
        slots,
        in_one,
        at=now.wall,
    )
    return _Seen(observation, seen, told, active, kept, experience, is_shrinking)


def _is_old(sight: Sight, key: GroupKey) -> bool:
    """Say whether tasks may have begun since, of which nobody knows."""
    return sight.age_seconds(key) > MARGIN_SECONDS


def _written(target: Target, decision: Decision, seen: _Seen, sight: Sight, cluster: Cluster | None) -> StepResult:
    live, before, after = target.live, target.live.replicas or 0, decision.replicas
    change = (Change("spec.replicas", before, after),)
    if cluster:
        try:
            if after < before:
                refused = _set_costs(running.costs(seen.pods, seen.told, seen.kept), cluster)
                must_stay = {*seen.kept.busy, *(seen.kept.silent if seen.asks_all(after) else ())}
                if pod := min(must_stay & refused.keys(), default=None):
                    message = f"Pod {pod} must stay, and its deletion cost was not written: {refused[pod]}"
                    return StepResult(live.ref, Outcome.FAILED, message, change)
                if seen.asks_all(after) and _is_old(sight, target.key):
                    return StepResult(live.ref, Outcome.FAILED, _TOO_OLD, change)
            cluster.scale(live.ref, before, after)
        except ClusterError as error:
            return StepResult(live.ref, Outcome.FAILED, str(error), change)
        log.info("%s scaled %s → %s: %s", live.ref, before, after, decision.message)
    return StepResult(live.ref, Outcome.SCALED, decision.message, change)


def _take_back(live: Live, sight: Sight, cluster: Cluster | None) -> None:
    """Leave no deletion cost on pods that is of no use any more."""
    if cluster:
        _set_costs(running.taken_back(sight.pods_of(live.ref)), cluster)


def _set_costs(costs: Sequence[Cost], cluster: Cluster) -> dict[str, ClusterError]:
    """Write what pods' deletion costs, best effort; return what was refused, by pod. One that has gone needs none."""

    def write(cost: Cost) -> ClusterError | None:
        annotations = {DELETION_COST: cost.cost, COST_BEFORE: cost.before}
        patch = {"metadata": {"uid": cost.uid, "annotations": annotations}}
        try:
            cluster.patch(cost.pod, patch, MERGE_PATCH, dry_run=False)
        except (NotFound, Conflict):
            return None
        except ClusterError as error:
            return error
        return None

    if not costs:
        return {}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        refused = {cost.pod.name: error for cost, error in zip(costs, threads.map(write, costs), strict=True) if error}
    if refused:
        log.warning("%s deletion costs were not written: %s", len(refused), next(iter(refused.values())))
    return refused
