"""Ask the API server and celery-render about many documents; the two must agree on every one. For `make fuzz`."""

import argparse
import multiprocessing
import os
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import build
import children
import control_plane
import documents
import every_rule
import verdicts
import yaml
from cluster import Cluster

from render import build as rendering
from render import schema
from render.model import Document

Json = dict[str, Any]

BATCH = 250
SHOWN = 20
CRDS = (documents.ROOT / "crds/celeryapps.yaml", *build.keda_crds())
OF_THE_CRD = schema.Schema(schema.load().crd)
"""What the server judges by; what is refused for the sake of children is proven by them."""


@dataclass
class Tally:
    """What was reached, and where the two differed."""

    stages: Counter[str] = field(default_factory=Counter)
    accepted: set[tuple[str, ...]] = field(default_factory=set)
    """Fields of documents that the server accepts."""
    refused: set[tuple[str, ...]] = field(default_factory=set)
    held: set[every_rule.Rule] = field(default_factory=set)
    """Rules of which the server accepts a document that they are about."""
    broken: set[every_rule.Rule] = field(default_factory=set)
    differences: list[str] = field(default_factory=list)
    rendered: int = 0
    """Apps near to what core/v1 refuses that celery-render accepts."""

    def add(self, other: "Tally") -> None:
        self.stages += other.stages
        self.accepted |= other.accepted
        self.refused |= other.refused
        self.held |= other.held
        self.broken |= other.broken
        self.differences += other.differences
        self.rendered += other.rendered

    def note(self, app: Json, said: verdicts.Answer) -> None:
        self.stages[said.stage] += 1
        (self.refused if said.stored is None else self.accepted).update(documents.fields(app))
        self.broken |= said.broken
        self.held |= set(documents.rules_about(said.stored)) if said.stored else set()

    def table(self) -> str:
        fields, rules = set(documents.places()), set(verdicts.RULES)
        rows = {
            "documents": self.stages.total(),
            **{stage: self.stages[stage] for stage in verdicts.STAGES},
            f"fields, of {len(fields)}, in documents accepted": len(fields & self.accepted),
            f"fields, of {len(fields)}, in documents refused": len(fields & self.refused),
            f"rules, of {len(rules)}, that held": len(rules & self.held),
            f"rules, of {len(rules)}, that were broken": len(rules & self.broken),
            "as many again for their children, accepted": self.rendered,
            "differences": len(self.differences),
        }
        return "\n".join(f"{name:44}{count:>8}" for name, count in rows.items())


class Case(NamedTuple):
    """A document, how it is read, and what the server says of it."""

    number: int
    app: Json
    read: Document
    said: verdicts.Answer


def cases(cluster: Cluster, seed: int, numbers: Iterable[int]) -> list[Case]:
    """Return the documents of these numbers, judged by the server."""
    numbers = list(numbers)
    apps = [documents.document(seed, number) for number in numbers]
    return list(map(Case, numbers, apps, map(verdicts.read, apps), verdicts.answers(cluster, apps)))


def judged(cluster: Cluster, seed: int, found: Iterable[Case]) -> Tally:
    """Return what came of the documents."""
    tally = Tally()
    for case in found:
        tally.note(case.app, case.said)
        if verdicts.difference(case.said, ours(case.read)):
            tally.differences.append(report(cluster, case.app, f"document {case.number} of FUZZ_SEED={seed}"))
    return tally


def batch(cluster: Cluster, seed: int, numbers: Iterable[int]) -> Tally:
    tally = judged(cluster, seed, cases(cluster, seed, numbers))
    tally.add(of_children(cluster, seed, numbers, schema.load(schema.KUBERNETES)))
    return tally


def of_children(cluster: Cluster, seed: int, numbers: Iterable[int], judging: schema.Schema) -> Tally:
    """Return what came of as many documents again, of which the server is asked about the children."""
    numbers, tally = list(numbers), Tally()
    apps = [children.document(seed, number) for number in numbers]
    for number, app, refused in zip(numbers, apps, children.refusals(cluster, apps, judging), strict=True):
        tally.rendered += refused is not None
        if refused:
            name = f"document {number} for children of FUZZ_SEED={seed}"
            tally.differences.append(children.report(cluster, app, judging, name))
    return tally


def ours(document: Document) -> verdicts.Verdict:
    """Return celery-render's verdict; what it accepts it must be able to render."""
    verdict = verdicts.verdict(document, OF_THE_CRD)
    if verdict.app:
        rendering.children(verdict.app)
    return verdict


def report(cluster: Cluster, app: Json, name: str) -> str:
    """Say in what the two differ on a document, which is made as small as it can be."""

    def differs(candidate: Json) -> str:
        [said] = verdicts.answers(cluster, [candidate])
        return verdicts.difference(said, ours(verdicts.read(candidate)))

    least = documents.smallest(app, differs)
    return f"{name}, the least of it:\n{documents.text(least)}\n{differs(least)}\n"


def main(arguments: argparse.Namespace) -> int:
    say: Callable[[str], None] = partial(print, flush=True)
    say(f"{arguments.documents} documents of FUZZ_SEED={arguments.seed}")
    began, tally = time.monotonic(), Tally()
    with tempfile.TemporaryDirectory() as folder, control_plane.running(build.binary(), Path(folder)) as plane:
        for path in CRDS:
            for crd in yaml.load_all(path.read_text(), yaml.CSafeLoader):
                control_plane.install(plane, crd)
        try:
            for found in batches(plane, arguments.seed, arguments.documents):
                tally.add(found)
                for difference in found.differences if len(tally.differences) <= SHOWN else ():
                    say(f"\n{difference}")
                if tally.stages.total() % (BATCH * 10) == 0:
                    seconds = time.monotonic() - began
                    say(f"{tally.stages.total():>7} after {seconds:.0f} s, {len(tally.differences)} differ")
        except KeyboardInterrupt:
            say("interrupted")
    say(tally.table())
    return 1 if tally.differences else 0


def batches(plane: Cluster, seed: int, count: int) -> Iterator[Tally]:
    """Yield what came of the documents, batch by batch, on every CPU."""
    numbers = [range(first, min(first + BATCH, count)) for first in range(0, count, BATCH)]
    context = multiprocessing.get_context("spawn")
    leaving_ctrl_c = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    processes = ProcessPoolExecutor(mp_context=context, initializer=leaving_ctrl_c)
    try:
        yield from processes.map(partial(batch, plane, seed), numbers)
    finally:
        processes.shutdown(cancel_futures=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=int)
    parser.add_argument("--seed", type=int, default=os.environ.get("FUZZ_SEED") or secrets.randbelow(10**6))
    sys.exit(main(parser.parse_args()))
