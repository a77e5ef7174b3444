# ruff: noqa: INP001 (no package: a file of a ConfigMap, read here and run there)
"""Starts Celery with all it needs of ours: this folder at the end of PYTHONPATH, and the way to its broker.

    python3 -I -S celery_start.py celery --app=shop worker …

So a worker finds celery_heartbeat, and who reads the URL of the broker finds it whole: many apps write
`Celery(backend=os.environ["CELERY_RESULT_BACKEND"])`, which is over before Celery asks anybody.

A manifest could only replace the PYTHONPATH of the image, which it does not know, and put a password into a URL as it
is. No shell: Celery takes the place of this process, with its number and its signals.

Runs in the user's image, which may have no more than Python 3.8.
"""

import os
import sys

command = sys.argv[1:]
folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (as quick as can be)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), folder)))
if any(name.startswith("CELERYAPP_") for name in os.environ):
    sys.path.append(folder)
    import celery_connection  # type: ignore[import-not-found]

    os.environ.update(celery_connection.variables(os.environ))
try:
    os.execvp(command[0], command)  # noqa: S606 (that is what it is for)
except OSError as error:
    sys.exit(f"{command[0]}: {error.strerror}")
