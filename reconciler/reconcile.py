"""The story on one screen: observe → serve → rescale → report. Within them compose only serve.py and rescale.py."""

import logging
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from reconciler.apply import act, desired, observe, plan, serve, verdict
from reconciler.apply.observe import Observed
from reconciler.apply.serve import Scene
from reconciler.cluster.client import Cluster
from reconciler.cluster.errors import ClusterError, Halted
from reconciler.cluster.live import App
from reconciler.memory import Memory, Scaled
from reconciler.model import AppResult, Options, PassResult
from reconciler.scaling import rescale
from reconciler.scaling.demand import Demand
from reconciler.scaling.rescale import Rescalings, Scope
from reconciler.status import report
from reconciler.work import Work
from render.errors import InvalidInput
from render.schema import load as load_schema

log = logging.getLogger(__name__)

ONE_BY_ONE = ThreadPoolExecutor(1, thread_name_prefix="scale")
"""Decides how many pods there shall be. Who asks the brokers is one at a time, also after a pass that had to end."""
HALT_SECONDS = 0.5
"""How soon a pass that waits for brokers notices that it must end."""


class World(NamedTuple):
    """What a pass reaches out to."""

    cluster: Cluster
    demand: Demand


def run_pass(world: World, memory: Memory, options: Options, now: datetime) -> PassResult:
    """Return what became of every app. Raises ListFailed before anything is written, Halted when it must end.

    Every app is served before the first is scaled and reported; what is there to do for them is found out meanwhile.
    """
    observed = observe.everything(world.cluster, options, memory.lives)
    scene = Scene(world.cluster, observed, options, load_schema(), now)
    scaled = {app.uid: _scaled(app, memory, scene) for app in observed.apps if plan.scales(app)}
    works = [Work(app, observed.of(app), memory.of(app), scaled.get(app.uid)) for app in observed.apps]
    subjects, scope = rescale.subjects(works, memory.histories), Scope(options, now)
    decided = ONE_BY_ONE.submit(rescale.decided, subjects, world.cluster, world.demand, scope)
    with ThreadPoolExecutor(options.concurrency) as pool:
        served = [pool.submit(serve.visited, scene, work) for work in works]
        waiting = sorted(zip(works, served, strict=True), key=lambda each: plan.scales(each[0].app))
        finished = [pool.submit(finish, scene, work, visited, decided) for work, visited in waiting]
        try:
            works = [_outcome(future, work, now) for future, (work, _) in zip(finished, waiting, strict=True)]
        except Halted:
            decided.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    due = [(at - now).total_seconds() for work in works if (at := work.known.retry_at)]
    return PassResult(_results(works, memory), _memory(works, observed), min(due, default=None))


def finish(scene: Scene, work: Work, visited: Future[Work], decided: Future[Rescalings]) -> Work:
    """Scale one app that has been served, and report how it is."""
    work = _outcome(visited, work, scene.now)
    if plan.scales(work.app):
        work = rescaled(scene, work, _awaited(decided, scene))
    return work if scene.options.dry_run or not plan.reports(work.app) else published(scene, work)


def rescaled(scene: Scene, work: Work, decided: Rescalings) -> Work:
    """Give every group the pods it needs; what fails is decided anew in the next pass."""
    for group in work.groups:
        if not (found := decided.get((work.app.uid, group.name))):
            continue
        result = found.step.result if found.step else None
        if found.step and not scene.options.dry_run:
            [deed] = act.execute([found.step], scene.cluster)
            result = deed.result
        work = work.decided(group, found.decision, result)
    return work


def published(scene: Scene, work: Work) -> Work:
    """Write the app's status if it is another than before, and Events about what changed."""
    app = work.app
    own = [live for live in work.lives.values() if plan.belongs(app, live)]
    status = report.status(work, own, scene.now)
    work = replace(work, conditions={each["type"]: each["status"] for each in status["conditions"]})
    try:
        if report.is_news(app, status):
            scene.cluster.apply_status(app.bare | {"status": status})
    except ClusterError as error:
        return replace(work, problem=str(error))
    for event in report.events(app, status, work.results, scene.now):
        try:
            scene.cluster.emit(event)
        except ClusterError as error:
            log.warning("%s", error)  # an Event less does no harm
    return work


def _outcome(future: Future[Work], work: Work, now: datetime) -> Work:
    """Return what became of the app; a fault of our own is that app's alone. Raises Halted."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Halted):
        raise error
    why = verdict.crashed(error)
    if why != work.known.verdict:
        log.error("%s crashed", work.app.ref, exc_info=error)
    return work.failed(why, now)


def _scaled(app: App, memory: Memory, scene: Scene) -> Scaled:
    """Return the groups that are to be scaled, none of an app that is invalid."""
    known = memory.scaled.get(app.uid)
    if known and known.generation == app.generation:
        return known
    try:
        return Scaled(app.generation, desired.scaled(app, scene.schema))
    except InvalidInput as problems:
        return Scaled(app.generation, (), verdict.invalid(problems))
    except Exception as error:  # a fault of our own is that app's alone, as in _outcome
        log.exception("%s crashed", app.ref)
        return Scaled(app.generation, (), verdict.crashed(error))


def _awaited(decided: Future[Rescalings], scene: Scene) -> Rescalings:
    """Return what was decided. Raises Halted: brokers may be slow, and a pass that must end waits for none."""
    while not wait([decided], HALT_SECONDS).done:
        if not scene.options.dry_run:
            scene.cluster.needs_write()
    return decided.result()


def _memory(works: Iterable[Work], observed: Observed) -> Memory:
    """Return what the next pass may save work by."""
    return Memory(
        {work.app.uid: work.known for work in works},
        {work.app.uid: work.scaled for work in works if work.scaled},
        {key: history for work in works for key, history in work.histories.items()},
        observed.lives,
        {work.app.uid: work.problem for work in works if work.problem},
    )


def _results(works: Iterable[Work], before: Memory) -> tuple[AppResult, ...]:
    """Return what became of every app; what is new about one that is not well is logged."""
    apps = []
    for work in works:
        ref, why = work.app.ref, work.known.verdict
        if why and why != before.of(work.app).verdict:
            log.warning("%s %s: %s", ref, why.reason, why.message)
        if work.problem and work.problem != before.problems.get(work.app.uid):
            log.warning("%s", work.problem)
        problem = work.problem or (why.message if why else "")
        apps.append(AppResult(ref, work.results, work.conditions, problem, work.scaling))
    return tuple(apps)
