"""Celery in the versions that users run, each in an environment of its own below .cache/: what pip resolves it with.

`pytest --celery 5.4 --celery 5.5` runs with these what starts a worker. By default it is the Celery of the tests' own
environment, which is also taken for its own version.
"""

import fcntl
import hashlib
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

VERSIONS = ("5.4", "5.5", "5.6", "5.7")
CACHE = Path(__file__).parents[2] / ".cache/celery"
ALSO = {"5.4": ["kombu<5.5"]}
"""What else celery[redis,sqs] needs: pip takes a kombu of today for 5.4, with a redis that it refuses to work with."""
OWN = metadata.version("celery").rpartition(".")[0]


def pytest_generate_tests(metafunc):
    if "celery_version" in metafunc.fixturenames:
        versions = metafunc.config.getoption("celery") or [OWN]
        metafunc.parametrize("celery_version", versions, ids="celery-{}".format, scope="session")


@pytest.fixture(scope="session")
def celery_bin(celery_version):
    """Return the folder of the programs celery and python of the version under test."""
    return Path(sys.executable).parent if celery_version == OWN else environment(celery_version) / "bin"


def environment(version):
    requirements = [f"celery[redis,sqs]=={version}.*", "flower>=2", *ALSO.get(version, ())]
    known = [requirements, sys.version, str(CACHE)]  # programs have the way to their Python written into them
    key = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:12]
    folder = CACHE / f"{version}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other test runs wait for it, and find it done
        if not (folder / "done").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            subprocess.run([folder / "bin/pip", "install", "--quiet", *requirements], check=True)
            (folder / "done").touch()
    return folder
