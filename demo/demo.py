"""celery-reconcile at work, in about a minute: `make demo`. Every command is run as it is printed.

With `--stay` (`make play`) the app is only created, and all of it stays, to play with, until Ctrl-C. The control plane
is that of the tests: real, but for its nodes, which only play pods. Nothing is left when it ends.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TextIO

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("tests/cluster", "tests/brokers")]

import build
import control_plane
import servers

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 120
LINES, WIDTH = 16, 160
"""Of one command's output; the rest is cut."""


class Scene(NamedTuple):
    title: str
    commands: tuple[str, ...]


class Failed(Exception):  # noqa: N818 (says what it is)
    """A step did not come about."""


INSTALL = Scene(
    "Install: the CRD, then celery-reconcile, which may read one Secret, that of the broker",
    (
        "kubectl apply --server-side -k crds",
        "kubectl apply --server-side -k kustomize/overlays/queue-scaling",
        "kubectl wait --timeout=2m --for=condition=Established crd/celeryapps.celeryproject.org",
    ),
)
LOG_IN = Scene(
    "The nodes only play pods, so celery-reconcile runs here, as its ServiceAccount and with no more rights than that",
    (
        "kubectl config set-credentials robot --token=$(kubectl -n celery-render-system create token celery-reconcile)",
        "kubectl config set-context robot --cluster=plane --user=robot",
        "kubectl auth whoami --context robot",
    ),
)
IMAGES = "custom-columns=NAME:metadata.name,IMAGE:spec.template.spec.containers[0].image"
CREATE = (
    Scene(
        "Create: one YAML file makes workers, beat and Flower",
        (
            "kubectl create secret generic shop-broker --from-literal=url=$BROKER_URL",
            "kubectl apply -f examples/shop/app.yaml",
            "kubectl wait --timeout=2m --for=condition=Ready celeryapp/shop",
            "kubectl get celeryapp shop",
            "kubectl get cm,svc,deploy,pdb,netpol,ingress -l celeryproject.org/app=shop -o name",
            "celery-reconcile status",
        ),
    ),
)
FILL = "redis.Redis.from_url(os.environ['BROKER_URL']).rpush('orders', *range(40))"
STORY = (
    Scene(
        "Scale: 40 messages in a queue, and 8 for each worker are asked for",
        (
            f'python -c "import os, redis; {FILL}"',
            "kubectl wait --timeout=2m --for=jsonpath='{.spec.replicas}'=5 deploy/shop-worker",
            "kubectl wait --timeout=2m --for=condition=Ready celeryapp/shop",
            "celery-reconcile status",
        ),
    ),
    Scene(
        "Heal: a Deployment is deleted, an image is changed by hand",
        (
            "kubectl delete deployment shop-mail",
            "kubectl wait --timeout=2m --for=create deploy/shop-mail",
            "kubectl set image deployment/shop-worker worker=registry.example.com/another:1",
            "kubectl wait --timeout=2m --for=jsonpath='{..image}'=registry.example.com/shop:1.4.2 deploy/shop-worker",
            "kubectl wait --timeout=2m --for=condition=Ready celeryapp/shop",
        ),
    ),
    Scene(
        "Update: a new image rolls out",
        (
            "sed s/shop:1.4.2/shop:1.5.0/ examples/shop/app.yaml | kubectl apply -f -",
            "kubectl wait --timeout=2m --for=condition=Ready celeryapp/shop",
            f"kubectl get deploy -l celeryproject.org/app=shop -o {IMAGES}",
        ),
    ),
    Scene(
        "Prune: what the app no longer asks for goes",
        (
            """kubectl patch celeryapp shop --type=json -p '[{"op": "remove", "path": "/spec/flower"}]'""",
            "kubectl wait --timeout=2m --for=delete deploy/shop-flower svc/shop-flower ingress/shop-flower",
            "kubectl get deploy,svc,ingress -l celeryproject.org/app=shop -o name",
        ),
    ),
    Scene("Look back: what was done is in the app's events", ("kubectl events --for celeryapp/shop",)),
    Scene(
        "Delete: everything goes with the app",
        (
            "kubectl delete celeryapp shop",
            "kubectl wait --timeout=2m --for=delete cm/shop-probe deploy/shop-worker deploy/shop-beat",
            "kubectl get all,cm,pdb -l celeryproject.org/app=shop",
        ),
    ),
)


