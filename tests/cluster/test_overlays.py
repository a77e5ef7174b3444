"""What overlays change, on every base under examples/ and on one of an app that names all it can.

Each overlay also generates what the base leaves to its user, with the hash of its content in the name: whatever is
renamed, moved or labelled, every name must still be that of an object, and every selector find the same pods.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import yaml
from cluster import APPLY

ROOT = Path(__file__).parents[2]
BASES = {path.parent.name: path for path in sorted(ROOT.glob("examples/**/base"))}
IMAGE_TAG = "9.9.9"
PAIRS = {"example.com/team": "web"}

SOURCES = [
    {"secret": {"secretName": "files"}},
    {"configMap": {"name": "config"}},
    {"projected": {"sources": [{"secret": {"name": "more-files"}}, {"configMap": {"name": "more-config"}}]}},
    {"persistentVolumeClaim": {"claimName": "media"}},
]
ENV = [
    {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "one-value", "key": "a"}}},
    {"name": "FROM_CONFIG_MAP", "valueFrom": {"configMapKeyRef": {"name": "one-setting", "key": "a"}}},
]
ENV_FROM = [{"secretRef": {"name": "values"}}, {"configMapRef": {"name": "settings"}}]


def secret(name):
    return {"secretKeyRef": {"name": name, "key": "a"}}


NAMING_ALL = {
    "image": "registry.example.com/all:1",
    "app": "all",
    "celeryVersion": "5.6",
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccountName": "celery",
    "broker": {"type": "Redis", "urlFrom": secret("broker")},
    "resultBackend": {"urlFrom": secret("results")},
    "env": ENV,
    "envFrom": ENV_FROM,
    "volumes": [{"name": f"v{number}"} | source for number, source in enumerate(SOURCES)],
    "initContainers": [{"name": "init", "image": "registry.example.com/all:1", "env": ENV, "envFrom": ENV_FROM}],
    "resources": {"requests": {"cpu": "100m"}},
    "workers": [
        {"name": "own", "queues": ["own"], "scaling": {"maxReplicas": 3, "queue": {"averageLength": 5}}},
        {
            "name": "keda",
            "queues": ["keda"],
            "disruptionBudget": {"maxUnavailable": 1},
            "scaling": {
                "engine": "KEDA",
                "maxReplicas": 3,
                "queue": {"averageLength": 5},
                "keda": {"authenticationRef": {"name": "redis"}},
            },
        },
        {
            "name": "hpa",
            "queues": ["hpa"],
            "scaling": {"engine": "HPA", "maxReplicas": 3, "cpu": {"averageUtilization": 50}},
        },
    ],
    "beat": {"storage": {"existingClaim": "schedule"}},
    "flower": {
        "auth": {
            "oauth": {
                "provider": "GitHub",
                "emails": ".*@example[.]com",
                "redirectUri": "https://flower.example.com/login",
                "clientIdFrom": secret("client"),
                "clientSecretFrom": secret("client"),
                "cookieSecretFrom": secret("cookie"),
            }
        },
        "persistence": {"existingClaim": "tasks"},
        "ingress": {"host": "flower.example.com", "tlsSecretName": "flower-tls"},
        "networkPolicy": {"from": [{"podSelector": {"matchLabels": {"app": "nginx"}}}]},
    },
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Return every base by its name: the examples', that of the app which names all it can, and that app itself."""
    folder = tmp_path_factory.mktemp("all")
    app = {"apiVersion": "celeryproject.org/v1alpha1", "kind": "CeleryApp", "metadata": {"name": "all"}}
    (folder / "app.yaml").write_text(json.dumps(app | {"spec": NAMING_ALL}))
    command = [Path(sys.executable).with_name("celery-render"), folder / "app.yaml", "-o", folder / "base"]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "app").mkdir()
    (folder / "app.yaml").rename(folder / "app/app.yaml")
    component = os.path.relpath(ROOT / "kustomize/components/references", folder / "app")
    (folder / "app/kustomization.yaml").write_text(json.dumps({"resources": ["app.yaml"], "components": [component]}))
    return BASES | {"all": folder / "base", "all, unrendered": folder / "app"}


