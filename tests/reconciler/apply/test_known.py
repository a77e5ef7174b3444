"""What is remembered of applying an app, and what it saves."""

from dataclasses import replace

import pytest

from reconciler.apply import verdicts
from reconciler.apply.known import Known
from reconciler.apply.step import Done, Step
from reconciler.cluster.errors import Conflict, Throttled, Unavailable
from reconciler.cluster.live import digest
from reconciler.model import Change, Outcome, Verdict

TROUBLE = Verdict("Any", "any")
IMAGE = Change("spec.template.spec.containers[0].image", "shop:0", "shop:1")


@pytest.fixture
def there(live):
    """Everything there is of the app: its worker Deployment."""
    one = live()
    return {one.ref: one}


@pytest.fixture
def clean(celery_app, child, there, moment):
    """Return what is known of the app when there is nothing left to do."""
    [one] = there.values()
    return Known().after(celery_app(), [child(live=one)], [], moment(0)).resting(there)


def failing(child, error=None):
    return Done(Step(Outcome.CONFIGURED, child.ref, child, child.live), error=error or Unavailable("any"))


def done(child, live):
    outcome = Outcome.CONFIGURED if child.live else Outcome.CREATED
    return Done(Step(outcome, child.ref, child, child.live, changes=child.changes), live)


# At rest


def test_an_app_nothing_is_known_of_is_not_at_rest(celery_app, there):
    assert not Known().is_at_rest(celery_app(), there)
    assert not Known().is_at_rest(celery_app(), {})


def test_an_app_with_nothing_left_to_do_is_at_rest(celery_app, child, there, clean, moment):
    [one] = there.values()
    assert clean.is_at_rest(celery_app(), there)
    assert clean.is_clean(child(live=one))
    assert (clean.verdict, clean.due(moment(0))) == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"replicas": 9}},
        {"name": "shop-more"},
        {"metadata": {"uid": "another"}},
        {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ],
    ids=str,
)
def test_until_a_child_changes(celery_app, live, there, clean, change):
    another = live(**change)
    assert not clean.is_at_rest(celery_app(), {**there, another.ref: another})


def test_until_a_child_is_gone(celery_app, clean):
    assert not clean.is_at_rest(celery_app(), {})


def test_until_the_app_is_changed(celery_app, there, clean):
    assert not clean.is_at_rest(celery_app(generation=3), there)


@pytest.mark.parametrize("change", [{"status": {"readyReplicas": 1}}, {"metadata": {"resourceVersion": "8"}}], ids=str)
def test_what_a_child_reports_does_not_disturb_it(celery_app, live, clean, change):
    one = live(**change)
    assert clean.is_at_rest(celery_app(), {one.ref: one})


def test_an_app_that_is_changed_and_of_which_nothing_could_be_done_is_not_at_rest(
    celery_app, child, there, clean, moment
):
    """Its children are as they were when it was at rest, but it wants others now."""
    [one] = there.values()
    app, wanted = celery_app(generation=3), child(live=one, spec={"replicas": 9})
    assert not clean.after(app, [wanted], [failing(wanted)], moment(0)).is_at_rest(app, there)


# Clean


def test_a_child_is_clean_only_as_it_was_desired_and_as_it_was_there(child, live, there, clean):
    [one] = there.values()
    assert not clean.is_clean(child(live=one, spec={"replicas": 9}))
    assert not clean.is_clean(child(live=live(spec={"replicas": 9})))
    assert not clean.is_clean(child())


def test_what_was_created_is_clean_as_the_server_kept_it(celery_app, child, live, moment):
    new, kept = child(), live(spec={"replicas": 3, "defaulted": True})
    known = Known().after(celery_app(), [new], [done(new, kept)], moment(0))
    assert known.is_clean(child(live=kept))


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(failing, id="that failed"),
        pytest.param(lambda child: Done(Step(Outcome.SKIPPED, child.ref, child, child.live), child.live), id="skipped"),
        pytest.param(
            lambda child: Done(Step(Outcome.CONFIGURED, child.ref, child).later("any"), child.live), id="left alone"
        ),
    ],
)
def test_no_child_is_clean(celery_app, child, live, moment, outcome):
    one = child(live=live())
    assert not Known().after(celery_app(), [one], [outcome(one)], moment(0)).is_clean(one)


