"""How many pods a group shall have. Pure: what is seen and remembered and the time go in, a Decision comes out.

CPU, memory and the queue ask as a HorizontalPodAutoscaler would let them. What an HPA does not know is said here: that
the last pod is the queue's alone, and that no pod goes whose tasks could not end.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from reconciler.model import Condition
from reconciler.scaling import behavior, calculator
from reconciler.scaling.behavior import Move
from reconciler.scaling.calculator import Failure, Proposal
from reconciler.scaling.model import (
    MESSAGES_UNREAD,
    NOT_ASKED,
    TASKS_RUNNING,
    Backlog,
    Decision,
    History,
    Observation,
    Policy,
    Record,
    Stay,
)

_ABLE = Condition("AbleToScale", "True", "SucceededGetScale", "able to get the target's current scale")


class Case(NamedTuple):
    """All that a decision depends on."""

    policy: Policy
    seen: Observation
    history: History
    silent_since: datetime | None
    now: datetime


def decision(policy: Policy, observation: Observation, history: History, now: datetime) -> Decision:
    """Return how many pods there shall be, and why."""
    begun = _begun(policy, observation, history, now)
    case = Case(policy, observation, begun, history.silent_since, now)
    decision = _paused(case) or _switched_off(case) or _repaired(case) or _measured(case)
    return _remembered(case, _with_busy_pods(case, decision))


def _measured(case: Case) -> Decision:
    found = calculator.proposed(case.policy, case.seen, case.seen.at or case.now)
    if isinstance(found, Failure):
        return _failed(case, found)
    if case.seen.replicas == 0 and found.replicas == 0:
        return _asleep(case, found)
    return _with_unread(case, _without_last_pod(case, _normalized(case, found)))


def _begun(policy: Policy, seen: Observation, history: History, now: datetime) -> History:
    """Return the history, begun where it is empty: with the pods there are, and a message that was there just now.

    What is done while the broker is away says nothing of what there is to do. Queues that cannot be read are a failure.
    """
    is_active = history.active_at is None or not _is_idle(seen)
    is_away = not policy.counts_queue and policy.when_silent == "Hold" and bool(seen.active and seen.active.is_unheard)
    return replace(
        history,
        recommendations=(() if is_away else history.recommendations) or (Record(now, seen.replicas),),
        active_at=(now if is_active else history.active_at) if policy.counts_queue else None,
        scaled_to_zero=history.scaled_to_zero and seen.replicas == 0,
        silent_since=None,
    )


def _paused(case: Case) -> Decision | None:
    """Hold while scaling is paused. What was recommended before is of no use after: it begins anew."""
    if not case.policy.paused:
        return None
    off = Condition("ScalingActive", "False", "ScalingDisabled", "scaling is paused")
    decision = _held(case, "Paused", off.message, (_ABLE, off))
    return replace(decision, history=replace(case.history, recommendations=()))


def _switched_off(case: Case) -> Decision | None:
    """Hold at zero if that was not our doing: somebody switched the group off."""
    if case.seen.replicas > 0 or case.policy.min_replicas == 0 or case.history.scaled_to_zero:
        return None
    message = "scaling is disabled since the replica count of the target is zero: scale it up to begin again"
    off = Condition("ScalingActive", "False", "ScalingDisabled", message)
    return _held(case, off.reason, message, (_ABLE, off))


def _repaired(case: Case) -> Decision | None:
    """Go to the bound that is exceeded, at once: no metric and no window is asked."""
    limit = behavior.repaired(case.policy, case.seen.replicas)
    if limit is None:
        return None
    return replace(_held(case, limit.reason, limit.message, (_ABLE,)), replicas=limit.replicas)


def _failed(case: Case, failure: Failure) -> Decision:
    """Hold: what cannot be measured is never taken for zero. After an outage the windows begin anew."""
    inactive = Condition("ScalingActive", "False", failure.reason, failure.message)
    decision = _held(case, failure.reason, failure.message, (_ABLE, inactive))
    return replace(decision, history=replace(case.history, recommendations=()), metrics=failure.seen)


def _asleep(case: Case, found: Proposal) -> Decision:
    decision = _held(case, "ScaledToZero", "no message waits", (_ABLE, _valid(found)))
    return replace(decision, metrics=found.seen)


def _normalized(case: Case, found: Proposal) -> Decision:
    """Go where the metrics, the windows, the rates and the bounds lead: to one pod at least."""
    current = case.seen.replicas
    desired = max(found.replicas, 1) if case.policy.min_replicas == 0 else found.replicas
    normal = behavior.normalized(case.policy, Move(current, desired), case.history, case.now)
    count = max(normal.replicas, 1) if current == 0 else normal.replicas  # the first message waits for no window
    reason, message = "ReadyForNewScale", "recommended size matches current size"
    if count != current:
        reason = "AboveTarget" if count > current else "BelowTarget"
        message = f"{found.metric} above target" if count > current else "All metrics below target"
    for condition in (normal.able, normal.limited):
        if condition.status == "True" and condition.reason != "ReadyForNewScale":
            reason, message = (
                condition.reason,
                f"{message}; {condition.message}" if count != current else condition.message,
            )
    message = "; ".join(filter(None, [message, found.warning]))
    conditions = (normal.able, _valid(found), normal.limited)
    history = replace(case.history, recommendations=normal.recommendations)
    return Decision(count, reason, message, conditions, history, history, metrics=found.seen)


def _without_last_pod(case: Case, decision: Decision) -> Decision:
    """Let the last pod go when the queue has been empty for long enough; CPU and memory have no say in this."""
    policy, seen = case.policy, case.seen
    may_be_last = policy.min_replicas == 0 and seen.replicas > 0 and decision.replicas <= 1
    is_disabled = policy.behavior.scale_down.select == "Disabled"
    if not may_be_last or is_disabled or not _is_idle(seen) or case.history.active_at is None:
        return decision
    message = f"no message for {policy.cooldown_seconds:g} s"
    if case.now - case.history.active_at < timedelta(seconds=policy.cooldown_seconds):
        return _limited(decision, 1, "CooldownActive", f"the last pod goes after there was {message}")
    return replace(decision, replicas=0, reason="QueueEmpty", message=message)


def _with_unread(case: Case, decision: Decision) -> Decision:
    """Keep as many pods as the messages would need if all that are not read yet were this group's; start none."""
    current, backlog = case.seen.replicas, case.seen.backlog
    if decision.replicas >= current or not isinstance(backlog, Backlog) or not backlog.unread:
        return decision
    needed = -(-(backlog.demand + backlog.unread) // (case.policy.average_length or case.policy.concurrency))
    if (floor := min(needed, current)) <= decision.replicas:
        return decision
    message = f"workers hold {backlog.unread} messages of which is not known yet whose they are"
    return _limited(decision, floor, MESSAGES_UNREAD, message)


def _with_busy_pods(case: Case, decision: Decision) -> Decision:
    """Keep as many pods as what runs needs, and what might run where nobody says."""
    current, active = case.seen.replicas, case.seen.active
    if active is not None and (active.tasks or not active.silent.pods):
        decision = replace(decision, metrics={**decision.metrics, "running": active.tasks})
    if active is None or decision.replicas >= current:
        return decision
    slots = -(-max(active.tasks, 0) // max(case.policy.concurrency, active.in_one_pod))
    needed = Stay(slots, TASKS_RUNNING, f"running tasks need {slots} pods")
    stay = max(needed, active.busy, key=lambda each: each.pods)
    if active.silent.pods > decision.replicas:
        decision, is_over = _in_silence(case, decision, active.silent)
        stay = stay if is_over else max(stay, active.silent, key=lambda each: each.pods)
    if (floor := min(stay.pods, current)) <= decision.replicas:
        return decision
    return _limited(decision, floor, stay.reason, stay.message)


def _in_silence(case: Case, decision: Decision, silent: Stay) -> tuple[Decision, bool]:
    """Return the decision, and whether it need not wait any longer for those who do not answer."""
    since = case.silent_since or case.now
    patience = 0 if silent.reason == NOT_ASKED else case.policy.timing.silence_seconds
    decision = replace(decision, history=replace(decision.history, silent_since=since))
    if case.policy.when_silent == "Hold" or case.now - since < timedelta(seconds=patience):
        return decision, False
    return replace(decision, message=f"{decision.message}; {silent.message}"), True


def _remembered(case: Case, decision: Decision) -> Decision:
    """Return the decision with what the next one has to know of it."""
    move = Move(case.seen.replicas, decision.replicas)
    history = behavior.changed(case.policy, decision.history, move, case.now)
    may_rest = move.current > 0 or history.scaled_to_zero or case.policy.min_replicas == 0
    to_zero = move.desired == 0 and may_rest
    return replace(decision, history=replace(history, scaled_to_zero=to_zero), unwritten=decision.history)


def _held(case: Case, reason: str, message: str, conditions: tuple[Condition, ...]) -> Decision:
    return Decision(case.seen.replicas, reason, message, conditions, case.history, case.history)


def _limited(decision: Decision, count: int, reason: str, message: str) -> Decision:
    """Return the decision for so many pods instead, with the limit in place of any other."""
    others = tuple(each for each in decision.conditions if each.type != "ScalingLimited")
    limited = Condition("ScalingLimited", "True", reason, message)
    return replace(decision, replicas=count, reason=reason, message=message, conditions=(*others, limited))


def _valid(found: Proposal) -> Condition:
    message = f"able to calculate a replica count from {found.metric}"
    return Condition("ScalingActive", "True", "ValidMetricFound", message)


def _is_idle(seen: Observation) -> bool:
    return isinstance(seen.backlog, Backlog) and seen.backlog.demand == 0
