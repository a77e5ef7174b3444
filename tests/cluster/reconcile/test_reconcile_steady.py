"""What looking at every app costs in requests: one LIST of each kind, nothing about apps to which nothing happened."""

import pytest

from reconciler.model import CHILD_KINDS

pytest_plugins = "reconciling"

LISTS = len(CHILD_KINDS) + 2
"""The apps, each kind of children, and pods."""


@pytest.fixture
def settled(shop, reconciler):
    shop.take(flower={})
    reconciler.until_ready()
    return shop


def test_looking_at_steady_apps_makes_no_request_beyond_the_lists(settled, reconciler):  # noqa: ARG001 (settles it)
    for _ in range(3):
        reconciler.run()
        assert reconciler.requests == {"list": LISTS}


def test_creating_an_app_is_one_request_for_each_child_and_two_to_report(shop, reconciler):
    shop.take(flower={})
    reconciler.run()
    assert reconciler.requests == {"list": LISTS, "apply": 4, "status": 1, "create": 1}


def test_what_the_deployment_controller_does_next_costs_no_question(shop, reconciler):
    shop.take(flower={})
    reconciler.run()
    shop.cluster.wait_until(lambda: "deployment.kubernetes.io/revision" in str(shop.get("Deployment shop-worker")))
    reconciler.run()
    assert reconciler.requests["dry-run"] == 0


def test_after_a_restart_nothing_is_asked_about_what_is_there_to_the_letter(settled, reconciler):
    reconciler.restart()
    reconciler.run()
    assert reconciler.requests == {"list": LISTS}
    assert settled.ready[0] == "True"


def test_after_a_restart_the_server_is_asked_once_about_what_it_keeps_in_other_words(shop, reconciler):
    """An empty text is no text."""
    shop.take(env=[{"name": "EMPTY", "value": ""}])
    reconciler.until_ready()
    reconciler.restart()
    reconciler.run()
    assert reconciler.requests == {"list": LISTS, "dry-run": 1}
    reconciler.run()
    assert reconciler.requests == {"list": LISTS}


def test_what_others_add_to_a_child_costs_no_question(settled, reconciler):
    settled.patch("Deployment shop-worker", {"metadata": {"labels": {"example.com/seen": "yes"}}}, fieldManager="other")
    reconciler.run()
    assert reconciler.requests == {"list": LISTS}


def test_what_others_change_of_a_child_costs_one_question(settled, reconciler):
    settled.patch("Deployment shop-worker", {"spec": {"replicas": 2}}, fieldManager="other")
    reconciler.run()
    assert reconciler.requests == {"list": LISTS, "dry-run": 1, "apply": 1, "status": 1, "create": 1}


def test_a_status_that_changes_costs_no_question(settled, reconciler):
    status = {"status": {"readyReplicas": 0, "availableReplicas": 0}}
    path = f"{settled.path('Deployment shop-worker')}/status"
    settled.cluster.request("PATCH", path, status, content_type="application/merge-patch+json").accepted()
    reconciler.run()
    assert reconciler.requests["dry-run"] == 0


def test_one_app_among_several_is_changed_without_a_question_about_the_others(cluster, reconciler, shop):
    """The child is read again, since once it was looked into no more than its digest is kept."""
    others = [type(shop)(cluster, f"shop-{number}") for number in range(3)]
    for each in (shop, *others):
        each.take()
    reconciler.until_ready()
    others[1].take(image="registry.example.com/shop:2")
    [changed] = [app for app in reconciler.run().apps if app.steps]
    assert changed.app.name == "shop-1"
    assert reconciler.requests == {"list": LISTS, "dry-run": 1, "get": 1, "apply": 1, "status": 1, "create": 1}


def test_an_app_whose_children_fit_already_is_left_as_it_is(settled, reconciler):
    """Another process, which took over: what it finds is right, so it writes nothing at all."""
    versions = {name: settled.get(name)["metadata"]["resourceVersion"] for name in settled.names()}
    reconciler.restart()
    reconciler.run()
    assert {name: settled.get(name)["metadata"]["resourceVersion"] for name in settled.names()} == versions
    assert reconciler.written == {}
