"""The image, as an OCI image layout in a tar file: made without a container engine or root, the same bytes each time.

Three layers: Debian's Python (pinned in requirements/debian.sha256), the packages that requirements/image.txt pins, and
the wheel. The first two are the same from one release to the next as long as their pins are. It is for linux/amd64, and
made there.
"""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from email import message_from_string
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import base
import installer
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

PYTHON = "python3.13"
PACKAGES = f"/usr/local/lib/{PYTHON}/dist-packages"
USER = "65532"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux2014_x86_64")
UNUSED = {"bug", "info", "lintian", "locale", "man"}
"""Folders of /usr/share; of doc/ there are the licenses."""
OCI = "application/vnd.oci.image"
CREATED = "org.opencontainers.image.created"


class Image(NamedTuple):
    digest: str
    """The manifest's: what is pulled, and signed, by it."""
    installed: list[Path]
    """Folders of what is in there below PACKAGES."""


def make(target: Path, name: str, wheel: Path, requirements: Path, labels: dict[str, str]) -> Image:
    """Write the image of this name (with its tag) to target; what is in it stays in folders beside that.

    It was created when its labels say. Raises base.NoPackages.
    """
    place = target.with_suffix(".layers")
    python, packages, own = (place / layer for layer in ("python", "packages", "wheel"))
    _unpack(base.packages(requirements / "debian.sha256"), python)
    _compile(python, python, f"/usr/lib/{PYTHON}")
    _install(_downloaded(requirements / "image.txt", place / "wheels"), packages)
    _compile(python, packages, PACKAGES)
    _install([wheel], own)
    _compile(python, own, PACKAGES)
    made_of = {"requirements/debian.sha256": python, "requirements/image.txt": packages, wheel.name: own}
    return Image(_write(target, name, made_of, labels), [packages, own])


def _unpack(debian: list[Path], root: Path) -> None:
    """Unpack Debian's packages, and do what their scripts would where it matters here."""
    for package in debian:
        with (
            subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpacking,
            tarfile.open(fileobj=unpacking.stdout, mode="r|") as files,
        ):
            files.extractall(root, filter=_kept)
        control = base.control(package)
        named = message_from_string(control)["Package"]
        _file(root / "var/lib/dpkg/status.d" / named, control)  # where scanners of images look
    certificates = sorted((root / "usr/share/ca-certificates/mozilla").iterdir())
    _file(root / "etc/ssl/certs/ca-certificates.crt", "".join(path.read_text() for path in certificates))
    _link(root / "usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")
    _link(root / "usr/bin/python3", PYTHON)
    _file(root / "etc/passwd", f"root:x:0:0::/root:\nnonroot:x:{USER}:{USER}::/nonexistent:\n")
    _file(root / "etc/group", f"root:x:0:\nnonroot:x:{USER}:\n")


def _kept(member: tarfile.TarInfo, place: str) -> tarfile.TarInfo | None:
    match PurePosixPath(member.name).parts:
        case ("usr", "share", folder, *_) if folder in UNUSED:
            return None
        case ("usr", "share", "doc", _, *_, name) if name != "copyright":
            return None
    return tarfile.tar_filter(member, place)


def _file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _downloaded(pins: Path, folder: Path) -> list[Path]:
    """Return the pinned packages' wheels, each with one of its hashes."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
    options = ["--only-binary=:all:", f"--python-version={PYTHON.removeprefix('python')}"]
    platforms = [f"--platform={each}" for each in PLATFORMS]
    subprocess.run([*command, *options, *platforms, f"--requirement={pins}", f"--dest={folder}"], check=True)
    return sorted(folder.iterdir())


def _install(wheels: list[Path], root: Path) -> None:
    places = {"purelib": PACKAGES, "platlib": PACKAGES, "scripts": "/usr/local/bin", "data": "/usr/local"}
    destination = SchemeDictionaryDestination(places, f"/usr/bin/{PYTHON}", "posix", destdir=str(root))
    for wheel in wheels:
        with WheelFile.open(wheel) as source:
            installer.install(source, destination, {"INSTALLER": b"installer\n"})


def _compile(python: Path, root: Path, folder: str) -> None:
    """Compile with the image's own Python, since nobody may write there later; the files' times do not matter."""
    libraries = python / "usr/lib/x86_64-linux-gnu"
    run = [libraries / "ld-linux-x86-64.so.2", "--library-path", libraries, python / "usr/bin" / PYTHON]
    environment = {"PYTHONHOME": str(python / "usr"), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-q", "-j", "1", "--invalidation-mode", "unchecked-hash", "-s", root, "-p", "/", f"{root}{folder}"]
    subprocess.run([*run, "-W", "ignore", "-m", "compileall", *options], env=environment, check=True)


def _write(target: Path, name: str, layers: dict[str, Path], labels: dict[str, str]) -> str:
    created = labels[CREATED]
    blobs: dict[str, bytes] = {}

    def blob(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    tars = [_tar(folder) for folder in layers.values()]
    config = {
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/local/bin:/usr/bin"],
            "Entrypoint": ["celery-reconcile"],
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]},
        "history": [{"created": created, "created_by": f"release/image.py: {made_of}"} for made_of in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": blob("config.v1+json", _json(config)),
        "layers": [blob("layer.v1.tar+gzip", _gzip(tar)) for tar in tars],
    }
    # The first is read by containerd, the second by all others.
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    described = blob("manifest.v1+json", _json(manifest)) | {"annotations": names}
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [described]}
    files = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)} | blobs
    with tarfile.open(target, "w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return str(described["digest"])


def _gzip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=buffer, mtime=0) as compressed:
        compressed.write(content)
    return buffer.getvalue()


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _tar(root: Path) -> bytes:
    """Return the folder's files in order, all of root's and of 1970, for everybody to read."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(root.rglob("*")):
            member = archive.gettarinfo(path, str(path.relative_to(root)))
            member.uid = member.gid = member.mtime = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            if member.name in {"tmp", "var/tmp"}:
                member.mode = 0o1777
            with path.open("rb") if member.isreg() else io.BytesIO() as content:
                archive.addfile(member, content)
    return buffer.getvalue()
