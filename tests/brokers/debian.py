"""Debian's packages, unpacked into a folder. Nothing is installed."""

import shutil
import subprocess
import tempfile
from pathlib import Path

_DEPENDS = ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks"]
_DEPENDS += ["--no-replaces", "--no-enhances"]
_LINKS = ("bin", "sbin", "lib", "lib64")  # into /usr, as everywhere today; a package may still name the old place


class NoPackages(Exception):  # noqa: N818 (says what it is)
    """The packages cannot be had."""


def unpacked(root: Path, packages: list[str], needed: tuple[str, ...]) -> Path:
    """Return the folder with the packages in it, and all they depend on whose name starts with what is needed.

    Raises NoPackages.
    """
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root.parent) as unfinished:
            folder = Path(unfinished)
            _download(folder, packages, needed)
            for name in _LINKS:
                (folder / "root/usr" / name).mkdir(parents=True)
                (folder / "root" / name).symlink_to(f"usr/{name}")
            for package in sorted(folder.glob("*.deb")):
                unpack = 'dpkg-deb --fsys-tarfile "$0" | tar --extract --keep-directory-symlink --directory "$1"'
                subprocess.run(["sh", "-c", unpack, package, folder / "root"], check=True)
            if not root.exists():
                (folder / "root").rename(root)  # at once: another run sees all of it or nothing
    return root


def _download(folder: Path, packages: list[str], needed: tuple[str, ...]) -> None:
    if not shutil.which("apt-get"):
        raise NoPackages(f"{' '.join(packages)}: this is no Debian or Ubuntu to take the packages from")
    if not _downloaded(folder, packages, needed):
        update = ["apt-get", "update"]  # a fresh machine has no lists
        if subprocess.run(update, check=False, capture_output=True).returncode or not _downloaded(
            folder, packages, needed
        ):
            raise NoPackages(f"{' '.join(packages)}: cannot be downloaded (apt-get update; apt-get download)")


def _downloaded(folder: Path, packages: list[str], needed: tuple[str, ...]) -> bool:
    listed = subprocess.run([*_DEPENDS, *packages], check=False, capture_output=True, text=True).stdout.splitlines()
    names = sorted({name for name in listed if name in packages or name.startswith(needed)})
    download = ["apt-get", "download", *names]
    return (
        set(packages) <= set(names)
        and not subprocess.run(download, cwd=folder, check=False, capture_output=True).returncode
    )
