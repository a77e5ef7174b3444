"""What holds of every decision, whatever is seen and remembered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from reconciler.scaling import decide
from reconciler.scaling.model import (
    MAX_INT32,
    Active,
    Backlog,
    Behavior,
    History,
    Observation,
    Pod,
    Policy,
    RateLimit,
    Record,
    ResourceTarget,
    Rules,
    Sample,
    Stay,
    Unreadable,
    Usage,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HUGE = 2**70
QUICK = settings(max_examples=60, deadline=None)

times = some.integers(0, 900).map(lambda seconds: NOW - timedelta(seconds=seconds))
rates = some.builds(
    RateLimit, some.sampled_from(["Pods", "Percent"]), some.integers(1, 200), some.integers(1, 600).map(float)
)
rules = some.builds(
    Rules,
    window_seconds=some.sampled_from([0, 15, 300, 600]),
    tolerance=some.sampled_from([0.0, 0.05, 0.1, 0.5]),
    select=some.sampled_from(["Max", "Min", "Disabled"]),
    policies=some.lists(rates, min_size=1, max_size=3).map(tuple),
)
targets = some.builds(
    lambda name, is_share, value: ResourceTarget(name, value, None) if is_share else ResourceTarget(name, None, value),
    some.sampled_from(["cpu", "memory"]),
    some.booleans(),
    some.integers(1, 1000),
)


@some.composite
def policies(draw):
    lowest = draw(some.integers(0, 5))
    metrics = draw(some.lists(targets, max_size=2, unique_by=lambda target: target.name).map(tuple))
    return Policy(
        min_replicas=lowest,
        max_replicas=draw(some.integers(max(lowest, 1), 30)),
        metrics=metrics,
        average_length=draw(some.integers(1, 50) | (some.none() if metrics and lowest else some.nothing())),
        behavior=draw(some.builds(Behavior, rules, rules)),
        cooldown_seconds=draw(some.sampled_from([0, 60, 300])),
        paused=draw(some.just(value=False) | some.booleans()),
        concurrency=draw(some.integers(1, 16)),
    )


def numbers(*, hostile):
    return some.integers(-HUGE, HUGE) if hostile else some.integers(0, 500)


def observations(*, hostile=False):
    """Return observations of up to three pods, one of which may be gone already."""
    counts = numbers(hostile=hostile)
    requests = some.none() | some.integers(0, HUGE if hostile else 2000)
    pods = some.builds(
        Pod,
        name=some.just("?"),
        phase=some.sampled_from(["Running", "Running", "Pending", "Failed", "Succeeded"]),
        is_terminating=some.booleans(),
        is_ready=some.sampled_from([None, True, False]),
        ready_since=some.none() | times,
        started_at=some.none() | times,
        requests=some.fixed_dictionaries({"cpu": requests, "memory": requests}),
    )
    samples = some.dictionaries(
        some.sampled_from(["pod-0", "pod-1", "pod-2"]), some.builds(Sample, counts, times, some.just(30.0))
    )
    failures = some.sampled_from([{}, {}, {"cpu": "503"}, {"memory": "503"}])
    stays = some.builds(Stay, some.integers(0, 40) | some.just(MAX_INT32), some.just("Any"), some.just("any"))
    return some.builds(
        Observation,
        replicas=some.integers(0, 40),
        current=some.integers(0, 40),
        pods=some.lists(pods, max_size=3).map(_named),
        usage=some.builds(Usage, some.fixed_dictionaries({"cpu": samples, "memory": samples}), failures),
        backlog=some.none() | some.just(Unreadable("refused")) | some.builds(Backlog, counts, counts, counts),
        active=some.none() | some.builds(Active, counts, stays, stays),
    )


def _named(pods):
    return tuple(replace(pod, name=f"pod-{index}") for index, pod in enumerate(pods))


records = some.lists(some.builds(Record, times, some.integers(0, 40)), max_size=4).map(tuple)
histories = some.builds(
    History,
    recommendations=records,
    scale_ups=records,
    scale_downs=records,
    active_at=some.none() | times,
    silent_since=some.none() | times,
    scaled_to_zero=some.booleans(),
)

given_anything = given(policies(), observations(), histories)


@settings(QUICK, max_examples=200)
@given(policies(), observations(hostile=True), histories)
def test_nothing_that_is_seen_ends_in_an_exception_or_out_of_bounds(policy, seen, history):
    decision = decide.decision(policy, seen, history, NOW)
    is_left_alone = policy.paused or (seen.replicas == 0 and decision.replicas == 0)
    assert is_left_alone or policy.min_replicas <= decision.replicas <= max(policy.max_replicas, seen.replicas)
    assert decision.reason
    assert decision.message


@settings(QUICK)
@given_anything
def test_where_nothing_can_be_measured_nothing_changes(policy, seen, history):
    unknown = replace(seen, usage=Usage(failures={"cpu": "503", "memory": "503"}), backlog=Unreadable("refused"))
    decision = decide.decision(policy, unknown, history, NOW)
    bounded = min(max(seen.replicas, policy.min_replicas), policy.max_replicas)
    assert min(seen.replicas, bounded) <= decision.replicas <= max(seen.replicas, bounded)


@settings(QUICK)
@given_anything
def test_no_pod_goes_that_a_running_task_needs(policy, seen, history):
    decision = decide.decision(policy, replace(seen, active=Active(23)), history, NOW)
    needed = -(-23 // policy.concurrency)
    assert decision.replicas >= min(needed, seen.replicas)


@settings(QUICK, max_examples=300)
@given_anything
def test_no_pod_goes_whose_tasks_could_not_end_whatever_is_missing(policy, seen, history):
    decision = decide.decision(policy, seen, history, NOW)
    active = seen.active or Active(0)
    holds = [active.busy] + ([active.silent] if policy.when_silent == "Hold" else [])
    assert decision.replicas >= min(max(stay.pods for stay in holds), seen.replicas)


@settings(QUICK)
@given_anything
def test_running_tasks_never_make_it_grow(policy, seen, history):
    idle, busy = (replace(seen, active=Active(tasks)) for tasks in (0, 10**6))
    without, having = (decide.decision(policy, each, history, NOW).replicas for each in (idle, busy))
    assert having <= max(without, seen.replicas)


@settings(QUICK)
@given_anything
def test_the_last_pod_only_goes_when_the_queue_was_seen_empty_for_the_cooldown(policy, seen, history):
    decision = decide.decision(policy, seen, history, NOW)
    if decision.replicas == 0 < seen.replicas and not policy.paused:
        assert seen.backlog.demand == 0
        assert seen.active is None or seen.active.tasks <= 0
        waited = timedelta(0) if history.active_at is None else NOW - history.active_at
        assert waited >= timedelta(seconds=policy.cooldown_seconds)


@settings(QUICK)
@given_anything
def test_within_the_window_it_does_not_shrink_below_what_was_recommended(policy, seen, history):
    recommended = (Record(NOW - timedelta(seconds=5), seen.replicas),)
    decision = decide.decision(policy, seen, replace(history, recommendations=recommended), NOW)
    window = policy.behavior.scale_down.window_seconds
    if window > 5 and 1 < seen.replicas <= policy.max_replicas:
        assert decision.replicas >= seen.replicas


@settings(QUICK)
@given_anything
def test_a_first_decision_does_not_shrink(policy, seen, history):
    del history
    decision = decide.decision(policy, seen, History(), NOW)
    window = policy.behavior.scale_down.window_seconds
    if window > 0 and 1 < seen.replicas <= policy.max_replicas:
        assert decision.replicas >= seen.replicas


@settings(QUICK)
@given(policies(), observations(), histories, some.integers(0, 400), some.integers(0, 400))
def test_more_messages_never_mean_fewer_pods(policy, seen, history, fewer, more):
    fewer, more = sorted((fewer, more))
    counts = [
        decide.decision(policy, replace(seen, backlog=Backlog(messages, 0)), history, NOW).replicas
        for messages in (fewer, more)
    ]
    assert counts == sorted(counts)


@settings(QUICK)
@given(policies(), observations(), histories, some.integers(0, 400), some.integers(1, 400))
def test_messages_that_are_not_read_never_take_a_pod_nor_start_one(policy, seen, history, messages, unread):
    without, having = (
        decide.decision(policy, replace(seen, backlog=Backlog(messages, 0, number)), history, NOW).replicas
        for number in (0, unread)
    )
    assert without <= having <= max(without, seen.replicas)


@settings(QUICK)
@given(policies(), histories, some.integers(1, 8), some.tuples(some.integers(0, 3000), some.integers(0, 3000)))
def test_more_load_on_pods_that_are_ready_never_means_fewer(policy, history, count, levels):
    old = NOW - timedelta(days=1)
    requests = {"cpu": 1000, "memory": 1000}
    pods = tuple(
        Pod(f"pod-{index}", "Running", is_ready=True, ready_since=old, started_at=old, requests=requests)
        for index in range(count)
    )

    def decided(level):
        samples = {pod.name: Sample(level, NOW, 30) for pod in pods}
        usage = Usage({"cpu": samples, "memory": samples})
        return decide.decision(policy, Observation(count, count, pods, usage, Backlog(0, 0)), history, NOW).replicas

    counts = [decided(level) for level in sorted(levels)]
    assert counts == sorted(counts)


@settings(QUICK)
@given_anything
def test_paused_means_as_many_as_there_are(policy, seen, history):
    assert decide.decision(replace(policy, paused=True), seen, history, NOW).replicas == seen.replicas


@settings(QUICK, max_examples=20)
@given(policies(), some.lists(some.integers(0, 400), min_size=7, max_size=7))
def test_a_history_stays_small(policy, loads):
    history, now, replicas = History(), NOW, 5
    for turn in range(100):
        seen = Observation(replicas, replicas, backlog=Backlog(loads[turn % 7], 0))
        decision = decide.decision(replace(policy, metrics=(), average_length=7), seen, history, now)
        history, replicas, now = decision.history, decision.replicas, now + timedelta(seconds=30)
    longest = 600 // 30 + 2
    assert len(history.recommendations) <= longest
    assert len(history.scale_ups) <= longest
    assert len(history.scale_downs) <= longest


@pytest.mark.parametrize("replicas", [0, 1, 5, 50])
def test_a_decision_that_is_repeated_comes_to_rest(replicas):
    """With the same load and every number written, there is an end to changes."""
    policy = Policy(0, 20, (), 10, Behavior(), 60, paused=False, concurrency=2)
    history, now, counts = History(), NOW, []
    for _ in range(100):
        decision = decide.decision(policy, Observation(replicas, replicas, backlog=Backlog(70, 0)), history, now)
        replicas, history, now = decision.replicas, decision.history, now + timedelta(seconds=15)
        counts.append(replicas)
    assert set(counts[-50:]) == {7}
