"""Applying on one screen: desired → diff → plan → act, for the children of one app."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from reconciler.apply import act, desired, diff, fights, ownership, plan, verdicts
from reconciler.apply.child import Child
from reconciler.apply.known import Known
from reconciler.apply.step import Step
from reconciler.cluster.cache import Cache
from reconciler.cluster.client import Cluster
from reconciler.cluster.errors import ClusterError, Conflict, NotFound
from reconciler.cluster.live import App, Live, digest
from reconciler.model import Manifest, Moment, Ref, StepResult, Verdict
from render.errors import InvalidInput
from render.schema import Schema


class Scene(NamedTuple):
    """What applying an app reaches out to."""

    cluster: Cluster
    cache: Cache
    schema: Schema
    now: Moment
    dry_run: bool
    may_roll: Callable[[App], bool]
    """Whether one more app may change its pod templates though nobody has changed its spec."""
    lends: bool = False
    """Whether apps may use credentials of the cluster, KEDA's ClusterTriggerAuthentications."""


class Applied(NamedTuple):
    known: Known
    results: tuple[StepResult, ...] = ()


def applied(scene: Scene, app: App, known: Known) -> Applied:
    """Make the app's children what they shall be, unless they are, or it is too early to try again."""
    lives = scene.cache.of(app)
    if known.is_at_rest(app, lives) or known.failed(app.ref, digest(str(app.generation)), scene.now):
        return Applied(known)
    try:
        wanted = desired.children(app, scene.schema)
    except InvalidInput as problems:
        return Applied(known.rejected(app, lives, verdicts.invalid(problems)))
    # Of a new app there is nothing yet that a failure could harm: its children are created without asking first.
    return _applied(scene, app, known, wanted, is_new=not (lives or scene.dry_run))


def _applied(scene: Scene, app: App, known: Known, wanted: tuple[Manifest, ...], *, is_new: bool) -> Applied:
    lives = scene.cache.of(app)
    children = [_examined(scene, app, known, _found(scene, app, manifest, lives), is_new=is_new) for manifest in wanted]
    steps = plan.steps(app, children, lives.values(), _later(scene, app, known, children))
    done = act.execute(steps, partial(_previewed if scene.dry_run else act.write, cluster=scene.cluster))
    results = tuple(each.result for each in done)
    if scene.dry_run:
        return Applied(known, results)
    after = known.after(app, children, done, scene.now)
    written = {each.step.ref: each.live for each in done if each.is_written}
    for ref, live in written.items():
        store = scene.cache.children[ref.kind].of(ref.namespace)
        store.take(live.looked_into, ours=True) if live else store.drop(ref, ours=True)
    if is_new and any(isinstance(each.error, Conflict) for each in done):  # a name is taken: see by whom
        again = _applied(scene, app, replace(after, failures=known.failures), wanted, is_new=False)
        return again._replace(results=(*(each for each in results if each.outcome.writes), *again.results))
    if all(each.outcome.writes for each in results):  # as it was examined: what has come since is yet to be
        there = lives | {child.ref: child.live for child in children if child.live} | written
        after = after.resting({ref: live for ref, live in there.items() if live})
    return Applied(after, results)


def _found(scene: Scene, app: App, manifest: Manifest, lives: Mapping[Ref, Live]) -> Child:
    """Return the child with what is there of it, or with what of the app goes before it comes."""
    store = scene.cache.children[manifest["kind"]].of(manifest["metadata"]["namespace"])
    child = plan.never_shrunk(Child(manifest, store.get(Ref.of(manifest))))
    old = plan.predecessor(app, child, lives.values())
    return replace(child, obstacle=verdicts.waiting(f"{old.ref.kind} {old.ref.name} goes first")) if old else child


def _examined(scene: Scene, app: App, known: Known, child: Child, *, is_new: bool) -> Child:
    """Return the child with what an apply would change unless that is known."""
    if verdict := _obstacle(scene, known, child):
        return replace(child, obstacle=verdict)
    try:
        if child.live is None and not is_new:
            child = _unlisted(child, scene.cluster)
        if known.is_clean(child) or not plan.may_ask(app, child):
            return child
        child = _compared(child, scene.cluster)
    except ClusterError as error:
        return replace(child, obstacle=verdicts.refused(error))
    if child.live and not child.changes:
        scene.cache.children[child.ref.kind].of(child.ref.namespace).put(child.live.looked_into)
    return child


def _obstacle(scene: Scene, known: Known, child: Child) -> Verdict | None:
    """Return why the server is not even asked about a child."""
    if not scene.lends and (verdict := verdicts.of_the_cluster(child)):
        return verdict
    if child.obstacle:
        return child.obstacle
    store = scene.cache.children[child.ref.kind].of(child.ref.namespace)
    if store.problem:
        return verdicts.unlisted(store.problem, is_stalled=store.is_forbidden)
    failure = known.failed(child.ref, child.about, scene.now)
    return failure.verdict if failure else None


def _unlisted(child: Child, cluster: Cluster) -> Child:
    """Return a child that the lists did not show with what is there all the same, or what creating it would give.

    A label taken off hides a child from the lists; a foreign object of the name was never in them.
    """
    try:
        return replace(child, answer=cluster.apply(child.guarded, dry_run=True))
    except Conflict:
        try:
            return replace(child, live=Live.of(cluster.get(child.ref)), is_listed=False)
        except NotFound:  # it has gone in between
            return child


def _compared(child: Child, cluster: Cluster) -> Child:
    """Return the child with what an apply would change: by the server's answer, unless it is certain without."""
    live = child.live
    if live and live.packed and ownership.is_applied(live.manifest, live.managed_fields, child.desired):
        return child
    child = replace(child, answer=cluster.apply(child.guarded, dry_run=True))
    if live and not live.packed and not diff.is_as_desired(child):
        child = replace(child, live=Live.of(cluster.get(child.ref)))
    return replace(child, changes=diff.changes(child))


def _later(scene: Scene, app: App, known: Known, children: list[Child]) -> Mapping[Ref, str]:
    """Return what is left for later: what somebody else changes again and again; what too many apps do just now."""
    contested = {child.ref: fights.held(known.fights, child.ref, scene.now) for child in children if known.made(child)}
    later = {ref: why for ref, why in contested.items() if why}
    if any(plan.is_upgrade(app, child, known) for child in children) and not scene.may_roll(app):
        why = "waits until fewer apps roll out"
        later |= {child.ref: why for child in children if child.live}
        later |= dict.fromkeys(scene.cache.of(app), why)
    return later


def _previewed(step: Step, cluster: Cluster) -> Live | None:  # noqa: ARG001 (in place of act.write)
    return step.live
