"""Container images, made from Debian's Python and wheels without a container engine; all but one without a shell.

An image is a stack of layers, each a tar file that is made once and kept in .cache/node/ under a name that says what
went into it.
"""

import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import debian

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache/node"
PYTHON = ["python3", "media-types", "tzdata", "libstdc++6"]  # the last for wheels written in C++
USERS = "root:x:0:0::/:\napp:x:1000:1000::/app:\n"
SOURCES = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "crds/*", "render/**/*", "reconciler/**/*")


class Image(NamedTuple):
    name: str
    layers: tuple[Path, ...]
    config: dict[str, Any]

    def write(self, target: IO[bytes]) -> None:
        """Write a docker archive."""
        hashes = [_sha256(layer) for layer in self.layers]
        config = {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each}" for each in hashes]},
        }
        files = [f"{each}/layer.tar" for each in hashes]
        manifest = [{"Config": "config.json", "RepoTags": [self.name], "Layers": files}]
        with tarfile.open(mode="w|", fileobj=target) as archive:
            for name, content in (("config.json", config), ("manifest.json", manifest)):
                text = json.dumps(content).encode()
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))
            for name, layer in zip(files, self.layers, strict=True):
                archive.add(layer, name)


class Archive(NamedTuple):
    name: str
    path: Path
    """What containerd imports, such as an OCI image layout in a tar file."""

    def write(self, target: IO[bytes]) -> None:
        with self.path.open("rb") as archive:
            shutil.copyfileobj(archive, target)


def pause(name: str) -> Image:
    """Return the image of the container that holds a pod's namespaces; catatonit does it, in one static program."""
    folder = CACHE / "catatonit"

    def fill(root: Path) -> None:
        shutil.copytree(debian.unpacked(folder, ["catatonit"], ("catatonit",)), root, symlinks=True)

    return Image(name, (_layer("pause", fill),), {"Entrypoint": ["/usr/bin/catatonit", "-P"]})


def celery(version: str) -> Image:
    """Return an image with this Celery, Flower and the app `shop`, as a user would build it."""
    layers = (
        _python(),
        _packages(f"celery-{version}", _celery(version)),
        _files("shop", "app", {"shop": HERE / "shop"}),
    )
    config = {"User": "1000:1000", "WorkingDir": "/app", "Env": ["PATH=/usr/local/bin:/usr/bin"]}
    return Image(f"registry.example.com/shop:celery-{version}", layers, config)


def venv(version: str) -> Image:
    """Return an image with the same in a virtual environment, which the ENTRYPOINT alone puts on the PATH, and a shell.

    The Python on its PATH has no Celery, and what the app imports is on the image's PYTHONPATH.
    """

    def fill(root: Path) -> None:
        subprocess.run(["chroot", root, "/usr/bin/python3", "-m", "venv", "--without-pip", "/app/.venv"], check=True)
        _install(root, [*_celery(version), "async-timeout"], "app/.venv", "site-packages")

    folders = {".": HERE / "venv", "src/shop": HERE / "shop"}
    layers = (
        _python(),
        _shell(),
        _on_python(f"venv-{version}", fill, "app/.venv", _celery(version)),
        _files("started", "app", folders),
    )
    config = {
        "User": "1000:1000",
        "Entrypoint": ["/app/bin/entrypoint.sh"],
        "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONPATH=/app/lib"],
    }
    return Image(f"registry.example.com/shop:venv-{version}", layers, config)


def project() -> Image:
    """Return this project's image: the wheel and what it needs, as the Dockerfile puts them."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = [*metadata["dependencies"], *metadata["optional-dependencies"]["reconciler"]]
    sources = [path for pattern in SOURCES for path in sorted(ROOT.glob(pattern)) if path.is_file()]
    content = [_sha256(path) for path in sources if path.suffix not in {".pyc", ".json"}]

    def add_wheel(root: Path) -> None:
        with tempfile.TemporaryDirectory() as wheels:
            _pip("wheel", "--no-deps", f"--wheel-dir={wheels}", ROOT)
            [wheel] = Path(wheels).iterdir()
            _install(root, ["--no-deps", str(wheel)])

    layers = (_python(), _packages("reconciler", packages), _on_python("project", add_wheel, "usr/local", content))
    config = {
        "User": "65532:65532",
        "Entrypoint": ["celery-reconcile"],
        "Env": ["PATH=/usr/local/bin:/usr/bin"],
    }
    return Image("celery-render:0.1.0", layers, config)


def _celery(version: str) -> list[str]:
    # With the Kombu of its time: Celery 5.4's extra `redis` does not bring what the newest Kombu's does.
    return [f"celery[redis]=={version}.*", f"kombu=={version}.*", "flower>=2"]


def _files(name: str, added: str, folders: dict[str, Path]) -> Path:
    """Return a layer of these folders of files, by where they go below the folder that is added."""
    found = {
        f"{target}/{path.relative_to(source)}": path
        for target, source in folders.items()
        for path in sorted(source.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }

    def fill(root: Path) -> None:
        for target, path in found.items():
            (root / added / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / added / target)

    return _on_python(name, fill, added, {target: path.read_text() for target, path in found.items()})


def _shell() -> Path:
    """Return a layer of Debian's sh."""

    def fill(root: Path) -> None:
        unpacked = debian.unpacked(CACHE / "dash", ["dash"], ("dash",))
        (root / "usr/bin").mkdir(parents=True)
        shutil.copy(unpacked / "bin/dash", root / "usr/bin/sh")

    return _layer("shell", fill)


