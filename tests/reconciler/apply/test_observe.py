"""Whose children are whose, given what the lists showed; the lists themselves are read in tests/cluster."""

import pytest

from reconciler.apply.observe import Observed

OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "any", "uid": "another", "controller": True}
LABELS = {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}


@pytest.mark.parametrize(
    ("more", "found"),
    [
        pytest.param({}, True, id="labelled and controlled"),
        pytest.param({"owner": None}, True, id="only labelled"),
        pytest.param({"owner": OTHER}, True, id="labelled but controlled by another: to be seen, not to be touched"),
        pytest.param({"labels": LABELS | {"celeryproject.org/app": "x"}}, True, id="controlled but labelled otherwise"),
        pytest.param({"owner": OTHER, "labels": LABELS | {"celeryproject.org/app": "x"}}, False, id="neither"),
        pytest.param(
            {"owner": None, "metadata": {"namespace": "elsewhere"}}, False, id="labelled in another namespace"
        ),
    ],
)
def test_an_apps_children_are_found_by_label_and_by_controller(celery_app, live, more, found):
    one = live(**more)
    assert Observed((), {one.ref: one}).of(celery_app()) == ({one.ref: one} if found else {})


def test_in_scale_mode_by_the_apps_own_label(celery_app, live):
    app = celery_app({"reconcile": "Scale"}, name="prod-shop", labels={"celeryproject.org/app": "shop"})
    one = live(name="prod-shop-worker", owner=None)
    assert Observed((app,), {one.ref: one}).of(app) == {one.ref: one}
