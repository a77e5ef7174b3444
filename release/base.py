"""What the image is based on: packages of Debian, by hash. Nothing is installed, nobody has to be root.

Usage: base.py LOCK pins what Debian has today, a line for each package: its SHA-256, and where it is in the archive.
The archives are those that apt knows here, or those that the environment variable DEBIAN lists.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from pathlib import Path

SUITE = "trixie"
PACKAGES = [
    *("base-files", "netbase", "tzdata", "ca-certificates"),
    *("python3.13", "python3.13-minimal", "libpython3.13-minimal", "libpython3.13-stdlib"),
    *("libc6", "libgcc-s1", "gcc-14-base", "libstdc++6"),  # the last for wheels in C++; gcc-14-base has their licenses
    *("libssl3t64", "libzstd1", "zlib1g", "libbz2-1.0", "liblzma5", "libexpat1", "libffi8", "libuuid1"),
]
"""Debian's Python with what it loads, but for curses, dbm, readline and sqlite3. No shell, no package manager."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CACHE = Path(__file__).parents[1] / ".cache/debian"
APT_HELPER = "/usr/lib/apt/apt-helper"


class NoPackages(Exception):  # noqa: N818 (says what it is)
    """The packages cannot be had."""


def packages(lock: Path) -> list[Path]:
    """Return the packages that the lock names, fetched first if they are not there yet. Raises NoPackages."""
    pins = (line.split("  ") for line in lock.read_text().splitlines() if not line.startswith("#"))
    return [_fetched(digest, path) for digest, path in pins]


def control(package: Path) -> str:
    """Return what the package says of itself: Package, Version, Architecture and more."""
    return subprocess.run(["dpkg-deb", "--field", package], check=True, capture_output=True, text=True).stdout


def write_lock(lock: Path) -> None:
    """Pin what Debian has today. Raises NoPackages."""
    with tempfile.TemporaryDirectory() as place:
        apt = _apt(Path(place))
        subprocess.run(["apt-get", "update", "--quiet=2"], env=apt, check=True)
        command = ["apt-get", "download", "--print-uris", *PACKAGES]
        printed = subprocess.run(command, env=apt, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^'\S+?/(pool/\S+)' .* SHA256:(\w+)$", printed, re.MULTILINE)
    lines = [f"{digest}  {urllib.parse.unquote(path)}\n" for path, digest in sorted(found)]
    lock.write_text(f"# Debian {SUITE}, amd64: make lock\n" + "".join(lines))


def _fetched(digest: str, path: str) -> Path:
    target = CACHE / f"{digest}.deb"
    if not target.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
            new = Path(unfinished) / target.name
            if not any(_downloaded(f"{archive}/{urllib.parse.quote(path)}", digest, new) for archive in _archives()):
                raise NoPackages(
                    f"{path}: no archive of Debian that is known here has it with this hash. "
                    "If Debian has a newer one: make lock. If apt knows no archive of Debian: "
                    "make … DEBIAN='https://MIRROR/debian https://MIRROR/debian-security'"
                )
            new.rename(target)
    with target.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise NoPackages(f"{target}: is not what was fetched; remove it")
    return target


def _downloaded(address: str, digest: str, target: Path) -> bool:
    command = [APT_HELPER, "download-file", address, target, f"SHA256:{digest}"]
    return not subprocess.run(command, check=False, capture_output=True).returncode


def _archives() -> list[str]:
    """Return the addresses of Debian's archives. Raises NoPackages."""
    if not shutil.which(APT_HELPER):
        raise NoPackages("the image is based on packages of Debian, which are fetched by apt: no apt is here")
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    known = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    debian = {address.rstrip("/") for address in known if re.search("/debian(-security)?/?$", address)}
    return os.environ.get("DEBIAN", "").split() or sorted(debian)


def _apt(place: Path) -> dict[str, str]:
    """Return the environment of an apt that knows this suite alone, and keeps all it knows in this folder."""
    lines = []
    for archive in _archives():
        suites = [f"{SUITE}-security"] if "-security" in archive else [SUITE, f"{SUITE}-updates"]
        lines += [f"deb [arch=amd64 signed-by={KEYRING}] {archive} {suite} main\n" for suite in suites]
    if not lines:
        raise NoPackages("apt knows no archive of Debian here: make lock DEBIAN='https://MIRROR/debian …'")
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (place / folder).mkdir(parents=True)
    (place / "status").touch()
    (place / "sources.list").write_text("".join(lines))
    (place / "apt.conf").write_text(f"""\
APT::Architecture "amd64";
APT::Sandbox::User "";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Dir::Etc::sourcelist "{place}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "{place}/state";
Dir::State::status "{place}/status";
Dir::Cache "{place}/cache";
""")
    return os.environ | {"APT_CONFIG": str(place / "apt.conf")}


if __name__ == "__main__":
    try:
        write_lock(Path(sys.argv[1]))
    except NoPackages as reason:
        sys.exit(str(reason))
