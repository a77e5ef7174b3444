"""Amazon's services, as moto's server plays them: `amazon.running(folder)` is one with nothing in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import free_ports
import servers

REGION = "eu-west-1"
LOGIN = {"aws_access_key_id": "AKID", "aws_secret_access_key": "hunter2"}


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[int]:
    """Yield the port of a server, which ends at the end."""
    [port] = free_ports.take(1)
    command = [Path(sys.executable).with_name("moto_server"), "-H", servers.HERE, "-p", str(port)]
    with (
        (folder / "moto.log").open("wb") as log,
        subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log) as process,
    ):
        try:
            servers.until(lambda: servers.answers(port), "an answer from moto")
            yield port
        finally:
            process.terminate()


def client(port: int, service: str = "sqs", region: str = REGION) -> Any:
    """Return Amazon's own client of a service."""
    return boto3.client(service, endpoint_url=f"http://{servers.HERE}:{port}", region_name=region, **LOGIN)


def url(port: int) -> str:
    """Return where its queues are, as Celery takes it."""
    return f"sqs://{':'.join(LOGIN.values())}@{servers.HERE}:{port}"
