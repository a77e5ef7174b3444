"""The nouns that more than one room knows. Pure values: no clock, no cluster."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from render import naming

Manifest = dict[str, Any]
"""A Kubernetes object as plain JSON values."""

FIELD_MANAGER = "celery-reconcile"
APP_LABEL = naming.APP_LABEL


class Kind(NamedTuple):
    """A kind of object and where the API server keeps it. All of ours but namespaces are in one."""

    api_version: str
    name: str
    plural: str
    optional: bool = False
    """Its CRD may be absent: then there are simply no such objects."""
    installed_by: str = ""
    """What brings a kind that Kubernetes does not have."""

    @property
    def resource(self) -> str:
        """`deployments.apps`, as RBAC and `kubectl` write it."""
        group, slash, _ = self.api_version.partition("/")
        return f"{self.plural}.{group}" if slash else self.plural

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """Return the path of the object, of all in the namespace, or of all there are."""
        parts = [f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"]
        parts += [f"namespaces/{namespace}"] if namespace else []
        return "/".join([*parts, self.plural, *filter(None, [name])])


KEDA = "install KEDA, see https://keda.sh/docs/latest/deploy/"
CELERY_APP = Kind(
    "celeryproject.org/v1alpha1",
    "CeleryApp",
    "celeryapps",
    installed_by="install the CRD: celery-render --crd | kubectl apply --server-side -f -",
)
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
PERSISTENT_VOLUME_CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
SERVICE = Kind("v1", "Service", "services")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
POD_DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
INGRESS = Kind("networking.k8s.io/v1", "Ingress", "ingresses")
HORIZONTAL_POD_AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
TRIGGER_AUTHENTICATION = Kind(
    "keda.sh/v1alpha1", "TriggerAuthentication", "triggerauthentications", optional=True, installed_by=KEDA
)
SCALED_OBJECT = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects", optional=True, installed_by=KEDA)
EVENT = Kind("events.k8s.io/v1", "Event", "events")
POD = Kind("v1", "Pod", "pods")
NAMESPACE = Kind("v1", "Namespace", "namespaces")
POD_METRICS = Kind("metrics.k8s.io/v1beta1", "PodMetrics", "pods")
SECRET = Kind("v1", "Secret", "secrets")
TOKEN_REVIEW = Kind("authentication.k8s.io/v1", "TokenReview", "tokenreviews")
SUBJECT_ACCESS_REVIEW = Kind("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")

CHILD_KINDS = (
    CONFIG_MAP,
    PERSISTENT_VOLUME_CLAIM,
    SERVICE,
    DEPLOYMENT,
    POD_DISRUPTION_BUDGET,
    NETWORK_POLICY,
    INGRESS,
    HORIZONTAL_POD_AUTOSCALER,
    TRIGGER_AUTHENTICATION,
    SCALED_OBJECT,
)
"""In the order in which children are applied."""
RANK = {kind.name: rank for rank, kind in enumerate(CHILD_KINDS)}

_KINDS = {(kind.api_version, kind.name): kind for kind in (CELERY_APP, *CHILD_KINDS, EVENT, LEASE, POD, SECRET)}


def installed_by(path: str) -> str:
    """Return what brings the kind that the API server keeps at such a path; empty for Kubernetes' own."""
    return next((kind.installed_by for kind in _KINDS.values() if path.startswith(f"/apis/{kind.api_version}/")), "")


class Ref(NamedTuple):
    """Which object: the identity the whole program keys on."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        metadata = manifest["metadata"]
        return cls(manifest["apiVersion"], manifest["kind"], metadata["namespace"], metadata["name"])

    @property
    def path(self) -> str:
        """Where the API server keeps it. Raises KeyError for a kind that is none of ours."""
        return f"{self.collection}/{quote(self.name, safe='')}"

    @property
    def collection(self) -> str:
        """Where all of its kind in its namespace are."""
        return _KINDS[self.api_version, self.kind].path(self.namespace)

    def __str__(self) -> str:
        """Return `Deployment/shop/shop-worker`."""
        return f"{self.kind}/{self.namespace}/{self.name}"


class Outcome(StrEnum):
    """What became of a child; one word, in logs, metrics, Events and tests alike."""

    @property
    def writes(self) -> bool:
        """Say whether a child was made, changed or removed; scaling is told apart."""
        return self in (Outcome.CREATED, Outcome.CONFIGURED, Outcome.DELETED)

    CREATED = "created"
    CONFIGURED = "configured"
    SCALED = "scaled"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    SKIPPED = "skipped"  # a safety rule held it back; the message says which
    FAILED = "failed"  # the API server did not do it; the message says why


class Change(NamedTuple):
    """One field that differs: `spec.template.spec.containers[0].image`. A field that is not there is None."""

    path: str
    before: Any
    after: Any


def paths(changes: Iterable[Change]) -> list[str]:
    """Return the fields that change; an object that comes or goes as a whole has none."""
    return [change.path for change in changes if change.path]


class Unready(NamedTuple):
    """A pod that is not ready, and why."""

    pod: Ref
    reason: str = ""
    """One word of Kubernetes' own, such as ImagePullBackOff; empty if only the pod's Events tell."""
    message: str = ""
    since: datetime | None = None
    """Of one that does not say why."""
    asks: tuple[str, ...] = ()
    """Reasons of Events that tell."""


class StepResult(NamedTuple):
    """What became of one child, in a dry run: what would."""

    ref: Ref
    outcome: Outcome
    message: str = ""
    changes: tuple[Change, ...] = ()


class Verdict(NamedTuple):
    """Why an app is not as it is asked to be: one reason for machines, one message for people."""

    reason: str
    message: str
    is_stalled: bool = False
    """Waiting does not help: somebody has to change something."""
    retry_after_seconds: float = 0.0


class Condition(NamedTuple):
    type: str
    status: str
    reason: str
    message: str


class Scaling(NamedTuple):
    """What is said about the scaling of one group."""

    message: str
    conditions: tuple[Condition, ...]
    wait_seconds: int | None = None
    """About how long a message that comes now waits; None if that is not known."""

    @property
    def inactive(self) -> str:
        """Why it is not scaled, be that wanted or not; empty if it is."""
        off = (each.message for each in self.conditions if each.type == "ScalingActive" and each.status == "False")
        return next(off, "")

    @property
    def is_failing(self) -> bool:
        """Say whether it cannot be scaled, though nobody has switched that off."""
        return any(
            each.type == "ScalingActive" and each.status == "False" and each.reason != "ScalingDisabled"
            for each in self.conditions
        )


class Moment(NamedTuple):
    """Now, by two clocks."""

    wall: datetime
    """What others write into their timestamps. It may jump."""
    steady: datetime
    """What time is measured by: it never jumps."""


@dataclass(frozen=True)
class AppResult:
    """What became of one app when it was last looked at."""

    app: Ref
    steps: tuple[StepResult, ...] = ()
    """Without the unchanged ones: a steady app has none."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Type to status as now reported: {"Ready": "True", …}; of an app that is Off that alone: {"Off": "True"}."""
    problem: str = ""
    """Why the app could not be served; it is tried again later."""
    scaling: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of each group that is scaled: the `replicas` decided on, and what was seen."""
    contradicted: int = 0
    """How many of its children somebody else changes again and again."""
