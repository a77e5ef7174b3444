"""Scaling on one screen: what is seen of each group of an app, how many pods that takes, which of them may go."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from reconciler.cluster.client import MERGE_PATCH, Cluster
from reconciler.cluster.errors import ClusterError, Conflict, NotFound
from reconciler.cluster.live import App, Live
from reconciler.model import DEPLOYMENT, Change, Condition, Moment, Outcome, Scaling, StepResult, Verdict
from reconciler.scaling import decide, running
from reconciler.scaling.demand import Crew, Demanded
from reconciler.scaling.group import Group, GroupKey
from reconciler.scaling.model import Active, Decision, History, NotAsked, Observation, Silent
from reconciler.scaling.running import Cost
from reconciler.scaling.sight import Sight, crew
from reconciler.scaling.usage import DELETION_COST

log = logging.getLogger(__name__)


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
    results: tuple[StepResult, ...] = ()
    """What has just been written."""

    def history(self, group: Group) -> History:
        """Return what is remembered; without it nothing is scaled in for as long as its window is."""
        decision = self.decisions.get(group.name)
        return decision.history if decision else History()

    @property
    def said(self) -> dict[str, Scaling]:
        return {name: Scaling(each.message, each.conditions) for name, each in self.decisions.items()}

    @property
    def numbers(self) -> dict[str, dict[str, int]]:
        return {name: {"replicas": each.replicas, **each.metrics} for name, each in self.decisions.items()}


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
    results: list[StepResult] = []
    for target in found:
        decision, costs = _decided(target, before.history(target.group), sight, now)
        if decision.replicas != target.live.replicas:
            results.append(_written(target.live, decision, costs, cluster))
            if results[-1].outcome is Outcome.FAILED:
                decision = replace(decision, history=decision.unwritten)
        decisions[target.group.name] = decision
    return replace(before, tick=sight.number, decisions=decisions, results=tuple(results))


def ambiguous(before: Remembered, found: Iterable[Target], others: Iterable[App]) -> Remembered:
    """Scale nothing that is another app's as well."""
    names = ", ".join(sorted(other.ref.name for other in others))
    message = f"CeleryApp {names} has the same label: which of them is to scale is not known"
    off = Condition("ScalingActive", "False", "AmbiguousSelector", message)
    held = {
        each.group.name: Decision(each.live.replicas or 0, off.reason, message, (off,), History(), History())
        for each in found
    }
    return replace(before, decisions=held, results=())


def _decided(target: Target, history: History, sight: Sight, now: Moment) -> tuple[Decision, tuple[Cost, ...]]:
    policy, live = target.group.policy, target.live
    demanded = sight.demanded.get(target.key, Demanded(None, NotAsked()))
    pods, told = sight.pods_of(live.ref), demanded.running
    if sight.pods.problem and not isinstance(told, NotAsked):
        told = Silent()  # whom to ask is not known
    tasks = told if isinstance(told, Mapping) else None
    observation = Observation(
        replicas=live.replicas or 0,
        current=live.status.get("replicas", 0),
        pods=tuple(each.pod for each in pods),
        usage=sight.usage(pods),
        backlog=demanded.backlog,
        active=Active(running.busy(pods, told, policy.concurrency)) if isinstance(told, Mapping) else told,
        at=now.wall,
    )
    decision = decide.decision(policy, observation, history, now.steady)
    shrinks = decision.replicas < (live.replicas or 0)
    return decision, running.costs(pods, tasks, policy.concurrency) if shrinks else ()


def _written(live: Live, decision: Decision, costs: Iterable[Cost], cluster: Cluster | None) -> StepResult:
    before, after = live.replicas or 0, decision.replicas
    change = (Change("spec.replicas", before, after),)
    if cluster:
        try:
            for cost in costs:
                _set_cost(cost, cluster)
            cluster.scale(live.ref, before, after)
        except ClusterError as error:
            return StepResult(live.ref, Outcome.FAILED, str(error), change)
        log.info("%s scaled %s → %s: %s", live.ref, before, after, decision.message)
    return StepResult(live.ref, Outcome.SCALED, decision.message, change)


def _set_cost(cost: Cost, cluster: Cluster) -> None:
    """Write what a pod's deletion costs; one that has gone meanwhile needs none."""
    annotations = {DELETION_COST: str(cost.cost) if cost.cost else None}
    patch = {"metadata": {"uid": cost.uid, "annotations": annotations}}
    with suppress(NotFound, Conflict):
        cluster.patch(cost.pod, patch, MERGE_PATCH, dry_run=False)
