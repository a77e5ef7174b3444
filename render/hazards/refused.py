"""What the API server would refuse in a child, and no schema of a field can see: it follows from several together."""

from collections import Counter
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from render import naming, quantity
from render.errors import Path
from render.hazards.hazard import COMMON, Hazard, blocks, parts
from render.model import CeleryApp

BYTES = ("1", *(f"1{unit}" for unit in ("k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")))
DIVISORS = {"cpu": ("1m", "1")}
"""What a resource may be divided by; all others count bytes."""
OF_FILES = ("configMap", "downwardAPI", "secret")
HOOKS = ("postStart", "preStop")
OVERCOMMITTED = {"cpu", "memory", "ephemeral-storage"}
"""Resources of which more may be allowed than is asked for, and of which there are parts."""


def requests_above_limits(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each request that is more than its limit, and what devices ask for otherwise than in whole."""
    for part in parts(app):
        yield from _unfit(part.given("resources"), lambda *place, part=part: part.at("resources", *place))
        for at, container in enumerate(part.own.get("initContainers", ())):
            path = (*part.path, "initContainers", at, "resources")
            yield from _unfit(container.get("resources", {}), lambda *place, path=path: (*path, *place))
    for at, container in enumerate(app.spec.get("initContainers", ())):
        path = (*COMMON, "initContainers", at, "resources")
        yield from _unfit(container.get("resources", {}), lambda *place, path=path: (*path, *place))


def _unfit(resources: Mapping[str, Any], place: Any) -> Iterator[Hazard]:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for name in sorted(requests.keys() | limits.keys()):
        asked, most = requests.get(name), limits.get(name)
        where = place("requests" if name in requests else "limits", name)
        if name not in OVERCOMMITTED and (most is None or (asked is not None and _differ(asked, most))):
            yield Hazard(where, "is given in whole: write the same into requests and limits", is_error=True)
        elif name not in OVERCOMMITTED and quantity.milli(most or 0) % 1000:
            yield Hazard(where, "is given in whole: write an integer", is_error=True)
        elif asked is not None and most is not None and quantity.milli(asked) > quantity.milli(most):
            message = f"{asked} is more than the limit of {most}: lower it, or raise resources.limits.{name}"
            yield Hazard(where, message, is_error=True)


def _differ(one: str | int, other: str | int) -> bool:
    return quantity.milli(one) != quantity.milli(other)


def sleeps_beyond_grace(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each hook that sleeps longer than the pod has to end."""
    for part in parts(app):
        grace = part.spec["terminationGracePeriodSeconds"]
        hooks = [(part.at("lifecycle"), part.given("lifecycle"))]
        for path, block in ((COMMON, app.spec), (part.path, part.own)):
            for at, container in enumerate(block.get("initContainers", ())):
                hooks.append(((*path, "initContainers", at, "lifecycle"), container.get("lifecycle", {})))
        for path, lifecycle in hooks:
            for hook in HOOKS:
                seconds = lifecycle.get(hook, {}).get("sleep", {}).get("seconds", 0)
                if seconds > grace:
                    message = (
                        f"is longer than {part.name} has: lower it, or raise terminationGracePeriodSeconds ({grace})"
                    )
                    yield Hazard((*path, hook, "sleep", "seconds"), message, is_error=True)


def unknown_volumes(app: CeleryApp) -> Iterator[Hazard]:
    """Yield what is mounted, or read, in an init container or by a variable, from a volume that is not there."""
    everything = list(parts(app))
    for path, block, users in ((COMMON, app.spec, everything), *((part.path, part.own, [part]) for part in everything)):
        for part in users:
            volumes = {each["name"]: each for each in part.spec.get("volumes", ())}
            for place, entry in _read(block, path):
                if entry["volumeName"] not in volumes:
                    yield _lost((*place, "volumeName"), entry["volumeName"])
                elif "emptyDir" not in volumes[entry["volumeName"]]:
                    yield Hazard((*place, "volumeName"), "is read from an emptyDir: make the volume one", is_error=True)
            for place, container in _containers(block, path):
                whole = part.spec if place == path else container
                for at, mount in enumerate(container.get("volumeMounts", ())):
                    yield from _mounted(mount, whole, volumes, (*place, "volumeMounts", at))


def _lost(path: Path, name: str) -> Hazard:
    return Hazard(path, f"names a volume that is not in volumes: add {{name: {name}, …}}", is_error=True)


def _mounted(mount: Mapping[str, Any], container: Mapping[str, Any], volumes: Any, path: Path) -> Iterator[Hazard]:
    if mount["name"] not in volumes and "initContainers" in path:  # of the others a rule of the CRD says it
        yield _lost((*path, "name"), mount["name"])
    elif mount.get("bindMountOptions") and "image" in volumes.get(mount["name"], {}):
        yield Hazard((*path, "bindMountOptions"), "is not for an image: remove it", is_error=True)
    if mount.get("mountPropagation") == "Bidirectional" and not container.get("securityContext", {}).get("privileged"):
        yield Hazard((*path, "mountPropagation"), "needs a privileged container: use HostToContainer", is_error=True)


def _containers(block: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the Celery container as far as the block says it, and the init containers."""
    yield path, block
    for at, container in enumerate(block.get("initContainers", ())):
        yield (*path, "initContainers", at), container


def _read(block: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for place, container in _containers(block, path):
        for at, entry in enumerate(container.get("env", ())):
            if key := entry.get("valueFrom", {}).get("fileKeyRef"):
                yield (*place, "env", at, "valueFrom", "fileKeyRef"), key


def names_of_ours(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each init container that is named as Celery's."""
    for path, block in blocks(app):
        for at, container in enumerate(block.get("initContainers", ())):
            if container["name"] in (naming.WORKER_CONTAINER, naming.BEAT, naming.FLOWER):
                message = "is the name of Celery's own container: choose another name"
                yield Hazard((*path, "initContainers", at, "name"), message, is_error=True)


def names_without_servers(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each pod that is to ask no name server of the cluster, and is given none."""
    for part in parts(app):
        if part.spec.get("dnsPolicy") == "None" and not part.given("dnsConfig").get("nameservers"):
            yield Hazard(part.at("dnsPolicy"), "None needs dnsConfig.nameservers: set them", is_error=True)


def odd_divisors(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each divisor that the resource is not divided by."""
    for path, block in blocks(app):
        for place, reference in _resources(block, path):
            divisors = DIVISORS.get(reference["resource"].partition(".")[2], BYTES)
            divisor = reference.get("divisor", 0)
            if quantity.milli(divisor) and quantity.requested(divisor) not in divisors:
                message = f"{divisor} is none that {reference['resource']} is divided by: write {', '.join(divisors)}"
                yield Hazard((*place, "divisor"), message, is_error=True)


def _resources(block: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for place, container in _containers(block, path):
        for at, entry in enumerate(container.get("env", ())):
            if reference := entry.get("valueFrom", {}).get("resourceFieldRef"):
                yield (*place, "env", at, "valueFrom", "resourceFieldRef"), reference
    for place, _, item in _files(block, path):
        if reference := item.get("resourceFieldRef"):
            yield (*place, "resourceFieldRef"), reference


def _files(block: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Path, Mapping[str, Any]]]:
    """Yield the files of volumes that several sources make: where each is written, its volume, and what it says."""
    for at, volume in enumerate(block.get("volumes", ())):
        here = (*path, "volumes", at)
        projected = enumerate(volume.get("projected", {}).get("sources", ()))
        sources = [((*here, "projected", "sources", number), source) for number, source in projected]
        for place, source in (*sources, (here, {"downwardAPI": volume.get("downwardAPI", {})})):
            for kind in OF_FILES:
                for number, item in enumerate(source.get(kind, {}).get("items", ())):
                    yield (*place, kind, "items", number), here, item


def one_path_twice(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each file of a projected volume that another source puts at the same place."""
    for path, block in blocks(app):
        seen: Counter[tuple[Path, str]] = Counter()
        for place, volume, item in _files(block, path):
            seen[volume, item["path"]] += 1
            if seen[volume, item["path"]] > 1 and "projected" in place:
                yield Hazard(
                    (*place, "path"), "is the path of another file of the volume: choose another", is_error=True
                )


def empty_claims(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each claim that asks for no storage."""
    for path, block in blocks(app):
        for at, volume in enumerate(block.get("volumes", ())):
            template = volume.get("ephemeral", {}).get("volumeClaimTemplate", {}).get("spec", {})
            size = template.get("resources", {}).get("requests", {}).get("storage", 1)
            if not quantity.milli(size):
                place = ("ephemeral", "volumeClaimTemplate", "spec", "resources", "requests", "storage")
                yield Hazard((*path, "volumes", at, *place), "must be more than 0, such as 1Gi", is_error=True)
    for part in parts(app):
        for claim in ("storage", "persistence"):
            if not quantity.milli(part.own.get(claim, {}).get("size", 1)):
                yield Hazard((*part.path, claim, "size"), "must be more than 0, such as 1Gi", is_error=True)


def one_sysctl_twice(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each kernel parameter that is set a second time, dots and slashes alike."""
    for path, block in blocks(app):
        seen: set[str] = set()
        for at, sysctl in enumerate(block.get("podSecurityContext", {}).get("sysctls", ())):
            name = sysctl["name"].replace("/", ".")
            if name in seen:
                place = (*path, "podSecurityContext", "sysctls", at, "name")
                yield Hazard(place, "is set already: remove one", is_error=True)
            seen.add(name)


def one_port_name_twice(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each port of an init container that is named as another; of Celery's own a rule of the CRD says it."""
    for path, block in blocks(app):
        for number, container in enumerate(block.get("initContainers", ())):
            seen: set[str] = set()
            for at, port in enumerate(container.get("ports", ())):
                if port.get("name") in seen:
                    message = "is the name of another port of the container: choose another name"
                    yield Hazard((*path, "initContainers", number, "ports", at, "name"), message, is_error=True)
                seen |= {port["name"]} if "name" in port else set()


def exceptions_elsewhere(app: CeleryApp) -> Iterator[Hazard]:
    """Yield each exception of a network that is not within it."""
    for at, peer in enumerate((app.flower.spec if app.flower else {}).get("networkPolicy", {}).get("from", ())):
        block = peer.get("ipBlock", {})
        for number, text in enumerate(block.get("except", ())):
            if not _is_within(text, block["cidr"]):
                path = ("spec", "flower", "networkPolicy", "from", at, "ipBlock", "except", number)
                yield Hazard(path, f"must be a part of {block['cidr']}", is_error=True)


def _is_within(text: str, cidr: str) -> bool:
    """Say whether the network is a part of the other, or one of them cannot be read, which is said already."""
    try:
        less, whole = ip_network(text), ip_network(cidr)
    except ValueError:
        return True
    return less.version == whole.version and less != whole and less.subnet_of(whole)  # type: ignore[arg-type]


RULES = (
    requests_above_limits,
    sleeps_beyond_grace,
    unknown_volumes,
    names_of_ours,
    names_without_servers,
    odd_divisors,
    one_path_twice,
    empty_claims,
    one_sysctl_twice,
    one_port_name_twice,
    exceptions_elsewhere,
)
