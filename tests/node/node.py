"""A real Kubernetes node, and a control plane for it: pods run, in cgroups and a network of their own.

kubelet, kube-proxy, containerd and runc are real and unchanged. They run as root in namespaces of their own; nothing is
installed, and nothing is left, however the tests end.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import control_plane
import debian
import images
import keeper
import node_parts
from cluster import Cluster
from control_plane import ControlPlane
from images import Archive, Image
from keeper import Place

CACHE = Path(__file__).parents[2] / ".cache/node"
PROGRAMS = ["containerd", "runc", "containernetworking-plugins", "nftables", "iproute2"]
PATIENCE_SECONDS = 180
"""For what pods do."""


class Node:
    """A running node: its cluster, where it is, and what only its container runtime can do."""

    def __init__(self, plane: ControlPlane, place: Place) -> None:
        self.cluster, self.place = replace(plane.cluster, patience_seconds=PATIENCE_SECONDS), place
        self._plane = plane
        self._loaded: set[str] = set()

    def load(self, image: Image | Archive) -> str:
        """Give the node an image, unless it has it, as a pull would; return its name."""
        if image.name in self._loaded:
            return image.name
        command = self.place.inside("ctr", "--namespace=k8s.io", "images", "import", "-")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as ctr:
            image.write(ctr.stdin)
        assert ctr.returncode == 0, image.name
        self._loaded.add(image.name)
        return image.name

    def start_kubelet(self) -> None:
        flags = node_parts.kubelet_flags(self.place, self.cluster.kubeconfig)
        self._plane.run("kubelet", self.place.inside(self.cluster.binary, "kubelet", *flags))

    def restart_kubelet(self) -> None:
        """Let the kubelet crash and come back; its pods run on meanwhile."""
        self._plane.end("kubelet")
        self.start_kubelet()


def tools() -> Path:
    """Return a folder with the programs of a node. Raises NoPackages."""
    return debian.unpacked(CACHE / "programs", PROGRAMS, ("lib",))


@contextmanager
def running(binary: Path, folder: Path, *, metric_resolution_seconds: int = 2) -> Iterator[Node]:
    """Yield a node that takes pods. Raises RuntimeError with the log of the part that failed."""
    with (
        keeper.kept(folder / "node", tools()) as place,
        control_plane.without_nodes(
            binary, _made(folder / "plane"), node_parts.control_plane(place), metric_resolution_seconds
        ) as plane,
    ):
        node = Node(plane, place)
        _configure(place, plane.cluster)
        plane.run("containerd", place.inside("containerd", f"--config={place.folder}/containerd.toml"))
        plane.wait_until(lambda: _is_up(place))
        node.load(images.pause(node_parts.PAUSE))
        node.start_kubelet()
        plane.run("kube-proxy", place.inside(binary, "kube-proxy", f"--config={place.folder}/kube-proxy.json"))
        plane.wait_for_nodes()
        yield node


def _configure(place: Place, cluster: Cluster) -> None:
    folder = Path(place.folder)
    (folder / "containerd.toml").write_text(node_parts.containerd(place))
    (_made(folder / "cni") / "pods.conflist").write_text(node_parts.cni(place))
    (folder / "kubelet.json").write_text(node_parts.kubelet(place))
    (folder / "kube-proxy.json").write_text(node_parts.kube_proxy(place, cluster.kubeconfig))
    (folder / "resolv.conf").write_text("")  # the cluster has no DNS


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _is_up(place: Place) -> bool:
    return subprocess.run(place.inside("ctr", "version"), check=False, capture_output=True).returncode == 0
