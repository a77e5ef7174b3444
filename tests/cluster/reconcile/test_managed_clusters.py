"""What managed clusters change of an app's children on their way in: it stays, nobody fights, and the app is served.

A real webhook, and Kubernetes' own policies, do what the providers' do. What that is, and where they say so:
docs/kubernetes.md.
"""

from pathlib import Path

import admission
import pytest
import yaml
from admission import Refused

from reconciler.cluster.live import stable

pytest_plugins = "reconciling"

BASE = Path(__file__).parents[3] / "kustomize/base"

RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
WHOLE = {
    "resources": RESOURCES,
    "workers": [
        {"name": "worker", "queues": ["celery"], "replicas": 2, "env": [{"name": "A", "value": "1"}]},
        {
            "name": "mail",
            "queues": ["mail"],
            "tolerations": [{"key": "batch", "operator": "Exists"}],
            "disruptionBudget": {"maxUnavailable": 1},
            "scaling": {"engine": "HPA", "maxReplicas": 3, "cpu": {"averageUtilization": 60}},
        },
    ],
    "beat": {"storage": {"size": "1Gi"}},
    "flower": {},
}
WORKER = "Deployment shop-worker"
ROUNDS = 3


# What each does, to an object on its way in.


def pod(thing):
    """Return the pod of an object that describes one."""
    found = thing["spec"].get("template") if thing["kind"] == "Deployment" else thing
    return found if thing["kind"] in ("Deployment", "Pod") else None


def containers(thing):
    return pod(thing)["spec"]["containers"] if pod(thing) else []


def annotate(thing, name, text):
    thing["metadata"].setdefault("annotations", {})[name] = text


def add(items, key, item):
    """Put an item into a list that has none of this key yet."""
    if all(each.get(key) != item[key] for each in items):
        items.append(item)


