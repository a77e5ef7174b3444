"""reconciler/service/logs.py: what a log line looks like."""

import json
import logging
import sys

from reconciler.service.logs import JsonFormatter, TextFormatter


def record(message, exc_info=None):
    made = logging.LogRecord("reconciler", logging.INFO, __file__, 1, "%s", (message,), exc_info)
    made.created = 1769860800.25
    return made


def test_for_people_a_line_is_text():
    line = TextFormatter().format(record("Deployment/shop/shop-worker created"))
    assert line == "2026-01-31T12:00:00.250Z INFO Deployment/shop/shop-worker created"


def test_for_machines_a_line_is_one_json_object():
    line = JsonFormatter().format(record('Deployment/shop/shop-worker failed "a\nb"'))
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-31T12:00:00.250Z",
        "level": "INFO",
        "message": 'Deployment/shop/shop-worker failed "a\nb"',
    }


def test_a_traceback_stays_in_its_line():
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        line = JsonFormatter().format(record("pass failed", sys.exc_info()))
    assert "\n" not in line
    assert json.loads(line)["traceback"].endswith("ZeroDivisionError: division by zero")
