"""Prints the table of docs/celery.md from files that `pytest tests/brokers --junitxml=FILE` has written."""

import json
import sys
from collections import defaultdict
from xml.etree import ElementTree as ET

from celery_versions import VERSIONS

QUORUM = "task_default_queue_type"


def main(*files):
    cells = defaultdict(dict)
    for found in (each for file in files for each in ET.parse(file).iterfind(".//property[@name='counted']")):
        broker, settings, flags, version, busy, left = json.loads(found.get("value"))
        kind = {"redis": "Redis", "rabbitmq": "RabbitMQ, quorum" if QUORUM in settings else "RabbitMQ, classic"}[broker]
        words = [f"{name}={value}" for name, value in settings.items() if name != QUORUM]
        cells[kind, ", ".join(words + flags) or "Celery's defaults"][version] = f"{busy}, {left}"
    rows = [("broker, queues", "settings", *VERSIONS), ("---",) * (2 + len(VERSIONS))]
    rows += [(*row, *(by_version.get(each, "") for each in VERSIONS)) for row, by_version in sorted(cells.items())]
    sys.stdout.writelines(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