def eks(thing):
    """Give pods the credentials of their service account."""
    if thing["kind"] != "Pod":
        return
    token = {"serviceAccountToken": {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"}}
    add(thing["spec"].setdefault("volumes", []), "name", {"name": "aws-iam-token", "projected": {"sources": [token]}})
    for each in containers(thing):
        mount = {"name": "aws-iam-token", "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount"}
        add(each.setdefault("volumeMounts", []), "mountPath", mount | {"readOnly": True})
        add(each.setdefault("env", []), "name", {"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::1111:role/shop"})
        add(each["env"], "name", {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": f"{mount['mountPath']}/token"})


def gke(thing):
    """Annotate Services for load balancing by containers."""
    if thing["kind"] == "Service":
        annotate(thing, "cloud.google.com/neg", '{"ingress":true}')


def autopilot(thing):
    """Raise requests, make them the limits, add room on the disk, and say so."""
    for each in containers(thing):
        resources = each.setdefault("resources", {})
        requests = {"cpu": "500m", "memory": "2Gi", "ephemeral-storage": "1Gi"} | resources.get("requests", {})
        requests |= {"cpu": "250m", "memory": "256Mi"} if requests["cpu"] == "100m" else {}
        resources |= {"requests": requests, "limits": dict(requests)}
    if pod(thing):
        spec = pod(thing)["spec"]
        annotate(thing, "autopilot.gke.io/resource-adjusted", '{"modified":true}')
        toleration = {"key": "kubernetes.io/arch", "operator": "Equal", "value": "amd64", "effect": "NoSchedule"}
        add(spec.setdefault("tolerations", []), "key", toleration)
        spec.setdefault("securityContext", {}).setdefault("seccompProfile", {"type": "RuntimeDefault"})
    gke(thing)


def aks(thing):
    """Raise requests, spread over nodes, and tell pods where the API server is."""
    for each in containers(thing):
        requests = each.setdefault("resources", {}).setdefault("requests", {})
        requests |= {"cpu": "200m"} if requests.get("cpu", "100m") == "100m" else {}
    if thing["kind"] == "Deployment":
        spec = pod(thing)["spec"]
        labels = {"labelSelector": {"matchLabels": pod(thing)["metadata"]["labels"]}}
        spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"} | labels
        add(spec.setdefault("topologySpreadConstraints", []), "topologyKey", spread)
        term = {"weight": 100, "podAffinityTerm": labels | {"topologyKey": "kubernetes.io/hostname"}}
        spec.setdefault("affinity", {}).setdefault(
            "podAntiAffinity", {"preferredDuringSchedulingIgnoredDuringExecution": [term]}
        )
    if thing["kind"] == "Pod":
        for each in containers(thing):
            for name in ("KUBERNETES_PORT", "KUBERNETES_PORT_443_TCP", "KUBERNETES_SERVICE_HOST", "AZURE_CLIENT_ID"):
                add(each.setdefault("env", []), "name", {"name": name, "value": "shop.hcp.westeurope.azmk8s.io"})


UIDS = range(1000700000, 1000710000)


def openshift(thing):
    """Judge by the SecurityContextConstraints restricted-v2: user, group and SELinux level are the namespace's own."""
    if thing["kind"] != "Pod":
        return
    whole = thing["spec"].setdefault("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if thing["spec"].get(field):
            raise Refused(f"unable to validate against any security context constraint: [spec.{field}: not allowed]")
    if (group := whole.get("fsGroup", UIDS[0])) not in UIDS:
        raise Refused(f"unable to validate against any security context constraint: [.spec.fsGroup: {group}]")
    for number, each in enumerate(containers(thing)):
        own = each.setdefault("securityContext", {})
        if (user := own.get("runAsUser", whole.get("runAsUser", UIDS[0]))) not in UIDS:
            where = f".containers[{number}].runAsUser: Invalid value: {user}"
            words = f"must be in the ranges: [{UIDS[0]}, {UIDS[-1]}]"
            raise Refused(f"unable to validate against any security context constraint: [{where}: {words}]")
        own |= {"runAsUser": user, "runAsNonRoot": True, "allowPrivilegeEscalation": False}
        own["capabilities"] = {"drop": ["ALL"]}
    whole |= {"fsGroup": UIDS[0], "seLinuxOptions": {"level": "s0:c26,c25"}}
    whole.setdefault("seccompProfile", {"type": "RuntimeDefault"})
    annotate(thing, "openshift.io/scc", "restricted-v2")
    add(thing["spec"].setdefault("imagePullSecrets", []), "name", {"name": "default-dockercfg-x2v4t"})


def istio(thing):
    """Put a proxy beside the container."""
    if thing["kind"] != "Pod":
        return
    annotate(thing, "sidecar.istio.io/status", "{}")
    thing["metadata"]["labels"] |= {"service.istio.io/canonical-name": "shop", "security.istio.io/tlsMode": "istio"}
    proxy = {"name": "istio-proxy", "image": "registry.example.com/istio/proxyv2:1", "restartPolicy": "Always"}
    add(thing["spec"].setdefault("initContainers", []), "name", proxy)
    add(thing["spec"].setdefault("volumes", []), "name", {"name": "istio-envoy", "emptyDir": {"medium": "Memory"}})


def mirrored(thing):
    """Take images from the company's own registry, as policies do that hold for whatever describes a pod."""
    for each in containers(thing):
        each["image"] = each["image"].replace("registry.example.com/", "mirror.example.net/")


def labelled(thing):
    """Say of everything whose it is, and ship its logs."""
    thing["metadata"].setdefault("labels", {})["app.kubernetes.io/managed-by"] = "the-platform"
    if thing["kind"] == "Deployment":
        side = {"name": "log-shipper", "image": "registry.example.com/fluent-bit:1", "resources": {}}
        add(containers(thing), "name", side)


CHANGES = (eks, gke, autopilot, aks, openshift, istio, mirrored, labelled)


@pytest.fixture(params=CHANGES, ids=lambda each: each.__name__)
def change(request):
    return request.param


@pytest.fixture
def changed(change, shop, reconciler):
    """Return the whole shop, up and ready in such a cluster."""
    shop.provide("shop-beat")
    with admission.changing(shop.cluster, change):
        shop.take(**WHOLE)
        reconciler.until_ready()
        yield shop


def versions(shop):
    """Return what tells of each child that it was written, its status apart: older releases count fewer generations."""
    found = {name: shop.get(name) for name in shop.names()}
    return {name: each["metadata"].get("generation") or stable(each) for name, each in found.items()}


def assert_nothing_is_written(shop, reconciler):
    before = versions(shop)
    for _ in range(ROUNDS):
        reconciler.run()
        assert reconciler.written.keys() <= {"status"}  # an autoscaler's words may come late
    assert versions(shop) == before


def test_what_the_cluster_changes_is_never_written_again_nor_after_a_restart(changed, reconciler):
    assert_nothing_is_written(changed, reconciler)
    reconciler.restart()
    assert_nothing_is_written(changed, reconciler)


def test_what_a_person_changes_is_set_back_and_what_the_cluster_changed_stays(changed, reconciler):
    before = changed.children()
    changed.cluster.kubectl("set", "image", "deployment/shop-worker", "worker=registry.example.com/other:1")
    changed.cluster.kubectl("set", "env", "deployment/shop-worker", "BY_HAND=1", "A=2")
    assert changed.children() != before
    reconciler.until_ready()
    assert changed.children() == before
    assert_nothing_is_written(changed, reconciler)


def test_what_the_app_changes_arrives_once(changed, reconciler):
    changed.take(**WHOLE | {"image": "registry.example.com/shop:2"})
    reconciler.until_ready()
    [container, *_] = changed.get(WORKER)["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith("/shop:2")
    assert_nothing_is_written(changed, reconciler)


# What it makes of our own fields.


def warned(shop):
    found = [each for each in shop.live["status"]["conditions"] if each["type"] == "Warned"]
    return (found[0]["status"], found[0]["reason"], found[0]["message"]) if found else None


def test_what_it_makes_of_our_own_fields_is_said_until_the_app_says_so_itself(shop, reconciler):
    resources = "spec.template.spec.containers[0].resources"
    said = (
        f"the cluster changes {resources}.limits.memory, {resources}.requests.cpu of {WORKER} on the way in: "
        "by a webhook, a policy, or a feature gate that is off"
    )
    with admission.changing(shop.cluster, autopilot):
        shop.take(resources=RESOURCES)
        reconciler.until_ready()
        assert warned(shop) == ("True", "ChangedOnAdmission", said)
        reconciler.restart()
        reconciler.run()
        assert warned(shop) == ("True", "ChangedOnAdmission", said)
        assert reconciler.written == {}
        kept = {"cpu": "250m", "memory": "256Mi", "ephemeral-storage": "1Gi"}
        shop.take(resources={"requests": kept, "limits": kept})
        reconciler.until_ready()
        assert warned(shop)[:2] == ("False", "NothingKnown")


def test_what_it_only_adds_is_not_spoken_of(shop, reconciler):
    with admission.changing(shop.cluster, gke):
        shop.take(flower={})
        reconciler.until_ready()
        assert warned(shop) is None


# Kubernetes' own policies, and what is refused.

POLICIES = "/apis/admissionregistration.k8s.io/v1"
POD = (
    "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{"
    "terminationGracePeriodSeconds: 300, containers: [Object.spec.template.spec.containers{"
    "name: 'log-shipper', image: 'registry.example.com/fluent-bit:1'}]}}}}"
)
ANNOTATION = "[JSONPatch{op: 'add', path: '/metadata/annotations', value: {'example.com/team': 'web'}}]"
MUTATIONS = [
    {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": POD}},
    {"patchType": "JSONPatch", "jsonPatch": {"expression": ANNOTATION}},
]


@pytest.fixture
def policy(cluster):
    """Return a function: a policy of this kind over the namespace's Deployments, in force."""
    made = []

    def policy(kind, **spec):
        known = {each["name"] for each in cluster.request("GET", POLICIES).accepted().body["resources"]}
        if f"{kind}admissionpolicies" not in known:
            pytest.skip(f"this release has no {kind} policies yet")
        rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"]}
        here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": cluster.namespace}}}
        spec |= {"matchConstraints": here | {"resourceRules": [rule]}, "failurePolicy": "Fail"}
        binding = {"policyName": cluster.namespace} | ({"validationActions": ["Deny"]} if kind == "validating" else {})
        for plural, its in ((f"{kind}admissionpolicies", spec), (f"{kind}admissionpolicybindings", binding)):
            manifest = {"metadata": {"name": cluster.namespace}, "spec": its}
            cluster.request("POST", f"{POLICIES}/{plural}", manifest).accepted()
            made.append(f"{POLICIES}/{plural}/{cluster.namespace}")
        probe = ("create", "deployment", "probe", "--image=any", "--dry-run=server", "--output=yaml")
        cluster.wait_until(lambda: "probe" not in (out := cluster.kubectl(*probe, check=False).stdout) or "team" in out)

    yield policy
    for path in made:
        cluster.request("DELETE", path).accepted()


def test_a_mutating_policy_is_never_fought_either(shop, reconciler, policy):
    policy("mutating", mutations=MUTATIONS, reinvocationPolicy="IfNeeded")
    shop.provide("shop-beat")
    shop.take(**WHOLE)
    reconciler.until_ready()
    live = shop.get("Deployment shop-mail")
    assert live["metadata"]["annotations"]["example.com/team"] == "web"
    assert live["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 300
    assert_nothing_is_written(shop, reconciler)
    reconciler.restart()
    assert_nothing_is_written(shop, reconciler)


def test_what_a_policy_refuses_is_said_in_its_words_and_the_rest_goes_on(shop, reconciler, policy):
    rule = {"expression": "object.metadata.name != 'shop-mail'", "message": "team web runs no mail"}
    policy("validating", validations=[rule, {"expression": "object.metadata.name != 'probe'"}])
    shop.provide("shop-beat")
    shop.take(**WHOLE)
    other = type(shop)(shop.cluster, "other")
    other.take()
    reconciler.run()
    status, reason, message = shop.ready
    assert (status, reason, shop.conditions["Stalled"]) == ("False", "Invalid", "True")
    assert "team web runs no mail" in message
    assert {"Deployment shop-worker", "Deployment shop-beat", "Deployment shop-flower"} < shop.names()
    assert {"Deployment shop-mail", "HorizontalPodAutoscaler shop-mail"}.isdisjoint(shop.names())
    shop.cluster.wait_until(lambda: reconciler.run() and other.ready[0] == "True" and not reconciler.written)


def test_what_a_webhook_refuses_is_said_in_its_words_and_the_rest_goes_on(shop, reconciler):
    def refuses(thing):
        if thing["metadata"].get("name") == "shop-flower" and thing["kind"] == "Service":
            raise Refused("[no-services] a Service needs an owner")

    with admission.changing(shop.cluster, refuses):
        shop.take(flower={})
        reconciler.run()
        status, reason, message = shop.ready
        assert (status, reason, shop.conditions["Stalled"]) == ("False", "Forbidden", "True")
        assert "[no-services] a Service needs an owner" in message
        assert {"Deployment shop-worker", "Deployment shop-flower"} < shop.names()


def test_a_user_of_its_own_is_refused_by_openshift_and_it_is_said(shop, reconciler):
    with admission.changing(shop.cluster, openshift):
        shop.take(podSecurityContext={"runAsUser": 1000})
        shop.cluster.wait_until(lambda: reconciler.run() and "constraint" in shop.ready[2])
        assert "containers[0].runAsUser: Invalid value: 1000: must be in the ranges" in shop.ready[2]
        assert_nothing_is_written(shop, reconciler)
        shop.take(podSecurityContext={"runAsNonRoot": True})
        reconciler.until_ready()


def test_the_reconciler_itself_runs_under_openshifts_constraints(installed, cluster):
    base = yaml.load_all(installed.kubectl("kustomize", BASE).stdout, yaml.CSafeLoader)
    [deployment] = [each for each in base if each["kind"] == "Deployment"]
    deployment["metadata"]["namespace"] = cluster.namespace
    with admission.changing(cluster, openshift):
        cluster.apply(deployment).accepted()
        cluster.wait_until(lambda: cluster.is_rolled_out(deployment))
        assert {pod["spec"]["containers"][0]["securityContext"]["runAsUser"] for pod in cluster.pods()} == {UIDS[0]}
