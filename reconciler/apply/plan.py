"""What is done about an app: which steps, in which order, and what holds them back. Pure: every safety rule is here.

A rule is a function with a name, and has a table of cases in tests/reconciler/apply/test_plan.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import Enum, auto

from reconciler.apply import ownership, verdicts
from reconciler.apply.child import Child
from reconciler.apply.known import Known
from reconciler.apply.step import Step
from reconciler.cluster.live import App, Live, Mode
from reconciler.model import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    PERSISTENT_VOLUME_CLAIM,
    RANK,
    SCALED_OBJECT,
    Change,
    Outcome,
    Ref,
    Verdict,
)
from render import quantity

TEMPLATE = "spec.template"
AUTOSCALERS = (HORIZONTAL_POD_AUTOSCALER.name, SCALED_OBJECT.name)
"""Kinds of which a group has one."""


class Relation(Enum):
    """Whose a live object is, to the app that wants one of its name."""

    OURS = auto()
    ORPHAN = auto()  # labelled as ours and controlled by nobody: adopted
    LEFTOVER = auto()  # of an app of the same name that was deleted: the garbage collector is about to take it
    FOREIGN = auto()


def applies(app: App) -> bool:
    """Say whether the app's children are ours to apply: it asks for it, and it is not being deleted."""
    return app.mode is Mode.APPLY and not app.is_terminating


def scales(app: App) -> bool:
    """Say whether any of the app's groups is ours to scale: in every mode but Off."""
    return app.scales and app.mode is not Mode.OFF and not app.is_terminating


def reports(app: App) -> bool:
    """Say whether the app's status is ours to write; in the mode Off it says so, and is left alone from then on."""
    return not app.is_terminating


def is_served(app: App) -> bool:
    """Say whether anything of the app but its status may be touched, and is looked at: in every mode but Off."""
    return app.mode is not Mode.OFF and not app.is_terminating


def relation(app: App, live: Live) -> Relation:
    """Say whose a live object is: its controller's, by UID. A label counts only where there is no controller."""
    owner = live.controller
    if owner is None:
        return Relation.ORPHAN if live.app == app.ref.name else Relation.FOREIGN
    if owner.uid == app.uid:
        return Relation.OURS
    namesake = (owner.api_version, owner.kind, owner.name) == (app.ref.api_version, app.ref.kind, app.ref.name)
    return Relation.LEFTOVER if namesake else Relation.FOREIGN


def belongs(app: App, live: Live) -> bool:
    """Say whether a live object is shown as the app's: in Scale mode by its label, unless an app or KEDA has it."""
    if app.mode is Mode.SCALE:
        owner = live.controller
        anothers = owner is not None and owner.kind == app.ref.kind and owner.uid != app.uid
        is_keda_s = owner is not None and owner.kind == SCALED_OBJECT.name
        return live.app == app.label and not anothers and not is_keda_s
    return relation(app, live) in (Relation.OURS, Relation.ORPHAN)


def shares(app: App, other: App) -> bool:
    """Say whether what the app scales by a label is what another app scales or makes."""
    is_another = other.ref != app.ref and other.mode is not Mode.OFF and not other.is_terminating
    return app.mode is Mode.SCALE and is_another and other.label == app.label


def may_ask(app: App, child: Child) -> bool:
    """Say whether the server is asked what an apply would change: only about what may be applied."""
    return child.live is not None and not waits(app, child) and relation(app, child.live) is not Relation.FOREIGN


def obstacle(app: App, child: Child) -> Verdict | None:
    """Return why a child may not be touched: its name is taken (never taken over), or something must go first."""
    if child.obstacle:
        return child.obstacle
    if child.live and relation(app, child.live) is Relation.FOREIGN:
        return Verdict("NameConflict", _taken(child.live), is_stalled=True)
    why = waits(app, child)
    return verdicts.waiting(why) if why else None


def waits(app: App, child: Child) -> str:
    """Return why a child is left alone for now; empty if it need not be."""
    live = child.live
    if live is None:
        return ""
    if live.is_terminating:
        return f"{_named(live.ref)} is being deleted{_finalizers(live)}"
    if relation(app, live) is Relation.LEFTOVER:
        return f"{_named(live.ref)} belongs to a deleted CeleryApp {app.ref.name} and is about to be collected"
    return ""


