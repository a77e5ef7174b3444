"""The story on one screen: one app is applied, scaled and reported. How, children.py, groups.py and report.py say."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from reconciler.apply import admission, children, fights, plan, verdicts
from reconciler.apply import known as known_
from reconciler.apply.children import Scene
from reconciler.apply.fights import Fight
from reconciler.apply.known import Known
from reconciler.cluster.cache import Cache, Store, Stores
from reconciler.cluster.client import Cluster
from reconciler.cluster.errors import ClusterError, Halted
from reconciler.cluster.live import App
from reconciler.model import DEPLOYMENT, AppResult, Manifest, Moment, Outcome, Ref, StepResult, Verdict
from reconciler.scaling import group, groups
from reconciler.scaling.groups import Remembered, Scaled
from reconciler.scaling.sight import Sight
from reconciler.scaling.usage import Seen
from reconciler.status import autoscalers, events, pods, quiet, report
from reconciler.status.pods import Why
from reconciler.status.quiet import Asked
from reconciler.status.report import Account
from render import pipeline
from render.errors import InvalidInput, dotted
from render.schema import Schema

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class World:
    """What a look at one app reaches out to."""

    cluster: Cluster
    """Writes only within the term in which the look began."""
    cache: Cache
    schema: Schema
    sight: Sight | None
    """What was seen at the last tick of the scaling clock, if there was one."""
    pods: Store[Seen] | Stores[Seen]
    """Of all apps."""
    now: Moment
    installation: str = ""
    """Which reconciler we are, to tell another one from."""
    dry_run: bool = False
    may_roll: Callable[[App], bool] = lambda _: True
    lends: bool = False
    """Whether apps may use credentials of the cluster."""


class Warned(NamedTuple):
    """What of an app's spec will hurt, as of this generation."""

    generation: int = -1
    warnings: tuple[str, ...] = ()


OFF = {"Off": "True"}
"""What is told Prometheus of an app that is Off, in place of its conditions: nobody is to be woken for it."""


@dataclass(frozen=True)
class Memory:
    """What is remembered of one app. An empty one is always right."""

    known: Known = field(default=Known())
    scaling: Remembered = field(default=Remembered())
    reported: bool = False
    """Its status was ours when it was last looked at."""
    verdict: Verdict | None = None
    warned: Warned = field(default=Warned())
    asked: Mapping[Ref, Asked] = field(default_factory=dict)
    """What the Events of pods have told, by their Deployment."""
    problem: str = ""
    """What could not be done besides the children, and was said."""
    problems: int = 0
    """How often in a row that was so."""


class Look(NamedTuple):
    """What came of a look at an app."""

    result: AppResult
    memory: Memory
    due: datetime | None
    """When to look again though nothing happens, by the steady clock."""

    @property
    def is_crash(self) -> bool:
        """Whether the fault was ours."""
        return self.memory.verdict is not None and self.memory.verdict.reason == verdicts.CRASHED


