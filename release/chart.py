"""The Helm chart of celery-reconcile, made of kustomize/: what Helm renders is what kustomize builds.

The Namespace is not in it, since Helm needs it before. The CRD is a template: Helm never changes what is in `crds/`.
"""

import gzip
import io
import json
import math
import re
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import build
import yaml

HERE = Path(__file__).parent / "chart"
NAME = "celery-render"
CRD = "celeryapps.yaml"
INSTALLATIONS = {
    "base": "base",
    "one-namespace": "overlays/one-namespace",
    "for-namespace-admins": "overlays/for-namespace-admins",
}
COMPONENTS = {"monitoring": "monitoring", "brokerSecrets": "queue-scaling", "openNetwork": "open-network"}
"""What is added to an installation, by the value that adds it."""

Manifest = dict[str, Any]

NAMESPACE = "@namespace"
PLACES = {
    NAMESPACE: "{{ $.Release.Namespace | quote }}",
    "@bound": "{{ $namespace | quote }}",
    "@image": "{{ with $.Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:"
    "{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}",
    "@args": '{{ concat (list "run") $.Values.args | toJson }}',
    "@secrets": "{{ $.Values.brokerSecrets | toJson }}",
}
"""What a template says in place of a value."""
LINES = {
    "imagePullSecrets: '@pull'": "{{- with $.Values.imagePullSecrets }}\nimagePullSecrets: {{ toJson . }}\n{{- end }}",
    "annotations: '@annotations'": "{{- with $.Values.serviceAccountAnnotations }}\n"
    "annotations: {{ toJson . }}\n{{- end }}",
    "- '@namespaces'": "{{- with $.Values.namespaces }}\n"
    '- {name: CELERY_RECONCILE_NAMESPACE, value: {{ join "," . | quote }}}\n{{- end }}',
}
"""What it says in place of a line that is not always there."""