def _python() -> Path:
    """Return the layer all of them share: Debian's Python, with the libraries it needs and nothing else."""

    def fill(root: Path) -> None:
        unpacked = debian.unpacked(CACHE / "-".join(PYTHON), PYTHON, ("lib", "python3", "zlib"))
        shutil.copytree(unpacked, root, symlinks=True)
        for superfluous in ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/perl"):
            shutil.rmtree(root / superfluous, ignore_errors=True)
        for folder in ("etc", "proc", "sys", "dev", "run", "tmp"):
            (root / folder).mkdir(exist_ok=True)
        (root / "tmp").chmod(0o1777)
        (root / "etc/passwd").write_text(USERS)
        (root / "etc/group").write_text("root:x:0:\napp:x:1000:\n")
        _compile(root, "/usr/lib/" + _python_version(root))

    return _layer("python", fill, PYTHON)


def _packages(name: str, packages: list[str]) -> Path:
    # pip reads these conditions for the Python it runs on itself: redis needs async-timeout before Python 3.11.3.
    return _on_python(name, lambda root: _install(root, [*packages, "async-timeout"]), "usr/local", packages)


def _on_python(name: str, fill: Callable[[Path], None], added: str, key: Any) -> Path:
    """Return a layer upon Python of what is added to this folder."""

    def filled(root: Path) -> None:
        with tempfile.TemporaryDirectory(dir=root.parent) as below:
            whole = Path(below) / "root"
            whole.mkdir()
            subprocess.run(["tar", "--extract", "--directory", whole, "--file", _python()], check=True)
            fill(whole)
            _compile(whole, f"/{added}")
            (root / added).parent.mkdir(parents=True)
            (whole / added).rename(root / added)

    return _layer(name, filled, key)


def _install(root: Path, what: list[str], prefix: str = "usr/local", packages: str = "dist-packages") -> None:
    """Install wheels for the image's Python, which may be another version than ours."""
    python = _python_version(root)
    folder = root / prefix / "lib" / python / packages
    # Conflicts would be those with what is installed here.
    options = [
        "--root-user-action=ignore",
        "--no-warn-conflicts",
        "--no-compile",
        "--only-binary=:all:",
        f"--python-version={python.removeprefix('python')}",
    ]
    _pip("install", *options, f"--target={folder}", *what)
    interpreter = f"/{prefix}/bin/python3" if (root / prefix / "bin/python3").is_symlink() else "/usr/bin/python3"
    (root / prefix / "bin").mkdir(exist_ok=True)
    for program in (folder / "bin").glob("*"):
        _, _, script = program.read_bytes().partition(b"\n")
        program.write_bytes(f"#!{interpreter}\n".encode() + script)
        program.rename(root / prefix / "bin" / program.name)
    shutil.rmtree(folder / "bin", ignore_errors=True)


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet"]
    subprocess.run(command, check=True)


def _python_version(root: Path) -> str:
    """Return such as python3.11."""
    return (root / "usr/bin/python3").readlink().name


def _compile(root: Path, folder: str) -> None:
    """Compile so that it holds whatever the files' times are; an image's are all the same."""
    options = ["-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
    subprocess.run(["chroot", root, "/usr/bin/python3", "-m", "compileall", *options, folder], check=True)


def _layer(name: str, fill: Callable[[Path], None], key: Any = None) -> Path:
    """Return a tar file of the folder that fill makes, made now unless it is there under this key."""
    target = CACHE / f"layers/{name}-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]}.tar"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as unfinished:
            root, new = Path(unfinished) / "root", Path(unfinished) / "layer.tar"
            fill(root)
            same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]
            subprocess.run(["tar", "--create", *same, "--directory", root, "--file", new, "."], check=True)
            new.rename(target)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
