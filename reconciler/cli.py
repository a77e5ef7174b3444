"""celery-reconcile on the command line: options in, one exit code. Those of `run` are environment variables too."""

import logging
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, NoReturn

import click

from reconciler.cluster import cache, errors
from reconciler.cluster.client import Cluster, Where
from reconciler.cluster.transport import Transport
from reconciler.options import Command, Number, Whole, option
from reconciler.scaling.brokers.hosts import Hosts
from reconciler.scaling.simulation import cli as simulate_cli
from reconciler.service import logs, shown
from reconciler.service import run as service
from reconciler.service.bell import Bell
from reconciler.service.looks import Looks
from reconciler.service.metrics import Metrics
from reconciler.service.settings import SERVICE_ACCOUNT, Settings
from reconciler.status import text
from reconciler.status.explain import sentences

log = logging.getLogger(__name__)

WIDTH = 120
"""Characters of a line, where there is no terminal."""


def _hosts(text: str) -> str:
    try:
        Hosts.of(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return text


_CLUSTER = (
    option("--kubeconfig", metavar="FILE", help="Instead of the pod's own service account."),
    option("--context", metavar="NAME", help="Of the kubeconfig; else its current one."),
    option("--service-account", metavar="DIR", default=SERVICE_ACCOUNT, help="Where the pod's token is."),
)
_NAMESPACES = option("--namespace", "-n", metavar="NAMES", help="Of the apps, with commas between several; else all.")
_ASKED = (
    option("--selector", "-l", metavar="LABELS", default="", help="Of the apps, as kubectl takes it; else all."),
    option("--request-timeout", type=Number(0.1), default=10.0, help="Seconds without a byte."),
)
_BROKERS = (
    option("--broker-timeout", type=Number(3), default=5.0, help="Seconds for a broker to answer."),
    option(
        "--broker-hosts",
        metavar="LIST",
        default="",
        callback=lambda *given: _hosts(given[2]),
        help="Names (*.example.com) and networks where brokers may be; else all but what is near.",
    ),
    option(
        "--allow-cluster-trigger-authentication",
        is_flag=True,
        help="Let apps use KEDA's ClusterTriggerAuthentications: the cluster's credentials for brokers.",
    ),
)
_LOG = (
    option("--log-format", type=click.Choice(list(logs.FORMATTERS)), default="text"),
    option("--log-level", type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]), default="INFO"),
)


def looks(command: Command) -> Command:
    """Return the command with the options of those that look at apps: which cluster, which apps, which brokers."""
    return _with(command, *_CLUSTER, _NAMESPACES, *_ASKED, *_BROKERS, *_LOG)


def shows(help_of_namespace: str) -> Callable[[Command], Command]:
    """Return what gives a command the options of those that show what others have found."""
    namespace = option("--namespace", "-n", metavar="NAMES", help=help_of_namespace)
    return lambda command: _with(command, *_CLUSTER, namespace, *_ASKED, *_LOG)


def _with(command: Command, *options: Callable[[Command], Command]) -> Command:
    for add in reversed(options):
        command = add(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="celery-render")
def main() -> None:
    """Run the CeleryApps of a cluster."""


@main.command()
@looks
@option(
    "--interval",
    "interval_seconds",
    type=Number(1),
    help="Seconds after which everything is listed again; else 300, or 10 without watches.",
)
@option("--once", is_flag=True, help="Look at every app once; exit 1 if something could not be done.")
@option("--dry-run", is_flag=True, help="Ask the server and say what would be done, but write nothing.")
@option("--concurrency", type=Whole(1, 32), default=8, help="Apps looked at at a time.")
@option("--rollouts", type=Whole(1), default=5, help="Apps that a new release rolls at a time.")
@option("--watch/--no-watch", default=True, help="Hear at once what has changed.")
@option("--leader-elect/--no-leader-elect", default=False, help="Write only while holding the Lease.")
@option("--lease-namespace", metavar="NAME", help="Else the pod's own.")
@option("--lease-name", metavar="NAME", default="celery-reconcile")
@option(
    "--lease-duration",
    type=Whole(2, wanted="a number of seconds, such as 15"),
    default=15,
    help="Seconds until another takes over after a crash.",
)
@option("--identity", metavar="NAME", help="In the Lease, of this pod alone; else the host's name and a random part.")
@option(
    "--metrics-port",
    type=Whole(0, 65535, wanted="a port, such as 8080"),
    default=0,
    help="For /metrics, /healthz, /readyz; 0: none.",
)
@option(
    "--metrics-authentication", is_flag=True, help="Show /metrics to those alone whom the API server knows and lets."
)
def run(**given: Any) -> None:
    """Apply, heal, prune, scale and report, until SIGTERM."""
    settings = Settings(**given)
    logs.begin(settings.log_format, settings.log_level)
    log.info("celery-reconcile %s %s", version("celery-render"), settings)
    bell = Bell()
    bell.stop_on_signals()
    try:
        went_well = service.run(settings, bell)
    except (errors.NoCluster, OSError) as reason:
        fail(reason)
    sys.exit(0 if went_well else 1)


