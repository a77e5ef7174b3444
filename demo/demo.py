"""celery-reconcile at work, in about a minute: `make demo`. Every command is run as it is printed.

The control plane is that of the tests: real, but for its nodes, which only play pods. Nothing is left when it ends.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

sys.path.append(str(Path(__file__).parents[1] / "tests/cluster"))

import build
import control_plane

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
    "Install: the CRD, then the RBAC and the Deployment of kustomize/base",
    (
        "kubectl apply --server-side -k crds",
        "kubectl wait --timeout=2m --for=condition=Established crd/celeryapps.celeryproject.org",
        "kubectl apply --server-side -k kustomize/base",
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
STORY = (
    Scene(
        "Create: one YAML file makes workers, beat and Flower",
        (
            "kubectl apply -f examples/shop/app.yaml",
            "kubectl wait --timeout=2m --for=condition=Ready celeryapp/shop",
            "kubectl get celeryapp shop",
            "kubectl get cm,svc,deploy,pdb,netpol,ingress -l celeryproject.org/app=shop -o name",
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


def main(play: Callable[[Path], None]) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            play(Path(folder))
    except KeyboardInterrupt:
        say("\nEnded early; nothing is left.")
        return 130
    except (Failed, RuntimeError, build.NoToolchain) as reason:
        say(f"\nThis did not come about: {reason}")
        return 1
    say(f"\nThat was all, in {time.monotonic() - start:.0f} s. Nothing is left of it.")
    return 0


def play(folder: Path) -> None:
    binary = build.binary()
    say("Starting etcd, the API server, the controllers, the scheduler and three nodes that play pods …")
    with control_plane.running(binary, folder) as plane:
        environment = terminal(binary, folder, plane.kubeconfig)
        for scene in (INSTALL, LOG_IN):
            act(scene, environment)
        with reconciling(environment, folder / "reconciler.log") as log:
            for scene in STORY:
                act(scene, environment)
                tell(log)


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
def reconciling(environment: dict[str, str], path: Path) -> Iterator[TextIO]:
    """Run celery-reconcile, and yield its log to be read on."""
    command = ["celery-reconcile", "run", "--context", "robot"]
    prompt(f"{' '.join(command)} &")
    with (
        path.open("w", encoding="utf-8") as output,
        path.open(encoding="utf-8") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=output) as process,
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
