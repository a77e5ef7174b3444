"""How fast celery-render is: ratios measured in one run, since machines differ. `make bench` prints the tables."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from render import build, default, emit, load, schema, validate
from render.model import CeleryApp

COMMAND = str(Path(sys.executable).with_name("celery-render"))
SHOP = Path(__file__).parents[1] / "examples/shop/app.yaml"
IMPORTS = [sys.executable, "-c", "import click, ruamel.yaml, jsonschema, cel_expr_python.cel"]
ROUNDS = 15


def main() -> None:
    print("Cold start, medians of", ROUNDS, "runs in turn")
    render_seconds, import_seconds = alternate([COMMAND, str(SHOP)], IMPORTS)
    row("celery-render examples/shop/app.yaml", f"{render_seconds * 1000:.0f} ms")
    row("a process that only imports its libraries", f"{import_seconds * 1000:.0f} ms")
    row("ratio", f"{render_seconds / import_seconds:.2f}")

    print("\nMany apps like examples/shop in one call")
    for count in (1, 200, 800):
        cpu_seconds, peak_mib = many(count)
        row(f"{count} apps", f"{cpu_seconds:.2f} s of CPU, {count / cpu_seconds:.0f} apps/s, {peak_mib:.0f} MiB")

    print("\nShare of each stage, examples/shop, warm")
    times = stages()
    for name, seconds in times.items():
        row(name, f"{seconds * 1000:5.2f} ms {seconds / sum(times.values()):6.0%}")
    row("all", f"{sum(times.values()) * 1000:5.2f} ms")


def alternate(*commands: list[str]) -> list[float]:
    """Return the median wall seconds of each command, run in turn."""
    seconds: list[list[float]] = [[] for _ in commands]
    for _ in range(ROUNDS):
        for command, taken in zip(commands, seconds, strict=True):
            start = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds]


def many(count: int) -> tuple[float, float]:
    """Return CPU seconds and peak MiB of one call that renders so many apps, a file each."""
    with tempfile.TemporaryDirectory() as folder:
        text = SHOP.read_text(encoding="utf-8")
        files = [Path(folder, f"{number}.yaml") for number in range(count)]
        for number, file in enumerate(files):
            file.write_text(text.replace("name: shop\n", f"name: shop{number}\n"), encoding="utf-8")
        process = subprocess.Popen([COMMAND, *map(str, files)], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def stages() -> dict[str, float]:
    """Return the median seconds of each stage."""
    known, content = schema.load(), SHOP.read_bytes()
    [document] = load.documents(content, SHOP.name).documents
    data = default.fill(document.data, known.structural)
    children = build.children(CeleryApp.from_document(data, written=document.data))
    return {
        "load": typical(lambda: load.documents(content, SHOP.name)),
        "default": typical(lambda: default.fill(document.data, known.structural)),
        "validate": typical(lambda: validate.problems(document, data, known)),
        "build": typical(lambda: build.children(CeleryApp.from_document(data, written=document.data))),
        "emit": typical(lambda: emit.stream(children)),
    }


def typical(call: Callable[[], object]) -> float:
    return statistics.median(timed(call))


def timed(call: Callable[[], object], times: int = 100) -> Iterator[float]:
    for _ in range(times):
        start = time.perf_counter()
        call()
        yield time.perf_counter() - start


def row(name: str, value: str) -> None:
    print(f"  {name:<44}{value}")


if __name__ == "__main__":
    main()