@main.command(context_settings={"allow_extra_args": True})
@looks
def diff(**given: Any) -> None:
    """Show what would be changed.

    Exit codes as of kubectl diff: 0 nothing, 1 something, 2 it could not be found out, or told.
    """
    if others := click.get_current_context().args:
        wanted = "choose apps of the cluster with -n and -l; a file: celery-render FILE | kubectl diff -f -"
        raise click.UsageError(f"{' '.join(others)}: diff takes neither files nor names: {wanted}")
    settings = Settings(**given)
    with reading(settings) as cluster:
        for namespace in settings.namespaces or (None,):
            shown.apps(cluster, Where(namespace, settings.selector))  # or raises why there are none
        logging.getLogger(cache.__name__).setLevel(logging.ERROR)  # what cannot be listed is said once, below
        all_looks = Looks(cluster, settings, Metrics(), lambda: None)
        found = all_looks.look_at_all(lambda: False)
        unread = [store.problem for store in all_looks.cache.stores if store.problem]
    for line in text.changes(found):
        click.echo(line)
    unseen = [pods.problem for pods in all_looks.ticks.pods.each if pods.problem]  # which no child depends on
    for problem in (*unread, *unseen):
        click.echo(f"celery-reconcile: {problem}", err=True)
    sys.exit(2 if unread or any(app.problem for app in found) else any(app.steps for app in found))


@main.command()
@shows("Of the apps, with commas between several; else the context's.")
@click.argument("names", metavar="[APP]...", nargs=-1)
@option("--all-namespaces", "-A", is_flag=True, help="Instead of the context's, or --namespace.")
@option(
    "--output", "-o", envvar=None, type=click.Choice(["wide", "json"]), help="wide: cut nothing; json: for programs."
)
@option("--watch", "-w", envvar=None, is_flag=True, help="Go on, with what changes.")
def status(names: tuple[str, ...], *, all_namespaces: bool, output: str | None, watch: bool, **given: Any) -> None:
    """Show the apps, what they are made of, whether it runs, and why not."""
    settings = Settings(**given)
    width = None if output == "wide" else shutil.get_terminal_size((WIDTH, 0)).columns
    with reading(settings) as cluster:
        namespaces = (None,) if all_namespaces else settings.namespaces or (settings.access().namespace,)
        if watch and len(namespaces) > 1:
            raise click.UsageError("--watch follows one namespace, or all with -A.")
        places = [Where(namespace, settings.selector) for namespace in namespaces]
        found = {where: shown.apps(cluster, where, names) for where in places}
        apps = [app for listed in found.values() for app in listed.items]
        if output == "json":
            click.echo(text.as_json(apps))
        elif apps:
            click.echo(text.table((row for app in apps for row in text.rows(app)), width))
        for note in dict.fromkeys(note for where in places for note in shown.notes(cluster, where, found[where].items)):
            click.echo(f"celery-reconcile: {note}", err=True)
        for app in shown.changes(cluster, places[0], names, found[places[0]]) if watch else ():
            click.echo(text.as_json([app]) if output == "json" else text.table(text.rows(app), width, head=False))


@main.command()
@shows("Of the app; else the context's.")
@click.argument("name", metavar="APP")
def explain(name: str, **given: Any) -> None:
    """Tell what an app wants, what is there, what is being done, and what holds each group at its number."""
    settings = Settings(**given)
    if len(settings.namespaces) > 1:
        raise click.UsageError(f"{name} is in one namespace: name that one with -n.")
    with reading(settings) as cluster:
        [namespace] = settings.namespaces or (settings.access().namespace,)
        [app] = shown.apps(cluster, Where(namespace, settings.selector), [name]).items
        unready, notes = shown.unready(cluster, app)
        reported = shown.absence(cluster, (app.get("status") or {}).get("reconciler", ""))
        for line in sentences(app, unready, filter(None, [*notes, reported])):
            click.echo(line)


main.add_command(simulate_cli.command)


@contextmanager
def reading(settings: Settings) -> Iterator[Cluster]:
    """Yield the cluster to one who may not write. Ends with code 2 when it cannot be read, with 130 at Ctrl-C."""
    logs.begin(settings.log_format, settings.log_level)
    try:
        yield Cluster(Transport(settings.access(), lambda: False, lambda _verb, _code: None, settings.request_timeout))
    except (errors.NoCluster, errors.ClusterError) as reason:
        fail(reason)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # without a word, as what the signal itself has ended


def fail(reason: Exception) -> NoReturn:
    """End with the reason and code 2."""
    click.echo(f"celery-reconcile: {reason}", err=True)
    sys.exit(2)