def written(base):
    """Return the manifests of a base as they are in its files, and in its folders."""
    listed = yaml.load((base / "kustomization.yaml").read_text(), yaml.CSafeLoader)["resources"]
    found = [
        written(base / name) if (base / name).is_dir() else [yaml.load((base / name).read_text(), yaml.CSafeLoader)]
        for name in listed
    ]
    return [manifest for manifests in found for manifest in manifests]


def key(manifest):
    return manifest["kind"], manifest["metadata"]["name"]


def of_kind(manifests, *kinds):
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def inner(value):
    """Yield every field in the value, however deep."""
    for name, field in value.items() if isinstance(value, dict) else enumerate(value):
        yield name, field
        if isinstance(field, dict | list):
            yield from inner(field)


FIELDS = {
    "secretKeyRef": "Secret",
    "secretRef": "Secret",
    "secretTargetRef": "Secret",
    "secret": "Secret",
    "secretName": "Secret",
    "tlsSecretName": "Secret",
    "imagePullSecrets": "Secret",
    "configMapKeyRef": "ConfigMap",
    "configMapRef": "ConfigMap",
    "configMap": "ConfigMap",
    "claimName": "PersistentVolumeClaim",
    "existingClaim": "PersistentVolumeClaim",
    "serviceAccountName": "ServiceAccount",
    "scaleTargetRef": "Deployment",
    "authenticationRef": "TriggerAuthentication",
    "service": "Service",
}


def named(manifests):
    """Yield the kind and name of every object that a field names."""
    for manifest in manifests:
        for field, value in inner(manifest):
            for each in value if isinstance(value, list) else [value]:
                name = each.get("name") if isinstance(each, dict) else each
                if field in FIELDS and isinstance(name, str) and (FIELDS[field], name) != ("ServiceAccount", "default"):
                    yield FIELDS[field], name


def selectors(manifests):
    """Return which components' pods are found by every selector, by who selects."""
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in of_kind(manifests, "Deployment")]
    found = {}
    for manifest in of_kind(manifests, "Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"):
        selector = manifest["spec"].get("selector") or manifest["spec"]["podSelector"]
        wanted = selector.get("matchLabels", selector)
        chosen = [labels["celeryproject.org/component"] for labels in pods if wanted.items() <= labels.items()]
        found[manifest["kind"], manifest["metadata"]["labels"]["celeryproject.org/component"]] = chosen
    return found


