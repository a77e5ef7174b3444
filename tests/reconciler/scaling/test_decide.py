"""The decision: one table for each rule. What the metrics ask for is set by the queue: ten messages for each pod."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.scaling import decide
from reconciler.scaling.model import (
    SCALE_DOWN,
    SCALE_UP,
    Active,
    Backlog,
    Behavior,
    Condition,
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
    Timing,
    Unreadable,
    Usage,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=1)
AT_ONCE = SCALE_DOWN._replace(window_seconds=0)
STEADY, QUICK = Behavior(), Behavior(SCALE_UP, AT_ONCE)
NEVER_DOWN = Behavior(SCALE_UP, AT_ONCE._replace(select="Disabled"))
CPU = ResourceTarget("cpu", 50, None)
POLICY = Policy(1, 10, (), 10, QUICK, 300, paused=False, concurrency=4)
NOTHING, BEGINNING = Active(0), History()
TO_ZERO = replace(POLICY, min_replicas=0)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def seen(replicas, messages=None, active=NOTHING, **more):
    """Return so many replicas with so many messages in their queue; None: it could not be read."""
    backlog = Unreadable("Connection refused") if messages is None else Backlog(messages, 0)
    return Observation(**{"replicas": replicas, "current": replicas, "backlog": backlog, "active": active} | more)


def busy(pods):
    """Return that so many pods must stay for the sake of what runs."""
    return Active(1, busy=Stay(pods, "TasksRunning", "report runs since 11:00:00 UTC"))


def silent(pods=5, reason="CelerySilent"):
    """Return that so many pods must stay because nobody says what runs there."""
    return Active(0, silent=Stay(pods, reason, f"{pods} pods do not answer"))


def decided(policy, observation, history=BEGINNING, now=NOW):
    return decide.decision(policy, observation, history, now)


def told(decision):
    return decision.replicas, decision.reason


def condition(decision, kind):
    found = [each for each in decision.conditions if each.type == kind]
    return (found[0].status, found[0].reason) if found else None


DECISIONS = {
    "more": (POLICY, seen(3, 50), (5, "AboveTarget"), "queue length above target"),
    "fewer": (POLICY, seen(5, 30), (3, "BelowTarget"), "All metrics below target"),
    "as many": (POLICY, seen(3, 31), (3, "ReadyForNewScale"), "recommended size matches current size"),
    "more than may": (
        POLICY, seen(6, 500), (10, "TooManyReplicas"),
        "queue length above target; the desired replica count is more than the maximum replica count",
    ),
    "at the most already": (
        POLICY, seen(10, 500), (10, "TooManyReplicas"),
        "the desired replica count is more than the maximum replica count",
    ),
    "faster than may": (
        POLICY, seen(1, 500), (5, "ScaleUpLimit"),
        "queue length above target; the desired replica count is increasing faster than the maximum scale rate",
    ),
    "fewer than may": (
        POLICY, seen(5, 0), (1, "TooFewReplicas"),
        "All metrics below target; the desired replica count is less than the minimum replica count",
    ),
    "more than the bound": (
        POLICY, seen(12, 500), (10, "TooManyReplicas"), "Current number of replicas above maxReplicas"
    ),
    "fewer than the bound": (
        replace(POLICY, min_replicas=2), seen(1, None), (2, "TooFewReplicas"),
        "Current number of replicas below minReplicas",
    ),
    "none, by hand": (
        POLICY, seen(0, 500), (0, "ScalingDisabled"),
        "scaling is disabled since the replica count of the target is zero: scale it up to begin again",
    ),
    "paused": (replace(POLICY, paused=True), seen(3, 500), (3, "Paused"), "scaling is paused"),
    "paused out of bounds": (replace(POLICY, paused=True), seen(12, 0), (12, "Paused"), "scaling is paused"),
    "not to be measured": (
        POLICY, seen(3, None), (3, "FailedGetExternalMetric"),
        "unable to compute the replica count: failed to get queue length: Connection refused",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("policy", "observation", "want", "message"), DECISIONS.values(), ids=DECISIONS)
def test_a_decision_has_a_number_a_reason_and_a_message(policy, observation, want, message):
    decision = decided(policy, observation)
    assert (told(decision), decision.message) == (want, message)


CONDITIONS = {
    "more": (POLICY, seen(3, 50), ("True", "ValidMetricFound"), ("False", "DesiredWithinRange")),
    "limited": (POLICY, seen(3, 500), ("True", "ValidMetricFound"), ("True", "ScaleUpLimit")),
    "busy": (POLICY, seen(3, 0, Active(9)), ("True", "ValidMetricFound"), ("True", "TasksRunning")),
    "paused": (replace(POLICY, paused=True), seen(3, 50), ("False", "ScalingDisabled"), None),
    "none, by hand": (POLICY, seen(0, 50), ("False", "ScalingDisabled"), None),
    "failed": (POLICY, seen(3, None), ("False", "FailedGetExternalMetric"), None),
    "more than the bound": (POLICY, seen(12, 0), None, None),
}


@pytest.mark.parametrize(("policy", "observation", "active", "limited"), CONDITIONS.values(), ids=CONDITIONS)
def test_the_conditions_are_those_of_the_hpa(policy, observation, active, limited):
    decision = decided(policy, observation)
    assert condition(decision, "ScalingActive") == active
    assert condition(decision, "ScalingLimited") == limited
    assert condition(decision, "AbleToScale")[0] == "True"


BUSY = {
    "the running tasks need fewer": (POLICY, seen(5, 30, Active(12)), (3, "BelowTarget")),
    "they need more": (POLICY, seen(5, 10, Active(13)), (4, "TasksRunning")),
    "one task is enough": (TO_ZERO, seen(1, 0, Active(1)), (1, "TasksRunning")),
    "they never make it grow": (POLICY, seen(5, 10, Active(1000)), (5, "TasksRunning")),
    "they do not hold back growth": (POLICY, seen(5, 70, Active(1000)), (7, "AboveTarget")),
    "but the bound": (POLICY, seen(12, 0, Active(1000)), (12, "TasksRunning")),
    "less than none is none": (POLICY, seen(5, 30, Active(-5)), (3, "BelowTarget")),
    "one that could not end keeps its pod": (POLICY, seen(5, 0, busy(1)), (1, "TooFewReplicas")),
    "a few keep theirs": (POLICY, seen(5, 0, busy(4)), (4, "TasksRunning")),
    "also the last": (TO_ZERO, seen(1, 0, busy(1)), (1, "TasksRunning")),
    "also above the bound": (POLICY, seen(12, 0, busy(11)), (11, "TasksRunning")),
    "while nobody says for how many": (POLICY, seen(5, 0, busy(2**31 - 1)), (5, "TasksRunning")),
    "and where nobody may ask": (POLICY, seen(5, 30, silent(5, "CeleryNotAsked")), (5, "CeleryNotAsked")),
}  # fmt: skip


@pytest.mark.parametrize(("policy", "observation", "want"), BUSY.values(), ids=BUSY)
def test_no_pod_goes_that_a_running_task_needs(policy, observation, want):
    history = History(active_at=OLD)
    assert told(decided(policy, observation, history)) == want


@pytest.mark.parametrize(
    ("policy", "observation", "is_held", "is_failing"),
    [
        pytest.param(POLICY, seen(5, 30), False, False, id="it goes where it shall"),
        pytest.param(POLICY, seen(5, 10, busy(4)), True, False, id="tasks run"),
        pytest.param(POLICY, seen(5, 10, silent()), True, False, id="nobody answers"),
        pytest.param(POLICY, seen(5, 10, silent(5, "CeleryNotAsked")), True, False, id="nobody may ask"),
        pytest.param(POLICY, seen(5, None), False, True, id="the queue cannot be read"),
        pytest.param(replace(POLICY, paused=True), seen(5, None), False, False, id="paused"),
        pytest.param(POLICY, seen(0, 10), False, False, id="switched off by hand"),
    ],
)
def test_it_is_told_whether_a_group_is_held_and_whether_it_cannot_be_scaled(policy, observation, is_held, is_failing):
    decision = decided(policy, observation)
    assert (decision.is_held, decision.said.is_failing) == (is_held, is_failing)


def test_the_message_says_what_the_running_tasks_need():
    decision = decided(POLICY, seen(5, 10, Active(13)))
    assert decision.message == "running tasks need 4 pods"  # not how many: whoever reads this would be told every pass
    assert decision.metrics == {"queue": 10, "running": 13}


@pytest.mark.parametrize(("active", "running"), [(Active(13), 13), (NOTHING, 0), (silent(), None)])
def test_it_is_told_what_runs_whether_pods_go_or_come_but_no_zero_where_nobody_says(active, running):
    for replicas in (3, 5):
        assert decided(POLICY, seen(replicas, 40, active)).metrics.get("running") == running


def test_the_message_says_which_task_keeps_the_pods():
    decision = decided(POLICY, seen(5, 10, busy(4)))
    assert decision.message == "report runs since 11:00:00 UTC"
    assert condition(decision, "ScalingLimited") == ("True", "TasksRunning")


SCALES_IN = replace(POLICY, when_silent="ScaleIn")
SILENT = {
    "a scale-in waits for who does not answer": (POLICY, seen(5, 30, silent()), None, (5, "CelerySilent"), NOW),
    "for as long as it takes": (POLICY, seen(5, 30, silent()), OLD, (5, "CelerySilent"), OLD),
    "no longer than for their pods": (POLICY, seen(5, 0, silent(2)), None, (2, "CelerySilent"), NOW),
    "when they answer there is nothing to wait for": (POLICY, seen(5, 30), ago(60), (3, "BelowTarget"), None),
    "nor where enough others stay": (POLICY, seen(5, 30, silent(3)), ago(60), (3, "BelowTarget"), None),
    "nor when as many are needed": (POLICY, seen(5, 50, silent()), ago(60), (5, "ReadyForNewScale"), None),
    "nor when nothing is known": (POLICY, seen(5, None, silent()), ago(60), (5, "FailedGetExternalMetric"), None),
    "growth waits for nobody": (POLICY, seen(5, 70, silent()), ago(60), (7, "AboveTarget"), None),
    "the bound does": (POLICY, seen(12, 0, silent(12)), None, (12, "CelerySilent"), NOW),
    "if asked to, it waits for a while": (SCALES_IN, seen(5, 30, silent()), ago(119), (5, "CelerySilent"), ago(119)),
    "then no longer": (SCALES_IN, seen(5, 30, silent()), ago(120), (3, "BelowTarget"), ago(120)),
    "where nobody may ask, not at all": (
        SCALES_IN, seen(5, 30, silent(5, "CeleryNotAsked")), None, (3, "BelowTarget"), NOW
    ),
    "not for the last pod either": (
        replace(SCALES_IN, min_replicas=0), seen(2, 0, silent()), ago(120), (0, "QueueEmpty"), ago(120)
    ),
    "but what is known to run stays": (
        SCALES_IN, seen(5, 0, silent()._replace(busy=busy(4).busy)), ago(120), (4, "TasksRunning"), ago(120)
    ),
}  # fmt: skip


@pytest.mark.parametrize(("policy", "observation", "since", "want", "after"), SILENT.values(), ids=SILENT)
def test_celerys_answer_is_waited_for(policy, observation, since, want, after):
    decision = decided(policy, observation, History(active_at=OLD, silent_since=since))
    assert (told(decision), decision.history.silent_since) == (want, after)


def test_where_it_is_not_waited_for_the_message_says_so():
    decision = decided(SCALES_IN, seen(5, 30, silent()), History(silent_since=OLD))
    assert decision.message == "All metrics below target; 5 pods do not answer"


def test_after_an_outage_the_window_begins_anew():
    """What was recommended while the broker was away, or before, says nothing of what its return brings back."""
    policy, now = replace(POLICY, behavior=STEADY), NOW
    history = History(recommendations=(Record(OLD, 10),))
    assert decided(policy, seen(10, 20), history).replicas == 2
    for broker in (None, None, 20):
        decision = decided(policy, seen(10, broker), history, now)
        history, now = decision.history, now + timedelta(seconds=600)
    assert told(decision) == (10, "ScaleDownStabilized")


ZERO = {
    "the last pod goes after the cooldown": (TO_ZERO, seen(1, 0), 300, (0, "QueueEmpty")),
    "not before": (TO_ZERO, seen(1, 0), 299, (1, "CooldownActive")),
    "the others go before it": (TO_ZERO, seen(5, 0), 299, (1, "CooldownActive")),
    "or with it": (TO_ZERO, seen(5, 0), 300, (0, "QueueEmpty")),
    "not where one has to be": (POLICY, seen(1, 0), 300, (1, "TooFewReplicas")),
    "not while a message is there": (TO_ZERO, seen(1, 1), 300, (1, "ReadyForNewScale")),
    "or is not acknowledged": (
        TO_ZERO, seen(1, backlog=Backlog(0, 1)), 300, (1, "ReadyForNewScale")
    ),
    "or not read": (TO_ZERO, seen(1, backlog=Backlog(0, 0, 1)), 300, (1, "MessagesUnread")),
    "the others need not wait for one": (TO_ZERO, seen(5, backlog=Backlog(0, 0, 1)), 300, (1, "MessagesUnread")),
    "not while the queue cannot be read": (TO_ZERO, seen(1, None), 300, (1, "FailedGetExternalMetric")),
    "not while a task runs": (TO_ZERO, seen(1, 0, Active(1)), 300, (1, "TasksRunning")),
    "not while nobody says what runs": (TO_ZERO, seen(1, 0, silent(1)), 300, (1, "CelerySilent")),
    "but where nobody asks": (TO_ZERO, seen(1, 0, None), 300, (0, "QueueEmpty")),
    "not where no pod may go": (replace(TO_ZERO, behavior=NEVER_DOWN), seen(1, 0), 300, (1, "ReadyForNewScale")),
    "at once without cooldown": (replace(TO_ZERO, cooldown_seconds=0), seen(1, 0), 0, (0, "QueueEmpty")),
    "the window is for the others": (replace(TO_ZERO, behavior=STEADY), seen(1, 0), 300, (0, "QueueEmpty")),
    "it stays none": (TO_ZERO, seen(0, 0), 999, (0, "ScaledToZero")),
    "the first message wakes one": (TO_ZERO, seen(0, 1), 999, (1, "AboveTarget")),
    "one that is not read does not": (TO_ZERO, seen(0, backlog=Backlog(0, 0, 500)), 999, (0, "ScaledToZero")),
    "many wake more": (TO_ZERO, seen(0, 31), 999, (4, "AboveTarget")),
    "as fast as may be": (TO_ZERO, seen(0, 500), 999, (4, "ScaleUpLimit")),
    "that is one even if a rate says none": (
        replace(TO_ZERO, behavior=Behavior(Rules(600, 0.1, "Max", (RateLimit("Percent", 100, 15),)), AT_ONCE)),
        seen(0, 500), 999, (1, "ScaleUpLimit"),
    ),
    "a queue that cannot be read wakes nobody": (TO_ZERO, seen(0, None), 999, (0, "FailedGetExternalMetric")),
}  # fmt: skip


@pytest.mark.parametrize(("policy", "observation", "idle_seconds", "want"), ZERO.values(), ids=ZERO)
def test_the_last_pod_is_the_queues(policy, observation, idle_seconds, want):
    recommended = (Record(OLD, observation.replicas),)
    history = History(recommendations=recommended, active_at=ago(idle_seconds))
    assert told(decided(policy, observation, history)) == want


UNREAD = {
    "they keep the pods they would need": (seen(9, backlog=Backlog(20, 10, 31)), (7, "MessagesUnread")),
    "as many as there are": (seen(9, backlog=Backlog(20, 10, 5000)), (9, "MessagesUnread")),
    "and start none": (seen(3, backlog=Backlog(20, 10, 5000)), (3, "ReadyForNewScale")),
    "nor more than others do": (seen(2, backlog=Backlog(20, 10, 5000)), (3, "AboveTarget")),
    "nor keep more than may be": (seen(15, backlog=Backlog(0, 0, 5000)), (10, "TooManyReplicas")),
    "what runs may need more": (seen(9, backlog=Backlog(0, 0, 31), active=busy(6)), (6, "TasksRunning")),
}


@pytest.mark.parametrize(("observation", "want"), UNREAD.values(), ids=UNREAD)
def test_messages_that_are_not_read_keep_pods_and_start_none(observation, want):
    assert told(decided(POLICY, observation)) == want


def test_the_message_says_how_many_are_not_read():
    decision = decided(POLICY, seen(9, backlog=Backlog(0, 0, 5000)))
    assert decision.message == "workers hold 5000 messages of which is not known yet whose they are"
    assert decision.is_held


def test_cpu_neither_takes_the_last_pod_nor_keeps_it_nor_wakes_one():
    policy = replace(TO_ZERO, metrics=(CPU,))
    pod = Pod("pod-0", "Running", is_ready=True, ready_since=OLD, started_at=OLD, requests={"cpu": 1000})
    idle, busy = (Usage({"cpu": {"pod-0": Sample(used, ago(10), 30)}}) for used in (0, 200))
    waiting, empty = seen(1, 3, pods=(pod,), usage=idle), seen(1, 0, pods=(pod,), usage=busy)
    history = History(active_at=ago(300))
    assert decided(policy, waiting, history).replicas == 1
    assert decided(policy, empty, history).replicas == 0
    assert decided(policy, seen(0, 0), history).replicas == 0
    assert told(decided(policy, seen(0, 5, usage=Usage(failures={"cpu": "503"})), history)) == (1, "AboveTarget")


def test_without_a_queue_cpu_leaves_one_pod():
    policy = replace(POLICY, metrics=(CPU,), average_length=None)
    pods = tuple(
        Pod(f"pod-{index}", "Running", is_ready=True, ready_since=OLD, started_at=OLD, requests={"cpu": 1000})
        for index in range(2)
    )
    usage = Usage({"cpu": {pod.name: Sample(0, ago(10), 30) for pod in pods}})
    decision = decided(policy, seen(2, pods=pods, usage=usage, backlog=None, active=None))
    assert told(decision) == (1, "TooFewReplicas")
    assert decision.history.active_at is None


def test_a_restart_takes_nothing_down_at_once():
    steady, to_zero = replace(POLICY, behavior=STEADY), replace(TO_ZERO, behavior=STEADY)
    assert told(decided(steady, seen(5, 0))) == (5, "ScaleDownStabilized")
    assert told(decided(to_zero, seen(1, 0))) == (1, "CooldownActive")


def test_the_window_ends():
    policy, history, now = replace(POLICY, behavior=STEADY), History(), NOW
    counts = []
    for _ in range(24):
        decision = decided(policy, seen(5, 20), history, now)
        counts.append(decision.replicas)
        history, now = decision.history, now + timedelta(seconds=15)
    assert counts == [5] * 20 + [2] * 4  # five minutes


def test_after_a_pause_the_window_begins_anew():
    history = History(recommendations=(Record(OLD, 5),))
    paused = decided(replace(POLICY, paused=True, behavior=STEADY), seen(5, 0), history)
    assert told(decided(replace(POLICY, behavior=STEADY), seen(5, 0), history)) == (1, "TooFewReplicas")
    assert told(decided(replace(POLICY, behavior=STEADY), seen(5, 0), paused.history)) == (5, "ScaleDownStabilized")


def test_a_message_is_remembered_and_so_is_not_knowing():
    history = History(active_at=OLD)
    assert decided(TO_ZERO, seen(1, 0), history).history.active_at == OLD
    assert decided(TO_ZERO, seen(1, 1), history).history.active_at == NOW
    assert decided(TO_ZERO, seen(1, None), history).history.active_at == NOW
    assert decided(TO_ZERO, seen(1, 0)).history.active_at == NOW


def test_what_we_took_to_zero_comes_back_when_zero_is_allowed_no_more():
    asleep = decided(TO_ZERO, seen(1, 0), History(active_at=OLD)).history
    still = decided(TO_ZERO, seen(0, 0), asleep).history
    assert told(decided(replace(POLICY, min_replicas=2), seen(0, 0), still)) == (2, "TooFewReplicas")
    assert told(decided(replace(POLICY, min_replicas=2), seen(0, 0))) == (0, "ScalingDisabled")
    awake = decided(POLICY, seen(1, 50), still)
    for history in (awake.history, awake.unwritten):
        assert told(decided(POLICY, seen(0, 5), history)) == (0, "ScalingDisabled")


def test_a_new_process_takes_zero_for_our_doing_where_it_is_allowed():
    found = decided(TO_ZERO, seen(0, 0)).history
    assert told(decided(POLICY, seen(0, 500), found)) == (1, "TooFewReplicas")


def test_a_change_counts_once_it_is_written():
    slow = Behavior(SCALE_UP._replace(policies=(RateLimit("Pods", 2, 60),)), AT_ONCE)
    policy = replace(POLICY, behavior=slow)
    decision = decided(policy, seen(3, 90))
    assert decision.replicas == 5
    assert decision.history.scale_ups == (Record(NOW, 2),)
    assert decision.unwritten.scale_ups == ()
    assert decided(policy, seen(5, 90), decision.history, NOW + timedelta(seconds=59)).replicas == 5
    assert decided(policy, seen(3, 90), decision.unwritten, NOW + timedelta(seconds=10)).replicas == 5
    assert decided(policy, seen(5, 90), decision.history, NOW + timedelta(seconds=60)).replicas == 7


def test_one_metric_that_fails_is_told_of_where_another_makes_it_grow():
    policy = replace(POLICY, metrics=(CPU,))
    decision = decided(policy, seen(3, 50, usage=Usage(failures={"cpu": "metrics.k8s.io 503"})))
    assert told(decision) == (5, "AboveTarget")
    assert decision.message == (
        "queue length above target; "
        "unable to compute the replica count: failed to get cpu utilization: metrics.k8s.io 503"
    )


def test_the_history_does_not_grow_without_end():
    history, now = History(), NOW
    policy = replace(POLICY, behavior=Behavior())
    for turn in range(500):
        decision = decided(policy, seen(5, 90 if turn % 2 else 10), history, now)
        history, now = decision.history, now + timedelta(seconds=10)
    assert len(history.recommendations) <= 32  # one more than fit into five minutes
    assert len(history.scale_ups) <= 3
    assert len(history.scale_downs) <= 3


def test_a_decision_is_a_function_of_what_is_given():
    history = History(recommendations=(Record(ago(60), 4),), active_at=ago(60))
    assert decided(POLICY, seen(5, 30), history) == decided(POLICY, seen(5, 30), history)


GROUP = {"concurrency": 4, "scaling": {"minReplicas": 1, "maxReplicas": 8, "cooldownSeconds": 300, "paused": False}}


def group(concurrency=4, **scaling):
    return {"concurrency": concurrency, "scaling": GROUP["scaling"] | scaling}


def test_a_policy_is_what_the_group_says():
    policy = Policy.of(
        group(
            memory={"averageValue": "1.5Mi"},
            cpu={"averageUtilization": 80},
            queue={"averageLength": 8},
            behavior={
                "scaleUp": {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}], "selectPolicy": "Min"},
                "scaleDown": {"stabilizationWindowSeconds": 60, "tolerance": "50m"},
            },
        )
    )
    assert policy == Policy(
        min_replicas=1,
        max_replicas=8,
        metrics=(ResourceTarget("cpu", 80, None), ResourceTarget("memory", None, 1_572_864_000)),
        average_length=8,
        behavior=Behavior(
            Rules(0, 0.1, "Min", (RateLimit("Pods", 2, 60),)),
            Rules(60, 0.05, "Max", (RateLimit("Percent", 100, 15),)),
        ),
        cooldown_seconds=300,
        paused=False,
        concurrency=4,
    )


@pytest.mark.parametrize("written", [{}, {"behavior": {}}, {"behavior": None}])
def test_without_behavior_the_defaults_are_in_force(written):
    assert Policy.of(group(**written)).behavior == STEADY


def test_half_a_behavior_is_filled_in():
    assert Policy.of(group(behavior={"scaleUp": {"tolerance": 0.2}})).behavior == Behavior(
        SCALE_UP._replace(tolerance=0.2), SCALE_DOWN
    )


def test_the_window_of_the_flags_is_that_of_a_behavior_without_one():
    timing = Timing(downscale_window_seconds=30)
    policy = Policy.of(group(behavior={"scaleUp": {}, "scaleDown": {"selectPolicy": "Min"}}), timing)
    assert policy.behavior.scale_down.window_seconds == 30


@pytest.mark.parametrize(
    ("more", "grace", "limit", "returns"),
    [
        pytest.param({}, 60, None, False, id="the defaults"),
        pytest.param({"terminationGracePeriodSeconds": 600, "timeLimitSeconds": 500}, 600, 500, False, id="as written"),
        pytest.param({"lifecycle": {"preStop": {"sleep": {"seconds": 10}}}}, 50, None, False, id="less what it sleeps"),
        pytest.param({"softShutdownSeconds": 20}, 20, None, True, id="until tasks are put back"),
        pytest.param(
            {"softShutdownSeconds": 20, "lifecycle": {"preStop": {"sleep": {"seconds": 10}}}},
            20,
            None,
            True,
            id="which begins after the sleep",
        ),
        pytest.param({"pool": "gevent", "timeLimitSeconds": 5}, 60, 5, False, id="gevent has the limit"),
        pytest.param({"pool": "threads", "timeLimitSeconds": 5}, 60, None, False, id="threads have not"),
        pytest.param({"pool": "solo", "timeLimitSeconds": 5}, 60, None, False, id="nor has solo"),
    ],
)
def test_how_long_tasks_may_go_on_in_a_pod_that_goes(more, grace, limit, returns):
    policy = Policy.of({**group(), **more})
    assert (policy.grace_seconds, policy.time_limit_seconds, policy.returns_tasks) == (grace, limit, returns)


@pytest.mark.parametrize(
    ("more", "reserved"),
    [
        ({"pool": "prefork"}, 0),
        ({"pool": "threads"}, 4),
        ({"pool": "threads", "prefetchMultiplier": 1}, 1),
        ({"pool": "threads", "disablePrefetch": True}, 0),
    ],
)
def test_what_a_pod_begins_after_it_was_told_to_go(more, reserved):
    assert Policy.of({**group(), **more}).reserved == reserved


def test_a_solo_worker_runs_one_task_at_a_time():
    assert Policy.of({**group(), "pool": "solo", "concurrency": 8}).concurrency == 1


@pytest.mark.parametrize(("limits", "slots"), [({"cpu": "8"}, 8), ({"cpu": "2500m"}, 3), ({"cpu": "50m"}, 1), ({}, 1)])
def test_an_automatic_concurrency_is_the_limit_of_cpu_as_celery_rounds_it(limits, slots):
    assert Policy.of({**group("auto"), "resources": {"limits": limits}}).concurrency == slots


def test_where_it_is_not_known_it_is_as_many_as_one_pod_runs():
    assert decided(POLICY, seen(8, 0, Active(17, in_one_pod=8))).replicas == 3


def test_twenty_pods_of_eight_cpus_with_short_tasks_scale_in():
    scaling = group("auto")["scaling"] | {"maxReplicas": 20, "queue": {"averageLength": 8}}
    policy = Policy.of({"scaling": scaling, "concurrency": "auto", "resources": {"limits": {"cpu": "8"}}})
    history, replicas, now = BEGINNING, 20, NOW
    for _ in range(60):
        decision = decided(policy, seen(replicas, 48, Active(48)), history, now)
        history, replicas, now = decision.history, decision.replicas, now + timedelta(seconds=15)
    assert replicas == 6


def test_a_limit_takes_the_place_of_the_one_before():
    decision = decided(POLICY, seen(5, 0, Active(13)))
    assert [each for each in decision.conditions if each.type == "ScalingLimited"] == [
        Condition("ScalingLimited", "True", "TasksRunning", "running tasks need 4 pods")
    ]


OUTAGES = {
    "that is over": (True, "Hold", 4),
    "that there never was": (False, "Hold", 1),
    "that is taken for granted": (True, "ScaleIn", 1),
}


@pytest.mark.parametrize(("is_unheard", "when_silent", "replicas"), OUTAGES.values(), ids=OUTAGES)
def test_after_an_outage_of_the_broker_the_windows_of_cpu_begin_anew(is_unheard, when_silent, replicas):
    """Nobody answers for ten minutes, and pods do little: nothing runs but what was begun before."""
    policy = replace(POLICY, average_length=None, metrics=(CPU,), behavior=STEADY, when_silent=when_silent)
    pods = tuple(
        Pod(name, "Running", is_ready=True, ready_since=OLD, started_at=OLD, requests={"cpu": 1000}) for name in "abcd"
    )

    def observed(active, now):
        usage = Usage({"cpu": {pod.name: Sample(10, now, 15) for pod in pods}})
        return Observation(4, 4, pods, usage, None, active, at=now)

    history, now = BEGINNING, NOW
    for _ in range(40):
        decision = decided(policy, observed(silent(4)._replace(is_unheard=is_unheard), now), history, now)
        assert decision.replicas == 4 or when_silent == "ScaleIn"
        history, now = decision.history, now + timedelta(seconds=15)
    assert decided(policy, observed(NOTHING, now), history, now).replicas == replicas
