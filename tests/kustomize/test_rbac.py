"""What the reconciler may do, against what it knows of. That it suffices, a real API server says in tests/cluster."""

from itertools import product
from pathlib import Path

import yaml

from reconciler import model

BASE = Path(__file__).parents[2] / "kustomize/base"
MANIFESTS = {
    (manifest["kind"], manifest["metadata"]["name"]): manifest
    for manifest in yaml.safe_load_all((BASE / "rbac.yaml").read_text())
}
OBSERVED = {"list", "watch"}
OWNED = OBSERVED | {"get", "create", "patch", "delete"}


def test_each_kind_is_granted_with_what_is_done_to_it_and_nothing_else():
    assert granted("ClusterRole", "celery-reconcile") == {
        **{kind.resource: OWNED for kind in model.CHILD_KINDS},
        "persistentvolumeclaims": OWNED - {"delete"},
        "celeryapps.celeryproject.org": OBSERVED,
        "celeryapps/status.celeryproject.org": {"patch"},
        "celeryapps/finalizers.celeryproject.org": {"update"},
        "events.events.k8s.io": {"list", "create", "patch"},
        "deployments/scale.apps": {"patch"},
        "pods": OBSERVED | {"patch"},
        "pods.metrics.k8s.io": {"list"},
    }


def test_the_lease_is_in_its_own_namespace():
    assert granted("Role", "celery-reconcile-lease") == {
        "leases.coordination.k8s.io": {"create"},
        "leases.coordination.k8s.io/celery-reconcile": {"get", "update"},
    }


def granted(kind, name):
    """Return the verbs by resource, as `deployments.apps`, with the object's name where it is limited to one."""
    verbs = {}
    for rule in MANIFESTS[kind, name]["rules"]:
        for group, resource in product(rule["apiGroups"], rule["resources"]):
            full = f"{resource}.{group}" if group else resource
            for only in rule.get("resourceNames", [None]):
                verbs[f"{full}/{only}" if only else full] = set(rule["verbs"])
    return verbs
