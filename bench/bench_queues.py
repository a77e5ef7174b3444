"""How long it takes to read many brokers when some of them hang. Prints a table.

Those that answer are the databases of one real Redis, those that hang take the connection and say nothing.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / "tests" / folder) for folder in ("brokers", "cluster")]

import servers

from reconciler.scaling.demand import Crew, Demand
from reconciler.scaling.group import Group
from reconciler.scaling.model import Backlog, Unreadable

HELD = 20_000
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
        server = servers.Redis(program, folder, "--databases", str(databases))
        server.start()
        try:
            yield server.url.removesuffix("/0")
        finally:
            server.stop()


def measure(options: argparse.Namespace, urls: list[str], hanging: int) -> None:
    demand = Demand(None, options.timeout)
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
    """Measure a broker of which workers have taken many messages."""
    url = f"{address}/{options.brokers}"
    fill(url)
    demand, before = Demand(None, 60), memory()
    start = time.perf_counter()
    [demanded] = demand.of({("app", url): crew(url, "namespace")}).values()
    row(
        f"{HELD} messages of 1 KiB taken by workers",
        f"{time.perf_counter() - start:6.2f} s, {memory() - before:.0f} MiB more",
    )
    assert demanded.backlog == Backlog(0, HELD), demanded


def fill(url: str) -> None:
    import kombu  # noqa: PLC0415 (what is measured imports it)

    message = f'[{{"body": "{"x" * 1024}", "headers": {{}}}}, "", "celery"]'
    with kombu.Connection(url) as connection:
        redis = connection.default_channel.client
        for number in range(HELD):
            redis.hset("unacked", str(number), message)
            redis.zadd("unacked_index", {str(number): time.time()})


def crew(url: str, namespace: str) -> Crew:
    return Crew(namespace, Group("worker", None, frozenset({"celery"}), url, {}), frozenset())


def threads() -> int:
    return sum(thread.name.startswith("asks") for thread in threading.enumerate())


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def row(name: str, value: str) -> None:
    print(f"  {name:<44}{value}", flush=True)


if __name__ == "__main__":
    main()
