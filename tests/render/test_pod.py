"""What every pod has: safe defaults, and the user's fields over them."""

import pytest

from render.children import pod


@pytest.fixture
def template(worker):
    def build(**fields):
        return worker(**fields)["spec"]["template"]

    return build


@pytest.fixture
def spec(template):
    def build(**fields):
        return template(**fields)["spec"]

    return build


def test_the_broker_and_the_result_backend_come_first_so_that_other_variables_can_name_them(worker, container):
    secret = {"secretKeyRef": {"name": "backend", "key": "url"}}
    found = worker(
        {"probe": {"type": "None"}},
        broker={"url": "redis://redis/0"},
        resultBackend={"urlFrom": secret},
        env=[{"name": "COPY", "value": "$(CELERY_BROKER_URL)"}],
    )
    assert container(found)["env"] == [
        {"name": "CELERY_BROKER_URL", "value": "redis://redis/0"},
        {"name": "CELERY_RESULT_BACKEND", "valueFrom": secret},
        {"name": "COPY", "value": "$(CELERY_BROKER_URL)"},
    ]


def test_the_fields_of_a_pod_go_where_core_v1_has_them(spec):
    container = {
        "imagePullPolicy": "Always",
        "envFrom": [{"secretRef": {"name": "s"}}],
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    }
    fields = {
        "imagePullSecrets": [{"name": "s"}],
        "initContainers": [{"name": "i", "image": "i", "securityContext": {}}],
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "p",
        "runtimeClassName": "r",
        "schedulerName": "s",
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["h"]}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.0.0.2"]},
    }
    found = spec(**container, **fields)
    assert found.items() >= fields.items()
    assert found["containers"][0].items() >= container.items()


def test_labels_and_annotations_of_the_user_are_on_the_pods_and_ours_win(template):
    found = template(podLabels={"team": "web", "app.kubernetes.io/name": "mine"}, podAnnotations={"a": "b"})
    assert found["metadata"]["annotations"] == {"a": "b"}
    assert found["metadata"]["labels"]["team"] == "web"
    assert found["metadata"]["labels"]["app.kubernetes.io/name"] == "celery"


def test_a_service_account_brings_its_token_and_nothing_else_does(spec):
    assert spec()["automountServiceAccountToken"] is False
    found = spec(serviceAccountName="shop")
    assert found["serviceAccountName"] == "shop"
    assert "automountServiceAccountToken" not in found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"runAsNonRoot": True},
            {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}},
            id="laid over the defaults",
        ),
        pytest.param(
            {"capabilities": {"add": ["NET_BIND_SERVICE"]}},
            {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
            id="a capability is added to none",
        ),
        pytest.param(
            {"privileged": True},
            {"privileged": True, "capabilities": {"drop": ["ALL"]}},
            id="the API server takes no privileged container that may not escalate",
        ),
    ],
)
def test_the_security_context_is(worker, container, given, expected):
    assert container(worker(securityContext=given))["securityContext"] == expected


