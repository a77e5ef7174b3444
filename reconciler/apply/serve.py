"""Applying on one screen: desired → diff → plan → act, for one app. An app that fails anywhere changes nothing."""

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from reconciler.apply import act, desired, diff, observe, plan, verdict
from reconciler.apply.child import Child
from reconciler.apply.observe import Observed
from reconciler.cluster.client import Cluster
from reconciler.cluster.errors import ClusterError, Conflict
from reconciler.model import Options
from reconciler.work import Work
from render.errors import InvalidInput
from render.schema import Schema


class Scene(NamedTuple):
    """What every app of a pass sees."""

    cluster: Cluster
    observed: Observed
    options: Options
    schema: Schema
    now: datetime


def visited(scene: Scene, work: Work) -> Work:
    """Serve one app, unless it is at rest or backs off."""
    if not plan.applies(work.app):
        return work.unserved
    if not work.needs_serving(scene.now):
        return work
    return served(scene, work, is_new=not (work.lives or scene.options.dry_run))


def served(scene: Scene, work: Work, *, is_new: bool) -> Work:
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
        return served(scene, done, is_new=False)
    return done


def _examined(scene: Scene, work: Work, child: Child, *, is_new: bool) -> Child:
    """Return the child with what is there of it, and what the server would make of it unless that is known."""
    live = work.lives.get(child.ref) or scene.observed.lives.get(child.ref)
    child = replace(child, live=live)
    if live is None and not is_new:
        child = observe.unlisted(child, scene.cluster)
    if work.known.is_clean(child) or not plan.may_ask(work.app, child):
        return child
    return observe.answer(child, scene.cluster)
