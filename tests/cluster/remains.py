"""What is left of an installation."""

import re

from cluster import Cluster


def remains(cluster: Cluster) -> list[str]:
    """Return all that names the reconciler or grants something to it."""
    found = []
    for group, kinds in (
        ("/apis/rbac.authorization.k8s.io/v1", ("clusterroles", "clusterrolebindings", "roles", "rolebindings")),
        ("/apis/admissionregistration.k8s.io/v1", ("validatingadmissionpolicies", "validatingadmissionpolicybindings")),
        ("/apis/scheduling.k8s.io/v1", ("priorityclasses",)),
        ("/apis/apiextensions.k8s.io/v1", ("customresourcedefinitions",)),
        ("/api/v1", ("namespaces", "serviceaccounts")),
    ):
        for kind in kinds:
            for each in cluster.request("GET", f"{group}/{kind}").accepted().body["items"]:
                subjects = {subject["name"] for subject in each.get("subjects") or ()}
                name = each["metadata"]["name"]
                if re.match("celery", name) or "celery-reconcile" in subjects:
                    found.append(f"{kind}/{name}")
    return found