def test_the_pods_security_context_is_laid_over_the_default(spec):
    found = spec(podSecurityContext={"fsGroup": 1000})
    assert found["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}, "fsGroup": 1000}


def test_a_volume_of_ours_gives_way_to_what_the_user_mounts_there(spec):
    scratch = {"name": "scratch", "emptyDir": {"medium": "Memory"}}
    found = spec(volumes=[scratch], volumeMounts=[{"name": "scratch", "mountPath": "/tmp/"}])
    assert [
        mount["name"] for mount in found["containers"][0]["volumeMounts"] if mount["mountPath"].startswith("/tmp")
    ] == ["scratch"]
    assert [volume["name"] for volume in found["volumes"]] == ["celery-state", "celery-probe", "scratch"]


def test_a_volume_is_only_in_the_pods_in_which_something_mounts_it(children):
    names = ("media", "config", "nobody")
    fields = {
        "volumes": [{"name": name, "emptyDir": {}} for name in names],
        "initContainers": [{"name": "i", "volumeMounts": [{"name": "config", "mountPath": "/config"}]}],
        "workers": [{"name": "worker", "volumeMounts": [{"name": "media", "mountPath": "/media"}]}],
        "beat": {},
    }
    found = children(**fields)
    pods = {name: found[f"Deployment/shop-{name}"]["spec"]["template"]["spec"] for name in ("worker", "beat")}
    mounted = {name: {volume["name"] for volume in pod["volumes"]} & {*names} for name, pod in pods.items()}
    assert mounted == {"worker": {"media", "config"}, "beat": {"config"}}


UNPRIVILEGED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
COMMON = {
    "broker": {"url": "redis://r"},
    "env": [{"name": "A", "value": "common"}, {"name": "B", "value": "common"}],
    "envFrom": [{"configMapRef": {"name": "common"}}],
}


@pytest.mark.parametrize(
    "image", [pytest.param({"image": "shop:1"}, id="named"), pytest.param({}, id="or not: then it is that image")]
)
def test_an_init_container_with_the_image_of_its_component_has_its_environment(spec, image):
    own = {"env": [{"name": "B", "value": "own"}], "envFrom": [{"secretRef": {"name": "own"}}]}
    [found] = spec(initContainers=[{"name": "migrate", **image, **own}], **COMMON)["initContainers"]
    assert found == {
        "name": "migrate",
        "image": "shop:1",
        "env": [
            {"name": "CELERY_BROKER_URL", "value": "redis://r"},
            {"name": "A", "value": "common"},
            {"name": "B", "value": "own"},
        ],
        "envFrom": [{"configMapRef": {"name": "common"}}, {"secretRef": {"name": "own"}}],
        "securityContext": UNPRIVILEGED,
    }


def test_an_init_container_that_names_no_image_runs_the_one_of_the_block_it_stands_in(children):
    found = children(
        **COMMON,
        initContainers=[{"name": "migrated"}],
        workers=[{"name": "gpu", "image": "gpu:1", "initContainers": [{"name": "own"}]}],
        flower={"image": "flower:1"},
    )
    pods = {name: found[f"Deployment/shop-{name}"]["spec"]["template"]["spec"] for name in ("gpu", "flower")}
    init = {name: {each["name"]: each for each in pod["initContainers"]} for name, pod in pods.items()}
    images = {name: {each: found["image"] for each, found in init[name].items()} for name in init}
    assert images == {"gpu": {"migrated": "shop:1", "own": "gpu:1"}, "flower": {"migrated": "shop:1"}}
    assert init["flower"]["migrated"].items() >= {"envFrom": COMMON["envFrom"]}.items()
    assert [entry["name"] for entry in init["flower"]["migrated"]["env"]] == ["CELERY_BROKER_URL", "A", "B"]


def test_an_init_container_works_where_celery_does_in_its_image(children):
    images = ({}, {"image": "shop:1"}, {"image": "other:1"}, {"workingDir": "/own"})
    found = children(
        broker={"url": "redis://r"},
        workingDir="/app",
        initContainers=[{"name": f"i{number}", **each} for number, each in enumerate(images)],
        workers=[],
        beat={"workingDir": "/beat"},
        flower={"image": "flower:1", "workingDir": "/flower", "initContainers": [{"name": "own"}]},
    )
    pods = {name: found[f"Deployment/shop-{name}"]["spec"]["template"]["spec"] for name in ("beat", "flower")}
    folders = {name: [each.get("workingDir") for each in pod["initContainers"]] for name, pod in pods.items()}
    assert folders == {
        "beat": ["/beat", "/beat", None, "/own"],
        "flower": ["/app", "/app", None, "/own", "/flower"],
    }


def test_it_is_launched_by_the_python_of_its_image(children):
    found = children(
        broker={"url": "redis://r", "passwordFrom": {"secretKeyRef": {"name": "r", "key": "p"}}},
        command=["/app/env/bin/celery"],
        initContainers=[{"name": "migrated", "command": ["migrated"]}],
        flower={"image": "flower:1", "command": ["celery"]},
    )["Deployment/shop-flower"]["spec"]["template"]["spec"]
    [init], [container] = found["initContainers"], found["containers"]
    assert (init["command"][0], container["command"][0]) == ("/app/env/bin/python3", "python3")


def test_an_init_container_with_another_image_has_what_it_names(spec):
    other = {"name": "wait", "image": "wait:1", "env": [{"name": "A", "value": "own"}]}
    assert spec(initContainers=[other], **COMMON)["initContainers"] == [{**other, "securityContext": UNPRIVILEGED}]


@pytest.mark.parametrize("image", [{}, {"image": "other:1"}], ids=["of the app's image", "of another"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, UNPRIVILEGED, id="what Celery's has where it says nothing"),
        pytest.param({"securityContext": {"runAsUser": 0}}, {"runAsUser": 0}, id="its own: a root that may chown"),
        pytest.param({"securityContext": {}}, {}, id="its own, though that is nothing"),
        pytest.param({"restartPolicy": "Always"}, UNPRIVILEGED, id="the same of a sidecar"),
    ],
)
def test_the_security_context_of_an_init_container_is(spec, image, given, expected):
    celery = {"readOnlyRootFilesystem": True}
    [found] = spec(initContainers=[{"name": "i", **image, **given}], securityContext=celery)["initContainers"]
    assert found["securityContext"] == expected


def test_a_spread_constraint_without_selector_counts_the_pods_of_the_component(spec):
    """To Kubernetes it would count no pod at all."""
    constraint = {"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1}
    mine = {**constraint, "topologyKey": "host", "labelSelector": {"matchLabels": {"a": "b"}}}
    ours = {"matchLabels": {"celeryproject.org/app": "shop", "celeryproject.org/component": "worker"}}
    found = spec(topologySpreadConstraints=[constraint, mine])["topologySpreadConstraints"]
    assert found == [{**constraint, "labelSelector": ours}, mine]


def test_quantities_are_written_as_the_api_server_writes_them():
    divisor = {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1000m"}}
    container = {
        "resources": {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "claims": [{"name": "1000m"}]},
        "env": [{"name": "N", "value": "1000m"}, {"name": "C", "valueFrom": divisor}],
    }
    item = {"path": "1000m", **divisor}
    found = pod.canonical(
        {
            "containers": [container],
            "initContainers": [container],
            "volumes": [
                {"name": "1000m", "emptyDir": {"sizeLimit": 1024}},
                {"ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "1024Gi"}}}}}},
                {"downwardAPI": {"items": [item]}},
                {"projected": {"sources": [{"downwardAPI": {"items": [item]}}]}},
            ],
        },
        pod.QUANTITIES,
    )
    one = {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1"}}
    canonical = {
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "claims": [{"name": "1000m"}]},
        "env": [{"name": "N", "value": "1000m"}, {"name": "C", "valueFrom": one}],
    }
    assert found == {
        "containers": [canonical],
        "initContainers": [canonical],
        "volumes": [
            {"name": "1000m", "emptyDir": {"sizeLimit": "1024"}},
            {"ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "1Ti"}}}}}},
            {"downwardAPI": {"items": [{"path": "1000m", **one}]}},
            {"projected": {"sources": [{"downwardAPI": {"items": [{"path": "1000m", **one}]}}]}},
        ],
    }
