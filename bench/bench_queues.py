"""How long it takes to read many brokers when some of them hang, and one whose workers hold much. Prints a table.

Those that answer are the databases of one real Redis, those that hang take the connection and say nothing.
"""

import argparse
import shutil
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path += [str(Path(__file__).parents[1] / "tests" / folder) for folder in ("brokers", "cluster")]

import servers

from reconciler.scaling.demand import Crew, Demand
from reconciler.scaling.group import Group
from reconciler.scaling.model import Backlog, Unreadable

HELD = 20_000
SIZES = (1 << 10, 20_000)
"""Bytes of a message."""
TAGS = 1.5
"""MiB: a look that reads less reads tags alone."""
SCHEMES = ("redis", "rediss", "amqp", "amqps")


def main() -> None:
    options = arguments()
    with redis(options.brokers + 1) as address, ExitStack() as stack:
        alive = [f"{address}/{number}" for number in range(options.brokers)]
        ports = [stack.enter_context(servers.listening()) for _ in SCHEMES]
        kinds = list(zip(SCHEMES, ports, strict=True))
        hanging = [
            f"{scheme}://{servers.HERE}:{port}/{number}"
            for number in range(options.brokers)
            for scheme, port in [kinds[number % len(kinds)]]
        ]
        print(f"{options.brokers} brokers in {options.namespaces} namespaces, time-out {options.timeout:g} s")
        held(address, options)
        for count in sorted({0, 1, options.brokers // 10, options.brokers // 2, options.brokers}):
            measure(options, hanging[:count] + alive[count:], count)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--brokers", type=int, default=200)
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds")
    parser.add_argument("--namespaces", type=int, default=20)
    return parser.parse_args()


@contextmanager
def redis(databases: int) -> Iterator[str]:
    program = shutil.which("redis-server") or str(servers.BUNDLED / "redis-server")
    with tempfile.TemporaryDirectory() as folder:
        server = servers.Redis(program, Path(folder), "--databases", str(databases))
        server.start()
        try:
            yield server.url.removesuffix("/0")
        finally:
            server.stop()


def measure(options: argparse.Namespace, urls: list[str], hanging: int) -> None:
    demand = Demand(None, servers.HOSTS, options.timeout)
    crews = {("app", url): crew(url, f"namespace-{number % options.namespaces}") for number, url in enumerate(urls)}
    for name in ("first", "next"):
        start, cpu = time.perf_counter(), time.process_time()
        found = [demanded.backlog for demanded in demand.of(crews).values()]
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        right = sum(isinstance(backlog, Backlog) for backlog in found)
        row(
            f"{hanging} of them hang, {name} time",
            f"{seconds:6.2f} s, {cpu:5.2f} s of CPU, {right} read, {threads()} threads left",
        )
        if right + hanging != len(urls):
            row("NOT ALL READ", str([each.message for each in found if isinstance(each, Unreadable)][-1]))


def held(address: str, options: argparse.Namespace) -> None:
    """Measure looks at a broker of which workers have taken many messages, until all are read; then memory likewise."""
    import kombu  # noqa: PLC0415 (what is measured imports it)

    url = f"{address}/{options.brokers}"
    with kombu.Connection(url) as connection:
        redis = connection.default_channel.client
        for size in SIZES:
            redis.flushdb()
            fill(redis, size)
            print(f"{HELD} messages of {size} bytes taken by workers")
            looks = list(cost(redis, url))
            tracemalloc.start()
            peaks = [peak for *_, peak in cost(redis, url)]
            tracemalloc.stop()
            for number in (0, len(looks) - 1):
                read, cpu, _ = looks[number]
                row(
                    f"look {number + 1} of {len(looks)}",
                    f"{read:6.1f} MiB read, {cpu:5.2f} s of CPU, {peaks[number]:5.1f} MiB of memory",
                )


def cost(redis: Any, url: str) -> Iterator[tuple[float, float, float]]:
    """Yield MiB read, seconds of CPU, and MiB that Python has at most beyond what it had before the first look.

    The last look is the first that reads tags alone: all others will be like it.
    """
    demand, crews = Demand(None, servers.HOSTS, 60), {("app", url): crew(url, "namespace")}
    while True:
        before, cpu = redis.info("stats")["total_net_output_bytes"], time.process_time()
        tracemalloc.reset_peak()
        [demanded] = demand.of(crews).values()
        cpu, peak = time.process_time() - cpu, tracemalloc.get_traced_memory()[1] / 2**20
        read = (redis.info("stats")["total_net_output_bytes"] - before) / 2**20
        assert demanded.backlog.unacknowledged + demanded.backlog.unread == HELD, demanded
        yield read, cpu, peak
        if read < TAGS:
            return


def fill(redis: Any, size: int) -> None:
    message = f'[{{"body": "{"x" * size}", "headers": {{}}}}, "", "celery"]'
    for start in range(0, HELD, 500):
        tags = [str(uuid4()) for _ in range(start, start + 500)]
        redis.hset("unacked", mapping=dict.fromkeys(tags, message))
        redis.zadd("unacked_index", dict.fromkeys(tags, time.time()))


def crew(url: str, namespace: str) -> Crew:
    return Crew(namespace, Group("worker", None, frozenset({"celery"}), url, {}), frozenset())


def threads() -> int:
    return sum(thread.name.startswith("asks") for thread in threading.enumerate())


def row(name: str, value: str) -> None:
    print(f"  {name:<44}{value}", flush=True)


if __name__ == "__main__":
    main()
