"""What is remembered of an app, and what it saves."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.apply import verdict
from reconciler.apply.step import Deed, Step
from reconciler.apply.verdict import Verdict
from reconciler.cluster.errors import Conflict, Throttled, Unavailable
from reconciler.memory import Known, Memory
from reconciler.model import Outcome
from reconciler.work import Work

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TROUBLE = Verdict("Unavailable", "any")


@pytest.fixture
def work(celery_app, live):
    one = live()
    return Work(celery_app(), {one.ref: one})


def test_an_app_nothing_is_known_about_needs_serving(work):
    assert Memory().of(work.app) == Known()
    assert work.needs_serving(NOW)


def test_an_app_with_nothing_left_to_do_is_at_rest(work, child):
    [one] = work.lives.values()
    done = work.done([child(live=one)], [], NOW)
    assert not done.needs_serving(NOW)
    assert done.known.is_clean(child(live=one))


@pytest.mark.parametrize("change", [{"spec": {"replicas": 9}}, {"name": "shop-more"}, {"metadata": {"uid": "another"}}])
def test_until_a_child_changes(work, child, live, change):
    [one] = work.lives.values()
    known = work.done([child(live=one)], [], NOW).known
    another = live(**change)
    assert Work(work.app, {**work.lives, another.ref: another}, known).needs_serving(NOW)


def test_until_a_child_is_gone(work, child):
    known = work.done([child(live=one) for one in work.lives.values()], [], NOW).known
    assert Work(work.app, {}, known).needs_serving(NOW)


def test_until_the_app_is_changed(work, celery_app):
    known = work.done([], [], NOW).known
    assert Work(celery_app(generation=3), work.lives, known).needs_serving(NOW)


def test_a_child_is_clean_only_as_it_was_desired(work, child):
    [one] = work.lives.values()
    known = work.done([child(live=one)], [], NOW).known
    assert not known.is_clean(child(live=one, spec={"replicas": 9}))


def test_what_was_created_is_clean_as_the_server_kept_it(celery_app, child, live):
    new, kept = child(), live(spec={"replicas": 3, "defaulted": True})
    done = Work(celery_app(), {}).done([new], [Deed(Step(Outcome.CREATED, new.ref, new), kept)], NOW)
    assert done.lives == {kept.ref: kept}
    assert not done.needs_serving(NOW)


def test_what_was_deleted_is_gone(work):
    [one] = work.lives.values()
    assert work.done([], [Deed(Step(Outcome.DELETED, one.ref, live=one))], NOW).lives == {}


def test_what_failed_or_was_not_tried_is_not_clean(work, child):
    [one] = work.lives.values()
    failed, untried = child(name="shop-mail"), child(live=one)
    deeds = [
        Deed(Step(Outcome.CREATED, failed.ref, failed), error=Unavailable("any")),
        Deed(Step(Outcome.CONFIGURED, untried.ref, untried, one).skipped("any"), one),
    ]
    done = work.done([failed, untried], deeds, NOW)
    assert (done.lives, done.known.clean, done.known.rest) == (work.lives, {}, None)
    assert [result.outcome for result in done.results] == [Outcome.FAILED, Outcome.SKIPPED]


def test_a_child_that_waits_is_looked_at_in_every_pass(work, child):
    [one] = work.lives.values()
    waiting = Step(Outcome.SKIPPED, one.ref, live=one, message="Deployment shop-worker is being deleted")
    done = work.done([child(live=one)], [Deed(waiting, one)], NOW)
    assert done.known.verdict == verdict.waiting(["Deployment shop-worker is being deleted"])
    assert done.needs_serving(NOW)


def test_an_invalid_app_rests_until_it_or_a_child_is_changed(work, celery_app):
    known = work.rejected(TROUBLE).known
    assert not Work(work.app, work.lives, known).needs_serving(NOW + timedelta(days=1))
    assert Work(celery_app(generation=3), work.lives, known).needs_serving(NOW)
    assert Work(work.app, {}, known).needs_serving(NOW)


def test_an_app_that_fails_is_tried_later_each_time_up_to_five_minutes(work):
    waits = []
    for _ in range(9):
        work = work.failed(TROUBLE, NOW)
        waits.append((work.known.retry_at - NOW).total_seconds())
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert not work.needs_serving(NOW + timedelta(seconds=299))
    assert work.needs_serving(NOW + timedelta(seconds=300))


def test_an_app_that_is_changed_is_tried_at_once(work, celery_app):
    known = work.failed(TROUBLE, NOW).failed(TROUBLE, NOW).known
    changed = Work(celery_app(generation=3), work.lives, known)
    assert changed.needs_serving(NOW)
    assert changed.failed(TROUBLE, NOW).known.failures == 1


def test_a_success_forgets_the_failures(work):
    assert work.failed(TROUBLE, NOW).done([], [], NOW).known.failures == 0


def test_the_server_may_ask_for_more_patience(work):
    why = verdict.refused(Throttled("any", retry_after_seconds=60))
    assert work.failed(why, NOW).known.retry_at == NOW + timedelta(seconds=60)


def test_another_app_of_the_same_name_is_a_stranger(work, celery_app):
    memory = Memory({work.app.uid: work.failed(verdict.refused(Conflict("any")), NOW).known})
    assert memory.of(celery_app(uid="another")) == Known()
