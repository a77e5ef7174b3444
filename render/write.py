"""Texts in, files in a folder out: the only effects of the renderer.

A file is ours when its first line is the marker. Nothing else is ever overwritten or removed, no symbolic link is
followed below the folder, and nothing is touched below its sub-folders. The base of an app that is rendered no more
goes, unless no app is left that was there before. A file is either old or new, never half of both, and no kustomization
that one applies names what is not there, even after a kill at any moment.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from render import naming
from render.errors import UnsafeOutput

KUSTOMIZATION = "kustomization.yaml"
KUSTOMIZATIONS = ("kustomization.yml", "Kustomization")
"""Other names kustomize looks for; of two in one folder it takes none."""
FOLDERS = re.compile(rb'^- "?[^"\r\n]*/"?\r?$', re.MULTILINE)
"""In a kustomization over bases: what it lists are folders."""
LABEL = re.compile(rf'^    {re.escape(naming.APP_LABEL)}: "?([^"\r\n]+)'.encode(), re.MULTILINE)
MAX_DEPTH = 2
"""A sub-folder and a file."""
UNFINISHED = ".celery-render"
"""Ends the names of files that are to take the place of others. A killed run leaves them, the next one removes them."""


class Changes(NamedTuple):
    """What differs: names of files relative to the folder, in alphabetical order."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]


def folder(directory: Path, files: Mapping[str, str], marker: str) -> Changes:
    """Return what was changed to make the folder hold these files. Raises UnsafeOutput where nothing may be changed."""
    changes = outdated(directory, files, marker)
    try:
        write(directory, {name: files[name] for name in changes.written})
        remove(directory, changes.removed)
    except OSError as error:
        raise refused(error, directory) from error
    return changes


def outdated(directory: Path, files: Mapping[str, str], marker: str) -> Changes:
    """Return what `folder` would change. Raises UnsafeOutput where that would harm what is not ours."""
    try:
        check(directory, files)
        old = {name: content(directory / name, marker) for name in sorted(files)}
        present = tuple(ours(directory, marker))
        check_owners(directory, present, files)
    except OSError as error:
        raise refused(error, directory) from error
    removed = tuple(name for name in present if name not in files)
    same = {name: text == files[name].encode() for name, text in old.items()}
    return Changes(tuple(name for name in same if not same[name]), removed, tuple(filter(same.get, same)))


def check(directory: Path, names: Iterable[str]) -> None:
    """Raise UnsafeOutput unless the files would lie in the folder itself, or in a sub-folder of it."""
    if directory.exists() and not directory.is_dir():
        raise UnsafeOutput(f"{directory} is a file: name a folder")
    for name in names:
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or len(parts) > MAX_DEPTH:
            raise UnsafeOutput(f"{name} would lie outside {directory}")
    parents = {(directory / name).parent for name in names}
    for parent in sorted(parents - {directory}):
        if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
            raise UnsafeOutput(f"{parent} is no folder, but a file or a link: remove it, or choose another folder")
    for other in (parent / name for parent in sorted(parents) for name in KUSTOMIZATIONS):
        if other.is_symlink() or other.exists():
            raise UnsafeOutput(f"{other} would be a second kustomization: move it away, or choose another folder")


def check_owners(directory: Path, present: Iterable[str], files: Mapping[str, str]) -> None:
    """Raise UnsafeOutput if bases would go that are no part of this: somebody may apply them.

    Those are bases that lie where we put none, and all of them where none of their apps is rendered again.
    """
    new = {app for _, app in apps((name, files[name].encode()) for name in files)}
    old = set(apps((name, (directory / name).read_bytes()) for name in present if name.endswith(".yaml")))
    elsewhere = {(folder, app) for folder, app in old if folder != app and not folder.startswith(f"{app}.")}
    if lost := sorted(old if new.isdisjoint(app for _, app in old) else elsewhere):
        raise UnsafeOutput("\n".join(f"{directory / folder} {_kept(folder, app)}" for folder, app in lost))


