"""celery-reconcile simulate: files and options in, a table and a picture out."""

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from reconciler.options import Number, Whole, option
from reconciler.scaling.simulation import contender, shapes, simulate, summary, trace
from reconciler.scaling.simulation.contender import Contender
from reconciler.scaling.simulation.traffic import Traffic
from render import load, pipeline, read, schema
from render.errors import InvalidInput, Problem
from render.hazards.hazard import broker
from render.model import Component

SHAPED = ("hours", "tasks_per_second", "task_seconds", "seed")
"""What shapes a load, and is in a trace already."""


class Options(NamedTuple):
    """As they are given; None: by the app."""

    group: str | None
    load: str
    against: tuple[str, ...]
    output: str | None
    hours: float | None
    tasks_per_second: float | None
    task_seconds: tuple[float, ...]
    seed: int
    step_seconds: float
    start_seconds: float
    cpu_per_task: int | None


@click.command("simulate")
@click.argument("files", nargs=-1, required=True, metavar="APP.YAML…")
@option("--group", "-g", metavar="NAME", help="Of workers; else the only one that scales.")
@option(
    "--load",
    metavar="|".join([*shapes.SHAPES, "FILE"]),
    default="daily",
    help="A shape, or a trace in a CSV file.",
)
@option(
    "--against", type=click.Choice(contender.RIVALS), multiple=True, help="Who else could scale it; may be repeated."
)
@option("--output", "-o", envvar=None, metavar="FILE", help="Draw it, as .svg or .png.")
@option("--hours", type=Number(0.1, 1000, wanted="a number of hours, such as 4"), help="How long; else by the shape.")
@option(
    "--tasks-per-second",
    type=Number(0, wanted="a number of tasks, such as 2.5"),
    help="On average; else three tenths of what the most pods can do.",
)
@option(
    "--task-seconds",
    type=Number(0.001),
    multiple=True,
    default=(10.0,),
    help="How long a task runs; repeated, there are as many of each.",
)
@option("--seed", type=int, default=0, help="Another seed, another chance.")
@option("--step-seconds", type=Number(1, 600), default=15.0, help="From a decision to the next.")
@option("--start-seconds", type=Number(0), default=20.0, help="From a new pod to its first task.")
@option(
    "--cpu-per-task",
    type=Whole(1, wanted="a number of millicores, such as 250"),
    help="Millicores; else a busy pod uses what it requests.",
)
def command(files: tuple[str, ...], **given: Any) -> None:
    """Show what would become of a load: backlog, waiting times, pods.

    Each APP.YAML is a row. What decides is what decides in a cluster; docs/scaling.md says how the world is simplified.

    A trace has the columns seconds,arrivals,duration_seconds: so many tasks arrive from a second on until that of the
    next row, and run for so long.

    Exit codes: 0 done, 1 a file is refused, 2 wrong usage, or it could not be told.
    """
    options = Options(**given)
    _refuse_what_a_trace_says(options.load)
    path = _drawable(options.output)
    try:
        contenders = _contenders(files, options)
        world = simulate.World(
            _load(options, contenders[0]), options.step_seconds, options.start_seconds, options.cpu_per_task
        )
    except InvalidInput as refusal:
        click.echo(str(refusal), err=True)
        sys.exit(1)
    for unmodelled in (each.name for each in contenders if each.ignores_memory):
        click.echo(f"{unmodelled}: memory is not simulated, so scaling by it is left out", err=True)
    for unmodelled in (each.name for each in contenders if each.ignores_silence):
        message = "workers that cannot be asked what they run are not simulated, so pods go as if they told"
        click.echo(f"{unmodelled}: {message}", err=True)
    runs = [simulate.run(each, world) for each in contenders]
    click.echo(summary.table(runs))
    if path:
        from reconciler.scaling.simulation import drawing  # noqa: PLC0415 (half a second that a table does not need)

        try:
            drawing.save(runs, path)
        except OSError as error:
            click.echo(f"{path}: {error.strerror}", err=True)
            sys.exit(1)


def _refuse_what_a_trace_says(load: str) -> None:
    source = click.get_current_context().get_parameter_source
    given = [f"--{name.replace('_', '-')}" for name in SHAPED if source(name) is not ParameterSource.DEFAULT]
    if load not in shapes.SHAPES and given:
        raise click.UsageError(f"a trace says itself what comes when, so leave out {', '.join(given)}")


def _drawable(output: str | None) -> Path | None:
    """Return where to draw; refuse what cannot be drawn before any work is done."""
    if output is None:
        return None
    if Path(output).suffix not in (".svg", ".png"):
        raise click.UsageError("-o needs a name that ends in .svg or .png")
    if find_spec("matplotlib") is None:
        raise click.UsageError("-o needs matplotlib: pip install 'celery-render[simulate]'")
    if not (folder := Path(output).parent).is_dir():
        raise click.UsageError(f"-o needs a folder that is there: {folder} is none")
    return Path(output)


def _contenders(files: tuple[str, ...], options: Options) -> list[Contender]:
    """Return the group of every app, and who else could scale that of the first. Raises InvalidInput."""
    found: dict[str, tuple[Component, str]] = {}
    problems: list[Problem] = []
    known = schema.load()
    for file in files:
        try:
            loaded = load.documents(read.content(file), file)
            problems += loaded.problems
            for document in loaded.documents:
                app = pipeline.app(document, known)
                group = _group(file, app.groups, options.group)
                name = f"{app.name}/{group.name}"
                found[f"{_short(file, files)} {name}" if name in found else name] = group, broker(app)
        except InvalidInput as invalid:
            problems += invalid.problems
    if problems:
        raise InvalidInput(tuple(problems))
    ours = [Contender.of(name, *its) for name, its in found.items()]
    return [*ours, *(ours[0].rival(name) for name in options.against)]


def _short(file: str, files: Iterable[str]) -> str:
    """Return the end of a file's path that tells it from the others."""
    own, all_parts = Path(file).parts, [Path(each).parts for each in files]
    ends = (own[-length:] for length in range(1, len(own)))
    return str(Path(*next((end for end in ends if sum(parts[-len(end) :] == end for parts in all_parts) == 1), own)))


def _group(file: str, groups: tuple[Component, ...], name: str | None) -> Component:
    """Return the group of that name, or the one that scales."""
    chosen = [group for group in groups if group.name == name or (name is None and "scaling" in group.spec)]
    chosen = chosen or [group for group in groups if name is None and len(groups) == 1]
    if len(chosen) != 1:
        names = ", ".join(group.name for group in groups) or "none"
        message = (
            f"say which group with --group: {names}" if name is None else f"there is no group {name}, only {names}"
        )
        raise InvalidInput((Problem(file, 0, ("spec", "workers"), message),))
    return chosen[0]


def _load(options: Options, who: Contender) -> Traffic:
    """Return the load: a shape as large as the app is, or a trace. Raises InvalidInput."""
    if options.load not in shapes.SHAPES:
        if not Path(options.load).exists():
            raise read.refused(options.load, f"is no load: write {', '.join(shapes.SHAPES)}, or the file of a trace")
        if Path(options.load).is_dir():
            raise read.refused(options.load, "is a folder: write the file of a trace in it")
        return trace.parsed(read.content(options.load).decode(errors="replace"), options.load)
    rate = who.usual_rate(options.task_seconds) if options.tasks_per_second is None else options.tasks_per_second
    hours = shapes.SHAPES[options.load].hours if options.hours is None else options.hours
    return shapes.traffic(options.load, shapes.Amount(rate, options.task_seconds, hours, options.seed))
