"""What becomes of steps when some fail. The writes themselves are in tests/cluster/reconcile/test_reconcile_act.py."""

import pytest

from reconciler.apply import act, verdicts
from reconciler.apply.step import Done, Step
from reconciler.cluster.errors import Forbidden, Invalid
from reconciler.model import Outcome, Ref


@pytest.fixture
def executed(live):
    """Return a function: what becomes of steps, of which those by these names fail, and what was tried."""

    def executed(steps, *failing):
        tried = []

        def do(step):
            tried.append(step.ref.name)
            if step.ref.name in failing:
                raise Invalid(f"{step.ref} apply: 422")
            return None if step.outcome is Outcome.DELETED else live(name=step.ref.name)

        return [(each.result.outcome, each.result.message) for each in act.execute(steps, do)], tried

    return executed


def mounting(*names, kind="ConfigMap"):
    key = {"ConfigMap": ("configMap", "name"), "PersistentVolumeClaim": ("persistentVolumeClaim", "claimName")}[kind]
    return {"template": {"spec": {"volumes": [{"name": name, key[0]: {key[1]: name}} for name in names]}}}


def created(child):
    return Step(Outcome.CREATED, child.ref, child)


def deleted(live):
    return Step(Outcome.DELETED, live.ref, live=live)


LEFT = "left alone: {} is not as it shall be"
PROBE = LEFT.format("ConfigMap/web/shop-probe")


def test_what_went_well_is_told_as_it_then_is(child, live):
    step, found = created(child()), live()
    assert act.execute([step], lambda _: found) == (Done(step, found),)


def test_what_is_skipped_stays_and_nobody_is_asked(live):
    step = Step(Outcome.SKIPPED, live().ref, live=live(), message="it waits")
    assert act.execute([step], pytest.fail) == (Done(step, live()),)


def test_what_needs_something_that_failed_is_left_alone_and_what_needs_that_too(child, executed):
    steps = [
        created(child("v1 ConfigMap", "shop-probe")),
        created(child(spec=mounting("shop-probe"))),
        created(child("autoscaling/v2 HorizontalPodAutoscaler", spec={"scaleTargetRef": {"name": "shop-worker"}})),
    ]
    assert executed(steps, "shop-probe") == (
        [
            (Outcome.FAILED, "ConfigMap/web/shop-probe apply: 422"),
            (Outcome.SKIPPED, PROBE),
            (Outcome.SKIPPED, LEFT.format("Deployment/web/shop-worker")),
        ],
        ["shop-probe"],
    )


def test_what_does_not_need_it_goes_on(child, executed):
    steps = [
        created(child("v1 PersistentVolumeClaim", "shop-beat")),
        created(child(name="shop-beat", spec=mounting("shop-beat", kind="PersistentVolumeClaim"))),
        created(child(name="shop-mail", spec=mounting("shop-probe"))),
        created(child("networking.k8s.io/v1 NetworkPolicy", "shop-flower")),
    ]
    found, tried = executed(steps, "shop-beat")
    assert [outcome for outcome, _ in found] == [Outcome.FAILED, Outcome.SKIPPED, Outcome.CREATED, Outcome.CREATED]
    assert tried == ["shop-beat", "shop-mail", "shop-flower"]


def test_things_of_one_name_and_another_kind_are_others(child, executed):
    steps = [created(child("v1 Service", "shop-probe")), created(child(spec=mounting("shop-probe")))]
    found, _ = executed(steps, "shop-probe")
    assert [outcome for outcome, _ in found] == [Outcome.FAILED, Outcome.CREATED]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param({}, id="failed"),
        pytest.param({"outcome": Outcome.SKIPPED, "obstacle": verdicts.waiting("any")}, id="could not be done"),
        pytest.param({"outcome": Outcome.SKIPPED, "message": "any"}, id="was left for later"),
    ],
)
def test_nothing_is_deleted_while_anything(child, live, executed, first):
    probe = child("v1 ConfigMap", "shop-probe")
    step = Step(**{"outcome": Outcome.CREATED, "ref": probe.ref, "child": probe} | first)
    found, tried = executed([step, created(child(name="shop-mail")), deleted(live(name="shop-old"))], "shop-probe")
    assert found[1:] == [(Outcome.CREATED, ""), (Outcome.SKIPPED, PROBE)]
    assert "shop-old" not in tried


@pytest.mark.parametrize(("failing", "is_deleted"), [("shop-mail", True), ("shop-worker", False)])
def test_what_makes_room_is_deleted_unless_what_comes_lacks_something(child, live, executed, failing, is_deleted):
    comes = child("keda.sh/v1alpha1 ScaledObject", spec={"scaleTargetRef": {"name": "shop-worker"}})
    goes = live("autoscaling/v2 HorizontalPodAutoscaler", "shop-old")
    waits = Step(Outcome.SKIPPED, comes.ref, comes, obstacle=verdicts.waiting("it goes first"))
    steps = [created(child(name=failing)), waits, Step(Outcome.DELETED, goes.ref, comes, goes)]
    found, _ = executed(steps, failing)
    assert (found[-1][0] is Outcome.DELETED) is is_deleted


def test_a_deletion_that_fails_ends_the_deletions(live, executed):
    found, tried = executed([deleted(live(name=name)) for name in ("shop-a", "shop-b", "shop-c")], "shop-b")
    assert [outcome for outcome, _ in found] == [Outcome.DELETED, Outcome.FAILED, Outcome.SKIPPED]
    assert tried == ["shop-a", "shop-b"]


def test_an_obstacle_of_its_own_is_said_before_that_of_another(child, executed):
    probe, worker = child("v1 ConfigMap", "shop-probe"), child(spec=mounting("shop-probe"))
    waits = Step(Outcome.SKIPPED, worker.ref, worker, obstacle=verdicts.waiting("it goes"))
    assert executed([created(probe), waits], "shop-probe")[0][1] == (Outcome.SKIPPED, "it goes")


def test_only_what_the_server_refuses_is_a_failure(child):
    def broken(_step):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act.execute([created(child())], broken)


def test_a_result_says_what_became_of_the_child(live):
    step = Step(Outcome.SKIPPED, live().ref, live=live(), message="it waits")
    assert step.result == (live().ref, Outcome.SKIPPED, "it waits", ())
    failed = Done(Step(Outcome.CREATED, live().ref), error=Forbidden("the server's words"))
    assert failed.result == (live().ref, Outcome.FAILED, "the server's words", ())
    assert (failed.obstacle.reason, failed.obstacle.is_stalled) == ("Forbidden", True)


def test_who_waits_for_another_has_no_obstacle_of_its_own():
    """It is tried with the other: its own failure would have to be waited for as well."""
    step = Step(Outcome.CREATED, Ref("v1", "ConfigMap", "web", "any")).later("left alone")
    assert Done(step).obstacle is None
