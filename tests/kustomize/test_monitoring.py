"""Alerts, dashboard and documentation speak of the metrics there are."""

import json
import re
from pathlib import Path

import yaml

from reconciler.service.metrics import Metrics

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "kustomize/components/monitoring"
SAMPLES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
METRICS = {metric.name: SAMPLES[metric.type] for metric in Metrics().registry.collect()}


def test_alerts_and_dashboard_ask_for_metrics_that_exist():
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["spec"]["groups"][0]["rules"]
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    asked = [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]
    named = set(re.findall(r"\b(?:celery_reconcile|process)_\w+", " ".join(asked)))
    assert named <= {name + suffix for name, suffixes in METRICS.items() for suffix in suffixes}


def test_the_table_of_metrics_is_complete():
    page = (ROOT / "docs/operations.md").read_text()
    documented = re.findall(r"^\| `(celery_reconcile_\w+)`", page, re.MULTILINE)
    ours = [name for name in METRICS if name.startswith("celery_reconcile_")]
    assert documented == [name + SAMPLES["counter"][0] if METRICS[name] == ("_total",) else name for name in ours]
