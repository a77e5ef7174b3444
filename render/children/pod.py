"""What all Deployments share: metadata, and the pod with safe defaults and the user's fields over them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from render import naming, quantity
from render.children import connection, start
from render.model import CeleryApp, Component, Manifest

POD_FIELDS = (
    *("imagePullSecrets", "serviceAccountName", "nodeSelector", "tolerations", "affinity"),
    *("priorityClassName", "runtimeClassName", "schedulerName", "hostAliases", "dnsPolicy", "dnsConfig"),
)
CONTAINER_FIELDS = ("imagePullPolicy", "workingDir", "envFrom", "resources", "lifecycle")

_DIVISOR = ("resourceFieldRef", "divisor")
QUANTITIES = tuple(
    (*place, *path)
    for place, paths in (
        (("initContainers", "*"), (("env", "*", "valueFrom", *_DIVISOR), ("resources", "*", "*"))),
        (("containers", "*"), (("env", "*", "valueFrom", *_DIVISOR), ("resources", "*", "*"))),
        (("volumes", "*", "emptyDir"), (("sizeLimit",),)),
        (("volumes", "*", "ephemeral", "volumeClaimTemplate", "spec"), (("resources", "*", "*"),)),
        (("volumes", "*", "downwardAPI", "items", "*"), (_DIVISOR,)),
        (("volumes", "*", "projected", "sources", "*", "downwardAPI", "items", "*"), (_DIVISOR,)),
    )
    for path in paths
)
"""Where quantities stand in a pod; * is every key, or every item. `resources.claims` has none: names are left alone."""


class Volume(NamedTuple):
    """A volume that a component needs, and where; left out where the user mounts something else."""

    name: str
    path: str
    source: Manifest
    sub_path: str | None = None


NO_SERVICE_ACCOUNT: Manifest = {
    "serviceAccountName": "default",  # left out, it would stay what it was: its deprecated twin serviceAccount keeps it
    "automountServiceAccountToken": False,
}
TMP = Volume("celery-tmp", "/tmp", {"emptyDir": {}})  # noqa: S108 (a volume: so that the root can be read-only)


NONE: Mapping[str, str] = MappingProxyType({})


def metadata(
    app: CeleryApp, component: str, annotations: Mapping[str, str] = NONE, labels: Mapping[str, str] = NONE
) -> Manifest:
    """Return the metadata of the component's child, with annotations and labels of its own over those of all."""
    given = {"labels": {**app.spec.get("labels", {}), **labels}}
    return _metadata(app, component, given, {**app.spec.get("annotations", {}), **annotations})


def _metadata(app: CeleryApp, component: str, given: Mapping[str, Any], annotations: Mapping[str, str]) -> Manifest:
    return {
        "name": naming.derived(app.name, component),
        **({"namespace": app.namespace} if app.namespace else {}),
        "labels": {**given.get("labels", {}), **naming.labels(app.name, component)},
        **({"annotations": dict(annotations)} if annotations else {}),
    }


def deployment(app: CeleryApp, component: Component, template: Manifest, **spec: Any) -> Manifest:
    """Return the Deployment of the component's pods."""
    selector = {"matchLabels": naming.selector(app.name, component.name)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(app, component.name, component.spec, component.spec.get("annotations", {})),
        "spec": {**spec, "selector": selector, "template": template},
    }


def template(app: CeleryApp, component: Component, container: Manifest, volumes: Iterable[Volume]) -> Manifest:
    """Return the pod: the container as far as the component knows it, and everything that holds for all of them."""
    spec = component.spec
    mounted = {mount["mountPath"].rstrip("/") for mount in spec.get("volumeMounts", ())}
    needed = (*volumes, *_connecting(app), TMP)
    ours = {volume.path: volume for volume in needed if volume.path not in mounted}.values()
    init = [_unprivileged(_init_container(app, spec, each)) for each in spec.get("initContainers", ())]
    used = {name for each in (spec, *init) for name in _volumes_of(each)}
    pod = {
        "enableServiceLinks": False,  # a Service named flower would set FLOWER_PORT=tcp://…
        # As pid 1 Celery would never get a SIGTERM that comes while the app is still imported: pid_namespaces(7).
        "shareProcessNamespace": True,
        **({} if "serviceAccountName" in spec else NO_SERVICE_ACCOUNT),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **spec.get("podSecurityContext", {})},
        **_given(spec, POD_FIELDS),
        **_spread(app, component),
        **({"initContainers": init} if init else {}),
        "containers": [_container(app, spec, container, ours)],
        "volumes": [
            *{volume.name: {"name": volume.name, **volume.source} for volume in ours}.values(),
            # A claim that nobody mounts would still tie the pod to its zone, and keep it waiting while it is missing.
            *(volume for volume in spec.get("volumes", ()) if volume["name"] in used),
        ],
    }
    annotations = {"annotations": dict(spec["podAnnotations"])} if spec.get("podAnnotations") else {}
    labels = {**spec.get("podLabels", {}), **naming.pod_labels(app.name, component.name)}
    return {"metadata": {"labels": labels, **annotations}, "spec": canonical(pod, QUANTITIES, quantity.requested)}


