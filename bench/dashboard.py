"""A picture of the Grafana dashboard, from real data: `sudo make dashboard` writes docs/operations/dashboard.png.

Workers run in real pods (tests/node) for seven minutes, celery-reconcile scales them, and a real Prometheus, Debian's,
scrapes it. The panels are drawn here and not by Grafana: each panel of dashboard.json by its own queries.
"""

import json
import math
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import matplotlib as mpl
import yaml
from celery import Celery
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from PIL import Image

sys.path += [str(Path(__file__).parents[1] / "tests" / room) for room in ("brokers", "cluster", "node")]

import build
import debian
import free_ports
import images
import node as nodes
import servers
from celery_versions import VERSIONS
from cluster import Cluster

ROOT = Path(__file__).parents[1]
DASHBOARD = ROOT / "kustomize/components/monitoring/dashboard.json"
PICTURE = ROOT / "docs/operations/dashboard.png"
SYSTEM, NAMESPACE, SERVICE = "celery-render-system", "web", "celery-reconcile"
SCRAPE_SECONDS = 5
CELL = 0.6, 0.34
"""Inches of a column and a row of the dashboard."""
UNITS = {"bytes": EngFormatter("B", sep=" "), "s": EngFormatter("s", sep=" "), "ops": "{x:g}/s", "reqps": "{x:g}/s"}
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "font.size": 7,
}
AT_A_TIME = {"concurrency": 2, "disablePrefetch": True, "terminationGracePeriodSeconds": 10}
DOWN = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}}}
GROUPS = {
    "orders": {"maxReplicas": 4, "queue": {"maxWaitSeconds": 30}} | DOWN,
    "reports": {"maxReplicas": 3, "queue": {"averageLength": 2}} | DOWN,
    "mail": {"minReplicas": 0, "maxReplicas": 3, "queue": {"averageLength": 8}, "cooldownSeconds": 30} | DOWN,
}


class World(NamedTuple):
    broker: servers.Redis
    client: Celery

    def send(self, queue: str, *seconds: float) -> None:
        for each in seconds:
            self.client.send_task("nap", [each], queue=queue)


STORY: dict[int, Callable[[World], object]] = {
    **dict.fromkeys(range(20, 160, 2), lambda world: world.send("orders", *[2] * (1 + int(time.time() / 25) % 4))),
    41: lambda world: world.send("reports", 240, 30, 30, 240, 30, 30),
    71: lambda world: world.send("mail", *[5] * 30),
    235: lambda world: world.broker.stop(),
    295: lambda world: world.broker.start(),
    330: lambda world: world.send("orders", *[2] * 60),
    420: lambda _: None,
}
"""What happens, by the second."""


def main() -> None:
    with tempfile.TemporaryDirectory() as name, nodes.running(build.binary(), Path(name)) as node:
        folder = Path(name)
        broker = servers.Redis(servers.redis_server(), folder, "--protected-mode", "no", address=node.place.host)
        broker.start()
        try:
            image = node.load(images.celery(VERSIONS[-1]))
            node.load(images.project())
            cluster = installed(node.cluster, image, broker.url)
            with prometheus(folder, targets(cluster)) as query, Celery(broker=broker.url) as client:
                began = float(int(time.time()))
                for second, happens in sorted(STORY.items()):
                    time.sleep(max(began + second - time.time(), 0))
                    happens(World(broker, client))
                draw(json.loads(DASHBOARD.read_text()), query, began, time.time())
        finally:
            broker.stop()


def installed(cluster: Cluster, image: str, url: str) -> Cluster:
    """Install celery-reconcile and an app, and wait until both are ready; return the namespace of the first."""
    cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}).accepted()
    system = cluster.in_namespace(SYSTEM)
    system.kubectl("apply", "--server-side", "--kustomize", ROOT / "tests/node/installation")
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": SERVICE}}
    system.wait_until(lambda: system.is_rolled_out(deployment))
    workers = [{"name": name, "queues": [name], **AT_A_TIME, "scaling": each} for name, each in GROUPS.items()]
    spec = {"image": image, "app": "shop.celery:app", "celeryVersion": VERSIONS[-1], "broker": {"url": url}}
    app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "shop"}}
    web = cluster.in_namespace(NAMESPACE)
    web.apply(app | {"spec": spec | {"workers": workers}}).accepted()
    web.wait_until(lambda: web.condition(app, "Ready"))
    return system