def _kept(folder: str, app: str) -> str:
    if not folder:
        return f"is the folder of the app {app}: name the folder above it, or another"
    return f"holds the base of the app {app}, which would go: name its file too, choose another folder, or remove it"


def apps(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, str]]:
    """Yield whose base each folder holds, by the label of its objects; the folder itself is an empty name."""
    for name, text in files:
        if found := LABEL.search(text):
            yield name.rpartition("/")[0], found[1].decode(errors="replace")


def content(path: Path, marker: str) -> bytes | None:
    """Return what our file holds; nothing when there is none. Raises UnsafeOutput when it is not ours."""
    if not path.exists() and not path.is_symlink():
        return None
    found = path.read_bytes() if path.is_file() else b""  # before the marker, lest what cannot be read count as foreign
    if not marked(path, marker):
        raise UnsafeOutput(f"{path} was not written by celery-render: move it away, or choose another folder")
    return found


def ours(directory: Path, marker: str) -> Iterator[str]:
    """Yield the names of our files, in order: in the folder, and in sub-folders that hold a base.

    A file of ours that somebody copied into a folder of their own is theirs.
    """
    if directory.is_dir():
        for entry in sorted(directory.iterdir()):
            if marked(entry, marker):
                yield entry.name
            elif not entry.is_symlink() and entry.is_dir() and is_base(entry, marker):
                yield from (f"{entry.name}/{inner.name}" for inner in sorted(entry.iterdir()) if marked(inner, marker))


def is_base(folder: Path, marker: str) -> bool:
    """Return whether the folder holds the base of an app, or what a kill has left of one.

    Where its kustomization lists folders, it is where somebody else's bases are written to.
    """
    found = [path for path in (folder / KUSTOMIZATION, beside(folder / KUSTOMIZATION)) if marked(path, marker)]
    return bool(found) and not any(FOLDERS.search(path.read_bytes()) for path in found)


def marked(path: Path, marker: str) -> bool:
    """Return whether the file is ours: a real file with the marker as its first line, or one left unfinished."""
    if path.is_symlink() or not path.is_file():
        return False
    if path.name.endswith(UNFINISHED):
        return True
    try:
        with path.open("rb") as file:
            first = file.readline(len(marker.encode()) + 2).rstrip(b"\r\n")
    except PermissionError:
        return False
    return first == marker.encode()


def write(directory: Path, files: Mapping[str, str]) -> None:
    """Put every text beside its place, then each into its place; what fails in the first step changes nothing."""
    paths = {name: directory / name for name in sorted(files, key=kustomization_last)}
    unfinished = {name: beside(path) for name, path in paths.items()}
    try:
        for name, path in reversed(unfinished.items()):  # a folder is known as a base from its first file on
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            with path.open("xb") as file:  # x: never through a link
                file.write(files[name].encode())
        for name, path in unfinished.items():
            path.replace(paths[name])
    finally:
        for path in unfinished.values():
            path.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """Return where the text is put that is to take this place."""
    return path.with_name(f".{path.name}{UNFINISHED}")


def remove(directory: Path, names: Iterable[str]) -> None:
    """Remove the files, and the sub-folders which that leaves empty."""
    paths = [directory / name for name in sorted(names, key=kustomization_last)]
    for path in paths:
        path.unlink(missing_ok=True)  # an unfinished file may have come to its place meanwhile
    for parent in {path.parent for path in paths} - {directory}:
        if not any(parent.iterdir()):
            parent.rmdir()


def kustomization_last(name: str) -> tuple[bool, bool, str]:
    """Order names so that what lists the others comes after them, and a base is ours until its last file is gone."""
    return name.endswith(KUSTOMIZATION), name == KUSTOMIZATION, name


def refused(error: OSError, directory: Path) -> UnsafeOutput:
    return UnsafeOutput(f"{error.filename or directory}: {error.strerror}")