def main(play: Callable[..., None]) -> int:
    """Play in a folder of its own, to the end or, with `--stay`, until Ctrl-C; return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    start, stays = time.monotonic(), sys.argv[1:] == ["--stay"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            play(Path(folder), stays=stays)
    except KeyboardInterrupt:
        say("\nEnded early; nothing is left.")
        return 130
    except (Failed, RuntimeError, build.NoToolchain) as reason:
        say(f"\nThis did not come about: {reason}")
        return 1
    say(f"\nThat was all, in {time.monotonic() - start:.0f} s. Nothing is left of it.")
    return 0


def play(folder: Path, *, stays: bool) -> None:
    binary = build.binary()
    say("Starting etcd, the API server, the controllers, the scheduler and three nodes that play pods …")
    with control_plane.running(binary, folder) as plane, redis(folder) as url:
        environment = terminal(binary, folder, plane.kubeconfig) | {"BROKER_URL": url}
        for scene in (INSTALL, LOG_IN):
            act(scene, environment)
        with reconciling(environment, folder / "reconciler.log") as log:
            for scene in CREATE if stays else (*CREATE, *STORY):
                act(scene, environment)
                tell(log)
            if stays:
                stay(environment, f"tail -f {log.name}")


def stay(environment: dict[str, str], *tries: str) -> None:
    """Say how to get in from another terminal and what to try there, and return at Ctrl-C."""
    say("\n── It stays until you press Ctrl-C here. In another terminal:")
    folders = environment["PATH"].removesuffix(os.environ["PATH"])
    say(f"  export KUBECONFIG={environment['KUBECONFIG']} PATH={folders}$PATH")
    for command in ("kubectl get celeryapps,pods", "celery-reconcile status", "kubectl edit celeryapp shop", *tries):
        say(f"  {command}")
    with suppress(KeyboardInterrupt):
        while True:
            signal.pause()


def act(scene: Scene, environment: dict[str, str]) -> None:
    """Run the scene's commands, showing them and what they say. Raises Failed."""
    say(f"\n── {scene.title}")
    for command in scene.commands:
        prompt(command)
        try:
            ended = subprocess.run(
                command,
                shell=True,
                cwd=ROOT,
                env=environment,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE_SECONDS + 30,
            )
        except subprocess.TimeoutExpired as late:
            raise Failed(str(late)) from late
        show(ended.stdout.splitlines())
        if ended.returncode:
            raise Failed(f"{command} ended with code {ended.returncode}")


@contextmanager
def redis(folder: Path, *flags: str, address: str = "127.0.0.1") -> Iterator[str]:
    """Run a Redis, and yield its URL. Raises Failed."""
    if not (program := servers.redis_server()):
        raise Failed("redis-server is not installed (apt install redis-server)")
    broker = servers.Redis(program, folder, *flags, address=address)
    broker.start()
    try:
        yield broker.url
    finally:
        broker.stop()


@contextmanager
def reconciling(environment: dict[str, str], path: Path) -> Iterator[TextIO]:
    """Run celery-reconcile, and yield its log to be read on."""
    command = ["celery-reconcile", "run", "--context", "robot", "--broker-hosts", "127.0.0.1"]
    prompt(f"{' '.join(command)} &")
    with (
        path.open("w", encoding="utf-8") as output,
        path.open(encoding="utf-8") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=output, start_new_session=True) as process,
    ):
        try:
            yield log
            process.terminate()
            if process.wait(PATIENCE_SECONDS):
                raise Failed(f"celery-reconcile ended with code {process.returncode}")
        finally:
            process.kill()
            tell(log)


def terminal(binary: Path, folder: Path, kubeconfig: Path) -> dict[str, str]:
    """Return the environment in which the commands do as they say: kubectl is that of the control plane."""
    kubectl = folder / "bin/kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(f'#!/bin/sh\nexec "{binary}" kubectl "$@"\n', encoding="utf-8")
    kubectl.chmod(0o755)
    path = os.pathsep.join([str(kubectl.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "KUBECONFIG": str(kubeconfig), "HOME": str(folder)}


def tell(log: TextIO) -> None:
    """Show what celery-reconcile has logged since it was last asked."""
    if lines := log.read().splitlines():
        say("celery-reconcile:")
        show([line.partition(" ")[2] for line in lines])  # less the time


def show(lines: list[str]) -> None:
    for line in lines[:LINES]:
        say(f"  {line}" if len(line) <= WIDTH else f"  {line[:WIDTH]}…")
    if more := lines[LINES:]:
        say(f"  … {len(more)} more lines")


def prompt(command: str) -> None:
    say(f"\033[1m$ {command}\033[0m" if sys.stdout.isatty() else f"$ {command}")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(play))