def archive(source: Path, image: str, seconds: int) -> tuple[str, bytes]:
    """Return the chart's file name and content: made of the sources in this folder, as old as these seconds say."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    content = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=content, mode="wb", mtime=seconds) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as files,
    ):
        for name, text in sorted(_files(source, project, image).items()):
            member = tarfile.TarInfo(f"{NAME}/{name}")
            member.size, member.mtime = len(text.encode()), seconds
            files.addfile(member, io.BytesIO(text.encode()))
    return f"{NAME}-{project['version']}.tgz", content.getvalue()


def _files(source: Path, project: dict[str, Any], image: str) -> dict[str, str]:
    """Return each file of the chart: Chart.yaml first of all for a reader, then the values, the CRD, the templates."""
    said = {
        "apiVersion": "v2",
        "name": NAME,
        "description": "celery-reconcile: keeps the CeleryApps of a cluster running as they say, and scales them.",
        "version": project["version"],
        "appVersion": project["version"],
        "kubeVersion": f">={build.RELEASES[0]}.0-0",
        "home": project["urls"]["Homepage"],
        "sources": [project["urls"]["Repository"]],
        "keywords": project["keywords"],
    }
    templates = {f"templates/{name}": text for name, text in _templates(source / "kustomize").items()}
    condition = '{{- if and .Values.crd (ne .Values.installation "one-namespace") }}'
    return templates | {
        "Chart.yaml": yaml.safe_dump(said, sort_keys=False),
        "values.yaml": (HERE / "values.yaml").read_text().replace("@repository", image),
        "values.schema.json": (HERE / "values.schema.json").read_text(),
        CRD: (source / "crds" / CRD).read_text(),
        "templates/crd.yaml": f'{condition}\n{{{{ .Files.Get "{CRD}" }}}}\n{{{{- end }}}}\n',
    }


def _templates(kustomize: Path) -> dict[str, str]:
    """Return a template for each object that any installation has, by file name."""
    found: dict[str, dict[tuple[str, str], list[str]]] = {}
    for installation in INSTALLATIONS:
        for name, condition, text in _objects(kustomize, installation):
            found.setdefault(name, {}).setdefault((condition, text), []).append(installation)
    return {name: "".join(map(_conditional, texts, texts.values())) for name, texts in found.items()}


def _conditional(what: tuple[str, str], installations: list[str]) -> str:
    condition, text = what
    having = f"has .Values.installation (list {' '.join(map(json.dumps, installations))})"
    return f"{{{{- if {f'and ({having}) {condition}' if condition else having} }}}}\n{text}{{{{- end }}}}\n"


def _objects(kustomize: Path, installation: str) -> Iterable[tuple[str, str, str]]:
    """Yield of each object of an installation the name of its file, when it is there, and its text."""
    plain = _texts(kustomize, installation)
    extended = {value: _texts(kustomize, installation, component) for value, component in COMPONENTS.items()}
    for name, text in plain.items():
        changed = {value: texts[name] for value, texts in extended.items() if texts[name] != text}
        yield from ((name, f".Values.{value}", other) for value, other in changed.items())
        yield name, " ".join(f"(not .Values.{value})" for value in changed), text
    for value, texts in extended.items():
        if installation != "for-namespace-admins":  # nothing runs there
            yield from ((name, f".Values.{value}", text) for name, text in texts.items() if name not in plain)


def _texts(kustomize: Path, installation: str, component: str = "") -> dict[str, str]:
    """Return the text of each object by the name of its file."""
    texts = {}
    for manifest in _built(kustomize, INSTALLATIONS[installation], component):
        if manifest["kind"] != "Namespace":
            name = f"{manifest['kind']}-{manifest['metadata']['name']}.yaml".lower()
            texts[name] = _text(manifest, installation)
    return texts


def _built(kustomize: Path, installation: str, component: str) -> list[Manifest]:
    with tempfile.TemporaryDirectory(dir=kustomize) as place:
        components = [f"../components/{component}"] if component else []
        above = {"namespace": NAMESPACE, "resources": [f"../{installation}"], "components": components}
        (Path(place) / "kustomization.yaml").write_text(yaml.safe_dump(above))
        command = [build.binary(), "kubectl", "kustomize", place]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(printed))


def _text(manifest: Manifest, installation: str) -> str:
    if installation == "one-namespace":
        return _document(_of_the_namespace(manifest))
    if manifest["kind"] == "ClusterRoleBinding":
        bound = manifest | {"kind": "RoleBinding", "metadata": manifest["metadata"] | {"namespace": "@bound"}}
        each, all_ = _document(bound), _document(manifest)
        return f"{{{{- range $namespace := .Values.namespaces }}}}\n{each}{{{{- else }}}}\n{all_}{{{{- end }}}}\n"
    return _document(manifest, "@namespaces")


def _of_the_namespace(manifest: Manifest) -> Manifest:
    """Return the object as who rules no more than a namespace can apply it."""
    if not manifest["kind"].startswith("ClusterRole"):
        return manifest
    own = manifest | {"kind": manifest["kind"].removeprefix("Cluster")}
    own["metadata"] = own["metadata"] | {"namespace": NAMESPACE}
    return own | {"roleRef": own["roleRef"] | {"kind": "Role"}} if "roleRef" in own else own


def _document(manifest: Manifest, *variables: str) -> str:
    """Return the object as a document in which the values can be changed that are the chart's."""
    manifest = json.loads(json.dumps(manifest))
    if manifest["kind"] == "Deployment":
        pod = manifest["spec"]["template"]["spec"]
        [container] = pod["containers"]
        container |= {"image": "@image", "args": "@args", "env": [*container["env"], *variables]}
        resources = f"{{{{ $.Values.resources | default (fromJson `{json.dumps(container['resources'])}`) | toJson }}}}"
        container["resources"] = "@resources"
        pod["imagePullSecrets"] = "@pull"
    else:
        resources = ""
    if manifest["kind"] == "ServiceAccount":
        manifest["metadata"]["annotations"] = "@annotations"
    for subject in manifest.get("subjects", ()):
        subject["namespace"] = NAMESPACE
    if manifest["metadata"]["name"] == "celery-reconcile-broker-secrets" and "rules" in manifest:
        manifest["rules"][0]["resourceNames"] = "@secrets"
    text = yaml.safe_dump(manifest, sort_keys=False, width=math.inf).replace("{{", '{{ "{{" }}')
    for place, said in (PLACES | {"@resources": resources}).items():
        text = text.replace(f"'{place}'", said)
    for line, lines in LINES.items():
        text = re.sub(
            f"^( *){re.escape(line)}$", lambda found, lines=lines: _indented(found[1], lines), text, flags=re.MULTILINE
        )
    return f"---\n{text}"


def _indented(indent: str, lines: str) -> str:
    return "\n".join(indent + line for line in lines.splitlines())
