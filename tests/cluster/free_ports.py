"""Ports for the servers of one test process, which nothing else on the machine takes before they are used."""

import fcntl
import random
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

RANGE = range(20_000, 30_000)  # below what systems give to outgoing connections and Kubernetes to NodePorts
_claims: list[IO[str]] = []  # an open file is the claim, so it lasts as long as this process


def take(count: int, address: str = "127.0.0.1") -> list[int]:
    """Return ports nobody listens on and no other test process was given."""
    folder = Path(tempfile.gettempdir()) / "celery-render-test-ports"
    folder.mkdir(mode=0o777, exist_ok=True)
    ports: list[int] = []
    for port in random.sample(RANGE, len(RANGE)):
        if len(ports) == count:
            return ports
        with suppress(OSError), socket.socket() as attempt:
            attempt.bind((address, port))
            if claim := _claimed(folder / str(port)):
                _claims.append(claim)
                ports.append(port)
    raise RuntimeError(f"no {count} free ports from {RANGE.start} to {RANGE.stop}")


def _claimed(path: Path) -> IO[str] | None:
    claim = path.open("a")
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        claim.close()
        return None
    return claim
