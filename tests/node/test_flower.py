"""Flower on a real node, as it is reached: under a prefix, by those who may, and by a browser."""

import re
from base64 import b64encode
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import browser
import debian
import pytest
from servers import missing

PORT = 5555
USER, PASSWORD = "ann", "correct-horse"


@pytest.fixture
def flower(cluster, shop, redis):
    """Return the address of Flower, with a prefix and a password, beside a worker and a Service named flower."""
    secret = {"metadata": {"name": "flower"}, "stringData": {"users": f"{USER}:{PASSWORD}"}}
    service = {"metadata": {"name": "flower"}, "spec": {"ports": [{"port": PORT}]}}  # would make FLOWER_PORT=tcp://…
    for kind, manifest in (("Secret", secret), ("Service", service)):
        cluster.apply({"apiVersion": "v1", "kind": kind} | manifest).accepted()
    auth = {"basicAuth": {"secretKeyRef": {"name": "flower", "key": "users"}}}
    children = shop(redis.url, flower={"port": PORT, "urlPrefix": "monitor/flower", "auth": auth})
    pods = [child for child in children if child["kind"] == "Deployment"]
    cluster.wait_until(lambda: all(map(cluster.is_rolled_out, pods)))
    [pod] = cluster.pods("flower")
    return f"{pod['status']['podIP']}:{PORT}/monitor/flower"


@pytest.fixture
def chromium():
    """Return a function that opens a page. A skip on a laptop without Debian's packages, a failure under CI=true."""
    try:
        browser.program()
    except debian.NoPackages as reason:
        missing(str(reason))
    return browser.page


def status(address, path, password=None, method="GET"):
    headers = {"Authorization": f"Basic {b64encode(f'{USER}:{password}'.encode()).decode()}"} if password else {}
    try:
        with urlopen(Request(f"http://{address}{path}", headers=headers, method=method), timeout=10) as answer:
            return answer.status
    except HTTPError as error:
        with error:
            return error.code


def test_flower_lives_under_its_prefix_and_lets_in_who_may(cluster, flower, chromium, tmp_path):
    asked = {
        "the probe's page, by anybody": status(flower, "/healthcheck"),
        "outside the prefix": status(flower.partition("/")[0], "/healthcheck"),
        "nobody": status(flower, "/workers"),
        "a wrong password": status(flower, "/workers", "wrong"),
        "the password": status(flower, "/workers", PASSWORD),
        "the API, by nobody": status(flower, "/api/workers"),
        "the API, by nobody who would stop a worker": status(flower, "/api/worker/shutdown/worker@x", method="POST"),
        "the API, with the password": status(flower, "/api/workers", PASSWORD),
    }
    assert list(asked.values()) == [200, 404, 401, 401, 200, 401, 401, 200], asked

    [worker] = cluster.pods("worker")
    node = f"worker@{worker['metadata']['name']}"

    def seen():
        page = chromium(f"http://{USER}:{PASSWORD}@{flower}/workers", tmp_path / "flower.png")
        return node in page and "Online" in page

    cluster.wait_until(seen)
    log = cluster.kubectl("logs", "deployment/shop-flower").stdout
    complaints = [line for line in log.splitlines() if re.search(r"warn|deprecat|\[[WE] ", line, re.IGNORECASE)]
    # Flower asks before there is a worker to answer.
    assert [line for line in complaints if "Inspect method" not in line] == []
