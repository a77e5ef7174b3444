"""Scaling on one screen: what there is to do, how many pods that takes, which of them may go. Only reads.

All groups of a pass are decided on together: one LIST of pods, one of what they use, one connection to each broker.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from reconciler.apply import observe, plan
from reconciler.apply.observe import Fleet
from reconciler.apply.step import Step
from reconciler.cluster.client import Cluster
from reconciler.cluster.live import Live
from reconciler.model import DEPLOYMENT, Change, Options, Outcome
from reconciler.scaling import decide, running
from reconciler.scaling.demand import Crew, Demand, Demanded, Running
from reconciler.scaling.group import Group, GroupKey
from reconciler.scaling.model import (
    RESOURCES,
    Active,
    Decision,
    History,
    NotAsked,
    Observation,
    Silent,
    Usage,
)
from reconciler.scaling.usage import Seen
from reconciler.work import Work


class Subject(NamedTuple):
    """A group that is scaled, its Deployment, and what was decided about it before."""

    group: Group
    live: Live
    history: History

    def pods(self, fleet: Fleet) -> list[Seen]:
        return fleet.pods.get((self.live.ref.namespace, self.live.ref.name), [])


class Scope(NamedTuple):
    """Which apps, and when."""

    options: Options
    now: datetime


class Sight(NamedTuple):
    """What is seen of one group."""

    pods: list[Seen]
    fleet: Fleet
    demand: Demanded
    now: datetime


class Rescaling(NamedTuple):
    """What was decided about a group, and the step that makes it so if it needs one."""

    decision: Decision
    step: Step | None = None


Subjects = Mapping[GroupKey, Subject]
Rescalings = Mapping[GroupKey, Rescaling]


def subjects(works: Iterable[Work], before: Mapping[GroupKey, History]) -> Subjects:
    """Return the groups that are scaled and have a Deployment."""
    return {
        (work.app.uid, group.name): Subject(group, live, before.get((work.app.uid, group.name), History()))
        for work in works
        for group in work.groups
        if (live := _deployment(work, group))
    }


def decided(subjects: Subjects, cluster: Cluster, demand: Demand, scope: Scope) -> Rescalings:
    """Return what is decided about every group: first as if nothing ran, and anew where fewer pods would do then."""
    if not subjects:
        demand.of({})  # forgets the URLs of those that are gone
        return {}
    fleet = observe.fleet(cluster, scope.options)
    crews = {key: Crew(each.live.ref.namespace, each.group, _names(each.pods(fleet))) for key, each in subjects.items()}
    demands = demand.of({key: crew for key, crew in crews.items() if crew.group.queues})
    unasked = Demanded(None, NotAsked())
    sights = {
        key: Sight(each.pods(fleet), fleet, demands.get(key, unasked), scope.now) for key, each in subjects.items()
    }
    found = {key: _decided(each, sights[key], NotAsked()) for key, each in subjects.items()}
    shrinking = [key for key, rescaling in found.items() if rescaling.decision.wants_to_scale_in]
    demands |= demand.of({key: crews[key] for key in shrinking if key not in demands})
    for key in shrinking:
        told = Silent() if fleet.blind else demands[key].running  # blind: whom to ask is not known
        found[key] = _decided(subjects[key], sights[key], told)
    return found


def _decided(subject: Subject, sight: Sight, told: Running) -> Rescaling:
    policy, live = subject.group.policy, subject.live
    tasks = told if isinstance(told, Mapping) else None
    observation = Observation(
        replicas=live.replicas or 0,
        current=live.status.get("replicas", 0),
        pods=tuple(each.pod for each in sight.pods),
        usage=_usage(sight),
        backlog=sight.demand.backlog,
        active=Active(running.busy(sight.pods, told, policy.concurrency)) if isinstance(told, Mapping) else told,
    )
    decision = decide.decision(policy, observation, subject.history, sight.now)
    if decision.replicas == live.replicas:
        return Rescaling(decision)
    costs = running.costs(sight.pods, tasks, policy.concurrency) if decision.replicas < (live.replicas or 0) else ()
    changes = (Change("spec.replicas", live.replicas, decision.replicas),)
    step = Step(Outcome.SCALED, live.ref, live=live, changes=changes, message=decision.message)
    return Rescaling(decision, replace(step, replicas=decision.replicas, costs=costs))


def _names(pods: Iterable[Seen]) -> frozenset[str]:
    """Return who can say what it runs."""
    return frozenset(each.pod.name for each in pods if each.pod.phase == "Running" and not each.pod.is_terminating)


def _usage(sight: Sight) -> Usage:
    """Return what the group's pods use of each resource."""
    fleet = sight.fleet
    if failure := fleet.blind or fleet.unmeasured:
        return Usage(failures=dict.fromkeys(RESOURCES, failure))
    measured = {seen.pod.name: fleet.samples.get((seen.ref.namespace, seen.pod.name), {}) for seen in sight.pods}
    return Usage(
        {
            resource: {pod: samples[resource] for pod, samples in measured.items() if resource in samples}
            for resource in RESOURCES
        }
    )


def _deployment(work: Work, group: Group) -> Live | None:
    """Return the group's Deployment, whatever it is called, if it is there and is to stay; ours before a copy of it."""
    own = (live for live in work.lives.values() if live.ref.kind == DEPLOYMENT.name and live.component == group.name)
    its = (live for live in own if plan.belongs(work.app, live) and not live.is_terminating)
    there = [live for live in its if live.replicas is not None]
    ours = (live for live in there if plan.relation(work.app, live) is plan.Relation.OURS)
    return next(ours, there[0] if there else None)
