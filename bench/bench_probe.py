"""What a probe costs: CPU time of the command that the kubelet runs, beside the least a program in Python costs."""

import fcntl
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

from render.children import probe
from render.naming import CHECK_FILE

ROUNDS = 100
CHECK = str(resources.files("render").joinpath("in_pod", CHECK_FILE))


def main() -> None:
    python = sys.executable
    *options, _ = probe.QUICK
    commands = {
        "python3 -S -c pass": [python, "-S", "-c", "pass"],
        "readiness": [python, *options, CHECK, "ready"],
        "liveness": [python, *options, CHECK, "alive", "300"],
        "what `celery inspect ping` loads first": [python, "-c", "import celery.bin.celery"],
    }
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "heartbeat").open("w") as heartbeat:
        fcntl.lockf(heartbeat, fcntl.LOCK_EX)  # as a worker does
        heartbeat.write("working")
        heartbeat.flush()
        print(f"CPU time of a probe, medians of {ROUNDS} rounds side by side")
        rounds = [[cpu_ms(command, folder) for command in commands.values()] for _ in range(ROUNDS)]
        for name, times in zip(commands, zip(*rounds, strict=True), strict=True):
            print(f"  {name:<40} {statistics.median(times):>8.1f} ms")


def cpu_ms(command: list[str], folder: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=os.environ | {"CELERY_PROBE_DIR": folder}, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    main()
