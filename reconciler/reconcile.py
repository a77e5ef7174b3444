"""The story on one screen: observe → desired → diff → plan → act → report. Nobody else composes the stages."""

import logging
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from reconciler import act, desired, diff, observe, plan, report, verdict
from reconciler.child import Child
from reconciler.cluster import Cluster
from reconciler.errors import ClusterError, Conflict, Halted
from reconciler.memory import Memory
from reconciler.model import AppResult, Options, PassResult
from reconciler.observe import Observed
from reconciler.work import Work
from render.errors import InvalidInput
from render.schema import Schema
from render.schema import load as load_schema

log = logging.getLogger(__name__)


class Scene(NamedTuple):
    """What every app of a pass sees."""

    cluster: Cluster
    observed: Observed
    options: Options
    schema: Schema
    now: datetime


def run_pass(cluster: Cluster, memory: Memory, options: Options, now: datetime) -> PassResult:
    """Return what became of every app. Raises ListFailed before anything is written, Halted when it must end.

    Every app is served before the first is reported: what runs comes before what is said about it.
    """
    observed = observe.everything(cluster, options, memory.lives)
    scene = Scene(cluster, observed, options, load_schema(), now)
    works = [Work(app, observed.of(app), memory.of(app)) for app in observed.apps]
    with ThreadPoolExecutor(options.concurrency) as pool:
        served = [pool.submit(visit, scene, work) for work in works]
        reported = [pool.submit(publish, scene, work, visited) for work, visited in zip(works, served, strict=True)]
        try:
            works = [_outcome(future, work, now) for future, work in zip(reported, works, strict=True)]
        except Halted:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    known = {work.app.uid: work.known for work in works}
    due = [(at - now).total_seconds() for each in known.values() if (at := each.retry_at)]
    return PassResult(_results(works, memory), Memory(known, observed.lives), min(due, default=None))


def visit(scene: Scene, work: Work) -> Work:
    """Serve one app, unless it is at rest or backs off."""
    if not plan.applies(work.app):
        return Work(work.app, work.lives)
    if not work.needs_serving(scene.now):
        return work
    return serve(scene, work, is_new=not (work.lives or scene.options.dry_run))


def serve(scene: Scene, work: Work, *, is_new: bool) -> Work:
    """Make the app's children what they shall be, or change nothing if any of them cannot be.

    Of a new app there is nothing yet that a failure could harm: its children are created without asking first.
    """
    try:
        wanted = desired.children(work.app, scene.schema)
        children = [_examined(scene, work, Child(manifest), is_new=is_new) for manifest in wanted]
    except InvalidInput as problems:
        return work.rejected(verdict.invalid(problems))
    except ClusterError as error:
        return work.failed(verdict.refused(error), scene.now)
    if obstacle := plan.unseen(children, scene.observed.unreadable) or plan.conflict(work.app, children):
        return work.failed(obstacle, scene.now)
    changes = {child.ref: diff.changes(child) for child in children}
    steps = plan.steps(work.app, children, changes, work.lives.values())
    if scene.options.dry_run:
        return replace(work, results=tuple(step.result for step in steps))
    deeds = act.execute(steps, scene.cluster)
    done = work.done(children, deeds, scene.now)
    if is_new and any(isinstance(deed.error, Conflict) for deed in deeds):  # a name is taken: see by whom
        return serve(scene, done, is_new=False)
    return done


def publish(scene: Scene, work: Work, visited: Future[Work]) -> Work:
    """Write the app's status if it is another than before, and Events about what changed."""
    work = _outcome(visited, work, scene.now)
    app, why = work.app, work.known.verdict
    if scene.options.dry_run or not plan.reports(app):
        return work
    own = (live for live in work.lives.values() if plan.belongs(app, live))
    status = report.status(app, own, why, scene.now)
    work = replace(work, conditions={each["type"]: each["status"] for each in status["conditions"]})
    try:
        if report.is_news(app, status):
            scene.cluster.apply_status(app.bare | {"status": status})
    except ClusterError as error:
        return replace(work, unsaid=str(error))
    try:
        for event in report.events(app, status, work.results, scene.now):
            scene.cluster.emit(event)
    except ClusterError as error:
        log.warning("%s", error)  # an Event less does no harm
    return work


def _examined(scene: Scene, work: Work, child: Child, *, is_new: bool) -> Child:
    """Return the child with what is there of it, and what the server would make of it unless that is known."""
    live = work.lives.get(child.ref) or scene.observed.lives.get(child.ref)
    child = replace(child, live=live)
    if live is None and not is_new:
        child = observe.unlisted(child, scene.cluster)
    if work.known.is_clean(child) or not plan.may_ask(work.app, child):
        return child
    return observe.answer(child, scene.cluster)


def _outcome(future: Future[Work], work: Work, now: datetime) -> Work:
    """Return what became of the app; a fault of our own is that app's alone. Raises Halted."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Halted):
        raise error
    log.error("%s crashed", work.app.ref, exc_info=error)
    return work.failed(verdict.crashed(error), now)


def _results(works: Iterable[Work], before: Memory) -> tuple[AppResult, ...]:
    """Return what became of every app; what is new about one that is not well is logged."""
    apps = []
    for work in works:
        ref, why = work.app.ref, work.known.verdict
        if why and why != before.of(work.app).verdict:
            log.warning("%s %s: %s", ref, why.reason, why.message)
        if work.unsaid:
            log.warning("%s", work.unsaid)
        problem = work.unsaid or (why.message if why else "")
        apps.append(AppResult(ref, work.results, work.conditions, problem))
    return tuple(apps)