def in_pod(app: CeleryApp, names: Iterable[str]) -> list[Volume]:
    """Return files of render/in_pod.

    By subPath, so that a running pod keeps those that it began with: a check that came with a newer release must not
    judge the heartbeat of an older one.
    """
    source = {"configMap": {"name": naming.derived(app.name, naming.PROBE)}}
    return [Volume("celery-probe", f"{naming.PROBE_PATH}/{name}", source, sub_path=name) for name in names]


def canonical(
    value: Any, paths: Iterable[tuple[str, ...]] = (), spelled: Callable[[str | int], str] = quantity.canonical
) -> Any:
    """Return a copy that shares nothing, with the quantities at the paths as the API server writes them."""
    inside = [path for path in paths if path]
    if isinstance(value, dict):
        return {
            key: canonical(item, [path[1:] for path in inside if path[0] in (key, "*")], spelled)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [canonical(item, [path[1:] for path in inside if path[0] == "*"], spelled) for item in value]
    return spelled(value) if () in paths else value


def _connecting(app: CeleryApp) -> list[Volume]:
    """Return what leads to the broker; certificates not by subPath, so that new ones come into running pods."""
    sources = connection.certificates(app)
    certificates = [Volume("celery-tls", naming.TLS_PATH, {"projected": {"sources": sources}})] if sources else []
    return [*in_pod(app, connection.files(app)), *certificates]


def _mounts(volumes: Iterable[Volume]) -> list[Manifest]:
    return [
        {"name": volume.name, "mountPath": volume.path, **({"subPath": volume.sub_path} if volume.sub_path else {})}
        for volume in volumes
    ]


def _container(app: CeleryApp, spec: Mapping[str, Any], container: Manifest, ours: Iterable[Volume]) -> Manifest:
    env = [*connection.environment(app), *container.get("env", ()), *spec.get("env", ())]
    ports = [*container.get("ports", ()), *spec.get("ports", ())]
    return {
        "name": container["name"],
        "image": spec["image"],
        **{field: value for field, value in container.items() if field not in ("env", "ports")},
        **({"ports": ports} if ports else {}),
        **({"env": env} if env else {}),
        **_given(spec, CONTAINER_FIELDS),
        "securityContext": _security(spec.get("securityContext", {})),
        "volumeMounts": [*_mounts(ours), *spec.get("volumeMounts", ())],
    }


def _volumes_of(container: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the volumes that the container mounts, or takes variables from."""
    for mount in container.get("volumeMounts", ()):
        yield mount["name"]
    for entry in container.get("env", ()):
        if (key := entry.get("valueFrom", {}).get("fileKeyRef")) is not None:
            yield key["volumeName"]


def _init_container(app: CeleryApp, spec: Mapping[str, Any], given: Mapping[str, Any]) -> Manifest:
    """Return the init container; one of an image of the app has its component's environment, under what it names.

    Its command is launched as Celery is; the image's ENTRYPOINT, which nobody knows here, is not.
    """
    image = given.get("image", spec["image"])
    if image not in (spec["image"], app.spec["image"]):
        return dict(given)
    home = spec if image == spec["image"] else app.spec  # which says where things are in that image
    env = {
        entry["name"]: entry for entry in (*connection.environment(app), *spec.get("env", ()), *given.get("env", ()))
    }
    env_from = [*spec.get("envFrom", ()), *given.get("envFrom", ())]
    mounts = [*_mounts(_connecting(app)), *given.get("volumeMounts", ())]
    return {
        **given,
        **_given({**home, **given}, ("workingDir",)),
        "image": image,
        **({"command": [*start.launcher(app, home), *given["command"]]} if "command" in given else {}),
        **({"env": list(env.values())} if env else {}),
        **({"envFrom": env_from} if env_from else {}),
        **({"volumeMounts": mounts} if mounts else {}),
    }


def _unprivileged(container: Manifest) -> Manifest:
    """Return the init container with the defaults of Celery's own; what it says itself stays as it is.

    Laid over the defaults, `securityContext: {runAsUser: 0}` would be a root that may not even `chown`.
    """
    return container if "securityContext" in container else {**container, "securityContext": _security({})}


def _security(given: Mapping[str, Any]) -> Manifest:
    """Return the given settings over the strictest, but for what contradicts them: the API server refuses both."""
    capabilities = {"drop": ["ALL"], **given.get("capabilities", {})}
    needs_more = given.get("privileged") or "CAP_SYS_ADMIN" in capabilities.get("add", ())
    return {**({} if needs_more else {"allowPrivilegeEscalation": False}), **given, "capabilities": capabilities}


def _spread(app: CeleryApp, component: Component) -> Manifest:
    """Return the spread constraints; one without a selector would count no pod at all, so it counts the component's."""
    selector = {"labelSelector": {"matchLabels": naming.selector(app.name, component.name)}}
    constraints = [{**selector, **constraint} for constraint in component.spec.get("topologySpreadConstraints", ())]
    return {"topologySpreadConstraints": constraints} if constraints else {}


def _given(spec: Mapping[str, Any], fields: Iterable[str]) -> Manifest:
    return {field: spec[field] for field in fields if field in spec}