def look(world: World, app: App, memory: Memory) -> Look:
    """Make an app what it shall be, and say how it is. Raises Halted when it may not be written any more."""
    recent = replace(memory.known, fights=fights.remembered(memory.known.fights, world.now))
    known, results, verdict = _applied(world, app, recent)
    scaling, crash = _scaled(world, app, memory.scaling)
    verdict = verdict or crash or scaling.scaled.verdict
    is_invalid = verdict is not None and verdict.reason == verdicts.INVALID
    warned, crash = (Warned(), None) if is_invalid else _warned(world, app, memory.warned)
    verdict = verdict or crash
    known = _with_rivals(world, app, replace(memory, known=known))
    failed = [each.message for each in scaling.results if each.outcome is Outcome.FAILED]
    conditions: Mapping[str, str] = {}
    problem, unwritten = "; ".join(failed), ""
    asked, troubles = _troubles(world, app, memory.asked)
    if plan.reports(app) and not world.dry_run:
        told = Memory(known, scaling, verdict=verdict, warned=warned)
        status = report.status(_account(world, app, told, troubles), world.now.wall)
        conditions = {each["type"]: each["status"] for each in status["conditions"]} if plan.is_served(app) else OFF
        unwritten = _published(world, app, known, status, (*results, *scaling.results))
        problem = "; ".join(filter(None, [problem, unwritten]))
    _log_news(app, memory, verdict, problem)
    result = AppResult(
        app=app.ref,
        steps=(*results, *scaling.results),
        conditions=conditions,
        problem=problem or (verdict.message if verdict else ""),
        scaling=scaling.numbers,
        contradicted=sum(fight.is_open for fight in known.fights.values()),
    )
    is_ours, problems = plan.is_served(app) and not unwritten, memory.problems + 1 if problem else 0
    kept = Memory(known, replace(scaling, results=()), is_ours, verdict, warned, asked, problem, problems)
    again = [world.now.steady + timedelta(seconds=known_.retry_seconds(problems))] if problem else []
    again += [each.again_at for each in asked.values()]
    return Look(result, kept, min([*again, *filter(None, [known.due(world.now)])], default=None))


def _applied(world: World, app: App, before: Known) -> tuple[Known, tuple[StepResult, ...], Verdict | None]:
    """Return what is known after applying; a fault of our own is that app's alone."""
    if not plan.applies(app):
        own = {ref: fight for ref, fight in before.fights.items() if ref == app.ref and plan.is_served(app)}
        return Known(fights=own), (), None
    scene = Scene(world.cluster, world.cache, world.schema, world.now, world.dry_run, world.may_roll, world.lends)
    try:
        known, results = children.applied(scene, app, before)
    except Halted:
        raise
    except Exception as error:
        log.exception("%s crashed", app.ref)
        known, results = before.crashed(app, error, world.now), ()
    return known, results, known.verdict


def _scaled(world: World, app: App, before: Remembered) -> tuple[Remembered, Verdict | None]:
    """Return what was decided, at most once a tick, about the groups that are ours to scale."""
    try:
        if not plan.scales(app):
            _without_ended(world, app, replace(before, scaled=Scaled()))
            return Remembered(), None
        known = _without_ended(world, app, replace(before, scaled=scaled(app, before.scaled, world.schema)))
        return _rescaled(world, app, known), None
    except Halted:
        raise
    except Exception as error:
        log.exception("%s crashed", app.ref)
        return before, verdicts.crashed(error)


def _without_ended(world: World, app: App, before: Remembered) -> Remembered:
    """Forget groups that are not scaled any more, and leave nothing behind where anything may be written."""
    if world.sight is None or not plan.is_served(app):
        return before
    lives = (live for live in world.cache.of(app).values() if plan.belongs(app, live))
    return groups.without_ended(before, lives, world.sight, None if world.dry_run else world.cluster)


def _warned(world: World, app: App, before: Warned) -> tuple[Warned, Verdict | None]:
    """Return what will hurt of an app that is served; it is not validated once more for that."""
    if not plan.is_served(app) or before.generation == app.generation:
        return before, None
    try:
        found = pipeline.warnings(app.document(world.schema), world.schema)
    except Exception as error:
        log.exception("%s crashed", app.ref)
        return before, verdicts.crashed(error)
    return Warned(app.generation, tuple(f"{dotted(each.path)}: {each.message}" for each in found)), None


def _rescaled(world: World, app: App, before: Remembered) -> Remembered:
    sight, cluster = world.sight, None if world.dry_run else world.cluster
    if sight is None or sight.number == before.tick:
        return before
    lives = [live for live in world.cache.of(app).values() if plan.belongs(app, live)]
    found = groups.targets(app, before.scaled.groups, lives)
    targets = [each for each in found if sight.is_about(each.key, each.live)]
    if not sight.knows(each.key for each in targets):
        return before
    if others := [other for other in world.cache.apps.by((app.ref.namespace, app.label)) if plan.shares(app, other)]:
        after = groups.ambiguous(before, targets, others, sight, cluster)
    else:
        after = groups.rescaled(before, targets, sight, cluster, world.now)
    return after if sight.only is None else after.beside(before)


