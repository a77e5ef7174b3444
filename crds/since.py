"""Writes render/since.json: which release of Kubernetes was the first to know which field of an app.

`python crds/since.py 1.33=FOLDER …`, where each FOLDER is the source of that release of Kubernetes, oldest first.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import generate
import yaml

Json = dict[str, Any]

WRITTEN = Path(__file__).parents[1] / "render/since.json"
GATES = {
    "AtomicWriteVolumeUserFields": (
        *(".defaultUser", ".items[].user"),
        ".projected.sources[].serviceAccountToken.user",
    ),
    "ContainerStopSignals": (".lifecycle.stopSignal",),
    "EmptyDirVolumeMode": (".emptyDir.mode",),
    "EnvFiles": (".fileKeyRef",),
    "GRPCContainerProbeTLS": (".grpc.mode",),
    "H2CContainerProbe": (".httpGet.protocol",),
    "HPAConfigurableTolerance": (".behavior.scaleUp.tolerance", ".behavior.scaleDown.tolerance"),
    "ImageVolume": (".volumes[].image",),
    "VolumeAttributesClass": (".volumeClaimTemplate.spec.volumeAttributesClassName",),
    "VolumeBindMountOptions": (".bindMountOptions",),
}
"""How the places of fields end that are behind a feature gate. The OpenAPI says it of some; that none is missing shows
tests/cluster/reconcile/test_every_field.py on each release."""
GATES_OF_A_RELEASE = "test/compatibility_lifecycle/reference/versioned_feature_list.yaml"


def table(sources: Mapping[str, Path]) -> Json:
    """Return what since.json holds, of the sources of the supported releases, oldest first."""
    releases = list(sources)
    known = {release: set(places(_spec(folder), ".spec")) for release, folder in sources.items()}
    history = yaml.safe_load((sources[releases[-1]] / GATES_OF_A_RELEASE).read_text(encoding="utf-8"))
    specs = {gate["name"]: gate["versionedSpecs"] for gate in history}
    gates = {gate: off(specs[gate], releases) for gate in GATES}
    fields: dict[str, str] = {}
    for place in sorted(known[releases[-1]]):
        first = next(release for release in releases if place in known[release])
        gate = next((gate for gate, ends in GATES.items() if place.endswith(ends) and gates[gate]), "")
        came_with = next((fields[each] for each in _around(place) if each in fields), releases[0]).split()[0]
        if gate or first != came_with:
            fields[place] = f"{first} {gate}".rstrip()
    return {"releases": releases, "gates": {gate: found for gate, found in gates.items() if found}, "fields": fields}


def off(specs: list[Json], releases: list[str]) -> dict[str, str]:
    """Return the releases in which a gate is off by default, each with what it is there."""
    found = {}
    for release in releases:
        spec = next((each for each in reversed(specs) if _number(each["version"]) <= _number(release)), None)
        if spec and not spec["default"]:
            found[release] = spec["preRelease"].lower()
    return found


def places(schema: Json, place: str) -> Iterator[str]:
    """Yield the places of all fields of a structural schema."""
    for name, field in schema.get("properties", {}).items():
        yield f"{place}.{name}"
        yield from places(field, f"{place}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from places(schema["items"], f"{place}[]")


def _around(place: str) -> Iterator[str]:
    """Yield the places of what a field is in, from within."""
    while place := re.sub(r"(\.[^.\[]+|\[\])$", "", place):
        yield place


def text(made: Json) -> str:
    """Return the table as it is written: a line for each field."""
    return json.dumps(made, indent=1) + "\n"


def _spec(folder: Path) -> Json:
    crd = generate.expand(generate.source(), generate.documents(folder / "api/openapi-spec/v3"))
    [version] = crd["spec"]["versions"]
    return dict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def _number(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


if __name__ == "__main__":
    pairs = (argument.split("=", 1) for argument in sys.argv[1:])
    WRITTEN.write_text(text(table({release: Path(folder) for release, folder in pairs})), encoding="utf-8")
