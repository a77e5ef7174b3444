"""Alerts, dashboard and documentation speak of the metrics there are."""

import json
import re
from pathlib import Path

import yaml

from reconciler.model import CELERY_APP, AppResult, Outcome, Ref, StepResult
from reconciler.service.metrics import Metrics

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "kustomize/components/monitoring"
PAGE = (ROOT / "docs/operations.md").read_text()
RULES = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"]["groups"][0]["rules"]
PANELS = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
ASKED = " ".join(each["expr"] for each in [*RULES, *(target for panel in PANELS for target in panel["targets"])])

SAMPLES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
METRICS = {metric.name: SAMPLES[metric.type] for metric in Metrics().registry.collect()}
ROWS = re.findall(r"^\| `(celery_reconcile_\w+)` \|([^|:]*)(?:: ([^|]*) )?\|", PAGE, re.MULTILINE)
TABLE = {name: (re.findall(r"\w+", labels), values.split(", ")) for name, labels, values in ROWS}
"""By metric: its labels, and the values of the last one where they are a closed set."""
SCRAPED = {"namespace", "pod", "service"}
"""Labels by which Prometheus says whose metrics they are."""


def test_alerts_and_dashboard_ask_for_metrics_that_exist():
    named = set(re.findall(r"\b(?:celery_reconcile|process)_\w+", ASKED))
    assert named <= {name + suffix for name, suffixes in METRICS.items() for suffix in suffixes}


def test_they_ask_for_labels_and_values_that_exist():
    for name, wanted in re.findall(r"(celery_reconcile_\w+)\{([^}]*)\}", ASKED):
        labels, values = TABLE[name.removesuffix("_bucket")]
        for label, value in re.findall(r'(\w+)!?="([^"]*)"', wanted):
            assert label in {*labels, *SCRAPED}
            assert label not in labels[-1:] or value in values or values == [""]
    grouped = {label for labels in re.findall(r"\bby \(([^)]*)\)", ASKED) for label in labels.split(", ")}
    assert grouped <= {label for labels, _ in TABLE.values() for label in labels} | SCRAPED | {"le"}


def test_the_table_of_metrics_is_complete():
    ours = [name for name in METRICS if name.startswith("celery_reconcile_")]
    assert list(TABLE) == [name + SAMPLES["counter"][0] if METRICS[name] == ("_total",) else name for name in ours]


def test_the_table_of_metrics_names_the_labels_that_are_told():
    metrics, shop = Metrics(), Ref(CELERY_APP.api_version, CELERY_APP.name, "web", "shop")
    metrics.request("list", "200")
    metrics.ended("done", 0.1)
    metrics.count(lambda: {"running": 1}, lambda: {"Ingress": "why"})
    steps = (StepResult(shop, Outcome.CREATED),)
    metrics.record(AppResult(shop, steps, {"Ready": "True"}, scaling={"worker": {"replicas": 1}}))
    samples = [sample for metric in metrics.registry.collect() for sample in metric.samples]
    told = {sample.name.removesuffix("_count"): list(sample.labels) for sample in samples}
    assert {name: labels for name, (labels, _) in TABLE.items()} == {name: told[name] for name in TABLE}


def test_the_table_of_alerts_is_complete():
    [table] = re.findall(r"^\| alert .*?\n\n?\Z", PAGE, re.MULTILINE | re.DOTALL)
    documented = re.findall(r"\bCelery(?:Reconcile|Apps|Tasks)\w+", table)
    assert documented == [rule["alert"] for rule in RULES]


def test_no_panel_is_over_another():
    places = [[panel["gridPos"][axis] for axis in "xywh"] for panel in PANELS]
    cells = [(x + right, y + down) for x, y, w, h in places for right in range(w) for down in range(h)]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