def scaled(app: App, before: Scaled, schema: Schema) -> Scaled:
    """Return the groups that are to be scaled, none of an app that is invalid."""
    if before.generation == app.generation:
        return before
    try:
        return Scaled(app.generation, group.scaled(app, schema))
    except InvalidInput as problems:
        return Scaled(app.generation, (), verdicts.invalid(problems))


def _with_rivals(world: World, app: App, memory: Memory) -> Known:
    """Remember that another reconciler has written the status since we have, and is about to be overwritten."""
    rival = app.status.get("reconciler")
    is_ours = not memory.reported or rival in {None, "", world.installation}
    if is_ours or fights.held(memory.known.fights, app.ref, world.now):
        return memory.known
    fight = Fight(frozenset({"status"}), f"the reconciler {rival}", world.now.wall, world.now.steady)
    before = memory.known.fights
    return replace(memory.known, fights={**before, app.ref: fight.after(before.get(app.ref))})


def _troubles(world: World, app: App, before: Mapping[Ref, Asked]) -> tuple[Mapping[Ref, Asked], Mapping[Ref, Why]]:
    """Return what Events have told of the app's pods, and why some of each Deployment's are not ready."""
    if not plan.is_served(app) or world.dry_run:
        return {}, {}
    lives = (live for live in world.cache.of(app).values() if live.ref.kind == DEPLOYMENT.name)
    seen = {live.ref: world.pods.by((live.ref.namespace, live.ref.name)) for live in lives if plan.belongs(app, live)}
    unready = {ref: [each.unready for each in its if each.unready] for ref, its in seen.items()}
    asked = quiet.asked(world.cluster, unready, before, world.now)
    found = {ref: pods.why(quiet.voiced(each, asked.get(ref))) for ref, each in unready.items()}
    return asked, {ref: why for ref, why in found.items() if why}


def _account(world: World, app: App, memory: Memory, troubles: Mapping[Ref, Why]) -> Account:
    labelled = world.cache.of(app).values()
    own = tuple(live for live in labelled if plan.belongs(app, live))
    return Account(
        app,
        own,
        memory.verdict,
        {**autoscalers.said(own, labelled), **memory.scaling.said},
        tuple(fight.words(ref) for ref, fight in sorted(memory.known.fights.items()) if fight.is_open),
        world.installation,
        memory.warned.warnings,
        tuple(admission.words(*each) for each in sorted(memory.known.altered.items())),
        troubles,
    )


def _published(world: World, app: App, known: Known, status: Manifest, results: tuple[StepResult, ...]) -> str:
    """Write the app's status if it is another than before, and Events about what changed. Return what went wrong."""
    fight = known.fights.get(app.ref)
    is_held = fight and fight.last != world.now.steady and fights.held(known.fights, app.ref, world.now)
    if report.is_news(app, status) and not is_held:
        try:
            written = App.of(world.cluster.apply_status(app.bare | {"status": status}))
            world.cache.apps.take(written, ours=written.text == app.text)  # or else somebody has edited it just before
        except ClusterError as error:
            return str(error)
    now = world.now.wall
    for event in events.events(app, status, results, now):
        _emitted(partial(world.cluster.create, event))
    for ref, fight in known.fights.items():
        if fight.is_open and fight.last == world.now.steady:
            event = events.contradiction(app, fight.words(ref), fight.began, fight.count, now)
            _emitted(partial(world.cluster.apply, event, dry_run=False))
    return ""


def _emitted(emit: Callable[[], object]) -> None:
    try:
        emit()
    except ClusterError as error:
        log.warning("%s", error)  # an Event less does no harm


def _log_news(app: App, before: Memory, verdict: Verdict | None, problem: str) -> None:
    if verdict and verdict != before.verdict:
        log.warning("%s %s: %s", app.ref, verdict.reason, verdict.message)
    if problem and problem != before.problem:
        log.warning("%s", problem)