def never_shrunk(child: Child) -> Child:
    """Return a claim as large as it is: something has made it larger, and the server refuses a smaller one."""
    if child.live is None or not child.live.storage:
        return child
    spec = child.desired["spec"]
    if quantity.milli(child.live.storage) <= quantity.milli(spec["resources"]["requests"]["storage"]):
        return child
    resources = spec["resources"] | {"requests": spec["resources"]["requests"] | {"storage": child.live.storage}}
    return replace(child, desired=child.desired | {"spec": spec | {"resources": resources}})


def may_prune(app: App, live: Live, desired: Iterable[Ref]) -> bool:
    """Say whether a live object may be deleted: ours by label and by UID, no longer desired, and no volume of data."""
    is_ours = live.app == app.ref.name and relation(app, live) is Relation.OURS
    may_go = live.ref.kind != PERSISTENT_VOLUME_CLAIM.name and not live.is_terminating
    return is_ours and may_go and live.ref not in desired


def predecessor(app: App, child: Child, lives: Iterable[Live]) -> Live | None:
    """Return the autoscaler of the same group that goes first: while it is there, KEDA's webhook refuses another."""
    if child.ref.kind not in AUTOSCALERS:
        return None
    others = (live for live in lives if live.ref.kind in AUTOSCALERS and live.ref.kind != child.ref.kind)
    return next((live for live in others if live.ref.name == child.ref.name and may_prune(app, live, ())), None)


def prunes(app: App, desired: Iterable[Child], lives: Iterable[Live]) -> tuple[Step, ...]:
    """Return the deletions, in the reverse order of applying; none if nothing is desired.

    One that makes room for a child has it along: what that needs is all that it needs.
    """
    children, lives = {child.ref: child for child in desired}, tuple(lives)
    condemned = sorted(
        (live for live in lives if children and may_prune(app, live, children)), key=_order, reverse=True
    )
    room = {old.ref: child for child in children.values() if (old := predecessor(app, child, lives))}
    gone = (Change("", {}, None),)
    return tuple(Step(Outcome.DELETED, live.ref, room.get(live.ref), live, changes=gone) for live in condemned)


def mends_ownership(child: Child) -> bool:
    """Say whether an apply alone would not do: fields added by hand would stay, replicas we name no longer would go."""
    if child.live is None or child.answer is None:
        return False
    by_hand = ownership.added_by_hand(child.answer["metadata"].get("managedFields", ()), child.desired)
    return bool(by_hand) or ownership.holds_replicas(child.live.managed_fields, child.desired)


def is_upgrade(app: App, child: Child, known: Known) -> bool:
    """Say whether pods would roll although nobody changed the app: a new release renders it otherwise.

    What this process has made before is drift, or a change of the app: it renders as it always did.
    """
    rolls = any(change.path.startswith(TEMPLATE) for change in child.changes) and child.ref.kind == DEPLOYMENT.name
    return rolls and app.status.get("observedGeneration") == app.generation and child.ref not in known.clean


def steps(app: App, children: Iterable[Child], lives: Iterable[Live], later: Mapping[Ref, str]) -> tuple[Step, ...]:
    """Return what to do: children in their order, then what is no longer desired. Unchanged ones need no step."""
    children = tuple(children)
    found = [step for child in children if (step := _step(app, child))]
    return tuple(
        step.later(later[step.ref]) if step.ref in later else step for step in (*found, *prunes(app, children, lives))
    )


def _step(app: App, child: Child) -> Step | None:
    if why := obstacle(app, child):
        return Step(Outcome.SKIPPED, child.ref, child, child.live, obstacle=why)
    if child.live is None:
        return Step(Outcome.CREATED, child.ref, child, changes=(Change("", None, child.desired),))
    if child.changes:
        return Step(Outcome.CONFIGURED, child.ref, child, child.live, mends_ownership(child), child.changes)
    return None


def _order(live: Live) -> tuple[int, str]:
    return RANK[live.ref.kind], live.ref.name


def _named(ref: Ref) -> str:
    return f"{ref.kind} {ref.name}"


def _taken(live: Live) -> str:
    whose = f"belongs to {live.controller}" if live.controller else "is not part of this app"
    return f"{_named(live.ref)} exists already and {whose}: rename the app or the worker group, or remove it"


def _finalizers(live: Live) -> str:
    return f", held by {', '.join(live.finalizers)}" if live.finalizers else ""
