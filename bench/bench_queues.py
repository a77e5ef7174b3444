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

sys.path.append(str(Path(__file__).parents[1] / "tests/brokers"))

import servers

from reconciler.scaling.brokers.broker import Broker
from reconciler.scaling.brokers.queues import Brokers, Inquiry
from reconciler.scaling.model import Backlog, Unreadable

HELD = 20_000
SCHEMES = ("redis", "rediss", "amqp", "amqps")


def main() -> None:
    options = arguments()
    with redis(options.brokers + 1) as address, ExitStack() as stack:
        alive = [Broker(f"{address}/{number}") for number in range(options.brokers)]
        ports = [stack.enter_context(servers.listening()) for _ in SCHEMES]
        kinds = list(zip(SCHEMES, ports, strict=True))
        hanging = [
            Broker(f"{scheme}://{servers.HERE}:{port}/{number}")
            for number in range(options.brokers)
            for scheme, port in [kinds[number % len(kinds)]]
        ]
        print(f"{options.brokers} brokers, time-out {options.timeout:g} s, {options.at_once} asked at once")
        held(address, options)
        for count in sorted({0, 1, options.brokers // 10, options.brokers // 2, options.brokers}):
            measure(options, hanging[:count] + alive[count:], count)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--brokers", type=int, default=200)
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds")
    parser.add_argument("--at-once", type=int, default=32)
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


def measure(options: argparse.Namespace, brokers: list[Broker], hanging: int) -> None:
    reader = Brokers(options.timeout, options.at_once)
    inquiries = [Inquiry(broker, broker, frozenset({"celery"})) for broker in brokers]
    for name in ("first", "next"):
        start, cpu = time.perf_counter(), time.process_time()
        found = list(reader.backlogs(inquiries).values())
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        right = sum(isinstance(answer, Backlog) for answer in found)
        row(
            f"{hanging} of them hang, {name} time",
            f"{seconds:6.2f} s, {cpu:5.2f} s of CPU, {right} read, {threads()} threads left",
        )
        if right + hanging != len(brokers):
            row("WRONG", str(next(answer for answer in found[hanging:] if isinstance(answer, Unreadable))))


def held(address: str, options: argparse.Namespace) -> None:
    """Measure a broker of which workers have taken many messages."""
    broker = Broker(f"{address}/{options.brokers}")
    fill(broker)
    reader, before = Brokers(60), memory()
    start = time.perf_counter()
    [backlog] = reader.backlogs([Inquiry("group", broker, frozenset({"celery"}))]).values()
    row(
        f"{HELD} messages of 1 KiB taken by workers",
        f"{time.perf_counter() - start:6.2f} s, {memory() - before:.0f} MiB more",
    )
    assert backlog == Backlog(0, HELD), backlog


def fill(broker: Broker) -> None:
    import kombu  # noqa: PLC0415 (what is measured imports it)

    message = f'[{{"body": "{"x" * 1024}", "headers": {{}}}}, "", "celery"]'
    with kombu.Connection(broker.url) as connection:
        redis = connection.default_channel.client
        for number in range(HELD):
            redis.hset("unacked", str(number), message)
            redis.zadd("unacked_index", {str(number): time.time()})


def threads() -> int:
    return sum(thread.name.startswith("asks") for thread in threading.enumerate())


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def row(name: str, value: str) -> None:
    print(f"  {name:<44}{value}", flush=True)


if __name__ == "__main__":
    main()
