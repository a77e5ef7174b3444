"""What all Deployments share: metadata, and the pod with safe defaults and the user's fields over them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from render import naming, quantity
from render.children import connection
from render.model import CeleryApp, Component, Manifest

POD_FIELDS = (
    *("imagePullSecrets", "initContainers", "serviceAccountName", "nodeSelector", "tolerations", "affinity"),
    *("priorityClassName", "runtimeClassName", "schedulerName", "hostAliases", "dnsPolicy", "dnsConfig"),
)
CONTAINER_FIELDS = ("imagePullPolicy", "envFrom", "resources", "lifecycle")

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


def metadata(app: CeleryApp, component: str) -> Manifest:
    """Return the metadata of the component's child."""
    namespace = {"namespace": app.namespace} if app.namespace else {}
    return {"name": naming.derived(app.name, component), **namespace, "labels": naming.labels(app.name, component)}


def deployment(app: CeleryApp, component: Component, template: Manifest, **spec: Any) -> Manifest:
    """Return the Deployment of the component's pods."""
    selector = {"matchLabels": naming.selector(app.name, component.name)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(app, component.name),
        "spec": {**spec, "selector": selector, "template": template},
    }


def template(
    app: CeleryApp, component: Component, container: Manifest, volumes: Iterable[Volume], *, imports: bool = False
) -> Manifest:
    """Return the pod: the container as far as the component knows it, and everything that holds for all of them.

    If it imports a module of ours, Python must find that.
    """
    modules, spec = connection.files(app), component.spec
    if imports or modules:
        spec = {**spec, "env": _with_python_path(spec.get("env", ()))}
    mounted = {mount["mountPath"].rstrip("/") for mount in spec.get("volumeMounts", ())}
    needed = (*volumes, *in_pod(app, modules), *_certificates(app), TMP)
    ours = [volume for volume in needed if volume.path not in mounted]
    pod = {
        "enableServiceLinks": False,  # a Service named flower would set FLOWER_PORT=tcp://…
        # As pid 1 Celery would never get a SIGTERM that comes while the app is still imported: pid_namespaces(7).
        "shareProcessNamespace": True,
        **({} if "serviceAccountName" in spec else NO_SERVICE_ACCOUNT),
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **spec.get("podSecurityContext", {})},
        **_given(spec, POD_FIELDS),
        **_spread(app, component),
        "containers": [_container(app, spec, container, ours)],
        "volumes": [
            *{volume.name: {"name": volume.name, **volume.source} for volume in ours}.values(),
            *spec.get("volumes", ()),
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


def _certificates(app: CeleryApp) -> list[Volume]:
    """Return the certificates and keys of the connections: not by subPath, so that new ones come into running pods."""
    sources = connection.certificates(app)
    return [Volume("celery-tls", naming.TLS_PATH, {"projected": {"sources": sources}})] if sources else []


def _with_python_path(env: Iterable[Manifest]) -> list[Manifest]:
    """Return the variables with our folder at the end of PYTHONPATH, behind what the user has there."""
    found = [entry for given in env for entry in _joined(given)]
    ours = {"name": "PYTHONPATH", "value": naming.PROBE_PATH}
    return found if any(entry["name"] == "PYTHONPATH" for entry in found) else [ours, *found]


def _joined(entry: Manifest) -> list[Manifest]:
    """Return the variable; PYTHONPATH with our folder behind, by way of a second one if it has no plain value."""
    if entry["name"] != "PYTHONPATH":
        return [entry]
    if "valueFrom" not in entry:
        return [{**entry, "value": ":".join(filter(None, (entry.get("value"), naming.PROBE_PATH)))}]
    given = {**entry, "name": "APP_PYTHONPATH"}
    return [given, {"name": "PYTHONPATH", "value": f"$(APP_PYTHONPATH):{naming.PROBE_PATH}"}]


def _container(app: CeleryApp, spec: Mapping[str, Any], container: Manifest, ours: list[Volume]) -> Manifest:
    mounts = [
        {"name": volume.name, "mountPath": volume.path, **({"subPath": volume.sub_path} if volume.sub_path else {})}
        for volume in ours
    ]
    env = [*connection.environment(app), *container.get("env", ()), *spec.get("env", ())]
    return {
        "name": container["name"],
        "image": spec["image"],
        "command": ["celery"],  # never through a shell: it would keep SIGTERM from Celery, and run what it is given
        **{field: value for field, value in container.items() if field != "env"},
        **({"env": env} if env else {}),
        **_given(spec, CONTAINER_FIELDS),
        "securityContext": _security(spec.get("securityContext", {})),
        "volumeMounts": [*mounts, *spec.get("volumeMounts", ())],
    }


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
