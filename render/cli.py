"""celery-render on the command line: options in, text or files out, one exit code."""

import sys
from collections.abc import Iterable, Iterator
from fnmatch import filter as matching
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile

import click

from render import emit, function, pipeline, read, schema, since, starter, streams, write
from render.errors import InvalidInput, Problem, UnsafeOutput

HELD_BYTES = 1 << 24
"""What is to be printed waits in memory; more than this, in a file."""
CELERYAPPS = "*/celeryapp-*.yaml"
NEEDED = "needs its CRD first (celery-render --crd | kubectl apply --server-side -f -), and celery-reconcile to scale"
"""What is said of the one child whose kind no cluster has by itself."""


def _one(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> str | None:
    if len(given) > 1:
        raise click.UsageError("-o names one folder; each app has its own in it.")
    return given[0] if given else None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, metavar="FILE…")
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    multiple=True,
    callback=_one,
    help="Write a kustomize base into DIR: a folder for each app, and a list of them.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when DIR is out of date.")
@click.option("--strict", is_flag=True, help="Refuse what is only warned of, too.")
@click.option(
    "--kubernetes",
    type=click.Choice(since.table().releases),
    help="Render for this release: refuse fields that it does not know.",
)
@click.option("--init", "new_name", metavar="NAME", help="Print a commented CeleryApp to start from.")
@click.option("--schema", "json_schema", is_flag=True, help="Print the JSON Schema of a CeleryApp, for editors.")
@click.option("--crd", is_flag=True, help="Print the CustomResourceDefinition, for the cluster.")
@click.option("--function", "as_function", is_flag=True, help="Be called by kustomize: read and print a ResourceList.")
@click.version_option(package_name="celery-render")
def command(
    files: tuple[str, ...], output: str | None, new_name: str | None, kubernetes: str | None, **flags: bool
) -> None:
    """Render CeleryApps into Kubernetes objects.

    FILE… are YAML files with one or more CeleryApps; - is standard input. Without -o everything goes to standard
    output as one YAML stream.

    What is not wrong but will hurt is a warning on standard error; with --strict it is refused.

    Exit codes: 0 done, 1 refused (every problem is named, nothing is written), 2 wrong usage.
    """
    printing = {
        "--init": new_name is not None,
        "--schema": flags["json_schema"],
        "--crd": flags["crd"],
        "--function": flags["as_function"],
    }
    prints = [name for name, is_given in printing.items() if is_given]
    refuse_misuse(files, output, prints, flags | {"kubernetes": bool(kubernetes)})
    known = schema.load(kubernetes or "")
    try:
        if new_name is not None:
            printed([starter.app(new_name)])
        elif flags["json_schema"]:
            printed([known.editor_schema()])
        elif flags["crd"]:
            printed([schema.NOTICE, emit.stream([known.crd])])
        elif flags["as_function"]:
            answer(known, strict=flags["strict"])
        else:
            render(files, output, known, check=flags["check"], strict=flags["strict"])
    except (InvalidInput, UnsafeOutput) as refusal:
        click.echo(str(refusal), err=True)
        sys.exit(1)


def main() -> None:
    streams.begin(command, code=1)


def refuse_misuse(files: tuple[str, ...], output: str | None, prints: list[str], flags: dict[str, bool]) -> None:
    """Raise UsageError for options that do not go together; `prints` are those that print something else."""
    if len(named := [*prints, *(["FILEs"] if files else [])]) > 1:
        raise click.UsageError(f"{', '.join(named[:-1])} and {named[-1]} do not go together: name one of them.")
    if not named:
        others = "--init NAME, --schema, --crd, --function"
        raise click.UsageError(f"Name one or more FILEs (- is standard input), or one of {others}.")
    if output == "":
        raise click.UsageError("-o needs the name of a folder.")
    if output is not None and output.startswith("="):
        raise click.UsageError(f"-o takes its folder after a blank: -o {output[1:]}, or --output{output}.")
    if output == read.STDIN:
        raise click.UsageError("-o names a folder: leave it out for standard output.")
    if output is not None and prints:
        raise click.UsageError("-o DIR goes with FILEs; --init, --schema, --crd and --function print.")
    if flags["check"] and output is None:
        raise click.UsageError("--check compares with a folder: add -o DIR.")
    if flags["strict"] and not (files or flags["as_function"]):
        raise click.UsageError("--strict goes with FILEs or --function.")
    if flags["kubernetes"] and not (files or flags["as_function"] or flags["json_schema"]):
        raise click.UsageError("--kubernetes goes with FILEs, --schema or --function.")


def render(files: tuple[str, ...], output: str | None, known: schema.Schema, *, check: bool, strict: bool) -> None:
    """Write the base of every app in the files. Raises InvalidInput or UnsafeOutput before anything is written."""
    warnings: list[Problem] = []
    bases = noted(pipeline.bases(files, known, strict=strict), warnings)
    if output is None:
        printed(pipeline.stream(bases))
        warned(warnings)
        return
    texts = pipeline.files(bases)
    warned(warnings)
    change = write.outdated if check else write.folder
    changes = change(Path(output), texts, emit.MARKER)
    written, removed = ("is out of date", "should not be there") if check else ("written", "removed")
    lines = [
        *(f"{Path(output, name)} {written}\n" for name in changes.written),
        *(f"{Path(output, name)} {removed}\n" for name in changes.removed),
    ]
    printed(lines or [f"{Path(output)}: up to date\n"])
    for name in () if check else matching(changes.written, CELERYAPPS):
        click.echo(f"{Path(output, name)} {NEEDED}", err=True)
    if lines and check:
        sys.exit(1)


def noted(bases: Iterable[pipeline.Base], warnings: list[Problem]) -> Iterator[pipeline.Base]:
    """Yield the bases; what hurts in them is then in `warnings`."""
    for base in bases:
        warnings += base.warnings
        yield base


def warned(warnings: Iterable[Problem]) -> None:
    for warning in warnings:
        click.echo(str(warning), err=True)


def answer(known: schema.Schema, *, strict: bool) -> None:
    """Answer kustomize. Raises InvalidInput, of which kustomize shows what is on standard error, not the answer."""
    answered = function.answer(read.everything(read.STDIN), known, strict=strict)
    printed([answered.text])
    if answered.is_refused:
        raise InvalidInput(answered.problems)
    warned(answered.problems)


def printed(texts: Iterable[str]) -> None:
    """Print the texts, but only once all of them are there: nothing is said of a hundred apps if one is refused."""
    with SpooledTemporaryFile(HELD_BYTES) as waiting:
        try:
            for text in texts:
                waiting.write(text.encode())
            waiting.seek(0)
        except OSError as error:
            raise UnsafeOutput(f"a temporary file: {error.strerror}: set TMPDIR to a folder with room") from error
        copyfileobj(waiting, sys.stdout.buffer)
        sys.stdout.buffer.flush()
