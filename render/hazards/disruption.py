"""Disruption budgets that let no node be drained."""

from collections.abc import Iterator

from render.hazards.hazard import Hazard, Part, groups
from render.model import CeleryApp


def blocking_budgets(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each budget that lets no pod go while the group has as few as it may have."""
    for group in groups(app):
        budget = group.spec.get("disruptionBudget", {})
        if budget.get("maxUnavailable") in {0, "0%"}:
            message = "lets no pod go, so no node with one can be drained: write 1"
            yield Hazard(group.at("disruptionBudget", "maxUnavailable"), message)
        pods = _fewest(group)
        if pods and "minAvailable" in budget and _least(budget["minAvailable"], pods) >= pods:
            few = "is 1" if pods == 1 else f"are {pods}"
            yield Hazard(
                group.at("disruptionBudget", "minAvailable"),
                f"lets no pod go while there {few}, so no node with one can be drained: "
                "write maxUnavailable: 1 in place of minAvailable",
            )


def _fewest(group: Part) -> int:
    """Return how few pods a group may have when one of them is in the way; 0 if it never has any."""
    scaling = group.spec.get("scaling")
    return int(max(scaling["minReplicas"], 1) if scaling else group.spec.get("replicas", 1))


def _least(count: int | str, pods: int) -> int:
    """Return how many pods have to stay, rounded up as the disruption controller does."""
    return -(-int(count[:-1]) * pods // 100) if isinstance(count, str) else count


RULES = (blocking_budgets,)
