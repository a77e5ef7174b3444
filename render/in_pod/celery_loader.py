# ruff: noqa: INP001 (no package: a file of a ConfigMap, read here and run there)
"""Gives every Celery app that celery_start.py starts what leads to its broker and result backend: it names this one.

A loader is Celery's own way in for settings, and the only one that workers, beat, Flower, `celery inspect` and a script
of the user's all have: beat and Flower of old versions take none on the command line.
"""

from __future__ import annotations  # for Python 3.8

import os
from typing import Any

import celery_connection  # type: ignore[import-not-found]
from celery.loaders.app import AppLoader  # type: ignore[import-untyped]


class Loader(AppLoader):  # type: ignore[misc]
    """Lays the settings over the app's own, and over those of the command line, which come later."""

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.ours = celery_connection.settings(os.environ, files())
        app.on_after_configure.connect(self.configure, weak=False)

    def configure(self, source: Any, **_: Any) -> None:
        given = {name: source.get(name) for name in self.ours}
        source.update(celery_connection.over(given, self.ours))

    def cmdline_config_parser(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        given = super().cmdline_config_parser(*args, **kwargs)
        ours = {name: value for name, value in self.ours.items() if name in given}
        return dict(celery_connection.over(given, ours))


def files() -> dict[str, dict[str, str]]:
    """Return the certificates and keys that are mounted."""
    root = os.environ.get("CELERYAPP_TLS_DIR", celery_connection.TLS_PATH)
    paths = {
        part: {kind: f"{root}/{part}/{name}" for kind, name in celery_connection.FILES.items()}
        for part in celery_connection.URLS
    }
    return {
        part: {kind: path for kind, path in each.items() if os.path.exists(path)}  # noqa: PTH110 (no pathlib here)
        for part, each in paths.items()
    }
