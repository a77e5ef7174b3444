"""Programs of others: built from the Go modules in `modules/`, once, kept in .cache/ at the project's root; and run.

The `tool` lines of a module's go.mod name what is built: commands of what it requires, or a main.go of its own.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import build
import control_plane
import parts
from cluster import Cluster

MODULES = Path(__file__).parent / "modules"
CACHE = Path(__file__).parents[2] / ".cache/interop"
ENDING = 'exec 3<&0; "$@" 3<&- </dev/null & program=$!; (cat <&3 >/dev/null; kill -9 $program) & wait $program'
"""A shell's: runs a program that has no end of its own, until the shell's standard input closes."""


def built(name: str) -> Path:
    """Return the folder with the programs of this module, built first if they are not there yet. Raises NoToolchain."""
    module = MODULES / name
    return build.built(CACHE / name / build.key(module.glob("*go*")), partial(_build, module))


def required(name: str, of: str) -> Path:
    """Return the folder of a Go module that the module `of` requires, or that has its version in its name."""
    return build.module(name, MODULES / of)


def version(name: str, of: str) -> str:
    """Return the version of a Go module that the module `of` requires, such as v1.2.3."""
    [found] = re.findall(
        rf"^(?:require)?\s*{re.escape(name)} (v\S+)", (MODULES / of / "go.mod").read_text(), re.MULTILINE
    )
    return found


def _build(module: Path, go: str, new: Path) -> None:
    build.say(f"Building {module.name} from source, some minutes the first time.")
    command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", f"{new}/", "tool"]
    subprocess.run(command, cwd=module, env=os.environ | {"CGO_ENABLED": "0"}, check=True)


@contextmanager
def running(plane: Cluster, name: str, *command: str | Path, **environment: str) -> Iterator[control_plane.Part]:
    """Run a program beside the control plane, in its folder and with its log there, and end it whatever happens."""
    with control_plane.started(plane.folder, name, ["sh", "-c", ENDING, name, *map(str, command)], environment) as part:
        yield part


def log_in(plane: Cluster, namespace: str, account: str) -> Path:
    """Return the kubeconfig of a ServiceAccount that may do everything. The audit log has what it does."""
    system = plane.in_namespace(namespace)
    names = {"name": account, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subjects = [{"kind": "ServiceAccount", **names}]
    binding = {"kind": "ClusterRoleBinding", "roleRef": role, "subjects": subjects, "metadata": {"name": account}}
    for manifest in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": names},
        binding | {"apiVersion": "rbac.authorization.k8s.io/v1"},
    ):
        system.apply(manifest).accepted()
    token = system.kubectl("create", "token", account, "--duration=12h").stdout
    path = plane.folder / f"{account}.kubeconfig"
    path.write_text(parts.kubeconfig(plane.address, plane.port, token))
    return path


if __name__ == "__main__":
    try:
        for path in sorted(MODULES.iterdir()):
            built(path.name)
    except build.NoToolchain as reason:
        sys.exit(str(reason))
