"""reconciler/service/logs.py: what a log line looks like."""

import json
import logging
import sys
from contextvars import Context

from reconciler.model import Ref
from reconciler.service.logs import JsonFormatter, TextFormatter, looked_at


def record(message, exc_info=None):
    made = logging.LogRecord("reconciler", logging.INFO, __file__, 1, "%s", (message,), exc_info)
    made.created = 1769860800.25
    return made


def test_for_people_a_line_is_text():
    line = TextFormatter().format(record("Deployment/shop/shop-worker created"))
    assert line == "2026-01-31T12:00:00.250Z INFO Deployment/shop/shop-worker created"


def test_for_machines_a_line_is_one_json_object():
    made = record('Deployment/shop/shop-worker failed "a\nb"')
    line = Context().run(JsonFormatter().format, made)  # in which no app is looked at
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-01-31T12:00:00.250Z",
        "level": "INFO",
        "message": 'Deployment/shop/shop-worker failed "a\nb"',
    }


def test_for_machines_the_app_and_the_object_are_fields():
    made = record("any")
    made.msg, made.args = "%s %s", (Ref("apps/v1", "Deployment", "web", "shop-worker"), "created")
    token = looked_at.set(Ref("celeryproject.org/v1alpha1", "CeleryApp", "web", "shop"))
    line = json.loads(JsonFormatter().format(made))
    looked_at.reset(token)
    assert line["message"] == "Deployment/web/shop-worker created"
    fields = {key: line[key] for key in ("namespace", "app", "kind", "name")}
    assert fields == {"namespace": "web", "app": "shop", "kind": "Deployment", "name": "shop-worker"}


def test_a_traceback_stays_in_its_line():
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        line = JsonFormatter().format(record("pass failed", sys.exc_info()))
    assert "\n" not in line
    assert json.loads(line)["traceback"].endswith("ZeroDivisionError: division by zero")
