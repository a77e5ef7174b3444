"""Quantities are written as the API server answers them, so that a live object equals its base."""

import chance
import written_text

from render import quantity

BATCH = 1000


def asked(cluster, sizes):
    """Return the server's answer to a pod in which each size is requested, which it does not keep."""
    containers = [
        {"name": f"shop-{number}", "image": "shop:1", "resources": {"requests": {"cpu": size}}}
        for number, size in enumerate(sizes)
    ]
    labels = {"app": "shop"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    body = {"metadata": {"name": "shop"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    path = f"/apis/apps/v1/namespaces/{cluster.namespace}/deployments"
    answer = cluster.request("POST", path, body, dryRun="All").accepted().body
    return [each["resources"]["requests"]["cpu"] for each in answer["spec"]["template"]["spec"]["containers"]]


def test_a_quantity_is_canonical_to_the_api_server(cluster):
    dice = chance.dice()
    generated = [written_text.quantity(dice) for _ in range(chance.count(3000))]
    written = [each for each in generated if not quantity.requested(each).endswith("000E")]  # Go loses their zeros
    for start in range(0, len(written), BATCH):
        batch = written[start : start + BATCH]
        canonical = [quantity.requested(each) for each in batch]
        assert differing(canonical, asked(cluster, canonical)) == []  # what stands in a base
        # What stands in an app: where it is the same number, the server may keep its spelling.
        assert differing(canonical, map(quantity.requested, asked(cluster, batch))) == []


def differing(wanted, found):
    return [pair for pair in zip(wanted, found, strict=True) if len(set(pair)) > 1]
