"""The app with the most for rules to walk: every list that one of them reads is as long as the CRD lets it be. Pure."""

from typing import Any

from render import schema

Json = dict[str, Any]

SPEC = schema.load().structural["properties"]["spec"]["properties"]
GROUP = SPEC["workers"]["items"]["properties"]
SHARED, OWN = "shared", "own"


def app() -> Json:
    """Return it. Each of its mounts names the volume that is looked at last, none lacks one."""
    parts = {name: _pod(OWN) | _arguments(SPEC[name]["properties"]) for name in ("beat", "flower")}
    group = _pod(OWN) | _arguments(GROUP) | {"queues": ["celery"]}
    spec = {
        "image": "registry.example.com/shop:1",
        "app": "shop",
        "broker": {"url": "redis://redis"},
        "resultBackend": {"url": "redis://redis"},
        "workers": [{"name": f"group-{number}"} | group for number in range(SPEC["workers"]["maxItems"])],
    }
    head = {"apiVersion": schema.load().group_version, "kind": schema.load().kind, "metadata": {"name": "shop"}}
    return head | {"spec": spec | _pod(SHARED) | parts}


def _pod(volumes: str) -> Json:
    last = f"{SHARED}-{SPEC['volumes']['maxItems'] - 1}"
    return {
        "env": [{"name": f"NAME_{number}", "value": "x"} for number in range(SPEC["env"]["maxItems"])],
        **{key: _labels(SPEC[key]["maxProperties"]) for key in ("podLabels", "labels", "annotations")},
        "command": ["x"] * SPEC["command"]["maxItems"],
        "ports": [{"name": f"p{n}", "containerPort": 1 + n} for n in range(SPEC["ports"]["maxItems"])],
        "volumes": [{"name": f"{volumes}-{n}", "emptyDir": {}} for n in range(SPEC["volumes"]["maxItems"])],
        "volumeMounts": [{"name": last, "mountPath": f"/{n}"} for n in range(SPEC["volumeMounts"]["maxItems"])],
    }


def _labels(number: int) -> Json:
    return {f"example.com/{each}": "x" for each in range(number)}


def _arguments(fields: Json) -> Json:
    args = fields["args"]
    return {"args": [f"--{number:x>{args['items']['maxLength'] - 2}}" for number in range(args["maxItems"])]}
