"""Which children an app has, in the order in which they are applied. Pure."""

from collections.abc import Iterator

from render.children import (
    autoscaler,
    beat,
    celeryapp,
    disruption,
    flower,
    ingress,
    networkpolicy,
    probe,
    service,
    trigger,
    volume,
    worker,
)
from render.model import CeleryApp, Component, Manifest


def children(app: CeleryApp) -> tuple[Manifest, ...]:
    """Return every child of the app: first what pods need, then the pods, then what looks after them."""
    return (*_before_pods(app), *_pods(app), *_after_pods(app))


def _before_pods(app: CeleryApp) -> Iterator[Manifest]:
    if probe.files(app):
        yield probe.config_map(app)
    yield from volume.claims(app)
    if app.flower and "networkPolicy" in app.flower.spec:
        yield networkpolicy.network_policy(app, app.flower)
    if app.flower:
        yield service.service(app, app.flower)


def _pods(app: CeleryApp) -> Iterator[Manifest]:
    for group in app.groups:
        yield worker.deployment(app, group)
    if app.beat:
        yield beat.deployment(app, app.beat)
    if app.flower:
        yield flower.deployment(app, app.flower)


def _after_pods(app: CeleryApp) -> Iterator[Manifest]:
    for group in app.groups:
        if "disruptionBudget" in group.spec:
            yield disruption.budget(app, group)
    if app.flower and "ingress" in app.flower.spec:
        yield ingress.ingress(app, app.flower)
    yield from trigger.trigger_authentications(app)
    for group in app.groups:
        if _engine(group) == "HPA":
            yield autoscaler.horizontal_pod_autoscaler(app, group)
        elif _engine(group) == "KEDA":
            yield autoscaler.scaled_object(app, group)
    if app.spec["reconcile"] != "Off" and any(_engine(group) == "Reconciler" for group in app.groups):
        yield celeryapp.celery_app(app)


def _engine(group: Component) -> str | None:
    """Return who scales the group, if anyone."""
    return group.spec["scaling"]["engine"] if "scaling" in group.spec else None