def test_what_we_have_made_is_told_from_what_another_release_made(child, live, clean):
    assert clean.made(child(live=live(spec={"replicas": 9})))
    assert clean.made(child())
    assert not clean.made(child(spec={"replicas": 9}))
    assert not Known().made(child())


# Failures


def test_a_child_that_fails_is_tried_later_each_time_up_to_five_minutes(celery_app, child, moment):
    known, seconds, waits = Known(), 0.0, []
    for _ in range(9):
        known = known.after(celery_app(), [child()], [failing(child())], moment(seconds))
        waits.append((known.due(moment(seconds)) - moment(seconds).steady).total_seconds())
        assert known.failed(child().ref, child().digest, moment(seconds + waits[-1] - 0.001))
        assert not known.failed(child().ref, child().digest, moment(seconds + waits[-1]))
        seconds += waits[-1]
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_look_before_it_is_time_does_not_count(celery_app, child, moment):
    one = child()
    known = Known().after(celery_app(), [one], [failing(one)], moment(0))
    again = Done(Step(Outcome.SKIPPED, one.ref, one, obstacle=known.failures[one.ref].verdict))
    assert known.after(celery_app(), [one], [again], moment(3)).failures == known.failures


def test_a_child_that_shall_be_another_is_tried_at_once_and_counts_anew(celery_app, child, moment):
    known, other = Known(), child(spec={"replicas": 9})
    for seconds in (0, 5):
        known = known.after(celery_app(), [child()], [failing(child())], moment(seconds))
    assert known.failures[other.ref].count == 2
    assert not known.failed(other.ref, other.digest, moment(5))
    known = known.after(celery_app(generation=3), [other], [failing(other)], moment(5))
    assert known.failures[other.ref].count == 1


def test_children_fail_each_by_itself(celery_app, child, live, moment):
    bad, good = child(name="shop-bad"), child(live=live())
    known = Known().after(celery_app(), [bad, good], [failing(bad)], moment(0))
    assert (list(known.failures), known.is_clean(good)) == ([bad.ref], True)
    assert known.verdict == Verdict("Unavailable", "any")


def test_a_success_forgets_the_failures(celery_app, child, live, moment):
    one = child()
    known = Known().after(celery_app(), [one], [failing(one)], moment(0))
    known = known.after(celery_app(), [one], [done(one, live())], moment(5))
    assert (known.failures, known.verdict, known.due(moment(5))) == ({}, None, None)


def test_the_server_may_ask_for_more_patience(celery_app, child, moment):
    error = Throttled("any", retry_after_seconds=60)
    known = Known().after(celery_app(), [child()], [failing(child(), error)], moment(0))
    assert known.due(moment(0)) == moment(60).steady


def test_what_holds_children_back_is_said_together(celery_app, child, live, moment):
    one, other = child(name="shop-a"), child(name="shop-b", live=live(name="shop-b"))
    waits = Step(Outcome.SKIPPED, other.ref, other, other.live, obstacle=verdicts.waiting("shop-b goes"))
    known = Known().after(celery_app(), [one, other], [failing(one, Conflict("taken")), Done(waits)], moment(0))
    assert known.verdict.message == "taken; shop-b goes"


def test_an_invalid_app_rests_until_it_or_a_child_is_changed(celery_app, there, clean, moment):
    known = clean.crashed(celery_app(), ValueError(), moment(0)).rejected(celery_app(), there, TROUBLE)
    assert (known.verdict, known.failures, known.due(moment(0))) == (TROUBLE, {}, None)
    assert known.is_at_rest(celery_app(), there)
    assert not known.is_at_rest(celery_app(generation=3), there)
    assert not known.is_at_rest(celery_app(), {})