def beside(base):
    """Return what a base leaves to its user: generators with hashes, and objects."""
    absent = {*named(base)} - {key(manifest) for manifest in base}
    kinds = {"Secret": "secretGenerator", "ConfigMap": "configMapGenerator"}
    generated = {
        field: [{"name": name, "literals": ["a=b"]} for kind, name in sorted(absent) if kind == generator]
        for generator, field in kinds.items()
    }
    specs = {
        "PersistentVolumeClaim": (
            "v1",
            {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        ),
        "TriggerAuthentication": (
            "keda.sh/v1alpha1",
            {"secretTargetRef": [{"parameter": "password", "name": "broker", "key": "a"}]},
        ),
    }
    objects = []
    for kind, name in sorted(absent):
        if kind not in kinds:
            version, spec = specs.get(kind, ("v1", None))
            body = {"spec": spec} if spec else {}
            objects.append({"apiVersion": version, "kind": kind, "metadata": {"name": name}} | body)
    return generated, objects


def built(cluster, base, folder, change):
    """Return what kustomize makes of an overlay that changes the base; the change is in a component of its own too."""
    generated, objects = beside(written(base))
    (folder / "beside.yaml").write_text("\n---\n".join(map(json.dumps, objects)))
    resources = [os.path.relpath(base, folder), *(["beside.yaml"] if objects else [])]
    overlay = {"namespace": cluster.namespace, "resources": resources} | generated
    if change.pop("components", None):
        (folder / "component").mkdir()
        kind = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
        (folder / "component/kustomization.yaml").write_text(json.dumps(kind | change))
        change = {"components": ["component"]}
    (folder / "kustomization.yaml").write_text(json.dumps(overlay | change))
    return list(yaml.load_all(cluster.kubectl("kustomize", folder).stdout, yaml.CSafeLoader))


def deployments(base):
    return [manifest["metadata"]["name"] for manifest in of_kind(base, "Deployment")]


def images(manifests):
    found = (value for name, value in inner(manifests) if name == "image" and isinstance(value, str))
    return {image.rpartition(":")[0] for image in found}


def metadata(manifests, field):
    """Return the labels or annotations of every object, and of every pod template."""
    templates = [each["spec"]["template"] for each in of_kind(manifests, "Deployment")]
    return [[each["metadata"].get(field, {}) for each in every] for every in (manifests, templates)]


def are_on(pairs, places):
    return [pairs.items() <= place.items() for place in places]


def names_are_changed(manifests, base):
    changed = {(kind, f"eu-{name}-2") for kind, name in map(key, base)}
    assert changed <= {key(manifest) for manifest in manifests}
    assert all(name.startswith("eu-") for _, name in map(key, manifests))


def labels_are_on_objects(manifests, base):
    objects, pods = metadata(manifests, "labels")
    assert all(are_on(PAIRS, objects))
    assert not any(are_on(PAIRS, pods))
    assert {key(manifest) for manifest in base} <= {key(manifest) for manifest in manifests}


def labels_are_on_pods(manifests, base):
    assert all(all(are_on(PAIRS, places)) for places in metadata(manifests, "labels"))
    chosen, before = (
        {key(each): each["spec"]["selector"] for each in of_kind(some, "Deployment")} for some in (manifests, base)
    )
    assert chosen == before


def labels_are_in_selectors(manifests, base):  # noqa: ARG001 (a check of the table)
    labels_in = [each["spec"]["selector"]["matchLabels"] for each in of_kind(manifests, "Deployment")]
    assert all(are_on(PAIRS, [*labels_in, *metadata(manifests, "labels")[1]]))


def it_is_an_app_of_its_own(manifests, base):  # noqa: ARG001 (a check of the table)
    assert {value for name, value in inner(manifests) if name == "celeryproject.org/app"} == {"canary"}


def annotations_are_everywhere(manifests, base):  # noqa: ARG001 (a check of the table)
    assert all(all(are_on(PAIRS, places)) for places in metadata(manifests, "annotations"))


def images_and_replicas_are_changed(manifests, base):
    tagged = [value for name, value in inner(manifests) if name == "image" and isinstance(value, str)]
    assert tagged
    assert {image.rpartition(":")[2] for image in tagged} == {IMAGE_TAG}
    count = {each["metadata"]["name"]: each["spec"]["replicas"] for each in of_kind(manifests, "Deployment")}
    assert count == dict.fromkeys(deployments(base), 5)


def patches_have_changed_what_they_name(manifests, base):
    for deployment in of_kind(manifests, "Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        container = spec["containers"][0]
        assert {"name": "SENTRY_DSN", "value": "x"} in container["env"]
        assert container["resources"]["limits"]["memory"] == "8Gi"
        assert spec["nodeSelector"]["node.kubernetes.io/pool"] == "celery"
        [before] = [each for each in base if key(each) == key(deployment)]
        assert container.get("args") == before["spec"]["template"]["spec"]["containers"][0].get("args")
    apps = of_kind(manifests, "CeleryApp")
    assert [app["spec"]["workers"][0]["scaling"]["maxReplicas"] for app in apps] == [50] * len(apps)


def strategic_merge(deployment):
    """Return a patch of the Celery container, found by its name."""
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    change = {
        "name": container["name"],
        "env": [{"name": "SENTRY_DSN", "value": "x"}],
        "resources": {"limits": {"memory": "8Gi"}},
    }
    metadata = {"name": deployment["metadata"]["name"]}
    spec = {"template": {"spec": {"containers": [change]}}}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})


