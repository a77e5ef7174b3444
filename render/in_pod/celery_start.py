# ruff: noqa: INP001 (no package: a file of a ConfigMap, read here and run there)
"""Starts Celery with this folder at the end of PYTHONPATH, so that a worker finds celery_heartbeat.

    python3 -I -S celery_start.py celery --app=shop worker …

A manifest could only replace the PYTHONPATH of the image, which it does not know. No shell: Celery takes the place of
this process, with its number and its signals.

Runs in the user's image, which may have no more than Python 3.8.
"""

import os
import sys

command = sys.argv[1:]
paths = (os.environ.get("PYTHONPATH"), os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 (as quick as can be)
os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
try:
    os.execvp(command[0], command)  # noqa: S606 (that is what it is for)
except OSError as error:
    sys.exit(f"{command[0]}: {error.strerror}")