def test_a_fault_of_our_own_is_the_apps_and_is_tried_later_each_time(celery_app, there, clean, moment):
    app, known, waits = celery_app(), clean, []
    for _ in range(8):
        known = known.crashed(app, ValueError("x"), moment(0))
        waits.append((known.due(moment(0)) - moment(0).steady).total_seconds())
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    assert known.verdict == Verdict("InternalError", "ValueError: x")
    assert not known.is_at_rest(app, there)
    assert known.failed(app.ref, digest("2"), moment(299))
    assert not known.failed(app.ref, digest("3"), moment(0))


# Fights


def setting_back(known, app, child, live, now):
    return known.after(app, [child], [done(child, live)], now)


def test_what_we_made_and_have_to_make_again_is_contested(celery_app, child, live, clean, moment):
    drifted = child(live=live(spec={"replicas": 9}), changes=[IMAGE])
    known = clean
    for count in (1, 2, 3):
        known = setting_back(known, celery_app(), drifted, live(), moment(count))
        assert known.fights[drifted.ref].count == count
    assert known.fights[drifted.ref].paths == {IMAGE.path}
    assert known.due(moment(3)) == moment(3 + 5).steady
    assert known.due(moment(3 + 5)) == moment(3 + 900).steady
    assert known.due(moment(3 + 900)) is None


def test_a_child_that_is_removed_again_and_again_is_contested(celery_app, child, live, clean, moment):
    absent = replace(child(), changes=(Change("", None, {}),))
    known = setting_back(clean, celery_app(), absent, live(), moment(0))
    assert (
        known.fights[absent.ref]
        .words(absent.ref)
        .endswith("all of it is set back again and again, something else removes it")
    )


def test_to_change_what_the_app_has_changed_is_no_fight(celery_app, child, live, clean, moment):
    wanted = child(live=live(), spec={"replicas": 9}, changes=[IMAGE])
    known = setting_back(clean, celery_app(generation=3), wanted, live(spec={"replicas": 9}), moment(0))
    assert known.fights == {}


def test_to_make_again_what_was_not_wanted_for_a_while_is_no_fight(celery_app, child, live, clean, moment):
    """Flower that is switched on, off and on again."""
    absent = replace(child(), changes=(Change("", None, {}),))
    known = clean
    for generation in range(3, 9, 2):
        known = known.after(celery_app(generation=generation), [], [], moment(generation))
        known = setting_back(known, celery_app(generation=generation + 1), absent, live(), moment(generation))
    assert known.fights == {}


@pytest.mark.parametrize(
    "outcome", [failing, lambda child: Done(Step(Outcome.CONFIGURED, child.ref, child).later("x"))]
)
def test_what_was_not_set_back_is_not_counted(celery_app, child, live, clean, moment, outcome):
    drifted = child(live=live(spec={"replicas": 9}), changes=[IMAGE])
    assert clean.after(celery_app(), [drifted], [outcome(drifted)], moment(0)).fights == {}


def test_a_fight_is_kept_while_nothing_happens(celery_app, child, live, clean, moment):
    drifted = child(live=live(spec={"replicas": 9}), changes=[IMAGE])
    known = setting_back(clean, celery_app(), drifted, live(), moment(0))
    assert known.after(celery_app(), [child(live=live())], [], moment(60)).fights == known.fights


# What the cluster changes on the way in


def test_what_was_changed_on_the_way_in_is_known_until_it_is_no_more(celery_app, child, live, moment):
    def deployment(image):
        return {"spec": {"template": {"spec": {"containers": [{"name": "worker", "image": image}]}}}}

    path = "spec.template.spec.containers[0].image"
    wanted, changed = child(**deployment("shop:1")), live(**deployment("mirror/shop:1"))
    known = Known().after(celery_app(), [wanted], [done(wanted, changed)], moment(0))
    assert known.altered == {wanted.ref: (path,)}
    there = replace(wanted, live=changed)
    known = known.after(celery_app(), [there], [], moment(1))
    assert known.altered == {wanted.ref: (path,)}, "the server was not asked again"
    known = known.after(celery_app(), [replace(wanted, live=live(**deployment("shop:1")))], [], moment(2))
    assert known.altered == {}
