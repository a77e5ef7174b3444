# ruff: noqa: INP001 (no package: a file of a ConfigMap, read here and run there)
"""Runs when a Python of the container starts, before any line of the app: whoever reads the URLs finds them whole.

Many apps write `Celery(backend=os.environ["CELERY_RESULT_BACKEND"])`, which is over before Celery asks anybody.
Another sitecustomize that stands behind on the path, the image's own, runs as if this one were not there.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

import celery_connection  # type: ignore[import-not-found]

os.environ.update(celery_connection.urls(os.environ))

_here = os.path.dirname(__file__)  # noqa: PTH120 (pathlib is dear, and this is every process's)
if (_spec := PathFinder.find_spec("sitecustomize", [path for path in sys.path if path != _here])) and _spec.loader:
    sys.modules["sitecustomize"] = module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["sitecustomize"])
