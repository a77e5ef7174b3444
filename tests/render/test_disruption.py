import pytest


@pytest.mark.parametrize("budget", [{"minAvailable": "50%"}, {"maxUnavailable": 0}])
def test_a_budget_counts_the_pods_of_its_group(children, budget):
    found = children(workers=[{"name": "worker", "disruptionBudget": budget}])["PodDisruptionBudget/shop-worker"]
    assert found["spec"] == {
        **budget,
        "selector": {"matchLabels": {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
