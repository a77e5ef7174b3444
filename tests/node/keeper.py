"""The place a node runs in: mount, network and pid namespaces and a cgroup of its own, linked to the machine.

    keeper.py FOLDER TOOLS    prints the place as JSON, and keeps it until its standard input closes

That pipe's other end is held by the tests, and the system closes it however they end, kill -9 included. Then pid 1 of
the namespaces ends, and with it the kernel ends every process, mount, link, route and nft rule in there. What is left,
the cgroups and the node's files, is removed by this process, which outlives the tests for that.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CGROUPS = Path("/sys/fs/cgroup")
SLOTS = 250  # nodes at a time on one machine


class Place(NamedTuple):
    folder: str  # of the node's files, which go with it
    pid: int  # of the namespaces' pid 1, as the machine sees it
    cgroup: str
    slot: int

    @property
    def link(self) -> str:
        return f"celery-e2e-{self.slot}"

    @property
    def host(self) -> str:
        """Return the address under which the node and its pods reach this machine, of a network no one else uses."""
        return f"198.18.{self.slot}.1"  # RFC 2544's, for tests

    @property
    def address(self) -> str:
        return f"198.18.{self.slot}.2"

    @property
    def pods(self) -> str:
        return f"198.19.{self.slot}.0/24"

    def with_programs(self, *command: str | Path) -> list[str]:
        """Return a command that runs this one on the machine itself, with the node's programs."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--", *map(str, command)]

    def inside(self, *command: str | Path) -> list[str]:
        """Return a command that runs this one in the namespaces."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--", *map(str, command)]


class NoPlace(Exception):  # noqa: N818 (says what it is)
    """There is no place for a node on this machine."""


def check() -> None:
    """Raise NoPlace where a node cannot be, for a reason that is plain to see."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoPlace("A node needs Linux and root, for its namespaces and cgroups: run it with sudo")


@contextmanager
def kept(folder: Path, tools: Path) -> Iterator[Place]:
    """Yield a place where the programs under tools/usr look installed. Raises NoPlace."""
    check()
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, __file__, folder, tools],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a signal for the tests' process group is not for it
        text=True,
    ) as keeper:
        if not (place := keeper.stdout.readline()):
            raise NoPlace(f"This machine lets nobody have namespaces and cgroups:\n{keeper.communicate()[1]}")
        yield Place(*json.loads(place))
        keeper.communicate()  # closes its input, and waits until all is gone


def main(folder: Path, tools: Path) -> None:
    cgroup = f"celery-render-{os.getpid()}"
    try:
        for each in _hierarchies():
            _make(each / cgroup)
        unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--"]
        with subprocess.Popen(
            [*unshare, sys.executable, __file__, "inside", folder, tools], stdout=subprocess.PIPE, text=True
        ) as namespaces:
            if pid := namespaces.stdout.readline():
                print(json.dumps(_linked(str(folder), int(pid), cgroup)), flush=True)  # noqa: T201 (what it is asked for)
    finally:  # here the namespaces have ended
        for each in _hierarchies():
            _remove(each / cgroup)
        shutil.rmtree(folder, ignore_errors=True)


def inside(folder: Path, tools: Path) -> None:
    """Be pid 1: make the mounts that a node needs, say its pid and end with the tests."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what is orphaned in here is buried by the kernel
    pid = Path("/proc/self").readlink()  # still the machine's /proc
    for name in ("var", "work", "containerd"):
        (folder / name).mkdir()
    mounts = (
        "mount --make-rshared /",
        "mount -t proc proc /proc",
        f"mount -t overlay -o lowerdir={tools}/usr:/usr overlay /usr",
        f"mount -t overlay -o lowerdir=/var,upperdir={folder}/var,workdir={folder}/work overlay /var",
        "mount -t tmpfs -o mode=755 tmpfs /run",
        f"mount -t tmpfs tmpfs {folder}/containerd",  # 14,000 files, which a disk is slow to forget
        "ip link set lo up",
    )
    for command in mounts:
        subprocess.run(command.split(), check=True)
    # The kubelet sets these for the whole machine unless they are as it wants them: it gets copies which are.
    for name, value in (("vm/overcommit_memory", "1"), ("kernel/panic", "10"), ("kernel/panic_on_oops", "1")):
        copy = folder / name.replace("/", ".")
        copy.write_text(value)
        subprocess.run(["mount", "--bind", copy, f"/proc/sys/{name}"], check=True)
    print(pid, flush=True)  # noqa: T201 (likewise)
    sys.stdin.read()


def _linked(folder: str, pid: int, cgroup: str) -> Place:
    """Link the namespaces to this machine; the link's name is the lock on its network, and goes with the namespaces."""
    for slot in range(SLOTS):
        place = Place(folder, pid, cgroup, slot)
        link = ["link", "add", place.link, "type", "veth", "peer", "name", "eth0", "netns", str(pid)]
        made = subprocess.run(place.with_programs("ip", *link), check=False, capture_output=True, text=True)
        if not made.returncode:
            break
    else:
        raise RuntimeError(made.stderr)
    for command in (
        place.with_programs("ip", "address", "add", f"{place.host}/24", "dev", place.link),
        place.with_programs("ip", "link", "set", place.link, "up"),
        place.inside("ip", "address", "add", f"{place.address}/24", "dev", "eth0"),
        place.inside("ip", "link", "set", "eth0", "up"),
        place.inside("ip", "route", "add", "default", "via", place.host),
        place.with_programs("ip", "route", "add", place.pods, "via", place.address),
    ):
        subprocess.run(command, check=True)
    return place


def _hierarchies() -> list[Path]:
    """Return where cgroups are: one tree in version 2, one for each controller in version 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [each for each in CGROUPS.iterdir() if each.is_dir() and not each.is_symlink()]


def _make(cgroup: Path) -> None:
    cgroup.mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):  # version 1 has them empty in a new cgroup, which then takes nobody
        if (cgroup / name).exists() and not (cgroup / "cgroup.controllers").exists():
            (cgroup / name).write_text((cgroup.parent / name).read_text())
    for name, value in (("cpu.shares", "10240"), ("cpu.weight", "1000")):  # else all of it gets what one process gets
        if (cgroup / name).exists():
            (cgroup / name).write_text(value)


def _remove(cgroup: Path) -> None:
    """Remove a cgroup and all under it, which the kernel allows a moment after the last process in there has ended."""
    for _ in range(100):
        for each in sorted(cgroup.glob("**/"), reverse=True):
            try:
                each.rmdir()
            except OSError:
                time.sleep(0.1)
        if not cgroup.exists():
            return


if __name__ == "__main__":
    *mode, folder, tools = sys.argv[1:]
    (inside if mode else main)(Path(folder), Path(tools))