def targets(system: Cluster) -> list[dict[str, Any]]:
    """Return what is to be scraped, with the labels that a ServiceMonitor gives it."""
    return [
        {
            "targets": [f"{pod['status']['podIP']}:8080"],
            "labels": {"namespace": SYSTEM, "pod": pod["metadata"]["name"], "service": SERVICE},
        }
        for pod in system.pods()
    ]


@contextmanager
def prometheus(folder: Path, found: list[dict[str, Any]]) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Yield a function that has a running Prometheus answer a range query."""
    program = debian.unpacked(ROOT / ".cache/prometheus", ["prometheus"], ()) / "usr/bin/prometheus"
    jobs = [{"job_name": SERVICE, "scrape_interval": f"{SCRAPE_SECONDS}s", "static_configs": found}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": jobs}))
    [port] = free_ports.take(1)
    flags = ("--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}")
    with subprocess.Popen([program, *flags, "--log.level=error"], cwd=folder) as process:
        servers.until(lambda: servers.answers(port), "an answer from Prometheus")

        def query(expression: str, began: float, ended: float) -> list[dict[str, Any]]:
            asked = urlencode({"query": expression, "start": began, "end": ended, "step": SCRAPE_SECONDS})
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query_range?{asked}") as answer:
                return json.load(answer)["data"]["result"]

        yield query
        process.terminate()


def draw(dashboard: dict[str, Any], query: Callable[..., list[dict[str, Any]]], began: float, ended: float) -> None:
    with mpl.rc_context(STYLE):
        height = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in dashboard["panels"]) * CELL[1]
        figure = Figure(figsize=(24 * CELL[0], height))
        for panel in dashboard["panels"]:
            axes = figure.add_axes(place(*(panel["gridPos"][axis] for axis in "xywh"), height))
            axes.set_title(panel["title"], loc="left", fontweight="bold")
            found = [
                (legend(target["legendFormat"], each["metric"]), each["values"])
                for target in panel["targets"]
                for each in query(filled(target["expr"]), began, ended)
            ]
            (number if panel["type"] == "stat" else lines)(axes, panel["fieldConfig"]["defaults"], found)
        PICTURE.parent.mkdir(exist_ok=True)
        figure.savefig(picture := BytesIO(), dpi=75)
        Image.open(picture).quantize(64).save(PICTURE, optimize=True)


def place(x: int, y: int, width: int, height: int, whole: float) -> tuple[float, float, float, float]:
    """Return left, bottom, width and height of a panel's axes, with room for title, axis and legend around them."""
    across, down = CELL
    inches = x * across + 0.5, whole - (y + height) * down + 0.6, width * across - 0.65, height * down - 0.9
    return inches[0] / (24 * across), inches[1] / whole, inches[2] / (24 * across), inches[3] / whole


def filled(expression: str) -> str:
    """Return a query with Grafana's variables filled in."""
    return expression.replace("$namespace", SYSTEM).replace("$__rate_interval", f"{4 * SCRAPE_SECONDS}s")


def legend(text: str, labels: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda label: labels.get(label[1], ""), text)


def number(axes: Axes, how: dict[str, Any], found: list[tuple[str, Any]]) -> None:
    """Show the last value, in the colour of its threshold."""
    [(_, values)] = found
    value = float(values[-1][1])
    steps = how.get("thresholds", {}).get("steps", [{"color": "green", "value": None}])
    colour = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
    axes.axis("off")
    axes.text(0.5, 0.4, f"{value:g}", color=colour, fontsize=24, ha="center", va="center", transform=axes.transAxes)


def lines(axes: Axes, how: dict[str, Any], found: list[tuple[str, Any]]) -> None:
    """Draw a line for each series, broken where nothing is known."""
    for label, values in found:
        known = {float(at): float(value) for at, value in values}
        begin, end = min(known), max(known)
        times = [begin + step * SCRAPE_SECONDS for step in range(round((end - begin) / SCRAPE_SECONDS) + 1)]
        heights = [known.get(at, math.nan) for at in times]
        axes.plot([datetime.fromtimestamp(at, UTC) for at in times], heights, label=label)
    axes.set_ylim(bottom=how["min"])
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    if how["unit"] in UNITS:
        axes.yaxis.set_major_formatter(UNITS[how["unit"]])
    if labels := [label for label, _ in found]:
        columns = int(axes.bbox.width / axes.figure.dpi / (0.4 + 0.045 * max(map(len, labels))))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=columns, fontsize=6, frameon=False)


if __name__ == "__main__":
    main()
