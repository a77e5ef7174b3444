"""How fast the number of pods may follow the metrics: bounds, windows, rates. Pure: the time and the history are given.

After pkg/controller/podautoscaler/horizontal.go, for an HPA with `behavior`: what is not written there has its default.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from reconciler.model import Condition
from reconciler.scaling.model import Behavior, History, Policy, RateLimit, Record, Rules

_READY = Condition("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size")
_HIGHER = "recent recommendations were higher than current one, applying the highest recent recommendation"
_LOWER = "recent recommendations were lower than current one, applying the lowest recent recommendation"
_TOO_FAST_UP = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_TOO_FAST_DOWN = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")


class Move(NamedTuple):
    """From so many pods to so many."""

    current: int
    desired: int


class Limited(NamedTuple):
    """So many pods, and the limit that says so."""

    replicas: int
    reason: str
    message: str


class Normalized(NamedTuple):
    """What becomes of a number that the metrics ask for."""

    replicas: int
    able: Condition
    limited: Condition
    recommendations: tuple[Record, ...]


def repaired(policy: Policy, current: int) -> Limited | None:
    """Return the bound, if there are more pods or fewer than it allows. No metric is asked, and no window."""
    if current > policy.max_replicas:
        return Limited(policy.max_replicas, "TooManyReplicas", "Current number of replicas above maxReplicas")
    if current < policy.min_replicas:
        return Limited(policy.min_replicas, "TooFewReplicas", "Current number of replicas below minReplicas")
    return None


def normalized(policy: Policy, move: Move, history: History, now: datetime) -> Normalized:
    """Return the number that windows, rates and bounds make of the one desired."""
    wanted, able, recommendations = _stabilized(policy.behavior, move, history.recommendations, now)
    limited = by_rate(policy, Move(move.current, wanted), Changes(history, now))
    status: Literal["True", "False"] = "False" if limited.replicas == wanted else "True"
    condition = Condition("ScalingLimited", status, limited.reason, limited.message)
    return Normalized(limited.replicas, able, condition, recommendations)


def changed(policy: Policy, history: History, move: Move, now: datetime) -> History:
    """Return the history with a change of the number of pods in it."""
    if move.current == move.desired:
        return history
    if move.desired > move.current:
        cutoff = now - _longest_period(policy.behavior.scale_up)
        new = Record(now, move.desired - move.current)
        return replace(history, scale_ups=_replaced(history.scale_ups, new, lambda old: old.at < cutoff))
    cutoff = now - _longest_period(policy.behavior.scale_down)
    new = Record(now, move.current - move.desired)
    return replace(history, scale_downs=_replaced(history.scale_downs, new, lambda old: old.at < cutoff))


def _stabilized(
    behavior: Behavior, move: Move, recommendations: tuple[Record, ...], now: datetime
) -> tuple[int, Condition, tuple[Record, ...]]:
    """Return the number nearest to the current one that both windows allow, as stabilizeRecommendationWithBehaviors."""
    up_cutoff = now - timedelta(seconds=behavior.scale_up.window_seconds)
    down_cutoff = now - timedelta(seconds=behavior.scale_down.window_seconds)
    lowest = min([move.desired, *(old.replicas for old in recommendations if old.at > up_cutoff)])
    highest = max([move.desired, *(old.replicas for old in recommendations if old.at > down_cutoff)])
    wanted = min(max(move.current, lowest), highest)
    able = _READY
    if wanted != move.desired and move.desired >= move.current:
        able = Condition("AbleToScale", "True", "ScaleUpStabilized", _LOWER)
    elif wanted != move.desired:
        able = Condition("AbleToScale", "True", "ScaleDownStabilized", _HIGHER)
    outdated = min(up_cutoff, down_cutoff)
    return wanted, able, _replaced(recommendations, Record(now, move.desired), lambda old: old.at < outdated)


class Changes(NamedTuple):
    """The changes of late."""

    history: History
    now: datetime

    def base(self, current: int, period_seconds: float) -> int:
        """Return how many pods there were when the period began."""
        cutoff = self.now - timedelta(seconds=period_seconds)
        added = sum(change.replicas for change in self.history.scale_ups if change.at > cutoff)
        deleted = sum(change.replicas for change in self.history.scale_downs if change.at > cutoff)
        return current - added + deleted


def by_rate(policy: Policy, move: Move, changes: Changes) -> Limited:
    """Return the number within the bounds and the policies, as convertDesiredReplicasWithBehaviorRate does."""
    if move.desired > move.current:
        fastest = max(_most(policy.behavior.scale_up, move.current, changes), move.current)
        allowed = min(policy.max_replicas, fastest)
        if move.desired > allowed:
            return Limited(allowed, *(_TOO_FAST_UP if policy.max_replicas > fastest else _TOO_MANY))
    elif move.desired < move.current:
        fastest = min(_fewest(policy.behavior.scale_down, move.current, changes), move.current)
        allowed = max(policy.min_replicas, fastest)
        if move.desired < allowed:
            return Limited(allowed, *(_TOO_FAST_DOWN if policy.min_replicas < fastest else _TOO_FEW))
    return Limited(move.desired, *_WITHIN)


def _most(rules: Rules, current: int, changes: Changes) -> int:
    """Return how many pods there may be now; rounded up, or a small number would never grow."""
    if rules.select == "Disabled":
        return current

    def limit(rate: RateLimit) -> int:
        base = changes.base(current, rate.period_seconds)
        return base + rate.value if rate.kind == "Pods" else math.ceil(base * (1 + rate.value / 100))

    select = min if rules.select == "Min" else max
    return select(map(limit, rules.policies))


def _fewest(rules: Rules, current: int, changes: Changes) -> int:
    """Return how few pods there may be now."""
    if rules.select == "Disabled":
        return current

    def limit(rate: RateLimit) -> int:
        base = changes.base(current, rate.period_seconds)
        return base - rate.value if rate.kind == "Pods" else int(base * (1 - rate.value / 100))

    select = max if rules.select == "Min" else min  # the smallest change leaves most pods
    return select(map(limit, rules.policies))


def _longest_period(rules: Rules) -> timedelta:
    return timedelta(seconds=max(rate.period_seconds for rate in rules.policies))


def _replaced(records: tuple[Record, ...], new: Record, is_outdated: Callable[[Record], bool]) -> tuple[Record, ...]:
    """Return the records with the new one, in the place of the last outdated: so they never grow without end."""
    outdated = [index for index, record in enumerate(records) if is_outdated(record)]
    if not outdated:
        return (*records, new)
    return (*records[: outdated[-1]], new, *records[outdated[-1] + 1 :])
