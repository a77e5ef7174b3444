"""Which fields of the kinds that kustomize does not know name another object, or an image. Pure.

A base that holds such kinds carries this for its overlays: without it a prefix, the hash of a generated Secret or a new
tag would reach a Deployment, but not the CeleryApp or ScaledObject beside it. What kustomize knows of a Deployment is
told of a CeleryApp, no more.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from render.model import Manifest

Paths = Mapping[str, tuple[str, ...]]
"""By the kind of the object that is named, the paths of the fields; a step into a list looks like any other."""


class Fields(NamedTuple):
    """The fields of one kind."""

    names: Paths
    images: tuple[str, ...] = ()


VERSIONS = {"ConfigMap": "v1", "PersistentVolumeClaim": "v1", "Secret": "v1", "ServiceAccount": "v1"}
"""As kustomize's own configuration has them, with which this one is merged."""

COMPONENTS = ("spec", "spec/workers", "spec/beat", "spec/flower")
COMMON_NAMES: Paths = {
    "ConfigMap": (
        "env/valueFrom/configMapKeyRef/name",
        "envFrom/configMapRef/name",
        "initContainers/env/valueFrom/configMapKeyRef/name",
        "initContainers/envFrom/configMapRef/name",
        "volumes/configMap/name",
        "volumes/projected/sources/configMap/name",
    ),
    "PersistentVolumeClaim": ("volumes/persistentVolumeClaim/claimName",),
    "PriorityClass": ("priorityClassName",),
    "Secret": (
        "env/valueFrom/secretKeyRef/name",
        "envFrom/secretRef/name",
        "imagePullSecrets/name",
        "initContainers/env/valueFrom/secretKeyRef/name",
        "initContainers/envFrom/secretRef/name",
        "volumes/projected/sources/secret/name",
        "volumes/secret/secretName",
    ),
    "ServiceAccount": ("serviceAccountName",),
}
COMMON_IMAGES = ("image", "initContainers/image", "volumes/image/reference")
CONNECTIONS = ("spec/broker", "spec/resultBackend")
CONNECTION_SECRETS = (
    *("urlFrom", "usernameFrom", "passwordFrom", "sentinel/passwordFrom"),
    *("tls/caFrom", "tls/certFrom", "tls/keyFrom"),
)
OWN_NAMES: Paths = {
    "IngressClass": ("spec/flower/ingress/className",),
    "PersistentVolumeClaim": ("spec/beat/storage/existingClaim", "spec/flower/persistence/existingClaim"),
    "ConfigMap": tuple(f"{connection}/tls/caFrom/configMapKeyRef/name" for connection in CONNECTIONS),
    "Secret": (
        *(f"{connection}/{field}/secretKeyRef/name" for connection in CONNECTIONS for field in CONNECTION_SECRETS),
        "spec/flower/auth/basicAuth/secretKeyRef/name",
        "spec/flower/auth/oauth/clientIdFrom/secretKeyRef/name",
        "spec/flower/auth/oauth/clientSecretFrom/secretKeyRef/name",
        "spec/flower/auth/oauth/cookieSecretFrom/secretKeyRef/name",
        "spec/flower/brokerApiFrom/secretKeyRef/name",
        "spec/flower/ingress/tlsSecretName",
    ),
    "StorageClass": ("spec/beat/storage/storageClassName", "spec/flower/persistence/storageClassName"),
    "TriggerAuthentication": (
        "spec/workers/scaling/keda/authenticationRef/name",
        "spec/workers/scaling/keda/triggers/authenticationRef/name",
    ),
}


def _in_every_component(fields: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{component}/{field}" for component in COMPONENTS for field in fields)


CELERY_APP = Fields(
    names={
        kind: (*_in_every_component(COMMON_NAMES.get(kind, ())), *OWN_NAMES.get(kind, ()))
        for kind in sorted({*COMMON_NAMES, *OWN_NAMES})
    },
    images=_in_every_component(COMMON_IMAGES),
)
SCALED_OBJECT = Fields(
    {
        "Deployment": ("spec/scaleTargetRef/name",),
        "TriggerAuthentication": ("spec/triggers/authenticationRef/name",),
    }
)
TRIGGER_AUTHENTICATION = Fields(
    {"ConfigMap": ("spec/configMapTargetRef/name",), "Secret": ("spec/secretTargetRef/name",)}
)

KINDS = {
    "celeryproject.org": {"CeleryApp": CELERY_APP},
    "keda.sh": {"ScaledObject": SCALED_OBJECT, "TriggerAuthentication": TRIGGER_AUTHENTICATION},
}


def configuration(groups: Iterable[str]) -> Manifest | None:
    """Return what kustomize must be told of API groups, in the shape of its `configurations`; None if it is nothing."""
    kinds = {kind: fields for group in sorted({*groups} & KINDS.keys()) for kind, fields in KINDS[group].items()}
    named = sorted({name for fields in kinds.values() for name in fields.names})
    references = [
        {
            "kind": name,
            **({"version": VERSIONS[name]} if name in VERSIONS else {}),
            "fieldSpecs": [
                {"path": path, "kind": kind} for kind, fields in kinds.items() for path in fields.names.get(name, ())
            ],
        }
        for name in named
    ]
    images = [{"path": path, "kind": kind} for kind, fields in kinds.items() for path in fields.images]
    return {"nameReference": references, **({"images": images} if images else {})} if kinds else None