def patches(base):
    pool = {"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"node.kubernetes.io/pool": "celery"}}
    more = {"op": "replace", "path": "/spec/workers/0/scaling/maxReplicas", "value": 50}
    return [
        *({"patch": strategic_merge(deployment)} for deployment in of_kind(base, "Deployment")),
        {"target": {"kind": "Deployment"}, "patch": json.dumps([pool])},
        *({"target": {"kind": "CeleryApp"}, "patch": json.dumps([more])} for _ in of_kind(base, "CeleryApp")),
    ]


RENAMED = {"namePrefix": "eu-", "nameSuffix": "-2"}
CANARY = {"celeryproject.org/app": "canary"}
OVERLAYS = {
    "names": (lambda _: RENAMED, names_are_changed),
    "names, in a component": (lambda _: RENAMED | {"components": True}, names_are_changed),
    "labels of objects": (lambda _: {"labels": [{"pairs": PAIRS}]}, labels_are_on_objects),
    "labels of pods": (lambda _: {"labels": [{"pairs": PAIRS, "includeTemplates": True}]}, labels_are_on_pods),
    "selectors": (lambda _: {"labels": [{"pairs": PAIRS, "includeSelectors": True}]}, labels_are_in_selectors),
    "a second one beside it": (
        lambda _: {"namePrefix": "canary-", "labels": [{"pairs": CANARY, "includeSelectors": True}]},
        it_is_an_app_of_its_own,
    ),
    "annotations": (lambda _: {"commonAnnotations": PAIRS}, annotations_are_everywhere),
    "images and replicas": (
        lambda base: {
            "images": [{"name": image, "newTag": IMAGE_TAG} for image in sorted(images(base))],
            "replicas": [{"name": name, "count": 5} for name in deployments(base)],
        },
        images_and_replicas_are_changed,
    ),
    "patches": (lambda base: {"patches": patches(base)}, patches_have_changed_what_they_name),
}


@pytest.fixture(scope="module")
def place(plane):
    """Return the plane as seen from one namespace, which is enough: nothing is kept in it."""
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "overlays"}}).accepted()
    return plane.in_namespace("overlays")


@cache
def folder(cluster, version, kind):
    """Return where the objects of a kind live; asked once."""
    return cluster.path({"apiVersion": version, "kind": kind, "metadata": {"name": ""}})


def tried(cluster, manifest):
    """Return the server's answer to an apply which it judges in full, and forgets."""
    path = folder(cluster, manifest["apiVersion"], manifest["kind"]) + manifest["metadata"]["name"]
    query = {"fieldManager": "tests", "fieldValidation": "Strict", "dryRun": "All"}
    return cluster.request("PATCH", path, manifest, content_type=APPLY, **query)


@pytest.mark.usefixtures("celeryapp_crd", "keda_crds")
@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", [*BASES, "all", "all, unrendered"])
def test_every_name_is_an_objects_and_every_selector_finds_its_pods(place, bases, name, overlay, tmp_path):
    base = written(bases[name])
    change, is_changed = OVERLAYS[overlay]
    manifests = built(place, bases[name], tmp_path, dict(change(base)))
    is_changed(manifests, base)

    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {place.namespace}
    assert {*named(manifests)} - {key(manifest) for manifest in manifests} == set()
    assert selectors(manifests) == selectors(base)
    with ThreadPoolExecutor(4) as requests:
        answers = requests.map(lambda manifest: tried(place, manifest).accepted(), manifests)
        assert {answer.warnings for answer in answers} <= {()}
